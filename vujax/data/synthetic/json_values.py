"""Dataclasses of the ground truth to plain JSON values, and back with every value checked."""

import types
from dataclasses import asdict, fields, is_dataclass
from fractions import Fraction
from functools import cache
from math import isfinite
from re import fullmatch
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")

_PLAIN = {str: "a text", int: "an integer", float: "a number"}

_MAX_NUMBER = 1 << 53  # the largest integer that all JSON readers share


def to_json_value(value: Any) -> dict[str, Any]:
    """Convert a dataclass to a JSON value.

    Fractions become strings such as '24' or '24000/1001'.
    """
    return asdict(value, dict_factory=lambda items: {k: _plain(v) for k, v in items})


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Fraction) else value


def from_json_value(kind: type[T], value: object, key: str = "") -> T:
    """Build a `kind` of a JSON value.

    Args:
      kind: a dataclass of strings, numbers, fractions, tuples and dataclasses.
      value: untrusted.
      key: its key, for error messages.

    Raises:
      ValueError: a key is missing, unknown or of another type.
    """
    if is_dataclass(kind):
        return _build_dataclass(kind, value, key)
    if get_origin(kind) is types.UnionType:  # X | None
        inner = next(k for k in get_args(kind) if k is not type(None))
        return None if value is None else from_json_value(inner, value, key)
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise ValueError(f"'{key}' is not a list")
        item = get_args(kind)[0]
        return tuple(from_json_value(item, v, f"{key}[{k}]") for k, v in enumerate(value))
    if kind is Fraction:
        return _fraction(value, key)
    return _number_or_text(kind, value, key)


def _build_dataclass(kind: type[T], value: object, key: str) -> T:
    if not isinstance(value, dict):
        raise ValueError(f"'{key}' is not an object" if key else "it holds no object")
    hints = _hints(kind)
    prefix = f"{key}." if key else ""
    if missing := [name for name in hints if name not in value]:
        raise ValueError(f"'{prefix}{missing[0]}' is missing")
    if unknown := [name for name in value if name not in hints]:
        raise ValueError(f"{prefix + unknown[0][:60]!r} is an unknown key")
    return kind(
        **{name: from_json_value(hint, value[name], prefix + name) for name, hint in hints.items()}
    )


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _number_or_text(kind: type[T], value: object, key: str) -> T:
    accepted = (int, float) if kind is float else kind
    if not isinstance(value, accepted) or isinstance(value, bool):
        raise ValueError(f"'{key}' is not {_PLAIN[kind]}")
    if isinstance(value, int | float) and not (
        -_MAX_NUMBER <= value <= _MAX_NUMBER and isfinite(value)
    ):
        raise ValueError(f"'{key}' is out of range")
    # T is one of the types of _PLAIN, which all take a value; a type variable cannot say so.
    return kind(value)  # type: ignore[call-arg]


def _fraction(value: object, key: str) -> Fraction:
    if isinstance(value, str) and fullmatch(r"[0-9]{1,9}(/[1-9][0-9]{0,8})?", value):
        return Fraction(value)
    raise ValueError(f"'{key}' is not a fraction such as '24' or '24000/1001'")
