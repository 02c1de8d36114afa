"""Options that a user gives to something chosen by its name."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any


def check_options(
    what: str, make: Callable[..., Any], options: Mapping[str, Any], common: Iterable[str] = ()
) -> None:
    """Raises unless `make(**options)` is a call that fits.

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
        raise ValueError(f"{what} has no option {', '.join(unknown)}: it has {known}")
    needed = [p.name for p in parameters.values() if p.default is p.empty]
    if missing := sorted(set(needed) - set(options)):
        raise ValueError(f"{what} needs the option {', '.join(missing)}")
