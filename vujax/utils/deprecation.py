"""Deprecated names that keep working for one release, and the new names of moved modules."""

import functools
import sys
import warnings
from collections.abc import Mapping, Sequence
from types import ModuleType
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


class MovedModuleFinder:
    """Last entry of `sys.meta_path`: asked only for modules of vujax that do not exist."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> None:
        """Raise if `name` is an old module.

        Raises:
          ModuleNotFoundError: the module moved; names its new place.
        """
        if name.startswith("vujax.") and (new := read_moved_modules().get(name)):
            # Without `name=`: `from vujax import old` would replace the sentence by its own.
            raise ModuleNotFoundError(f"{name} moved to {new}; import it from there")


@functools.cache
def read_moved_modules() -> dict[str, str]:
    """Return the new module of each old one; the table is kept for one release after a move."""
    from importlib.resources import files  # takes longer than `import vujax` itself

    lines = (files("vujax") / "moved_modules.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split() for line in lines)


def install_moved_modules() -> None:
    """Let imports of old modules fail with the name of the new one."""
    if not any(isinstance(finder, MovedModuleFinder) for finder in sys.meta_path):
        sys.meta_path.append(MovedModuleFinder())
