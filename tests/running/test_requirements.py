"""The generated lock files are what the generated pyproject.toml compiles to."""

import datetime
import fcntl
import hashlib
import http.server
import json
import shlex
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.maintenance.lock import COMBINATIONS
from tests.support.options import FULL, combinations

pytestmark = pytest.mark.slow
NAMES = ("requirements.txt", "requirements-dev.txt", "requirements-servers.txt")


@pytest.fixture(scope="session")
def known_packages(rendered, shared_folder):
    """Let uv fetch the metadata of every package once: each time, it takes minutes."""
    done = shared_folder / "packages-are-known"
    with (shared_folder / "packages.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            # The metadata of some packages differs between Pythons. A platform without
            # a disk brings packages, and so do the tests in a browser.
            chosen = FULL | {"deploy_target": "heroku", "use_e2e": True}
            versions = combinations("django_version", "python_version").items()
            projects = [
                rendered(**chosen, **its).copy_to(shared_folder / name)
                for name, its in versions
            ]
            # They mostly wait for the network.
            with ThreadPoolExecutor(len(projects)) as pool:
                list(pool.map(lambda project: project.make_ok("lock"), projects))
            done.touch()


def lock_again(original, folder, **variables):
    """Return a copy of a project in which `make lock` has run."""
    project = original.copy_to(folder)
    project.make_ok("lock", **variables)
    return project


# They mostly wait for the network and the disk: in one worker, the others use the processors.
@pytest.mark.xdist_group("locks")
@pytest.mark.parametrize("answers", COMBINATIONS.values(), ids=COMBINATIONS.keys())
def test_locking_again_changes_nothing(rendered, known_packages, tmp_path, answers):
    original = rendered(**answers)

    project = lock_again(original, tmp_path / "project", UV_OFFLINE="1")

    for name in NAMES:
        assert project.read(name) == original.read(name)


def test_pip_installs_the_lock_file(rendered, tmp_path):
    project = rendered(**FULL)
    project.run(sys.executable, "-m", "venv", f"{tmp_path}/venv")

    project.run_ok(
        f"{tmp_path}/venv/bin/pip", "install", "--require-hashes", "-r", NAMES[0]
    )


# The options that the manager pip-compile of Renovate 44 knows, and that are used here
RENOVATE = {
    "--constraint",
    "--exclude-newer",
    "--generate-hashes",
    "--group",
    "--output-file",
    "--python-version",
    "--universal",
}


# Renovate leaves the embedded servers to the template.
@pytest.mark.parametrize("name", NAMES[:2])
def test_renovate_can_run_the_command_in_a_lock_file(rendered, name):
    project = rendered(**FULL)

    _, line, *_ = project.read(name).splitlines()

    program, *arguments = shlex.split(line.removeprefix("#    "))
    assert [program, *arguments[:2]] == ["uv", "pip", "compile"]
    options = [it.partition("=")[0] for it in arguments[2:] if it.startswith("-")]
    assert set(options) <= RENOVATE
    # An option with a space before its value would leave a second source.
    sources = [it for it in arguments[2:] if not it.startswith("-")]
    assert sources == ["pyproject.toml"]
    assert f"--output-file={name}" in arguments


# The lock files and the age of releases

PROJECT = """\
[project]
name = "young"
version = "1"
requires-python = ">=3.12"
dependencies = ["example"]

[dependency-groups]
dev = []
servers = ["example"]
"""
# Its versions, and how many days ago each was uploaded.
RELEASES = {"1.0": 30, "1.1": 8, "1.2": 6}


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """Return the address of a package index that has only the package `example`."""
    folder = tmp_path_factory.mktemp("index")
    files = []
    for version, days in RELEASES.items():
        text = f"Metadata-Version: 2.1\nName: example\nVersion: {version}\n"
        name = f"example-{version}-py3-none-any.whl"
        (folder / f"{name}.metadata").write_text(text)
        uploaded = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days)
        files.append(
            {
                "filename": name,
                "url": f"/{name}",
                "hashes": {"sha256": hashlib.sha256(name.encode()).hexdigest()},
                "core-metadata": {
                    "sha256": hashlib.sha256(text.encode()).hexdigest(),
                },
                "upload-time": uploaded.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        )
    meta = {"api-version": "1.1"}
    page = {"meta": meta, "name": "example", "files": files, "versions": [*RELEASES]}

    class Index(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            file = folder / self.path.strip("/")
            is_page = self.path == "/simple/example/"
            if not is_page and not file.is_file():
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", "application/vnd.pypi.simple.v1+json")
            self.end_headers()
            self.wfile.write(
                json.dumps(page).encode() if is_page else file.read_bytes()
            )

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/simple"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("exception", "version"),
    [
        ("", "1.1"),
        ('[tool.uv]\nexclude-newer-package = { example = "0 days" }\n', "1.2"),
    ],
    ids=["release", "security fix"],
)
@pytest.mark.parametrize("arguments", ["", "--upgrade"])
def test_lock_takes_a_release_after_seven_days(
    rendered, tmp_path, index, exception, version, arguments
):
    project = rendered().copy_to(tmp_path / "project")
    (project / "pyproject.toml").write_text(PROJECT + exception)
    (project / NAMES[0]).write_text("example==1.0\n" if arguments else "")
    variables = {"UV_DEFAULT_INDEX": index, "UV_CACHE_DIR": str(tmp_path / "cache")}

    project.make_ok("lock", f"ARGS={arguments}", **variables)

    for name in NAMES:
        assert f"example=={version} " in project.read(name)


@pytest.mark.parametrize("name", NAMES)
def test_lock_resolves_the_conflicts_of_a_lock_file(rendered, tmp_path, index, name):
    project = rendered().copy_to(tmp_path / "project")
    (project / "pyproject.toml").write_text(PROJECT)
    for other in NAMES:
        (project / other).write_text("example==1.0\n")
    head, separator, end = "<<<<<<< ours", "=======", ">>>>>>> theirs"
    ours, theirs = f"    --hash=sha256:{'a' * 64}", f"    --hash=sha256:{'b' * 64}"
    # git compares lines, so a side may have a part of a package's lines.
    lines = [head, "example==1.0 \\", separator, "example==1.0", end]
    lines += [head, ours, separator, theirs, end]
    (project / name).write_text("\n".join([*lines, ""]))
    variables = {"UV_DEFAULT_INDEX": index, "UV_CACHE_DIR": str(tmp_path / "cache")}

    project.make_ok("lock", **variables)

    for lock in NAMES:
        assert "example==1.0 " in project.read(lock)
        assert "<<<" not in project.read(lock)
    assert {it for it in project.files() if it.startswith("req")} == {*NAMES}
