"""What the page tells of a film beside its title: metadata and some facts, as JSON has them."""

import math
from collections.abc import Mapping
from typing import Any

MOST_TEXT, MOST_ENTRIES = 500, 50

HIDDEN = frozenset(
    ("film", "path", "folder", "status", "reason", "detector", "frames", "keyframes", "begin_s")
    + ("rate_num", "rate_den", "time_base_num", "time_base_den", "start_num", "start_den")
    + ("format", "rotation", "variable_rate", "interlaced", "hdr", "bits", "damaged", "repaired")
    + ("title", "codec")
)


def facts_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of a film's row that are known and of use to people."""
    known = {k: v for k, v in row.items() if k not in HIDDEN and v not in (None, "", [])}
    return {name: _plain(value) for name, value in known.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, bool | int | float | str):
        return value if not isinstance(value, str) else value[:MOST_TEXT]
    if isinstance(value, list):
        return [_plain(one) for one in value[:MOST_ENTRIES]]
    return str(value)[:MOST_TEXT]
