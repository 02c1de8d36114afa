"""Training by a config: `python -m vujax.main --config=configs/distill.py [--config.a.b=v]`."""

import os
import re
import sys
import traceback
from functools import partial
from pathlib import Path

import jax
from absl import app, flags, logging
from ml_collections import config_flags

from vujax.methods import linear_guide
from vujax.training import loop, overrides
from vujax.utils.system import has_accelerator

CONFIG = config_flags.DEFINE_config_file(
    "config", None, "config file, FILE.py or FILE.py:ARGUMENT", lock_config=True
)
WORKDIR = flags.DEFINE_string("workdir", None, "directory of the run (default: runs/<config>)")
DISTRIBUTED = flags.DEFINE_bool(
    "distributed",
    None,
    "several hosts, discovered by jax (default: on where a cluster's variables are set)",
)
COORDINATOR = flags.DEFINE_string("coordinator", None, "HOST:PORT of process 0, on other clusters")
PROCESSES = flags.DEFINE_integer("processes", None, "number of processes, with --coordinator")
EXTEND = flags.DEFINE_bool(
    "extend", False, "train the run in the workdir for more steps than it was started with"
)
LINEAR = flags.DEFINE_bool(
    "linear", False, "Movies2Scenes: fit the linear baseline in closed form instead of a network"
)
PROCESS = flags.DEFINE_integer("process", None, "number of this process, with --coordinator")


def main(argv: list[str]) -> None:
    """Train; an error that vujax itself raised ends with its message, without a traceback."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown argument '{argv[1]}': settings are --config.a.b=value")
    initialize_distributed()
    if "JAX_PLATFORMS" not in os.environ and not has_accelerator():
        jax.config.update("jax_platforms", "cpu")  # the TPU's library prints errors without a TPU
    if logging.get_verbosity() == logging.INFO and not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)  # orbax logs every file
    # ml_collections adds `config_filename` to the flag, whose type is that of every flag.
    default = default_workdir(flags.FLAGS["config"].config_filename)  # type: ignore[attr-defined]
    train = linear_guide.train if LINEAR.value else partial(loop.train, extend=EXTEND.value)
    try:
        train(CONFIG.value, Path(WORKDIR.value or f"{default}{'-linear' * LINEAR.value}"))
    except (ValueError, OSError, FloatingPointError) as error:
        if not is_vujax_error(error):
            raise
        sys.exit(f"Error: {error}")


def initialize_distributed() -> None:
    """Connect the processes of a training on several hosts, as flags or environment say."""
    if COORDINATOR.value:
        jax.distributed.initialize(COORDINATOR.value, PROCESSES.value, PROCESS.value)
    elif is_multi_host() if DISTRIBUTED.value is None else DISTRIBUTED.value:
        jax.distributed.initialize()


def is_multi_host() -> bool:
    """Return True if the environment of a TPU pod, Slurm or Open MPI has several processes."""
    return (
        "," in os.environ.get("TPU_WORKER_HOSTNAMES", "")
        or int(os.environ.get("SLURM_NTASKS", 1)) > 1
        or int(os.environ.get("OMPI_COMM_WORLD_SIZE", 1)) > 1
    )


def default_workdir(config: str) -> Path:
    """Return 'runs/distill-vit_b32' for 'configs/distill.py:vit_b32'; of paths, the last part."""
    file, _, argument = config.partition(":")
    return Path("runs") / "-".join(filter(None, [Path(file).stem, Path(argument).name]))


def is_vujax_error(error: BaseException) -> bool:
    """Return True if the innermost frame of the traceback is vujax's own code."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_globals.get("__name__", "").startswith("vujax.")


def parse_flags(argv: list[str]) -> list[str]:
    """Parse flags; a config that cannot be, or lacks a key, ends with one sentence."""
    kept, unset = overrides.split_unset(argv)
    try:
        rest = app.parse_flags_with_usage(kept)
        overrides.unset(CONFIG.value, unset)
        overrides.replace_durations(CONFIG.value, argv)
        return rest
    except (AttributeError, KeyError) as error:
        key = _unknown_key(argv, str(error))
        sys.exit(f"Error: the config has no key '{key}'{overrides.suggest_keys(argv, key)}")
    except OSError as error:  # ml_collections wraps the error of a config file
        sys.exit(f"Error: {str(error).partition('failure to load: ')[2] or error}")


def _unknown_key(argv: list[str], message: str) -> str:
    """Return the dotted key of the command line that an error of ml_collections is about."""
    name = found[0] if (found := re.search(r"[\w.]+", message)) else message
    given = [found[1] for argument in argv if (found := overrides.FLAG.fullmatch(argument))]
    return next((key for key in given if name in (key, *key.split("."))), name)


if __name__ == "__main__":
    flags.mark_flag_as_required("config")
    app.run(main, flags_parser=parse_flags)
