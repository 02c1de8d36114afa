"""What JAX is told by the environment, here and in the processes that a command starts.

Compiled programs are kept from one command to the next: XLA needs seconds to compile a network,
which for a short film is longer than its run. And a CPU's cores become JAX devices, among which
each batch is divided: XLA spreads the small operations of a network such as EfficientNet badly over
the cores of one device (`tools/bench_embed.py`: 1.7 times the pictures/s on 2 cores).
"""

import hashlib
import os
import platform
from pathlib import Path

from vujax.utils.system import count_cores, get_cache_folder

VARIABLE = "JAX_COMPILATION_CACHE_DIR"
DEVICES = "JAX_NUM_CPU_DEVICES"
MOST_DEVICES = 8
"""Of a CPU with more cores: a batch has 32 rows, and each device holds the network's weights."""


def set_up() -> None:
    """Both, where the user has not said otherwise; call it before JAX is imported."""
    keep_compiled()
    use_cores()


def use_cores() -> None:
    """Makes of a CPU as many devices as it has cores, at most MOST_DEVICES.

    What XLA_FLAGS or the environment say of its devices stays.
    """
    if DEVICES not in os.environ and "device_count" not in os.environ.get("XLA_FLAGS", ""):
        os.environ[DEVICES] = str(min(count_cores(), MOST_DEVICES))


def keep_compiled() -> None:
    """Gives JAX a folder in the user's cache.

    A folder that is set already stays; without one that can be written to, nothing is kept. What
    is compiled for a CPU may not run on another, so each kind of CPU has its own.
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
    """A few letters for what this machine's CPU can do."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        facts = sorted({line for line in lines if line.startswith(("flags", "Features", "model"))})
    except OSError:
        facts = [platform.node()]
    about = [platform.system(), platform.machine(), platform.processor(), *facts]
    return hashlib.sha256("\n".join(about).encode()).hexdigest()[:12]
