"""Run a command with PORT: the given one, or else the first free one from 8000.

python -m scripts.port COMMAND...

A server does not listen while it starts, so a lock keeps its port from others until the
command ends.
"""

import fcntl
import os
import socket
import sys

from scripts.state import USER

PORTS = range(8000, 8100)


def main():
    """Become the command, with a port; exit with a sentence if there is none."""
    given = os.environ.get("PORT")
    ports = [given] if given else PORTS
    port = next((port for port in ports if not (problem := claim(port))), None)
    if port is None and given:
        sys.exit(f"Set another PORT than {given}: {problem}.")
    if port is None:
        sys.exit(f"Set PORT: every port from {PORTS[0]} to {PORTS[-1]} is in use.")
    if port not in (given, PORTS[0]):
        print(
            f"Port {PORTS[0]} is in use: serving on http://localhost:{port} instead.",
            file=sys.stderr,
        )
    os.environ["PORT"] = str(port)
    os.execvp(sys.argv[1], sys.argv[1:])


def claim(port):
    """Lock a port of 127.0.0.1 for this process, or return why no server can have it.

    The kernel drops the lock when its last holder ends: this process, or the command that
    it becomes.
    """
    try:
        socket.create_server(("127.0.0.1", int(port))).close()
        # A fixed folder, because two terminals may have different ones for temporary files.
        path = f"/tmp/make-dev-{USER}-{int(port)}.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return "Another make dev has it"
    except OSError as error:
        return (error.strerror or str(error)).partition(" (while")[0]
    except (OverflowError, ValueError) as error:
        return str(error)
    os.set_inheritable(descriptor, True)
    return None


if __name__ == "__main__":
    main()
