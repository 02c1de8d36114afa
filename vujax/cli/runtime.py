"""Environment of JAX and OpenVINO, for this process and the processes that a command starts.

Compiled programs are cached between commands: XLA needs seconds to compile a network, which for a
short film is longer than its run. CPU cores become JAX devices that share each batch, because XLA
parallelizes the small operations of a network such as EfficientNet badly over the cores of one
device (`tools/bench_embed.py`: 1.7 times the images/s on 2 cores).
"""

import hashlib
import os
import platform
from pathlib import Path

from vujax.utils.system import (
    RUNTIME_VARIABLE,
    count_cores,
    get_cache_folder,
    has_accelerator,
)

VARIABLE = "JAX_COMPILATION_CACHE_DIR"
DEVICES = "JAX_NUM_CPU_DEVICES"
PLATFORMS = "JAX_PLATFORMS"
MAX_DEVICES = 8
"""Maximum number of devices: a batch has 32 rows, and each device holds all weights."""


def set_up(networks: str | None = None) -> None:
    """Set all of them, unless the user has; call it before JAX is imported.

    Args:
      networks: runtime of released networks; None for that of the environment.
    """
    if networks is not None:
        os.environ[RUNTIME_VARIABLE] = networks
    choose_platform()
    keep_compiled()
    use_cores()


def choose_platform() -> None:
    """Let JAX use the CPU alone where there is nothing else."""
    if PLATFORMS not in os.environ and not has_accelerator():
        os.environ[PLATFORMS] = "cpu"


def use_cores() -> None:
    """Make each core of a CPU a device, at most MAX_DEVICES.

    Settings in XLA_FLAGS or the environment take precedence.
    """
    if DEVICES not in os.environ and "device_count" not in os.environ.get("XLA_FLAGS", ""):
        os.environ[DEVICES] = str(min(count_cores(), MAX_DEVICES))


def keep_compiled() -> None:
    """Set JAX's compilation cache to a folder in the user's cache.

    A folder that is already set takes precedence; without a writable folder nothing is cached.
    Programs that are compiled for one CPU may not run on another, so each kind of CPU has its own.
    """
    if VARIABLE in os.environ:
        return
    folder = get_cache_folder() / "compiled" / _cpu()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if os.access(folder, os.W_OK):
        os.environ[VARIABLE] = str(folder)


def _cpu() -> str:
    """Return a hash of the features of this machine's CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        facts = sorted({line for line in lines if line.startswith(("flags", "Features", "model"))})
    except OSError:
        facts = [platform.node()]
    about = [platform.system(), platform.machine(), platform.processor(), *facts]
    return hashlib.sha256("\n".join(about).encode()).hexdigest()[:12]
