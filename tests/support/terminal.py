"""A real terminal of 80 columns, in which a person answers questions and pastes commands."""

import io
import os
import re
import subprocess
import sys
import termios

import pexpect
from pexpect.fdpexpect import fdspawn

from tests.support.commands import ran_in_shell
from tests.support.options import QUESTIONS
from tests.support.project import clean_environment
from tests.support.session import COLUMNS

ENTER = "\r"
DOWN = "\x1b[B"
CLEAR = "\x15"  # Ctrl-U
CTRL_C = "\x03"
# Colours, and the modes that a shell sets
ESCAPE = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|[=>])")
# Makes the terminal that is its input its own, and becomes a command.
BEGIN = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """A command in a terminal, whose questions a test answers."""

    end = pexpect.EOF

    def __init__(self, *command, cwd, timeout=30, **variables):
        self.asked = []
        ours, theirs = os.openpty()
        termios.tcsetwinsize(theirs, (40, COLUMNS))
        # pexpect would fork this process, which has threads.
        self.process = subprocess.Popen(
            [sys.executable, "-c", BEGIN, *command],
            cwd=cwd,
            # Do not request the position of the cursor: this terminal does not answer.
            env=clean_environment(
                TERM="xterm-256color",
                PROMPT_TOOLKIT_NO_CPR="1",
                COPIER_SETTINGS_PATH="/dev/null",
                **variables,
            ),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self.child = fdspawn(ours, encoding="utf-8", timeout=timeout)
        self.printed = self.child.logfile_read = io.StringIO()

    def wait_for_question(self):
        """Wait for a question not asked before and return its name, or None at the end."""
        names = [name for name in QUESTIONS if name not in self.asked]
        helps = [QUESTIONS[name]["help"] for name in names]
        found = self.child.expect_exact([*helps, self.end])
        if found == len(names):
            return None
        self.asked.append(names[found])
        return names[found]

    def press(self, **keys):
        """Type the given keys at the given questions, and Enter at all others, to the end."""
        while name := self.wait_for_question():
            self.child.send(keys.get(name, ENTER))

    def answer(self, **keys):
        """Answer all questions with these keys; the command must then succeed."""
        self.press(**keys)
        assert self.process.wait(30) == 0, self.child.before

    def close(self):
        """End the command, and what it has started in the terminal."""
        self.child.close()
        self.process.kill()
        self.process.wait()


class Shell(Terminal):
    """A shell in a terminal. Its prompt is a line with the exit code of the last command."""

    end = " ready> "

    def __init__(self, folder, **variables):
        command = ("bash", "--noprofile", "--norc", "-i")
        variables |= {"PS1": rf"\n$?{self.end}", "HISTFILE": "/dev/null"}
        super().__init__(*command, cwd=folder, timeout=300, **variables)
        self.child.expect_exact(self.end)

    def paste(self, command):
        """Paste a command and press Enter. `ended` or `ok` waits for its end."""
        ran_in_shell(command)
        self.child.send(command + ENTER)

    def ended(self):
        """Wait for the end of the command; return its exit code and what it printed."""
        self.child.expect_exact(self.end)
        return self.outcome()

    def outcome(self):
        """Return the exit code and the output of a command that has ended."""
        text = ESCAPE.sub("", self.child.before).replace("\r", "")
        echo_and_output, _, code = text.rpartition("\n")
        return int(code), echo_and_output.partition("\n")[2]

    def run(self, command):
        """Run a command; return its exit code and what it printed."""
        self.paste(command)
        return self.ended()

    def ok(self, command):
        """Run a command that has to succeed; return what it printed."""
        code, output = self.run(command)
        assert code == 0, f"{command}\n{output}"
        return output
