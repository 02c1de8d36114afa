"""Deprecated names that keep working for one release."""

import warnings
from collections.abc import Mapping
from typing import Any


def deprecated_alias(old: str, new: str) -> property:
    """Return a property `old` that reads the attribute `new` and warns that it was renamed.

        class Scene:
            start_s: float
            begin_s = deprecated_alias("begin_s", "start_s")

    Args:
      old: name of the property, for the warning.
      new: name of the attribute.
    """

    def read(self: Any) -> Any:
        message = f"{type(self).__name__}.{old} is deprecated; use {new}"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return getattr(self, new)

    return property(read, doc=f"Deprecated alias of `{new}`.")


def replace_deprecated(setting: str, value: str, renamed: Mapping[str, str]) -> str:
    """Return the new name of a setting's value, with a warning if it was renamed.

    Args:
      setting: name of the setting, for the warning.
      value: as given; returned unchanged unless it is a key of `renamed`.
      renamed: new name per deprecated one.
    """
    if value not in renamed:
        return value
    message = f"{setting} '{value}' is deprecated; use '{renamed[value]}'"
    warnings.warn(message, DeprecationWarning, stacklevel=3)
    return renamed[value]
