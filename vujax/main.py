"""Entry: `python -m vujax.main --config=configs/distill.py [--workdir=DIR] [--config.a.b=v]`."""

import os
import sys
import traceback
from pathlib import Path

import jax
from absl import app, flags, logging
from ml_collections import config_flags

from vujax.training import loop

CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Config file, FILE.py or FILE.py:ARGUMENT.", lock_config=True
)
WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run (default: runs/<config>).")
DISTRIBUTED = flags.DEFINE_bool(
    "distributed",
    None,
    "Several hosts, found by jax (default: on when a cluster's variables say so).",
)
COORDINATOR = flags.DEFINE_string("coordinator", None, "HOST:PORT of process 0, on other clusters.")
PROCESSES = flags.DEFINE_integer("processes", None, "With --coordinator: how many.")
PROCESS = flags.DEFINE_integer("process", None, "With --coordinator: which one, from 0.")


def several_hosts() -> bool:
    """Whether the environment of a TPU pod, Slurm or Open MPI tells of more than one process."""
    return (
        "," in os.environ.get("TPU_WORKER_HOSTNAMES", "")
        or int(os.environ.get("SLURM_NTASKS", 1)) > 1
        or int(os.environ.get("OMPI_COMM_WORLD_SIZE", 1)) > 1
    )


def default_workdir(config: str) -> Path:
    """`configs/distill.py:vit_b32` -> `runs/distill-vit_b32`; of a folder's name, the last part."""
    file, _, argument = config.partition(":")
    return Path("runs") / "-".join(filter(None, [Path(file).stem, Path(argument).name]))


def raised_by_us(error: BaseException) -> bool:
    """Whether the innermost frame of the traceback is vujax's own code."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_globals.get("__name__", "").startswith("vujax.")


def main(argv: list[str]) -> None:
    """Trains. An error that vujax itself raised is a sentence and ends without a traceback."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown argument '{argv[1]}': settings are --config.a.b=value")
    if COORDINATOR.value:
        jax.distributed.initialize(COORDINATOR.value, PROCESSES.value, PROCESS.value)
    elif several_hosts() if DISTRIBUTED.value is None else DISTRIBUTED.value:
        jax.distributed.initialize()
    if logging.get_verbosity() == logging.INFO and not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)  # orbax tells of every file
    workdir = WORKDIR.value or default_workdir(flags.FLAGS["config"].config_filename)  # type: ignore[attr-defined]
    try:
        loop.train(CONFIG.value, Path(workdir))
    except (ValueError, OSError, FloatingPointError) as error:
        if not raised_by_us(error):
            raise
        sys.exit(f"Error: {error}")


def parse(argv: list[str]) -> list[str]:
    """Parses flags; a config key that is not there is a sentence, not a traceback."""
    try:
        return app.parse_flags_with_usage(argv)
    except (AttributeError, KeyError) as error:
        key = str(error).strip("\"'")
        given = next((a for a in argv if a.startswith("--config.") and key in a), "--config")
        sys.exit(f"Error: {given}: the config has no key '{key}'; its file shows those it has")


if __name__ == "__main__":
    flags.mark_flag_as_required("config")
    app.run(main, flags_parser=parse)
