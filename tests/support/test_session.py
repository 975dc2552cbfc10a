"""The screen of a terminal is read as a person sees it."""

import pytest

from tests.support.session import conversation, gates, screen


@pytest.mark.parametrize(
    ("raw", "lines"),
    [
        ("a\r\nb", ["a", "b"]),
        ("abc\rx", ["xbc"]),
        ("abc\x1b[2Dx", ["axc"]),
        ("a\x1b[2Cb", ["a  b"]),
        ("old\r\nolder\x1b[1A\r\x1b[Jnew", ["new"]),
        ("one\r\ntwo\x1b[1A\r\x1b[Kx", ["x", "two"]),
        ("\x1b[1;32mgreen\x1b[0m\x1b[?25l", ["green"]),
        ("x" * 81, ["x" * 80, "x"]),
        ("🎤 a", ["🎤  a"]),
    ],
)
def test_screen_shows_what_is_left(raw, lines):
    assert screen(raw) == lines


def test_conversation_has_one_line_for_all_files():
    raw = "note\r\nName?\r\nCopying from template version 1.0.0\r\n"
    raw += "    create  a\r\n    create  b\r\nMade:\r\n"
    assert conversation(raw) == ["Name?", "    create  …", "Made:"]


def test_gates_have_no_times_and_one_order():
    printed = (
        "b  passed    1.0 s\n  warning\na  passed  100.0 s  2 passed\nAll in 3.0 s."
    )
    assert gates(printed) == [
        "a  passed      … s  2 passed",
        "  warning",
        "b  passed      … s",
        "All in … s.",
    ]
