"""How many cores there are.

Where vujax keeps what it can make or fetch again.
"""

import os
import sys
from pathlib import Path


def cores() -> int:
    """Those that this process may use, which a container can make fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cache_folder() -> Path:
    """$VUJAX_CACHE, or the platform's folder for such files."""
    if chosen := os.environ.get("VUJAX_CACHE"):
        return Path(chosen)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "vujax"
    variable = "LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME"
    return Path(os.environ.get(variable) or Path.home() / ".cache") / "vujax"
