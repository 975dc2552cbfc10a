"""Run gates, which are targets of the Makefile, and print one line for each.

python -m scripts.ci MAKE GATE GATE,GATE

The arguments run at the same time; the gates of one argument run one after the other. A
failure stops no other gate. A gate that fails shows the last lines that it printed, and one
that passes only its warnings. With VERBOSE, all run one after the other and show everything.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

VERBOSE = os.environ.get("VERBOSE", "0") not in ("", "0")
GRACE = 10  # seconds that gates may take to end after Ctrl-C
LINES = 300  # the last ones of a failed gate that are shown
WARNING = re.compile("warn", re.IGNORECASE)
ESCAPE = re.compile(r"\x1b\[[\d;?]*[A-Za-z]")
LONG = re.compile(r"^(.{2000}).+", re.MULTILINE)
UNPRINTABLE = re.compile(r"[\0-\x08\x0b-\x1f\x7f-\x9f]")
# What pytest and coverage print last
RESULTS = {r"^=+ (\d.*) in [\d.]+s.*=$": "", r"^TOTAL .* ([\d.]+%)$": " covered"}
# What a failed gate prints, and the commands that then help
ADVICE = {
    r"^would reformat |fixable with": "make format fixes style and format",
    r"^Migrations for '": "make manage ARGS=makemigrations makes the migration",
    r"^(FAILED|ERROR) .*::": 'make test ARGS="--no-cov -k NAME" runs one test',
}


class Gate:
    """A gate, which runs from now on and prints into a file."""

    def __init__(self, make, name, folder):
        self.name = name
        self.path = folder / name.replace("/", "-")
        self.began = time.monotonic()
        options = [] if VERBOSE else ["--silent"]
        with self.path.open("wb") as file:
            self.process = subprocess.Popen(
                [make, "--no-print-directory", *options, name],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        self.shown = 0  # bytes

    def has_failed(self):
        """Return whether it has failed, or None while it runs."""
        code = self.process.poll()
        return None if code is None else code != 0

    def show(self):
        """With VERBOSE, print what it has printed since the last time."""
        if VERBOSE:
            with self.path.open("rb") as file:
                file.seek(self.shown)
                self.shown += sys.stdout.buffer.write(file.read())
            sys.stdout.flush()

    def output(self):
        """Return what it has printed, as text that any terminal and log can show."""
        text = ESCAPE.sub("", self.path.read_text(errors="replace"))
        return LONG.sub(r"\1…", UNPRINTABLE.sub("\ufffd", text)).rstrip()

    def report(self, width):
        """Print its outcome, its time, its result and its warnings, unless they are shown."""
        outcome = "FAILED" if self.has_failed() else "passed"
        seconds = time.monotonic() - self.began
        output = self.output()
        results = [
            found + what
            for pattern, what in RESULTS.items()
            for found in re.findall(pattern, output, re.MULTILINE)
        ]
        line = f"{self.name:{width}}  {outcome}  {seconds:5.1f} s  {', '.join(results)}"
        warnings = filter(WARNING.search, output.splitlines())
        all_shown = VERBOSE or self.has_failed()
        shown = [] if all_shown else [f"  {warning}" for warning in warnings]
        print("\n".join([line.rstrip(), *shown]), flush=True)


def main():
    """Run the gates. The exit code is 1 if one fails, and 130 after Ctrl-C."""
    make, *arguments = sys.argv[1:]
    rows = [row for it in arguments if (row := it.replace(",", " ").split())]
    names = [name for row in rows for name in row]
    if not names:
        sys.exit("GATES in the Makefile has no gate: name one.")
    if VERBOSE:
        rows = [names]
    else:
        print(f"Running {', '.join(names)}. VERBOSE=1 shows their output.", flush=True)
    leave_jobserver()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        gates = run(make, rows, Path(folder))
        seconds = time.monotonic() - began
        if failed := [gates[name] for name in names if gates[name].has_failed()]:
            explain(failed, len(names))
            sys.exit(1)
    print(f"All {len(names)} gates passed in {seconds:.1f} s.")
    if len(rows) > 1:
        together = "; ".join(", then ".join(row) for row in rows)
        print(f"These ran at the same time: {together}.")


def leave_jobserver():
    """Remove the options of `make --jobs` from those that the gates get."""
    options, dashes, variables = os.environ.get("MAKEFLAGS", "").partition(" -- ")
    kept = [it for it in options.split(" ") if not it.startswith(("-j", "--jobs"))]
    os.environ["MAKEFLAGS"] = " ".join(kept) + dashes + variables


def run(make, rows, folder):
    """Run rows of gates at the same time, and report each when it ends; return all by name."""
    width = max(len(name) for row in rows for name in row)
    ended = {}
    # An exception in the handler could leave a gate running that it finds half started.
    signals = []
    signal.signal(signal.SIGTERM, lambda number, _: signals.append(number))
    running = [(Gate(make, first, folder), rest) for first, *rest in rows]
    try:
        while running:
            time.sleep(0.02)
            if signals:
                sys.exit(128 + signals[0])
            for gate, rest in running[:]:
                has_ended = gate.has_failed() is not None
                gate.show()
                if not has_ended:
                    continue
                running.remove((gate, rest))
                ended[gate.name] = gate
                gate.report(width)
                if rest:
                    running.append((Gate(make, rest.pop(0), folder), rest))
    except KeyboardInterrupt:
        # It has reached the gates, too. A second one ends the wait.
        with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            for gate, _ in running:
                gate.process.wait(GRACE)
        names = ", ".join(gate.name for gate, _ in running)
        print(f"Interrupted while these ran: {names}.", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    finally:
        for gate, _ in running:
            gate.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
                gate.process.wait(GRACE)
            gate.process.kill()  # if it ignores the other signals
            gate.show()
    return ended


def explain(failed, total):
    """Print the output of failed gates, the first one's last, and what to do."""
    for gate in [] if VERBOSE else reversed(failed):
        lines = gate.output().split("\n")
        title = gate.name
        if len(lines) > LINES:
            title += f", the last {LINES} of {len(lines)} lines (VERBOSE=1 shows all)"
        print(f"\n==== {title} ====", *lines[-LINES:], sep="\n")
    print()
    print(f"{len(failed)} of {total} gates failed. Fix these, then run make ci again:")
    width = max(len(gate.name) for gate in failed)
    for gate in failed:
        output = gate.output()
        advice = [
            command
            for pattern, command in ADVICE.items()
            if re.search(pattern, output, re.MULTILINE)
        ]
        print(f"  make {gate.name:{width}}  # {'; '.join(advice)}".rstrip(" #"))


if __name__ == "__main__":
    try:
        main()
        sys.stdout.flush()
    except BrokenPipeError:  # The reader of the output has ended, as `head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
