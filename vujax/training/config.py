"""Config values: durations in any unit, plain dictionaries, and differences of two configs."""

import json
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

UNITS = {"steps": int, "epochs": float, "examples": int, "percent": float}
"""Units of a duration, and the types of their numbers."""


def resolve_duration(
    prefix: str,
    config: Mapping[str, Any],
    *,
    batch_size: int,
    examples: int | None = None,
    total_steps: int | None = None,
    default: int | None = None,
) -> int:
    """Return the optimizer steps of one of `{prefix}_steps`, `_epochs`, `_examples`, `_percent`.

    Args:
      prefix: such as 'total' or 'warmup'.
      config: a mapping; entries that are None or below 0 count as absent.
      batch_size: rows of the global batch.
      examples: number of examples in an epoch, if known.
      total_steps: number of steps of the complete training, for `_percent`.
      default: returned when none of the keys is set.

    Raises:
      ValueError: none or several are set, or a unit lacks its reference.
    """
    values = {
        unit: config[f"{prefix}_{unit}"]
        for unit in UNITS
        if config.get(f"{prefix}_{unit}") is not None and config[f"{prefix}_{unit}"] >= 0
    }
    names = ", ".join(f"{prefix}_{unit}" for unit in UNITS)
    if not values and default is not None:
        return default
    if len(values) != 1:
        raise ValueError(f"set exactly one of {names}; the config sets {sorted(values) or 'none'}")
    unit, value = values.popitem()
    if unit == "epochs" and examples is None:
        raise ValueError(f"{prefix}_epochs needs a data set of known length: use {prefix}_steps")
    if unit == "percent" and total_steps is None:
        raise ValueError(f"{prefix}_percent needs a total: use {prefix}_steps")
    steps = {
        "steps": lambda: value,
        "examples": lambda: value / batch_size,
        "epochs": lambda: value * examples / batch_size,
        "percent": lambda: value / 100.0 * total_steps,
    }[unit]()
    return max(round(steps), 1) if value else 0


def to_plain_dict(config: ConfigDict) -> dict[str, Any]:
    """Return a config as JSON-ready dictionaries, with placeholders resolved."""
    return json.loads(config.to_json(allow_nan=False, sort_keys=True))


def diff_configs(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return the dotted keys whose values differ, as 'a.b: 1 -> 2'."""
    lines = []
    for key in sorted({*old, *new}):
        name, a, b = f"{prefix}{key}", old.get(key), new.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            lines += diff_configs(a, b, f"{name}.")
        elif a != b:
            lines.append(f"{name}: {a} -> {b}")
    return lines
