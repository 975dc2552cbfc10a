"""`make ci` prints one line for each gate, and the output of those that fail."""

import re
import shlex
import signal
import subprocess
import sys
import time

import pexpect
import pytest

from tests.support.breaks import BREAKS
from tests.support.options import TEMPLATE
from tests.support.project import Project, clean_environment
from tests.support.waiting import wait_until

# pexpect forks a worker of pytest-xdist, which has threads, and runs another program in it.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of forkpty:DeprecationWarning")

SCRIPT = str(TEMPLATE / "template/scripts/ci.py")
# `other` ends after `after`, which fails unless `before` has ended.
GATES = """\
.NOTPARALLEL:
.PHONY: other before after of/a/team
SHELL := /bin/bash
other:
	until [ -e after ]; do sleep 0.01; done; sleep 0.2
	@echo routine
before:
	@echo 'a.py:1: DeprecationWarning: old'
	@echo '==== 2 passed, 1 skipped in 0.10s ===='
	@echo 'TOTAL   146   4   14   0   97%'
	@touch before
after:
	test -e before
	@touch after; echo word $(WORD)
of/a/team:
	@printf '\\033[33mwarning:\\033[0m old \\377\\n\\033[32m==== \\033[32m2 passed\\033[0m in 0.10s ====\\033[0m\\n'
deaf:
	@trap '' INT TERM; touch began; for _ in {1..500}; do sleep 0.01; done; touch lasted
closed:
	@until [ -e closed -a -e began ]; do sleep 0.01; done
lint test:
	@echo 'why $@ failed'; [[ ! -v PRINTED ]] || echo "$$PRINTED"; echo 'warning of $@' >&2; exit 3
huge:
	@seq 1000; printf 'a\\0\\a\\033[2Kb\\r\\n'; printf '%03000d\\n' 0; exit 3
long:
	@trap 'sleep 0.1; touch cleaned; exit 1' INT TERM; touch began; while true; do sleep 0.01; done
ci:
	@$(PYTHON) $(SCRIPT) $(MAKE_COMMAND) before,after,other
"""
# Stands in for make: it ends the script that has started it, while others start.
STARTED = """\
#!/bin/bash
trap 'touch "ended.${!#}"; exit 1' TERM
touch "began.${!#}"
kill -TERM $PPID
for _ in {1..500}; do sleep 0.01; done
"""
PASSED = [
    "Running other, before, after. VERBOSE=1 shows their output.",
    "before  passed N s  2 passed, 1 skipped, 97% covered",
    "  a.py:1: DeprecationWarning: old",
    "after   passed N s",
    "other   passed N s",
    "All 3 gates passed in N s.",
    "These ran at the same time: other; before, then after.",
]


@pytest.fixture
def project(tmp_path):
    """Return a folder whose Makefile has gates that take no time."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "Makefile").write_text(GATES)
    return Project(tmp_path)


def run(project, *gates, **variables):
    """Run gates; return their exit code, and the lines that they print, without times and numbers."""
    return result(project.run(sys.executable, SCRIPT, "make", *gates, **variables))


def result(done):
    text = re.sub(r" +[\d.]+ s\b", " N s", done.stdout)
    return done.returncode, re.sub(r"(Makefile):\d+", r"\1", text).splitlines()


def test_passing_gates_print_results_and_warnings(project):
    assert run(project, "other", "before,after") == (0, PASSED)


def test_failing_gates_print_all_and_the_first_one_last(project):
    assert run(project, "lint,test,before") == (
        1,
        [
            "Running lint, test, before. VERBOSE=1 shows their output.",
            *["lint    FAILED N s", "test    FAILED N s"],
            PASSED[1],
            PASSED[2],
            *["", "==== test ====", "why test failed", "warning of test"],
            "make: *** [Makefile: test] Error 3",
            *["", "==== lint ====", "why lint failed", "warning of lint"],
            "make: *** [Makefile: lint] Error 3",
            "",
            "2 of 3 gates failed. Fix these, then run make ci again:",
            *["  make lint", "  make test"],
        ],
    )


@pytest.mark.parametrize(
    ("printed", "advice"),
    [
        ("would reformat /a.py", "make format fixes style and format"),
        ("[*] 1 fixable with the --fix option.", "make format fixes style and format"),
        ("a.py:1: error: Incompatible return value type  [return-value]", None),
        (
            "Migrations for 'blog':",
            "make manage ARGS=makemigrations makes the migration",
        ),
        ('EnvError: Environment variable "SITE_URL" not set', None),
        (
            "FAILED tests/a.py::test_a",
            'make test ARGS="--no-cov -k NAME" runs one test',
        ),
        ("FAIL Required test coverage of 90% not reached.", None),
    ],
)
def test_advice_fits_what_a_failing_gate_printed(project, printed, advice):
    _, lines = run(project, "lint", PRINTED=printed)

    assert lines[-1] == "  make lint" + (f"  # {advice}" if advice else "")


def test_empty_names_of_gates_count_for_nothing(project):
    code, lines = run(project, "before,", ",", VERBOSE="0")
    assert code == 0
    assert lines[0] == "Running before. VERBOSE=1 shows their output."

    code, lines = run(project, ",")
    assert code == 1
    assert lines == ["GATES in the Makefile has no gate: name one."]


def test_verbose_gates_run_in_turn_and_print_all(project):
    code, lines = run(project, "before,after", "other,lint", VERBOSE="1")
    assert code == 1
    assert lines == [
        *["a.py:1: DeprecationWarning: old", "==== 2 passed, 1 skipped in 0.10s ===="],
        *["TOTAL   146   4   14   0   97%", PASSED[1]],
        *["test -e before", "word", "after   passed N s"],
        "until [ -e after ]; do sleep 0.01; done; sleep 0.2",
        *["routine", "other   passed N s"],
        *["why lint failed", "warning of lint"],
        *["make: *** [Makefile: lint] Error 3", "lint    FAILED N s"],
        *["", "1 of 4 gates failed. Fix these, then run make ci again:", "  make lint"],
    ]


def test_verbose_gates_print_while_they_run(project):
    script = [SCRIPT, "make", "other"]
    environment = clean_environment(VERBOSE="1")
    child = pexpect.spawn(sys.executable, script, cwd=project.path, env=environment)
    child.expect_exact("until [ -e after ]", timeout=10)
    (project / "after").touch()
    child.expect_exact("routine")
    child.expect(pexpect.EOF)


def test_verbose_gates_get_the_same_advice(project):
    _, lines = run(project, "lint", PRINTED="would reformat /a.py", VERBOSE="1")

    assert lines[-1] == "  make lint  # make format fixes style and format"


def test_gates_get_the_variables_and_no_jobs_of_make(project):
    done = project.make(
        *("ci", "--jobs=4", f"PYTHON={sys.executable}", f"SCRIPT={SCRIPT}"),
        "WORD=-j4 a word",
        VERBOSE="1",
    )
    assert done.returncode == 0
    assert "\nword -j4 a word\n" in done.stdout
    assert "jobserver" not in done.stdout


def test_a_gate_may_have_any_name_and_print_any_bytes(project):
    assert run(project, "of/a/team") == (
        0,
        [
            "Running of/a/team. VERBOSE=1 shows their output.",
            *["of/a/team  passed N s  2 passed", "  warning: old \ufffd"],
            "All 1 gates passed in N s.",
        ],
    )


def test_a_failing_gate_prints_its_last_lines_as_text(project):
    _, lines = run(project, "huge")

    title = "==== huge, the last 300 of 1003 lines (VERBOSE=1 shows all) ===="
    shown = lines[lines.index(title) + 1 : lines.index("", 4)]
    assert shown == [
        *map(str, range(704, 1001)),
        "a\ufffd\ufffdb",
        "0" * 2000 + "…",
        "make: *** [Makefile: huge] Error 3",
    ]


def started(project, *names):
    """Run gates in a terminal; return the script once the last one has begun."""
    child = pexpect.spawn(
        sys.executable,
        [SCRIPT, "make", *names],
        cwd=project.path,
        env=clean_environment(TERM="xterm-256color", TMPDIR=str(project / "tmp")),
        encoding="utf-8",
    )
    wait_until((project / "began").exists)
    return child


def test_a_second_ctrl_c_ends_the_wait_for_a_gate(project):
    child = started(project, "deaf")
    child.sendintr()
    time.sleep(0.2)  # Otherwise both are one signal.
    child.sendintr()
    child.expect_exact("Interrupted while these ran: deaf.\r\n")
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()

    assert child.exitstatus == 130
    assert "Traceback" not in child.before
    assert not (project / "lasted").exists()


def test_ctrl_c_ends_the_gates_after_they_cleaned_up(project):
    child = started(project, "before", "long")
    child.expect_exact("97% covered")
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()

    assert child.exitstatus == 130
    assert "Interrupted while these ran: long.\r\n" in child.before
    assert "\x1b" not in child.before
    assert (project / "cleaned").exists()
    assert not list((project / "tmp").iterdir())


def test_a_reader_that_ends_ends_the_gates(project):
    script = shlex.join([sys.executable, SCRIPT, "make", "closed", "long"])
    reader = "(head -1; exec <&-; touch closed)"
    done = project.run("bash", "-c", f"({script}; echo $? >code) | {reader}")

    assert done.stdout == "Running closed, long. VERBOSE=1 shows their output.\n"
    assert project.read("code") == "1\n"
    assert (project / "cleaned").exists()


def test_sigterm_ends_the_gates(project):
    child = subprocess.Popen(
        [sys.executable, SCRIPT, "make", "long"],
        cwd=project.path,
        env=clean_environment(TMPDIR=str(project / "tmp")),
        stdout=subprocess.DEVNULL,
    )
    wait_until((project / "began").exists)
    child.send_signal(signal.SIGTERM)

    assert child.wait(10) == 128 + signal.SIGTERM
    assert (project / "cleaned").exists()
    assert not list((project / "tmp").iterdir())


def test_sigterm_ends_gates_that_are_being_started(project):
    make = project / "make"
    make.write_text(STARTED)
    make.chmod(0o755)
    names = [f"gate{number}" for number in range(20)]

    done = project.run(sys.executable, SCRIPT, str(make), *names, timeout=30)

    assert done.returncode == 128 + signal.SIGTERM
    began, ended = (
        {path.suffix for path in project.path.glob(f"{what}.*")}
        for what in ("began", "ended")
    )
    assert began
    assert began <= ended


@pytest.mark.slow
def test_make_ci_reports_every_gate_that_fails(render):
    project = render(coverage_threshold=0).with_one_short_test().installed()
    breaks = reversed(
        BREAKS.values()
    )  # The first one of each gate has no other effect.
    damages = {gate: (damage, text) for damage, (gate, text) in breaks}
    for damage, _ in damages.values():
        damage(project)

    done = project.make("ci")

    assert done.returncode == 2
    code, lines = result(done)
    failed = [line.split()[0] for line in lines if " FAILED N s" in line]
    assert (
        sorted(failed)
        == ["check", "check-migrations", "lint", "test"]
        == sorted(damages)
    )
    for _, text in damages.values():
        assert text in done.stdout
