"""Merge a newer version of the template, or other answers, into this project.

make template-status, template-diff and template-update run this in Copier's environment.
Copier copies the recorded version and the wanted one, and git merges their difference like
that of any commit: it follows renames, and no edit is lost without a conflict.
"""

import argparse
import contextlib
import fcntl
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections import defaultdict
from pathlib import Path

import yaml
from packaging.version import InvalidVersion, Version

ANSWERS = ".copier-answers.yml"
BRANCH = "template-update"
# An update does not merge the lock files: `make lock` compiles them again.
LOCKS = ("requirements.txt", "requirements-dev.txt", "requirements-servers.txt")
PIN = re.compile(r"^([^\s#=]+)==(\d[\w.!+]*)(?![^\s;]).*\n(?:[ \t].*\n)*", re.MULTILINE)
# What follows such a line in a file belongs to the project.
YOURS = re.compile(rb"^\W*Yours\b", re.MULTILINE)
BOOLEANS = ("true", "yes", "on", "y", "t", "1", "false", "no", "off", "n", "f", "0")
NUMBER = re.compile("-?[0-9]+")
MARKERS = "^(<{7,}|>{7,}) "
# The merge is the same, whatever the user's configuration is.
SETTINGS = {
    "color.ui": "false",
    "core.attributesFile": os.devnull,
    "core.hooksPath": os.devnull,
    "core.quotePath": "false",
    "core.safecrlf": "false",
    "merge.default": "text",
    "merge.directoryRenames": "false",
    "merge.renameLimit": "10000",
    "merge.renames": "true",
    "rerere.enabled": "false",
    "submodule.recurse": "false",
    "user.email": "template@localhost",
    "user.name": "template",
}
COUNT = int(os.environ.get("GIT_CONFIG_COUNT", "0"))
ENVIRONMENT = {"GIT_CONFIG_COUNT": str(COUNT + len(SETTINGS))}
for number, (key, value) in enumerate(SETTINGS.items(), COUNT):
    ENVIRONMENT[f"GIT_CONFIG_KEY_{number}"] = key
    ENVIRONMENT[f"GIT_CONFIG_VALUE_{number}"] = value
# Git's numbers for the versions of a file in conflict: 1 is the recorded one, 2 the project's,
# 3 the wanted one.
DELETED_HERE = ({"1"}, {"1", "3"})
GONE = "you have changed it, and the template has removed or renamed it"
REASONS = {
    ("1", "2"): GONE,
    ("2", "3"): "you and the template have added it",
}
# What git keeps in its folder until such an operation is finished
UNFINISHED = {
    "MERGE_HEAD": "merge",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "sequencer": "cherry-pick or revert",
    "BISECT_LOG": "bisect",
}


class Refused(Exception):
    """The command cannot run; the project is unchanged, and the message has the reason."""


class Template:
    """The template of this project, with a folder for copies of it in git's own.

    What a killed run leaves there disturbs nothing, and the next run removes it.
    """

    def __enter__(self):
        version = git("version").split()[2]
        if tuple(map(int, re.findall(r"\d+", version)[:2])) < (2, 38):
            raise Refused(f"Install git 2.38 or newer: this is {version}.")
        self.prefix = git("rev-parse", "--show-prefix").strip()
        self.git_dir = git("rev-parse", "--absolute-git-dir").strip()
        self.folder = Path(self.git_dir, BRANCH)
        self.lock = open(f"{self.folder}.lock", "w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(
                "Another template command is running here. Wait until it ends."
            ) from None
        self.answers = read_answers(Path(ANSWERS))
        self.source, self.version = self.answers["_src_path"], self.answers["_commit"]
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        tempfile.tempdir = str(self.folder)
        return self

    def __exit__(self, *error):
        shutil.rmtree(self.folder, ignore_errors=True)

    def copy(self, vcs_ref, data=None):
        """Copy a version with the recorded answers, and those in data; return the folder.

        Raises Refused, with Copier's reason.
        """
        # Copier copies os.environ when it is imported, so main() changes that first.
        import copier

        folder = Path(tempfile.mkdtemp(dir=self.folder))
        shutil.copy(ANSWERS, folder)
        options = {"defaults": True, "overwrite": True, "quiet": True}
        try:
            copier.run_recopy(folder, dict(data or ()), vcs_ref=vcs_ref, **options)
        except copier.errors.UnsupportedVersionError as error:
            raise Refused(
                f"{error} Update from a checkout of the template: see its docs/update.md."
            ) from None
        except Exception as error:
            reason = (str(error).strip() or repr(error)).splitlines()[-1].strip("| ")
            if name := refused_question(error):
                reason = reason.split(f"'{name}': ")[-1].removesuffix(".")
                # The recorded version is copied with the recorded answers only.
                advice = (
                    f"Correct it in {ANSWERS}, and commit the file."
                    if data is None
                    else f'Set answers that fit: ARGS="-d {name}=VALUE"'
                )
                raise Refused(
                    f"The template refuses the answer to {name}: {reason}. {advice}"
                ) from None
            raise Refused(
                f"Copier cannot copy {self.source}, the _src_path in {ANSWERS}: {reason}"
            ) from error
        return folder

    def store(self, folder, version, *parents):
        """Store a copy as a commit, at the place of this project in its repository."""
        index = {"GIT_INDEX_FILE": str(self.folder / "index")}
        place = {"GIT_DIR": self.git_dir, "GIT_WORK_TREE": str(folder)}
        settings = ("-c", "core.fileMode=true", "-c", "core.sparseCheckout=false")
        git(*settings, "add", "--all", "--force", ".", cwd=folder, **index, **place)
        tree = git("write-tree", **index).strip()
        if self.prefix:
            # With the rest of the repository, so that git finds no rename to a file there.
            git("read-tree", "HEAD", **index)
            remove = ("rm", "-r", "--cached", "--sparse", "--quiet", "--ignore-unmatch")
            git(*remove, "--", ".", **index)
            git("read-tree", f"--prefix={self.prefix}", tree, **index)
            tree = git("write-tree", **index).strip()
        Path(index["GIT_INDEX_FILE"]).unlink()
        return commit(tree, f"template {version}", *parents)


class Change:
    """What the wanted version and answers change: from the commit `old` to `new`."""

    def __init__(self, template, options):
        old = template.copy(template.version)
        # Before the template reads them, because it may refuse them at another question.
        refuse_misspelled(template.answers, options.data)
        new = template.copy(options.vcs_ref, options.data)
        self.answers = read_answers(new / ANSWERS)
        self.version = self.answers["_commit"]
        for name in dict(options.data).keys() - self.answers.keys():
            raise Refused(f"With these answers, the template does not ask for {name}.")
        refuse_misspelled(self.answers, options.data)
        if order(self.version) < order(template.version) and not options.vcs_ref:
            raise Refused(
                f"The newest version of the template, {self.version}, is older than the one "
                f"of this project, {template.version}. Name a version: --vcs-ref=VERSION"
            )
        self.locks = {}
        for name in filter(lambda name: (new / name).exists(), LOCKS):
            if Path(name).exists() or not (old / name).exists():
                self.locks[name] = read_text(new / name)
            if (old / name).exists():
                shutil.copy(old / name, new / name)
        self.old = template.store(old, template.version)
        self.new = template.store(new, self.version, self.old)
        self.report = {
            "version": template.version,
            "wanted": self.version,
            "changed_answers": {
                name: value
                for name, value in self.answers.items()
                if name[0] != "_" and template.answers.get(name, value) != value
            },
            "new_answers": without(self.answers, template.answers),
            "dropped_answers": without(template.answers, self.answers),
            "files": differing(self.old, self.new),
        }


def status(template, options):
    """Compare the project with its version of the template, and that with the newest."""
    newer = newer_versions(template)
    folder = template.copy(template.version)
    stored = template.store(folder, template.version)

    def owned(kinds):
        """Yield the files of the template that differ so, without those that teams extend."""
        for name in differing(f"--diff-filter={kinds}", stored):
            if name not in LOCKS and not YOURS.search((folder / name).read_bytes()):
                yield name

    _, marked, _ = run_git("grep", "--name-only", "-z", "--text", "-E", MARKERS)
    rejects = git("ls-files", "--cached", "--others", "-z", "--", "*.rej")
    report = {
        "version": template.version,
        "newer": newer,
        "changed": list(owned("MT")),
        "missing": list(owned("D")),
        "conflicts": split(marked) + split(rejects),
    }
    print(f"The project has version {template.version} of {template.source}.")
    found = f"Newer: {', '.join(newer)}. See them: make template-diff"
    print(found if newer else "No version is newer.")
    print_list("You have changed these files of the template:", report["changed"])
    print_list(
        "You have deleted or moved these files of the template:", report["missing"]
    )
    print_list("These files still have conflicts of an update:", report["conflicts"])
    return report, 1 if report["conflicts"] else 0


def diff(template, options):
    """Show what the template changes, and which files will conflict; change nothing."""
    change = Change(template, options)
    head = commit(git("rev-parse", "HEAD^{tree}").strip(), "project", change.old)
    merge = ("merge-tree", "--write-tree", "--no-messages", "-z", head, change.new)
    code, output, error = run_git(*merge)
    if code > 1:
        raise Refused(f"git merge-tree failed: {error.strip()}")
    conflicts, kept = judge(split(output)[1:], template.prefix)
    print(git("diff", "--no-ext-diff", "--relative", change.old, change.new))
    print_list("These files will conflict:", described(conflicts))
    return change.report | {"conflicts": conflicts, "kept_deleted": kept}, 0


def update(template, options):
    """Merge the change on a branch of its own, compile the lock files and lint the project.

    Nothing is committed. The report has the conflicts, which a person must resolve.
    """
    for name, operation in UNFINISHED.items():
        if Path(template.git_dir, name).exists():
            raise Refused(
                f"Finish or abort the {operation} first: git status lists the commands."
            )
    changed = git("status", "--porcelain", "--no-renames", "-z", "-uno")
    dirty = [line[3:] for line in split(changed)]
    dirty += split(git("ls-files", "--others", "--exclude-standard", "-z"))
    refuse("Commit or stash these files first:", dirty)
    # A lower-case letter marks a file whose changes git hides, and git reset loses.
    tracked = split(git("ls-files", "-v", "-z", "--full-name", ":/"))
    refuse(
        "Run git update-index --no-assume-unchanged on these files, because git hides "
        "changes in them:",
        [line[2:] for line in tracked if line[0].islower()],
    )
    if git("branch", "--list", BRANCH):
        raise Refused(
            f"Merge the branch {BRANCH}, or delete it: git branch -D {BRANCH}"
        )
    change = Change(template, options)
    if not change.report["files"]:
        print(f"The project is up to date: version {template.version} of the template.")
        return change.report, 0
    written = differing("--diff-filter=d", change.old, change.new)
    ignored = list(ignored_in_place(written))
    refuse(
        "The template writes these files, which git ignores here. Move them:", ignored
    )

    branch = git("branch", "--show-current").strip()
    head = git("rev-parse", "HEAD").strip()
    here = shlex.quote(branch) if branch else f"--detach {head}"
    print(
        f"Updating from {template.version} to {change.version} on the branch {BRANCH}."
    )
    print("To undo it, even if it is interrupted:")
    # An interrupted git leaves its lock.
    lock = shlex.quote(git("rev-parse", "--git-path", "index.lock").strip())
    print(f"  rm -f {lock} && git reset --hard && git clean -d --force")
    print(f"  git switch {here} && git branch -D {BRANCH}")
    git("switch", "--quiet", "--create", BRANCH)
    try:
        conflicts, kept = judge(merge(change))
    except Refused as reason:
        roll_back(reason)
        raise
    if kept:
        git("--literal-pathspecs", "rm", "--quiet", "--force", "--", *kept)
    # Not merged: it must record what Copier has copied.
    git("checkout", change.new, "--", ANSWERS)
    conflicts.pop(ANSWERS, None)
    for name, wanted in change.locks.items():
        raise_pins(Path(name), wanted)
    report = change.report | {"branch": BRANCH, "conflicts": conflicts}
    report |= {"kept_deleted": kept, "gates": None}
    for heading, answers in (
        ("Changed answers:", "changed_answers"),
        ("New answers:", "new_answers"),
        (
            "The template no longer asks for these answers, so they are dropped:",
            "dropped_answers",
        ),
    ):
        print_list(heading, [f"{k}={v}" for k, v in report[answers].items()])
    if "project_slug" in report["changed_answers"]:
        print(
            "The slug also names things outside of the repository, such as the database: "
            'see "Another slug" in docs/update.md of the template.'
        )
    print_list("You have deleted these files, so they stay deleted:", kept)
    if conflicts:
        print_list("Resolve these conflicts:", described(conflicts))
        if GONE in conflicts.values():
            print(
                "Move your edits of a removed or renamed file, then git rm it; "
                "to keep it, git add it."
            )
        if not options.json:
            print("Then run make lock, make ci, git add --all and git commit.")
        return report, 1
    if options.merge_only:
        return report, 0
    report["gates"] = make("lock") and make("lint")
    git("add", "--all", ".")
    if not report["gates"]:
        print("The update is merged and staged, but the command above failed.")
        if not options.json:
            print("Fix the cause, then run make ci, git add --all and git commit.")
        return report, 1
    if not options.json:
        print("The update is merged and staged. Read it: git diff --cached")
        print("Then run make ci and git commit.")
    return report, 0


COMMANDS = {"status": status, "diff": diff, "update": update}


def merge(change):
    """Merge the change, and return what git prints for each version of a file in conflict.

    Raises Refused if git cannot finish, or if it would then commit files that it ignores now.
    """
    code, _, error = run_git("cherry-pick", "--no-commit", change.new)
    unmerged = split(git("ls-files", "--unmerged", "-z"))
    if code and not unmerged:
        raise Refused(f"git cannot merge the template: {error.strip()}")
    others = ("ls-files", "--others", "--exclude-standard", "-z")
    found = split(git(*others, "--directory", "--no-empty-directory"))
    refuse(
        "With the update, git no longer ignores these files. Move them, or add them "
        "to your part of .gitignore:",
        [name for name in found if name not in change.report["files"]],
    )
    return unmerged


def roll_back(reason):
    """Undo a merge that has begun. There were no changes before, so none are lost."""
    try:
        git("reset", "--quiet", "--hard")
        git("clean", "--quiet", "-d", "--force")
        git("checkout", "--quiet", "-")
        git("branch", "-D", BRANCH)
    except Refused as error:
        raise Refused(
            f"{reason}\n{error}\nRemove the cause, and run the commands above."
        ) from None


def refuse_misspelled(answers, data):
    """Refuse an answer of another type than the recorded one.

    Copier would read any text as true, and refuse a number in Python's words.
    """
    for name, value in data:
        known = answers.get(name)
        if isinstance(known, bool):
            if value.lower() not in BOOLEANS:
                raise Refused(f"Answer {name} with true or false, not with {value}.")
        elif isinstance(known, int) and not NUMBER.fullmatch(value):
            raise Refused(f"Answer {name} with a number, not with {value}.")


def refused_question(error):
    """Return the name of the question whose answer Copier was reading, if any."""
    from copier._user_data import Question

    # Not each message names it: Copier converts a number with int().
    for frame, _ in traceback.walk_tb(error.__traceback__):
        question = frame.f_locals.get("self")
        if isinstance(question, Question):
            return question.var_name
    return None


def newer_versions(template):
    """Return the newer versions, oldest first; of a template without any, its last commit."""
    from copier._vcs import get_repo

    # An address may be short, as in gh:owner/name.
    source = get_repo(template.source) or template.source
    refs = [line.split("\t") for line in git("ls-remote", "--", source).splitlines()]
    tags = {name.removeprefix("refs/tags/") for _, name in refs if "refs/tags/" in name}
    versions = sorted((it for it in tags if not order(it).is_prerelease), key=order)
    if versions:
        return [it for it in versions if order(it) > order(template.version)]
    head = next((commit for commit, name in refs if name == "HEAD"), "")
    if not head:
        raise Refused(f"{template.source} has no commit.")
    recorded = template.version.rpartition("-g")[2]
    return [] if head.startswith(recorded) else [head[:7]]


def order(version):
    """Return what puts versions in order. A commit without a tag comes first."""
    # Copier describes a later commit by the tag and the number of commits since.
    tag, _, commits = version.partition("-g")[0].rpartition("-")
    try:
        if "-g" in version:
            return Version(f"{tag}.post{commits}")
        if not re.fullmatch("[0-9a-f]{7,40}", version):
            return Version(version)
    except InvalidVersion:
        pass
    return Version("0.dev0")


def judge(entries, prefix=""):
    """Return the conflicts with their reasons, and the files that are to stay deleted.

    `entries` is what git prints for each version of a file: mode, id, number and name.
    """
    versions = defaultdict(set)
    for entry in entries:
        facts, _, name = entry.partition("\t")
        versions[name.removeprefix(prefix)].add(facts.split()[2])
    kept = [name for name, has in versions.items() if has in DELETED_HERE]
    conflicts = {
        name: REASONS.get(tuple(sorted(has)), "you and the template have changed it")
        for name, has in versions.items()
        if name not in kept
    }
    return conflicts, kept


def raise_pins(path, wanted):
    """Take the packages from the template's lock file that are newer there, or new."""
    lock = read_text(path).rstrip() + "\n" if path.exists() else ""
    pins = read_pins(lock)
    newer = {
        name: (version, lines)
        for name, (version, lines) in read_pins(wanted).items()
        if name not in pins or version > pins[name][0]
    }
    if newer:
        kept = PIN.sub(lambda pin: "" if pin[1] in newer else pin[0], lock)
        lock = kept + "".join(lines for _, lines in newer.values())
        path.write_text(lock, errors="surrogateescape")


def read_pins(lock):
    """Return the newest version of each package, and all its lines."""
    pins: dict[str, tuple[Version, str]] = {}
    for pin in PIN.finditer(lock):
        with contextlib.suppress(InvalidVersion):
            version, lines = pins.get(pin[1], (Version(pin[2]), ""))
            pins[pin[1]] = max(version, Version(pin[2])), lines + pin[0]
    return pins


def read_text(path):
    """Return the text of a file, which may have any bytes."""
    return path.read_text(errors="surrogateescape")


def ignored_in_place(names):
    """Yield what git ignores in the place of these files: the merge would replace it."""
    tracked = {
        path
        for name in split(git("ls-files", "-z"))
        for path in (Path(name), *Path(name).parents)
    }
    for path in map(Path, names):
        above = (it for it in path.parents if it.is_symlink() or not it.is_dir())
        for place in (path, *above):
            if os.path.lexists(place) and place not in tracked:
                yield place


def make(target):
    """Run a target of the Makefile, without the variables of the one that runs this."""
    own = ("ARGS", "MAKEFLAGS", "MFLAGS", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if name not in own}
    command = ["make", "--no-print-directory", target]
    return not subprocess.run(command, env=environment, stdout=sys.stdout).returncode


def read_answers(path):
    """Return Copier's answers. Raises Refused if there are none."""
    try:
        answers = yaml.safe_load(path.read_text())
        for name in ("_src_path", "_commit"):
            if not isinstance(answers[name], str):
                raise TypeError(f"{name} is no text")
        return answers
    except (OSError, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise Refused(
            f"{ANSWERS} is missing, or not as Copier wrote it ({error}). "
            f"Restore it: git checkout HEAD -- {ANSWERS}"
        ) from None


def without(answers, others):
    return {name: value for name, value in answers.items() if name not in others}


def commit(tree, title, *parents):
    options = [part for parent in parents for part in ("-p", parent)]
    return git("commit-tree", tree, *options, "-m", title).strip()


def git(*arguments, **options):
    """Return what git prints. Raises Refused, with git's reason, if it fails."""
    code, output, error = run_git(*arguments, **options)
    if code:
        raise Refused(error.strip() or f"git {arguments[0]} failed")
    return output


def run_git(*arguments, cwd=None, **variables):
    """Return git's exit code, output and errors. The name of a file may have any bytes."""
    command = ["git", *arguments]
    done = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        errors="surrogateescape",
    )
    return done.returncode, done.stdout, done.stderr


def differing(*arguments):
    """Return the files in which commits differ, relative to the folder of this project."""
    names = ("diff", "--name-only", "--no-renames", "--relative", "-z")
    return split(git(*names, *arguments))


def split(output):
    return [name for name in output.split("\0") if name]


def refuse(title, names):
    if names:
        raise Refused("\n".join([title, *(f"  {name}" for name in names)]))


def print_list(title, lines):
    if lines:
        print(title, *(f"  {line}" for line in lines), sep="\n")


def described(conflicts):
    return [f"{name}: {reason}" for name, reason in conflicts.items()]


def answer(text):
    """Return the name and the value of NAME=VALUE. Raises ValueError."""
    name, value = text.split("=", 1)
    return name, value


def main():
    """Run a command. The exit code is 1 if a person must act, 2 if it is refused."""
    parser = argparse.ArgumentParser(prog="python -m scripts.template")
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--vcs-ref", help="the version, instead of the newest")
    parser.add_argument(
        "-d", "--data", action="append", default=[], type=answer, help="NAME=VALUE"
    )
    parser.add_argument(
        "--merge-only",
        action="store_true",
        help="neither compile the lock files nor lint",
    )
    options = parser.parse_args()
    os.environ.update(ENVIRONMENT)
    # In a hook or an alias, git sets GIT_DIR and others, which Copier's git must not have.
    for name in git("rev-parse", "--local-env-vars").split():
        if not name.startswith("GIT_CONFIG"):
            os.environ.pop(name, None)
    if options.command != "update":
        # A pager may close the pipe, and nothing is to be finished.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    # The name of a file may have any bytes, and `make` prints in between.
    place = 2 if options.json else 1
    with (
        open(place, "w", 1, errors="surrogateescape", closefd=False) as output,
        contextlib.redirect_stdout(output),
    ):
        try:
            with Template() as template:
                report, code = COMMANDS[options.command](template, options)
        except (KeyboardInterrupt, BrokenPipeError) as error:
            report, code = {"error": "Interrupted"}, 130
            print("Interrupted", file=sys.stderr)
            if isinstance(error, BrokenPipeError):
                # The rest of the output has nowhere to go.
                os.dup2(os.open(os.devnull, os.O_WRONLY), place)
        except (Refused, OSError) as error:
            report, code = {"error": str(error)}, 2
            print(error, file=sys.stderr)
    if options.json:
        print(json.dumps(report, indent=2))
    sys.exit(code)


if __name__ == "__main__":
    main()
