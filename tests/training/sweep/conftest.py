"""A sweep file, and a substitute for the trainer with the same command line."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# `work` decides what one training does; `finish` leaves what a training that ended leaves.
TRAINER = """
import json, os, pathlib, signal, sys
signal.alarm(60)  # a test that waits for this process ends
flags = dict(argument.removeprefix("--").split("=", 1) for argument in sys.argv[1:])
workdir = pathlib.Path(flags["workdir"])
workdir.mkdir(parents=True, exist_ok=True)
seed = int(flags.get("config.seed", 0))

def evaluate(name, step, **metrics):
    (workdir / "evaluations").mkdir(exist_ok=True)
    value = dict(step=step, name=name, metrics=metrics, baselines=dict(chance=0.1))
    (workdir / "evaluations" / f"{name}-{step}.json").write_text(json.dumps(value))

def finish():
    (workdir / "release").mkdir()
    (workdir / "release" / "config.json").write_text(json.dumps(flags))

"""


@pytest.fixture
def trainer(tmp_path: Path) -> Callable[[str], list[str]]:
    """Return a program whose every run does `work`."""

    def make(work: str) -> list[str]:
        path = tmp_path / "trainer.py"
        path.write_text(TRAINER + work)
        return [sys.executable, str(path)]

    return make


@pytest.fixture
def sweep_file(tmp_path: Path) -> Callable[[str], str]:
    """Write a sweep file with this text below a CONFIG that exists."""

    def make(text: str) -> str:
        config = tmp_path / "config.py"
        config.write_text("")
        path = tmp_path / "ablation.py"
        head = "from vujax.training.sweep import chain, over, product, zipped\n"
        path.write_text(f"{head}CONFIG = {str(config) + ':small'!r}\n{text}\n")
        return str(path)

    return make
