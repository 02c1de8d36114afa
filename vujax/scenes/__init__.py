"""Scene boundary detection: from shots to scenes, their exports and their pages."""

import sys
import types
import warnings
from typing import Any


class _CallablePackage(types.ModuleType):
    """The package, called as a function of the last release."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Detect scenes, with a warning: `vujax.scenes(...)` is now `vujax.detect_scenes(...)`."""
        from vujax.scenes.detect import detect_scenes

        message = "vujax.scenes(...) is deprecated; use vujax.detect_scenes(...)"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return detect_scenes(*args, **options)


sys.modules[__name__].__class__ = _CallablePackage
