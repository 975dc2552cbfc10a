"""Print the port for `make dev`: the given one, or else the first free one from 8000.

python -m scripts.port [PORT]
"""

import socket
import sys

PORTS = range(8000, 8100)


def main():
    """Print a port; exit with a sentence if there is none."""
    given = sys.argv[1:]
    free = next((port for port in given or PORTS if not problem(port)), None)
    if free is None and given:
        sys.exit(f"Set another PORT than {given[0]}: {problem(given[0])}.")
    if free is None:
        sys.exit(f"Set PORT: every port from {PORTS[0]} to {PORTS[-1]} is in use.")
    if free not in (*given, PORTS[0]):
        print(
            f"Port {PORTS[0]} is in use: serving on http://localhost:{free} instead.",
            file=sys.stderr,
        )
    print(free)


def problem(port):
    """Return why no server can listen on this port of 127.0.0.1, or None if one can."""
    try:
        socket.create_server(("127.0.0.1", int(port))).close()
    except OSError as error:
        return (error.strerror or str(error)).partition(" (while")[0]
    except (OverflowError, ValueError) as error:
        return str(error)
    return None


if __name__ == "__main__":
    main()
