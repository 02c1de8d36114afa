"""Times and names for people, and for text formats in which a line end is significant."""

import re
from collections.abc import Sequence
from typing import Any, TextIO

CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Characters that a terminal obeys, that reorder text, or that cannot be encoded."""


def format_clock(seconds: float) -> str:
    """Format a duration as H:MM:SS."""
    total = round(seconds)
    return f"{total // 3600}:{total // 60 % 60:02d}:{total % 60:02d}"


def format_short_clock(seconds: float) -> str:
    """Format a time as MM:SS.s, with hours in front when there are any."""
    tenths = round(seconds * 10)
    sign, tenths = ("-", -tenths) if tenths < 0 else ("", tenths)
    hours, minutes, rest = tenths // 36000, tenths // 600 % 60, tenths % 600 / 10
    return sign + (f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}")


def format_clock_ms(seconds: float) -> str:
    """Format a time as HH:MM:SS.mmm, the form of WebVTT."""
    ms = max(0, round(seconds * 1000))
    return f"{ms // 3600000:02d}:{ms // 60000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"


def quote_unprintable(name: str) -> str:
    """Return a file name, quoted when it holds invisible characters such as a line end."""
    return name if name.isprintable() else repr(name)


def escape_controls(text: str) -> str:
    """Return text in which control characters but tabs and line ends are written as escapes."""
    return CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class EscapedStream:
    """A text stream that escapes control characters: titles of films are other people's texts."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text, escaped."""
        self._stream.write(escape_controls(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def measure_columns(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the length of the longest cell in each column of a table."""
    columns = range(len(rows[0]) if rows else 0)
    return [max(len(row[column]) for row in rows) for column in columns]


def align_columns(
    rows: Sequence[Sequence[str]], widths: Sequence[int] | None = None, *, limit: int | None = None
) -> list[str]:
    """Return the rows of a table as lines, their columns aligned to the left.

    Args:
      rows: cells.
      widths: of the columns, at which cells are cut; None: those of the longest cells.
      limit: length at which lines are cut; None: they are not.
    """
    widths = measure_columns(rows) if widths is None else widths
    pairs = (zip(row, widths, strict=True) for row in rows)
    return ["  ".join(f"{c[:w]:<{w}}" for c, w in row).rstrip()[:limit] for row in pairs]


def join_lines(text: str) -> str:
    """Return text on one line, without line ends and other control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
