"""Deprecated names that keep working for one release."""

import warnings
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
