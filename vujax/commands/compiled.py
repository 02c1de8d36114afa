"""Compiled programs are kept from one command to the next.

XLA needs seconds to compile a network, which for a short film is longer than its run.
"""

import hashlib
import os
import platform
from pathlib import Path

VARIABLE = "JAX_COMPILATION_CACHE_DIR"


def keep_compiled() -> None:
    """Gives JAX a folder in the user's cache, here and in the processes that this one starts.

    A folder that is set already stays; without one that can be written to, nothing is kept. What
    is compiled for a CPU may not run on another, so each kind of CPU has its own.
    """
    from vujax.weights import cache_folder

    if VARIABLE in os.environ:
        return
    folder = cache_folder() / "compiled" / _cpu()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if os.access(folder, os.W_OK):
        os.environ[VARIABLE] = str(folder)


def _cpu() -> str:
    """A few letters for what this machine's CPU can do."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        facts = sorted({line for line in lines if line.startswith(("flags", "Features", "model"))})
    except OSError:
        facts = [platform.node()]
    about = [platform.system(), platform.machine(), platform.processor(), *facts]
    return hashlib.sha256("\n".join(about).encode()).hexdigest()[:12]
