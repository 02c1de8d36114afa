"""Modules that moved: importing an old one fails with a sentence that names the new one.

The table is kept for one release after the move.
"""

import functools
import sys
from collections.abc import Sequence
from types import ModuleType


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
    """Return the new module of each old one."""
    from importlib.resources import files  # takes longer than `import vujax` itself

    lines = (files("vujax") / "moved_modules.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split() for line in lines)


def install() -> None:
    """Add the finder once."""
    if not any(isinstance(finder, MovedModuleFinder) for finder in sys.meta_path):
        sys.meta_path.append(MovedModuleFinder())
