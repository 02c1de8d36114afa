"""Configs: durations in any unit, the resolved config on disk, what may change on resume."""

import json
from collections.abc import Mapping
from typing import Any

import ml_collections

UNITS = ("steps", "epochs", "examples", "percent")


def duration(
    prefix: str,
    config: Mapping[str, Any],
    *,
    batch_size: int,
    examples: int | None = None,
    total_steps: int | None = None,
    default: int | None = None,
) -> int:
    """Optimizer steps asked for by one of `{prefix}_steps`, `_epochs`, `_examples`, `_percent`.

    Args:
      prefix: such as 'total' or 'warmup'.
      config: a mapping; entries that are None or below 0 count as absent.
      batch_size: global.
      examples: in one epoch, when known.
      total_steps: of the whole training, for `_percent`.
      default: returned when none of the keys is set.

    Raises:
      ValueError: none or several are set, or a unit lacks what it is measured against.
    """
    given = {
        unit: config[f"{prefix}_{unit}"]
        for unit in UNITS
        if config.get(f"{prefix}_{unit}") is not None and config[f"{prefix}_{unit}"] >= 0
    }
    names = ", ".join(f"{prefix}_{unit}" for unit in UNITS)
    if not given and default is not None:
        return default
    if len(given) != 1:
        raise ValueError(f"set exactly one of {names}; the config sets {sorted(given) or 'none'}")
    unit, value = given.popitem()
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


def plain(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """A config as JSON-ready dictionaries, placeholders resolved."""
    return json.loads(config.to_json(allow_nan=False, sort_keys=True))


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Dotted keys whose values differ, as 'a.b: 1 -> 2'."""
    found = []
    for key in sorted({*old, *new}):
        name, a, b = f"{prefix}{key}", old.get(key), new.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += differences(a, b, f"{name}.")
        elif a != b:
            found.append(f"{name}: {a} -> {b}")
    return found
