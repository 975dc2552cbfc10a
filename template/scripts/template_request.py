"""Open a request that merges a newer version of the template, in two jobs of the pipeline.

The first one runs make template-bundle: it merges the newest version in a clone, and leaves a
report and the commit in reports/. The second one has a token, and so it runs no code of the
newer version: make template-request pushes the commit, and opens or refreshes the request.
"""

import base64
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from scripts import code_host

BRANCH = "template-update"
REF = f"refs/heads/{BRANCH}"
REPORT, BUNDLE = Path("reports/template.json"), Path("reports/template.bundle")
# Another person who commits to the branch has another address: then the job stops changing it.
EMAIL = "template-update@localhost"
IDENTITY = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in {"NAME": "Template update", "EMAIL": EMAIL}.items()
}
MOST = 50  # items in each list of a request
SECTION = "docs/pipeline.md#template-request"
RESOLVE = f"""\
```console
git fetch origin {BRANCH}
git switch --force-create {BRANCH} origin/{BRANCH}
# Resolve the conflicts. Move your edits of a removed or renamed file, then git rm it, or keep it.
# Delete the .rej files, then:
git add --all && make lock && make ci
git commit --all --message "Resolve the conflicts" && git push
```"""


def bundle():
    """Merge the newest version in a clone; leave a report, and the commit if it changes a file.

    Exits with 1 if the update is refused.
    """
    REPORT.parent.mkdir(exist_ok=True)
    for path in (REPORT, BUNDLE):
        path.unlink(missing_ok=True)
    place = BUNDLE.resolve()
    with tempfile.TemporaryDirectory() as clone:
        git("clone", "--quiet", git("rev-parse", "--show-toplevel"), clone)
        folder = Path(clone, git("rev-parse", "--show-prefix"))
        command = ["make", "--no-print-directory", "template-update", "ARGS=--json"]
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True)
        # make may print commands first. The reason for a refusal is in the log.
        _, brace, rest = done.stdout.partition("{\n")
        report = json.loads(brace + rest or '{"error": ""}')
        if "error" in report:
            sys.exit(1)
        if report["files"]:
            mark(folder, report["conflicts"])
            options = {"cwd": folder, **IDENTITY}
            git("add", "--all", **options)
            message = f"{title(report)}\n\n{describe(report)}"
            sign = ("-c", "commit.gpgSign=false")
            git(*sign, "commit", "--no-verify", "--message", message, **options)
            git("bundle", "create", str(place), REF, "^HEAD~", cwd=folder)
    REPORT.write_text(json.dumps(report, indent=2))


def mark(folder, conflicts):
    """Add a file .rej for each conflict that has no markers: it fails make lint as they do."""
    for name, reason in conflicts.items():
        file = folder / name
        if not file.is_file() or not re.search(b"(?m)^<{7,} ", file.read_bytes()):
            file.parent.mkdir(parents=True, exist_ok=True)
            Path(f"{file}.rej").write_text(f"{reason}\n")
            # A .gitignore may have *.rej.
            git("add", "--force", "--", f"{name}.rej", cwd=folder)


def request(token):
    """Push the commit, and open a request or refresh the open one.

    Exits with 1 if the code host refuses, or if the branch has commits of other people and
    no open request.
    """
    report = json.loads(REPORT.read_text())
    if not report["files"]:
        print("The project has the newest version of the template.")
        return
    # git fetch would take a folder for a repository, and read its configuration.
    commit = git("bundle", "unbundle", str(BUNDLE), REF)[:40]
    if git("rev-parse", f"{commit}^@") != git("rev-parse", "HEAD"):
        sys.exit("The update belongs to another commit. Run both jobs again.")
    known = [it for it in call(token, "GET", code_host.LIST) if code_host.state(it)]
    is_open = [it for it in known if code_host.state(it) == "open"]
    wanted = title(report)
    if not is_open and any(
        code_host.state(it) == "closed" and it["title"] == wanted for it in known
    ):
        print("You have closed the request for this version. Reopen it to merge it.")
        return
    tip = git("ls-remote", code_host.REPOSITORY_URL, REF, token=token)[:40]
    tree = ""
    if tip:
        git("fetch", "--quiet", "--depth=1", code_host.REPOSITORY_URL, tip, token=token)
        email, tree = git("log", "-1", "--format=%ce %T", tip).rsplit(" ", 1)
        merged = {code_host.tip(it) for it in known if code_host.state(it) == "merged"}
        if email != EMAIL and tip not in merged:
            left = f"Another person has committed to the branch {BRANCH}: it stays as it is."
            if is_open:
                print(left)
                return
            sys.exit(f"{left}\nDelete it: git push origin --delete {BRANCH}")
    if tree != git("rev-parse", f"{commit}^{{tree}}"):
        push(token, commit, tip)
    data = {"title": wanted, code_host.BODY: describe(report)}
    if is_open:
        address = f"/{is_open[0][code_host.NUMBER]}"
        opened = call(token, code_host.UPDATE, address, data)
    else:
        ends = {code_host.HEAD: BRANCH, code_host.BASE: code_host.DEFAULT_BRANCH}
        opened = call(token, "POST", "", data | ends)
    print(f"{wanted}: {opened[code_host.URL]}")


def push(token, commit, tip):
    """Push the commit to the branch, if nothing has been pushed there since."""
    lease = f"--force-with-lease={REF}:{tip}"
    to = (code_host.REPOSITORY_URL, f"{commit}:{REF}")
    try:
        git("push", "--quiet", lease, *to, token=token)
    except subprocess.CalledProcessError as error:
        if "refusing to allow" not in error.stderr:
            raise
        # A token needs a permission of its own for the files of the pipeline.
        print(git("diff", "HEAD", commit))
        sys.exit(
            f"{error.stderr.strip()}\nThe update, above, changes the pipeline, and this "
            f"token may not: see {SECTION}. To update without one, run make template-update "
            "on your machine, commit and push."
        )


def title(report):
    version = re.sub(r"[^\w.+-]", "", report["wanted"])
    return f"Update the template to {version[:60]}"


def describe(report):
    """Return the description of a request, which begins with what a person must do."""
    parts = []
    if report["conflicts"]:
        parts += ["**Conflicts: resolve them in this branch before you merge it.**"]
        parts += [listed(f"{k}: {v}" for k, v in report["conflicts"].items()), RESOLVE]
    elif not report["gates"]:
        parts += [
            "**`make lock` or `make lint` fails: the log of template-update has why.**"
        ]
    parts += [
        f"The project has version {code(report['version'])} of its template. "
        "The changelog of the template lists what else you must do.",
        "The job refreshes this branch until another person commits to it.",
    ]
    answers = {
        key: [f"{name}={value}" for name, value in report[key].items()]
        for key in ("new_answers", "dropped_answers")
    }
    for text, names in (
        ("New answers:", answers["new_answers"]),
        ("Answers that are not asked for any more:", answers["dropped_answers"]),
        ("You have deleted these files, so they stay deleted:", report["kept_deleted"]),
    ):
        parts += [text, listed(names)] if names else []
    return "\n\n".join(parts)


def listed(items):
    """Return a list in Markdown, not too long for a description, which has a limit."""
    lines = [f"- {code(item)}" for item in items]
    more = [f"- and {len(lines) - MOST} more"] if len(lines) > MOST else []
    return "\n".join(lines[:MOST] + more)


def code(text):
    """Return a text as code in Markdown: the report comes from a job that runs new packages."""
    return "`" + re.sub(r"[`\s]+", " ", text)[:300] + "`"


def call(token, method, address, data=None):
    """Return what the API of the code host answers. Exits with the reason if it fails."""
    sent = urllib.request.Request(
        code_host.API + address,
        method=method,
        data=json.dumps(data).encode() if data else None,
        headers={
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
        },
    )
    try:
        with urllib.request.urlopen(sent, timeout=60) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        reason = error.read().decode(errors="replace")[:1000]
        sys.exit(f"{method} {sent.full_url}: {error}\n{reason}\nSee {SECTION}.")
    except OSError as error:
        reason = getattr(error, "reason", str(error))
        sys.exit(f"{method} {sent.full_url} failed: {reason}. Run the job again.")


def git(*arguments, cwd=None, token=None, **variables):
    """Return what git prints. Raises CalledProcessError if it fails.

    The token is in no argument, which other processes can read.
    """
    if token:
        login = base64.b64encode(f"{code_host.USER}:{token}".encode()).decode()
        variables |= {
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": f"http.{code_host.SERVER}/.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {login}",
            # A checkout may replace https by ssh, whose key can only read: the longest
            # match wins.
            "GIT_CONFIG_KEY_1": f"url.{code_host.REPOSITORY_URL}.insteadOf",
            "GIT_CONFIG_VALUE_1": code_host.REPOSITORY_URL,
            "GIT_TERMINAL_PROMPT": "0",
        }
    command = ["git", *arguments]
    done = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        errors="surrogateescape",
    )
    done.check_returncode()
    return done.stdout.strip()


def main():
    """Run one of the two commands, bundle or request."""
    try:
        if sys.argv[1:] == ["bundle"]:
            bundle()
        elif token := os.environ.get("TEMPLATE_TOKEN", "").strip():
            request(token)
        else:
            sys.exit(f"TEMPLATE_TOKEN is not set: see {SECTION}.")
    except subprocess.CalledProcessError as error:
        sys.exit(f"git {error.cmd[1]} failed: {error.stderr.strip()}")


if __name__ == "__main__":
    main()
