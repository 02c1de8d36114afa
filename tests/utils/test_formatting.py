"""Texts for people and terminals."""

import io

import pytest

from vujax.utils.formatting import EscapedStream, escape_controls


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain é 图 \U0001f600\n\ttab", "plain é 图 \U0001f600\n\ttab"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("a\rb\x7f\x9b31m", r"a\rb\x7f\x9b31m"),
        ("exe.\u202egpj", r"exe.\u202egpj"),
        ("\ud800", r"\ud800"),
    ],
)
def test_control_characters_are_escaped(text: str, expected: str) -> None:
    assert escape_controls(text) == expected
    stream = io.StringIO()
    print(text, end="", file=EscapedStream(stream))
    assert stream.getvalue() == expected
    assert EscapedStream(stream).getvalue() == expected
