"""The pipeline opens one request with an update of the template, and refreshes it."""

import json
import shutil
import sys
import threading

import pytest

from tests.support.code_host import (
    FULL,
    JOB,
    REPOSITORY,
    Host,
    make_host,
    read_requests,
    write_requests,
)
from tests.support.options import TEMPLATE
from tests.support.project import Project
from tests.updating.small import SCRIPT, release

UPDATE = f"\ntemplate-update:\n\t@{sys.executable} {SCRIPT} update $(ARGS)\n"
TITLE = "Update the template to v1.1.0"
OLD = {"number": 1, "title": "Update the template to v1.1", "body": ""}
OLD |= {"state": "open", "merged_at": None}
PROVIDERS = ("github", "gitlab")
of_each_host = pytest.mark.parametrize("host", PROVIDERS, indirect=True)


class Remote:
    """A project on a code host, with the two commands of the pipeline."""

    def __init__(self, project, folder, name):
        self.project, self.folder, self.name = project, folder, name
        self.bundled = project.head()
        code_host = TEMPLATE / f"extensions/code_hosts/{name}.py"
        shutil.copy(code_host, project / "scripts/code_host.py")
        folder.mkdir()
        make_host(
            folder,
            project.path,
            {"secret-full": FULL, "secret-job": JOB, "secret-read": []},
        )
        self.server = Host(folder)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def run(self, *command, token="secret-full"):
        address = f"http://127.0.0.1:{self.server.server_port}"
        variables = {
            "github": {
                "GITHUB_SERVER_URL": address,
                "GITHUB_API_URL": f"{address}/api",
                "GITHUB_REPOSITORY": REPOSITORY,
            },
            "gitlab": {
                "CI_SERVER_URL": address,
                "CI_API_V4_URL": f"{address}/api/v4",
                "CI_PIPELINE_ID": "1",
                "CI_PROJECT_ID": "7",
                "CI_PROJECT_PATH": REPOSITORY,
                "CI_DEFAULT_BRANCH": "main",
            },
        }[self.name]
        # The checkout of a provider sets such a rule for its code host.
        config = self.folder / "gitconfig"
        config.write_text(f'[url "ssh://git@host.invalid"]\ninsteadOf = {address}\n')
        variables |= {"GIT_CONFIG_GLOBAL": str(config), "TEMPLATE_TOKEN": token}
        module = (sys.executable, "-m", *command)
        return self.project.run(*module, **variables)

    def bundle(self):
        """Run the first job, if the last one was for another commit; return the report."""
        if self.bundled != self.project.head():
            done = self.run("scripts.template_request", "bundle")
            assert done.returncode == 0, done.stdout
            self.bundled = self.project.head()
        return json.loads(self.project.read("reports/template.json"))

    def request(self, token="secret-full", code=0):
        """Run the second job; return what it prints."""
        if self.name == "gitlab":
            # The job gets no artifacts: it downloads two files.
            artifacts = self.folder / "artifacts"
            shutil.rmtree(artifacts, ignore_errors=True)
            artifacts.mkdir()
            shutil.move(self.project / "reports", artifacts / "reports")
            done = self.run("scripts.code_host", token=token)
            if done.returncode:
                assert done.returncode == code, done.stdout
                return done.stdout
        done = self.run("scripts.template_request", "request", token=token)
        assert done.returncode == code, done.stdout
        return done.stdout

    def update(self, **options):
        self.bundle()
        return self.request(**options)

    def change_report(self, **values):
        report = json.loads(self.project.read("reports/template.json")) | values
        (self.project / "reports/template.json").write_text(json.dumps(report))

    def requests(self):
        return read_requests(self.folder)

    def git(self, *arguments):
        """Return what git prints in the repository of the code host."""
        repository = Project(self.folder / f"{REPOSITORY}.git")
        done = repository.run("git", *arguments)
        return done.stdout.strip()

    def merge(self):
        """Merge the open request, and keep its branch."""
        (request,) = self.requests()
        sha = self.git("rev-parse", "template-update")
        merged = {"state": "closed", "merged_at": "now", "sha": sha}
        write_requests(self.folder, [request | merged])

    def show(self, name):
        return self.git("show", f"template-update:{name}")

    def edit(self, name, old, new):
        """Commit an edit to main, also on the code host."""
        self.project.edit(name, old, new)
        self.project.commit(f"Edit {name}")
        (self.folder / f"{REPOSITORY}.git/hooks/pre-receive").chmod(0o644)
        target = str(self.folder / f"{REPOSITORY}.git")
        self.project.run_ok("git", "push", target, "HEAD:main")
        (self.folder / f"{REPOSITORY}.git/hooks/pre-receive").chmod(0o755)

    def commit_to_branch(self, tmp_path):
        """Commit to the branch of the request, as a person."""
        clone = tmp_path / "clone"
        repository = str(self.folder / f"{REPOSITORY}.git")
        self.project.run_ok(
            "git", "clone", "--branch=template-update", repository, str(clone)
        )
        person = Project(clone)
        (person / "mine").touch()
        person.commit("Resolve")
        (self.folder / f"{REPOSITORY}.git/hooks/pre-receive").chmod(0o644)
        person.run_ok("git", "push", "origin", "template-update")
        (self.folder / f"{REPOSITORY}.git/hooks/pre-receive").chmod(0o755)
        return person.head()


@pytest.fixture(scope="module")
def bundled(original, tmp_path_factory):
    """Return the project of the first release after the first job."""
    project = original.copy_to(tmp_path_factory.mktemp("bundled") / "project")
    scripts = project / "scripts"
    scripts.mkdir()
    (scripts / "__init__.py").touch()
    shutil.copy(TEMPLATE / "template/scripts/template_request.py", scripts)
    ignored = ("reports/", "__pycache__/", "scripts/code_host.py")
    (project / ".gitignore").write_text("\n".join(ignored))
    (project / "Makefile").write_text(project.read("Makefile") + UPDATE)
    project.commit("Add the scripts")
    (scripts / "code_host.py").touch()
    project.run_ok(sys.executable, "-m", "scripts.template_request", "bundle")
    return project


@pytest.fixture
def host(request, bundled, tmp_path):
    """Return the project on a code host; GitHub, unless the test names one."""
    project = bundled.copy_to(tmp_path / "project")
    remote = Remote(project, tmp_path / "host", getattr(request, "param", "github"))
    yield remote
    remote.server.shutdown()


@pytest.fixture
def template(original, host, tmp_path):
    """Return the template of the host's project, for the test to release."""
    source = original.path.parent / "template"
    copied = Project(source).copy_to(tmp_path / "template")
    host.edit(".copier-answers.yml", str(source), str(copied.path))
    return copied


@of_each_host
def test_update_opens_one_request(host):
    before = host.project.head()
    assert host.update().startswith(f"{TITLE}: https://host/")
    (request,) = host.requests()
    assert (request["title"], request["state"]) == (TITLE, "open")
    assert request["body"].startswith("The project has version `v1.0.0`")
    assert "- `color=blue`" in request["body"]
    assert host.show("changed").startswith("changed 0\n1 new\n")
    assert host.git("rev-parse", "template-update^") == before
    assert host.git("log", "-1", "--format=%s", "template-update") == TITLE
    # The first job changes neither the branches nor the tree of its clone.
    assert host.project.run("git", "branch", "--list", "template-update").stdout == ""
    assert host.project.run("git", "status", "--porcelain").stdout == ""


def test_conflicts_are_on_top_and_committed_with_markers(host):
    host.edit("changed", "changed 1", "1 mine")
    host.edit("removed", "removed 1", "1 mine <<<<<<< ")
    host.edit(".gitignore", "reports/", "reports/\n*.rej")
    host.update()
    (request,) = host.requests()
    top, names, resolve, *_ = request["body"].split("\n\n")
    assert top.startswith("**Conflicts: ")
    assert [it.partition(":")[0] for it in names.splitlines()] == [
        "- `changed",
        "- `removed",
    ]
    # A person may have the branch of an earlier version.
    assert "switch --force-create template-update origin/template-update" in resolve
    assert "<<<<<<< HEAD\n1 mine\n=======\n1 new\n>>>>>>> " in host.show("changed")
    assert "1 mine" in host.show("removed")
    # Without markers, another file fails make lint.
    assert "the template has removed" in host.show("removed.rej")
    assert "changed.rej" not in host.git("ls-tree", "--name-only", "template-update")


def test_request_names_failed_gates_on_top(host):
    host.change_report(gates=False)
    host.request()
    (request,) = host.requests()
    assert request["body"].startswith("**`make lock` or `make lint` fails:")


def test_tag_with_the_name_of_the_branch_is_not_taken_for_it(host):
    host.project.run_ok("git", "tag", "template-update")
    host.bundled = ""
    assert host.update().startswith(f"{TITLE}: https://host/")


def test_newest_version_opens_nothing(host):
    host.update()
    host.project.run_ok(
        "git", "fetch", str(host.folder / f"{REPOSITORY}.git"), "template-update"
    )
    host.project.run_ok("git", "merge", "--ff-only", "FETCH_HEAD")
    write_requests(host.folder, [])
    assert host.bundle()["files"] == []
    assert "has the newest version" in host.request()
    assert host.requests() == []


def test_newer_main_refreshes_the_open_request(host):
    host.update()
    before = host.git("rev-parse", "template-update")
    host.edit("changed", "changed 1", "1 mine")
    host.update()
    (request,) = host.requests()
    assert request["body"].startswith("**Conflicts: ")
    assert host.git("rev-parse", "template-update") != before
    assert host.git("rev-parse", "template-update^") == host.project.head()


@of_each_host
def test_open_request_gets_the_newer_version(host):
    write_requests(host.folder, [OLD])
    host.request()
    (request,) = host.requests()
    assert (request["title"], request["state"]) == (TITLE, "open")
    assert "- `color=blue`" in request["body"]


def test_equal_update_is_not_pushed_again(host):
    host.update()
    before = host.git("rev-parse", "template-update")
    host.bundled = ""
    host.update()
    assert host.git("rev-parse", "template-update") == before


@of_each_host
def test_commit_of_another_person_is_never_overwritten(host, tmp_path):
    host.update()
    theirs = host.commit_to_branch(tmp_path)
    host.change_report(version="v0.9.0")
    assert "it stays as it is" in host.request()
    assert host.git("rev-parse", "template-update") == theirs
    (request,) = host.requests()
    assert "v0.9.0" not in request["body"]
    # Without an open request, no person would see that updates have stopped.
    before = host.git("rev-parse", "template-update^")
    merged = {"state": "closed", "merged_at": "now", "sha": before}
    write_requests(host.folder, [request | merged])
    assert "git push origin --delete template-update" in host.request(code=1)
    assert host.git("rev-parse", "template-update") == theirs


@of_each_host
def test_closed_request_is_not_opened_again_for_the_same_version(host):
    closed = OLD | {"title": TITLE, "state": "closed"}
    write_requests(host.folder, [closed])
    assert "You have closed the request" in host.request()
    assert host.requests() == [closed]
    assert "template-update" not in host.git("branch", "--list")


@of_each_host
def test_closed_request_of_an_older_version_does_not_stop_a_newer_one(host):
    write_requests(host.folder, [OLD | {"state": "closed"}])
    host.request()
    assert [it["title"] for it in host.requests()] == [TITLE, OLD["title"]]


def test_branch_that_appears_meanwhile_is_not_overwritten(host):
    host.server.before_push = lambda: host.git("branch", "template-update", "main")
    assert "git push failed" in host.request(code=1)
    assert host.git("rev-parse", "template-update") == host.project.head()
    assert host.requests() == []


def test_merged_request_does_not_stop_the_next_one(host):
    host.update()
    host.merge()
    host.update()
    assert [it["state"] for it in host.requests()] == ["open", "closed"]


@of_each_host
def test_merged_branch_belongs_to_the_job_again(host, tmp_path):
    host.update()
    theirs = host.commit_to_branch(tmp_path)
    host.merge()
    host.update()
    assert host.git("rev-parse", "template-update") != theirs
    assert [it["state"] for it in host.requests()] == ["open", "closed"]


def test_long_lists_do_not_exceed_the_limit_of_a_request(host):
    names = {f"{number}{'x' * 400}": "" for number in range(300)}
    lists = ("conflicts", "new_answers", "dropped_answers", "kept_deleted")
    host.change_report(**dict.fromkeys(lists, names))
    host.request()
    (request,) = host.requests()
    assert request["body"].count("- and 250 more") == len(lists)
    assert "git push" in request["body"]


def test_missing_connection_is_reported_in_one_sentence(host):
    host.server.server_close()
    host.server.shutdown()
    said = host.request(code=1)
    assert "failed: [Errno 111] Connection refused. Run the job again." in said
    assert "Traceback" not in said


@of_each_host
def test_request_from_a_fork_is_not_taken_for_the_own_one(host):
    forks = [OLD | {"fork": 8}, OLD | {"fork": None}]
    write_requests(host.folder, forks)
    host.request()
    assert [it["title"] for it in host.requests()] == [TITLE, *[OLD["title"]] * 2]


def test_repository_in_the_place_of_the_bundle_is_refused(host):
    reports = host.project / "reports"
    host.project.run_ok("git", "clone", "--bare", ".", "reports/repository")
    fetch = ("fetch", "../template.bundle", "template-update:template-update")
    host.project.run_ok("git", "-C", "reports/repository", *fetch)
    (reports / "template.bundle").unlink()
    (reports / "repository").rename(reports / "template.bundle")
    assert "git bundle failed: error: " in host.request(code=1)
    assert host.requests() == []


@of_each_host
@pytest.mark.parametrize(
    ("token", "reason"), [("wrong-secret", "401"), ("secret-read", "403")]
)
def test_wrong_token_opens_nothing(host, token, reason):
    said = host.update(token=token, code=1)
    assert reason in said
    assert token not in said
    assert host.requests() == []
    assert "template-update" not in host.git("branch", "--list")


@of_each_host
def test_space_around_a_token_is_ignored(host):
    # An error about such a header would print the token.
    assert host.request(token=" secret-full\n").startswith(f"{TITLE}: https://host/")


def test_missing_token_is_named(host):
    host.bundle()
    assert "TEMPLATE_TOKEN is not set" in host.request(token="", code=1)


WORKFLOW = {"template/.github/workflows/ci.yml": "on: push\n"}


def test_workflow_files_are_reported_if_the_token_may_not_push_them(host, template):
    release(template, "v1.2.0", WORKFLOW)
    said = host.update(token="secret-job", code=1)
    assert "+on: push" in said
    assert "refusing to allow a GitHub App" in said
    assert "run make template-update" in said
    assert host.requests() == []
    host.request()
    assert [it["title"][-6:] for it in host.requests()] == ["v1.2.0"]


def test_refused_update_fails_the_first_job(host):
    host.edit(".copier-answers.yml", "_commit: v1.0.0", "_commit: v0.9.0")
    done = host.run("scripts.template_request", "bundle")
    assert done.returncode == 1
    assert "Copier cannot copy " in done.stdout
    assert "Traceback" not in done.stdout
    assert not host.project.has("reports/template.json")


def test_commit_on_another_base_is_refused(host):
    host.bundle()
    host.edit("same", "same 1", "1 mine")
    assert "belongs to another commit" in host.request(code=1)
    assert host.requests() == []


def test_text_of_the_report_cannot_change_the_request(host):
    host.change_report(wanted="v1](x)\n# @team", version="`\n# @team")
    host.request()
    (request,) = host.requests()
    assert request["title"] == "Update the template to v1xteam"
    assert "` # @team`" in request["body"]


def test_update_in_a_shallow_clone_without_a_branch(host, tmp_path):
    """Such as those of the providers."""
    shallow = tmp_path / "shallow"
    source = f"file://{host.project.path}"
    host.project.run_ok("git", "clone", "--depth=1", source, str(shallow))
    clone = Project(shallow)
    clone.run_ok("git", "checkout", "--detach")
    clone.run_ok("git", "branch", "-D", "main")
    clone.run_ok("git", "remote", "remove", "origin")
    shutil.copy(host.project / "scripts/code_host.py", clone / "scripts")
    host.project, host.bundled = clone, ""
    host.update()
    assert [it["title"] for it in host.requests()] == [TITLE]


def test_update_of_a_folder_of_a_repository(host, tmp_path):
    repository = Project(tmp_path / "repository")
    shop = host.project.copy_to(repository / "services/shop")
    shutil.rmtree(shop / ".git")
    repository.commit()
    host.project = shop
    assert "added" in host.bundle()["files"]
    names = shop.run("git", "bundle", "list-heads", "reports/template.bundle")
    assert "refs/heads/template-update" in names.stdout
