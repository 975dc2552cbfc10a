"""A year of additions at each line `# Yours` merges with a release, whatever the answers are."""

import os
import re

import pytest

from tests.support.options import TEMPLATE, choices
from tests.updating.releases import Releases, update

ANCHOR = re.compile(
    r"^([^\w\n]*)(Yours: an update changes nothing .*?\.)", re.MULTILINE
)
REMOVED = "you have changed it, and the template has removed or renamed it"
ALL = {"use_redis": True, "use_celery": True, "use_channels": True}
KUBERNETES = {"use_docker": True, "deploy_target": "kubernetes"}
_, SECOND, THIRD = choices("ci_provider")[:3]
# The answers of a project, and those that its update changes
PAIRS = {
    "release": ({}, {}),
    "second provider": ({}, {"ci_provider": SECOND}),
    "redis": ({}, ALL),
    "no redis": (ALL, {"use_redis": False}),
    "docker": ({"ci_provider": SECOND}, {"use_docker": True}),
    "kubernetes": ({}, KUBERNETES),
    "fly": (KUBERNETES, {"deploy_target": "fly"}),
    "kamal": (ALL | {"use_docker": True, "deploy_target": "kamal"}, {}),
    "django 6.1": ({"django_version": "5.2"}, {"django_version": "6.1"}),
    "python 3.13": ({"python_version": "3.12"}, {"python_version": "3.13"}),
    "python 3.14": ({"python_version": "3.12"}, {"python_version": "3.14"}),
    "no target": ({"deploy_target": "heroku"}, {"deploy_target": "none"}),
    "third provider": ({"ci_provider": SECOND}, {"ci_provider": THIRD}),
    "render": (ALL | {"ci_provider": THIRD, "deploy_target": "render"}, {}),
    "enforce": ({}, {"dependency_audit": "enforce"}),
    "heroku to render": ({"deploy_target": "heroku"}, {"deploy_target": "render"}),
    "django 5.2": ({"django_version": "6.1"}, {"django_version": "5.2"}),
    "no celery": (ALL, {"use_celery": False, "use_channels": False}),
}
SAMPLE = list(PAIRS) if os.environ.get("RUNS") else ["release", "fly", "no celery"]


@pytest.fixture(scope="module")
def release(template, tmp_path_factory):
    """Return releases, and the newest: it adds a line above each place of the team."""
    releases = Releases(template, TEMPLATE, tmp_path_factory.mktemp("year"))
    template = releases.repository
    changed = 0
    for path in sorted((template / "template").rglob("*")):
        if path.is_file() and ANCHOR.search(text := path.read_text()):
            path.write_text(ANCHOR.sub(r"\1Of the release.\n\g<0>", text))
            changed += 1
    assert changed > 30
    return releases, template.commit("Release")


@pytest.mark.slow
@pytest.mark.seconds(5)
@pytest.mark.parametrize("pair", SAMPLE)
def test_additions_of_a_year_merge_without_a_conflict(
    release, tmp_path, record_property, pair
):
    releases, version = release
    answers, changed = PAIRS[pair]
    project = releases.render(releases.newest, answers, tmp_path / "project")
    project.commit()
    additions = {}
    for name in sorted(project.files()):
        path = project / name
        if ".git/" not in name and ANCHOR.search(text := path.read_text()):
            lines = []
            for line in text.splitlines():
                lines.append(line)
                if anchor := ANCHOR.match(line):
                    mine = f"Mine, number {len(additions)}."
                    additions[mine] = name
                    lines.append(line.replace(anchor[2], mine))
            path.write_text("\n".join([*lines, ""]))
    project.commit("A year")

    data = [f"--data={name}={value}" for name, value in changed.items()]
    code, report = update(project, f"--vcs-ref={version}", *data)

    record_property("additions", len(additions))
    conflicts = report["conflicts"]
    record_property("files of dropped answers", len(conflicts))
    assert len(additions) > 20
    assert set(conflicts.values()) <= {REMOVED}, conflicts
    assert code == int(bool(conflicts))
    for mine, name in additions.items():
        lines = project.read(name).splitlines()
        (place,) = [n for n, line in enumerate(lines) if mine in line]
        if name not in conflicts:
            assert ANCHOR.match(lines[place - 1]), name
            assert "Of the release." in lines[place - 2], name
