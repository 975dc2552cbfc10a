"""Read .env, which names the variables of development."""

import io
import sys

from dotenv import load_dotenv
from dotenv.parser import parse_stream

from scripts.state import ROOT

ENV_FILE = ROOT / ".env"


def read_env_file():
    """Set the variables of .env that are not set; exit if a line cannot be read."""
    try:
        content = ENV_FILE.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        sys.exit(f"{ENV_FILE} cannot be read: {error.strerror}.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        sys.exit(f"{ENV_FILE}, line {line} is not UTF-8: save the file as UTF-8.")
    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            sys.exit(
                f"{ENV_FILE}, line {binding.original.line} is not NAME=value: "
                "correct or delete it."
            )
    load_dotenv(stream=io.StringIO(text))
