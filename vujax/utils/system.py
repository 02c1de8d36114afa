"""CPU cores, processes and the cache folder of this machine."""

import contextlib
import functools
import hashlib
import os
import platform
import sys
from pathlib import Path

RUNTIME_VARIABLE = "VUJAX_RUNTIME"
RUNTIMES = ("auto", "jax", "openvino")
"""Values of RUNTIME_VARIABLE, see `vujax.models.inference`."""


def count_cores() -> int:
    """Return the number of cores that this process may use, which a container may limit."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def get_cache_folder() -> Path:
    """Return $VUJAX_CACHE, or the platform's folder for files that can be fetched again."""
    if chosen := os.environ.get("VUJAX_CACHE"):
        return Path(chosen)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "vujax"
    variable = "LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME"
    return Path(os.environ.get(variable) or Path.home() / ".cache") / "vujax"


@functools.cache
def get_host_tag() -> str:
    """Return 6 hex digits of this host, or of the container whose processes have own numbers."""
    facts = [platform.node()]
    with contextlib.suppress(OSError):  # no /proc
        facts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:6]


def has_accelerator(devices: Path = Path("/dev")) -> bool:
    """Return False on a Linux machine without the device files of any accelerator.

    There JAX would still start a TPU library that is installed, which prints errors.
    """
    if sys.platform != "linux":
        return True
    patterns = ("accel*", "vfio/[0-9]*", "nvidia*", "kfd", "dri/render*")  # TPU, TPU, GPUs
    return any(next(devices.glob(pattern), None) for pattern in patterns)


def is_process_alive(process: int) -> bool:
    """Return True when a process of this number runs on this machine."""
    try:
        os.kill(process, 0)
        state = Path(f"/proc/{process}/stat").read_text()
    except ProcessLookupError:
        return False
    except (PermissionError, FileNotFoundError):  # another user's, or a system without /proc
        return True
    # A killed process whose parent is gone too may stay a zombie that nobody collects.
    return state.rpartition(")")[2].split()[0] != "Z"
