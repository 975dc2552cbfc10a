"""The Docker commands of `make image` and `make publish`, seen by a stand-in for Docker."""

import json
import shlex
import shutil

import pytest

from tests.support.machine import link_programs

DIGEST = "sha256:" + 64 * "a"
METADATA = {
    "buildx.build.provenance": {"materials": [{"digest": {"sha256": 64 * "b"}}]},
    "containerimage.descriptor": {"digest": "sha256:" + 64 * "c"},
    "containerimage.digest": DIGEST,
    "image.name": f"registry.example.com/team/name:{40 * 'd'}",
}
# It records its arguments, and writes the metadata file of buildx.
DOCKER = """\
#!/bin/sh
echo "$*" >> .calls
case "$*" in *--metadata-file\\ reports/image.json*) cp .metadata.json reports/image.json;; esac
"""
# Without uv and Python
PROGRAMS = ["bash", "cp", "git", "grep", "make", "mkdir", "sed", "sh", "sort", "tr"]


@pytest.fixture
def project(rendered, tmp_path):
    """Return a committed project, with a stand-in for Docker and few other programs."""
    project = rendered(use_docker=True).copy_to(tmp_path / "project")
    project.commit()
    (project / ".git/info/exclude").write_text("/.bin/\n/.calls\n/.metadata.json\n")
    (project / ".metadata.json").write_text(json.dumps(METADATA, indent=2))
    link_programs(project / ".bin", PROGRAMS)
    (project / ".bin" / "docker").write_text(DOCKER)
    (project / ".bin" / "docker").chmod(0o755)
    return project


def make(project, *arguments):
    """Run make with only the programs of the project's .bin on the path."""
    return project.make(*arguments, PATH=str(project / ".bin"))


def make_ok(project, *arguments, **variables):
    """Run make in the same way; it has to succeed."""
    return project.make_ok(*arguments, PATH=str(project / ".bin"), **variables)


def call(project):
    """Return the words of the only command that Docker got."""
    (line,) = project.read(".calls").splitlines()
    return shlex.split(line)


def test_image_is_tagged_with_its_commit_and_not_pushed(project):
    make_ok(project, "image")

    words = call(project)
    assert words[words.index("--tag") + 1] == f"my-project:{project.head()}"
    assert f"RELEASE={project.head()}" in words
    assert "--push" not in words


@pytest.mark.parametrize("as_variable", [False, True])
def test_publish_pushes_once_and_prints_the_digest(project, as_variable):
    image = "ghcr.io/Team/Name"  # GitHub writes the owner as it was typed.
    if as_variable:
        done = make_ok(project, "publish", IMAGE=image)
    else:
        done = make_ok(project, "publish", f"IMAGE={image}")

    words = call(project)
    assert words[:3] == ["buildx", "build", "--push"]
    options = dict(zip(words, words[1:], strict=False))
    assert options["--tag"] == f"ghcr.io/team/name:{project.head()}"
    assert options["--build-arg"] == f"RELEASE={project.head()}"
    assert options["--platform"] == "linux/amd64"  # whatever this machine is
    assert options["--provenance"] == "mode=max"
    assert options["--sbom"].startswith("generator=docker/buildkit-syft-scanner:")
    assert done.stdout.splitlines()[-1] == f"Pushed ghcr.io/team/name@{DIGEST}"
    assert json.loads(project.read("reports/image.json")) == METADATA


@pytest.mark.parametrize("image", ["", "my-project", "name", "team/name"])
def test_publish_needs_a_registry(project, image):
    given = [f"IMAGE={image}"] if image != "my-project" else []
    done = make(project, "publish", *given)

    assert done.returncode == 2
    assert done.stdout.startswith("Name the image in its registry: make publish IMAGE=")
    assert not (project / ".calls").exists()


def test_publish_needs_a_commit(project):
    shutil.rmtree(project / ".git")
    done = make(project, "publish", "IMAGE=registry.example.com/name")

    assert done.returncode == 2
    assert "fatal: not a git repository" in done.stdout
    assert "The image is tagged with its commit" in done.stdout
    assert not (project / ".calls").exists()


def test_publish_reports_why_git_gives_no_commit(project):
    git = project / ".bin/git"
    git.unlink()
    git.write_text(
        "#!/bin/sh\necho 'fatal: detected dubious ownership' >&2\nexit 128\n"
    )
    git.chmod(0o755)
    done = make(project, "publish", "IMAGE=registry.example.com/name")

    assert done.returncode == 2
    assert "fatal: detected dubious ownership" in done.stdout
    assert not (project / ".calls").exists()


# Docker ignores these names only in the first folder.
@pytest.mark.parametrize(
    "path",
    [
        *("README.md", "apps/new.py", "apps/ignored.txt", "apps/README.md"),
        *("apps/.secret", "apps/media/photo.jpg", "static/docs/a.pdf"),
    ],
)
def test_publish_refuses_files_that_no_commit_has(project, path):
    with (project / ".git/info/exclude").open("a") as file:
        file.write("ignored.txt\n")
    (project / path).parent.mkdir(exist_ok=True)
    with (project / path).open("a") as file:
        file.write("changed")
    done = make(project, "publish", "IMAGE=registry.example.com/name")

    assert done.returncode == 2
    message, *files = done.stdout.splitlines()
    assert message.startswith("Commit, stash or delete these files:")
    assert path in files
    assert not (project / ".calls").exists()


@pytest.mark.parametrize("platform", ["linux/arm64", "linux/amd64,linux/arm64"])
def test_publish_builds_for_the_named_platforms(project, platform):
    make_ok(project, "publish", "IMAGE=example.com/name", f"PLATFORM={platform}")

    words = call(project)
    assert words[words.index("--platform") + 1] == platform


def test_publish_fails_with_docker_or_without_a_digest(project):
    image = "IMAGE=registry.example.com/name"
    (project / ".metadata.json").write_text("{}")
    done = make(project, "publish", image)
    assert done.returncode == 2
    assert "reports/image.json has no digest" in done.stdout

    (project / ".bin" / "docker").write_text("#!/bin/sh\nexit 1\n")
    done = make(project, "publish", image)
    assert done.returncode == 2
    assert "Pushed" not in done.stdout
