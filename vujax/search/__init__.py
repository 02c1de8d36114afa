"""Search: text, images and examples to frames, shots and scenes of a catalog.

`vujax.search(catalog, "a boat on a lake")` is `vujax.search.run.search`: the package is callable,
since the public function and the room have one name.
"""

import sys
import types
from typing import Any


class _CallablePackage(types.ModuleType):
    """The package, called as its main function."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Search a catalog; see `vujax.search.run.search`."""
        from vujax.search.run import search  # brings numpy and JAX

        return search(*args, **options)


sys.modules[__name__].__class__ = _CallablePackage
