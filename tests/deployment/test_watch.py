"""After the switch, the watch rolls back a release whose responses are bad or slow."""

import json
import re

import pytest

from tests.deployment.platforms import PLATFORMS
from tests.support.project import closed_port

pytestmark = pytest.mark.slow
GOOD = 3 * [200]  # what the smoke test gets


@pytest.fixture
def platform(running):
    """Yield a platform that runs commit A; its settings are restored afterwards."""
    platform = running("heroku")
    settings = platform.project / "deploy/environments.toml"
    text = settings.read_text()
    yield platform
    settings.write_text(text)


def deploy(platform, seconds="60", settings="", **answer):
    """Deploy commit B with this answer of its site; return the exit code and the output.

    Names in upper case are variables.
    """
    variables = {name: answer.pop(name) for name in [*answer] if name.isupper()}
    if settings:
        begin = "[environments.staging]\n"
        platform.project.edit("deploy/environments.toml", begin, begin + settings)
    answers = json.dumps({platform.commits[1]: answer})
    return platform.run(
        *("deploy", "staging", platform.commits[1]),
        WATCH_SECONDS=seconds,
        STAND_IN_ANSWERS=answers,
        **variables,
    )


def test_log_ends_with_what_the_watch_saw(platform):
    code, output = deploy(platform)

    assert code == 0, output
    seen = r"The watch saw 120 responses, 0 bad, p50 0\.\d\d s, p95 0\.\d\d s\."
    assert re.fullmatch(seen, output.splitlines()[-1])


@pytest.mark.parametrize(("bad", "expected"), [(2, 0), (3, 1)])
def test_two_percent_of_bad_responses_are_the_limit(platform, bad, expected):
    code, output = deploy(platform, pages=[*GOOD, 200, *bad * [502], 200])

    assert code == expected, output
    assert f" responses, {bad} bad, " in output
    rolled_back = f"The previous release {platform.commits[0]} runs again" in output
    assert rolled_back == (expected == 1)


def test_outage_ends_the_watch_early(platform):
    code, output = deploy(platform, pages=[*GOOD, 500])

    assert code == 1, output
    assert "failed: the watch saw 6 responses, 3 bad, p50 0." in output
    assert "; the last bad one: /admin/login/ responds with 500." in output


@pytest.mark.parametrize(
    "statuses",
    [{"status": 403}, {"status": 302}, {"status": 503}, {"release": "other"}],
)
def test_readyz_must_report_the_release(platform, statuses):
    new = platform.commits[1]
    process = platform.start("deploy", "staging", new, WATCH_SECONDS="1000")
    printed = iter(process.stdout.readline, "")
    assert any(line.startswith("Watching") for line in printed)
    platform.serve(platform.names["staging"], new, **statuses)
    output, _ = process.communicate(timeout=60)

    assert process.returncode == 1, output
    assert "; the last bad one: /readyz: " in output
    assert f"The previous release {platform.commits[0]} runs again" in output


@pytest.mark.parametrize(("bad", "expected"), [(1, 0), (2, 1)])
def test_one_bad_response_is_always_allowed(platform, bad, expected):
    code, output = deploy(platform, "5", pages=[*GOOD, 200, *bad * [502], 200])

    assert code == expected, output


@pytest.mark.parametrize(
    ("seconds", "limit", "slow", "expected"),
    [
        ("10", "0.06", "page_delay", 1),
        ("10", "3", "page_delay", 0),
        # Of fewer than 20 responses, the p95 is the slowest one.
        ("9", "0.06", "page_delay", 0),
        # The slower a site is, the fewer responses the watch sees.
        ("9", "0.06", "delay", 1),
    ],
)
def test_slow_responses_are_rolled_back(platform, seconds, limit, slow, expected):
    settings = f"watch_p95 = {limit}\n"
    code, output = deploy(platform, seconds, settings, **{slow: 0.1})

    assert code == expected, output
    assert ("which is slower than 0.06 s." in output) == (expected == 1)


@pytest.mark.parametrize("target", PLATFORMS)
def test_crash_of_the_previous_release_is_not_blamed_on_the_next(running, target):
    platform = running(target)
    old, new = platform.commits[:2]

    process = platform.start("deploy", "staging", new, STAND_IN_HOLDS=platform.held)
    platform.wait_until_held()
    (platform.folder / "crashed").write_text(old)
    platform.release_held()
    output, _ = process.communicate(timeout=60)

    assert process.returncode == 0, output


def test_query_of_the_processes_is_repeated(platform):
    new, newest = platform.commits[1:]

    code, output = platform.run("deploy", "staging", new, STAND_IN_FAILS="ps-once")
    assert code == 0, output

    (platform.folder / "calls").unlink()
    code, output = platform.run("deploy", "staging", newest, STAND_IN_FAILS="ps")
    assert code == 0, output
    failed = "`heroku ps --app my-project-staging --json` failed."
    assert f"does not report whether a process crashed: {failed}\n" in output


def test_unreadable_processes_change_nothing_before_the_switch(platform):
    code, output = deploy(platform, "1", STAND_IN_FAILS="ps-format")

    assert code == 2, output
    assert "The platform's response is unreadable: KeyError('release')." in output
    assert not platform.calls()


def test_unreadable_processes_do_not_roll_back(platform):
    code, output = deploy(platform, "1", STAND_IN_FAILS="ps-format-later")

    assert code == 0, output
    assert "does not report whether a process crashed: KeyError('release')." in output


def test_unreachable_api_of_render_changes_nothing(running):
    platform = running("render")
    host = {"RENDER_HOST": f"http://localhost:{closed_port()}/v1/"}

    code, output = platform.run("deploy", "staging", platform.commits[1], **host)

    assert code == 2, output
    assert "Render did not list the events of srv-my-project-staging: " in output
    assert output.endswith("Nothing was changed.\n")
    assert not platform.calls()


@pytest.mark.parametrize(
    ("target", "name", "expected"),
    [("render", "staging", 2), ("heroku", "production", 1)],
)
def test_key_of_two_lines_is_not_printed(running, target, name, expected):
    platform = running(target)
    new = platform.commits[1]
    if name == "production":
        platform.run("deploy", "staging", new)
    (variable, *_), (key, *_) = platform.secrets, platform.secrets.values()

    code, output = platform.run("deploy", name, new, **{variable: f"{key}\nmore"})

    assert code == expected, output
    assert "the response is unreadable (ValueError)" in output
    assert key not in output


@pytest.mark.parametrize(
    ("target", "name"), [("render", "staging"), ("heroku", "production")]
)
def test_key_may_end_with_a_newline(running, target, name):
    platform = running(target)
    new = platform.commits[1]
    platform.run("deploy", "staging", new)
    (variable, *_), (key, *_) = platform.secrets, platform.secrets.values()

    code, output = platform.run("deploy", name, new, **{variable: f"{key}\n"})

    assert code == 0, output


def test_failing_watch_command_rolls_back(platform):
    script = "echo $ENVIRONMENT runs $RELEASE; exit 1"
    code, output = deploy(platform, "1", f'watch_command = ["sh", "-c", "{script}"]\n')

    assert code == 1, output
    assert f"\nstaging runs {platform.commits[1]}\n" in output
    assert f"The deployment to staging failed: `sh -c '{script}'` failed." in output
    assert f"The previous release {platform.commits[0]} runs again" in output


def test_missing_watch_command_changes_nothing(platform):
    code, output = deploy(platform, "1", 'watch_command = ["nowhere"]\n')

    assert code == 2, output
    assert output.startswith("Install nowhere, ")

    code, output = deploy(platform, "0")
    assert code == 0, output


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ('watch_p95 = "0.5"', "to seconds such as 0.5, not '0.5'."),
        ("watch_p95 = 0", "to seconds such as 0.5, not 0."),
        ("watch_p95 = true", "to seconds such as 0.5, not True."),
        ('watch_command = "python3 x.py"', """to a list such as ["python3", "check_"""),
        ("watch_command = [1]", """to a list such as ["python3", "check_"""),
    ],
)
def test_invalid_setting_changes_nothing(platform, setting, sentence):
    code, output = deploy(platform, "1", f"{setting}\n")

    assert code == 2, output
    name = setting.partition(" ")[0]
    start = f"Set {name} of staging in deploy/environments.toml {sentence}"
    assert output.startswith(start)
    assert not platform.calls()


@pytest.mark.parametrize(
    "pages", ['["shop/"]', '"/shop/"', "[1]", '["/a b/"]', '["/\u00e9/"]']
)
def test_invalid_pages_change_nothing(platform, pages):
    name, default = "deploy/environments.toml", 'pages = ["/admin/login/"]'
    text = platform.project.read(name).replace(default, f"pages = {pages}")
    (platform.project / name).write_text(text)
    code, output = deploy(platform, "1")

    assert code == 2, output
    sentence = "Set pages of staging in deploy/environments.toml to paths such as "
    assert output.startswith(sentence)
    assert not platform.calls()


def test_rollback_needs_no_pages_and_no_watch(platform):
    new = platform.commits[1]
    deploy(platform, "0", 'watch_command = ["nowhere"]\n')

    # The pages are those of the checked-out commit.
    pages = {"STAND_IN_ANSWERS": json.dumps({platform.commits[0]: {"pages": [500]}})}
    code, output = platform.run(
        "rollback", "staging", new, WATCH_SECONDS="soon", **pages
    )

    assert code == 0, output


def test_watch_of_zero_seconds_is_off(platform):
    code, output = deploy(
        platform,
        "0",
        'watch_command = ["false"]\n',
        STAND_IN_CRASHES=platform.commits[1],
        pages=[*GOOD, 500],
    )

    assert code == 0, output
    assert "heroku ps" not in output
    assert "Watching" not in output
    assert "The watch saw" not in output


def test_invalid_time_to_watch_changes_nothing(platform):
    code, output = deploy(platform, "soon")

    assert code == 2, output
    assert output.startswith("Set WATCH_SECONDS to a number of seconds, not soon.")
