"""Checks of options and configuration values.

An error is one sentence that names the mistake and what is expected.
"""

import argparse
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any


def check_options(
    what: str, make: Callable[..., Any], options: Mapping[str, Any], common: Iterable[str] = ()
) -> None:
    """Raise unless `make(**options)` is a call that fits.

    Args:
      what: for the message, such as "source 'folder'".
      make: a class or function whose parameters are the options.
      options: what was given.
      common: other options that it could have been given, for the message.

    Raises:
      ValueError: an option is unknown, or one that it needs is missing.
    """
    parameters = inspect.signature(make).parameters
    if unknown := sorted(set(options) - set(parameters)):
        known = ", ".join([*parameters, *sorted(common)])
        raise ValueError(f"{what}: unknown option {unknown[0]!r}; expected one of: {known}")
    needed = [p.name for p in parameters.values() if p.default is p.empty]
    if missing := sorted(set(needed) - set(options)):
        raise ValueError(f"{what} needs the option {', '.join(missing)}")


def name_and_value(text: str) -> tuple[str, Any]:
    """Parse 'name=value' of a command line, the value as JSON or as plain text.

    Raises:
      argparse.ArgumentTypeError: there is no '='.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"'{text}' is not name=value")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def check_known(where: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise ValueError when a name of `given` is not an option of `where`."""
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ValueError(
            f"unknown option {where}.{unknown[0]}; expected one of: {', '.join(known)}"
        )


def check_choice(where: str, value: str, known: Iterable[str]) -> None:
    """Raise ValueError when `value` is none of `known`."""
    if value not in known:
        raise ValueError(f"unknown {where} {value!r}; expected one of: {', '.join(known)}")


def check_divides(name: str, value: int, divisor_name: str, divisor: int) -> None:
    """Raise ValueError unless `value` is a positive multiple of `divisor`."""
    if value <= 0 or divisor <= 0 or value % divisor:
        raise ValueError(f"{name} {value} must be a positive multiple of {divisor_name} {divisor}")


def check_heads(where: str, width: int, heads: int) -> None:
    """Raise ValueError unless the width divides among the heads."""
    check_divides(f"{where}.width", width, f"{where}.heads", heads)
