"""How a film of a catalogue counts time."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from vujax.video.clock import Clock


def clock_of(row: Mapping[str, Any]) -> Clock:
    """The clock of a film, from its row of `layout.FILMS`."""
    names = ("time_base", "start", "rate")
    return Clock(*(Fraction(row[f"{name}_num"], row[f"{name}_den"]) for name in names))
