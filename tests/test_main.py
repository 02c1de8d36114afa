"""python -m vujax.main: errors, signals, several processes."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.configs import ROOT
from vujax.main import default_workdir, is_multi_host
from vujax.training import logging

TINY = [
    "--config=configs/distill.py",
    "--config.model.image.image_size=16",
    "--config.model.image.width=32",
    "--config.model.image.layers=1",
    "--config.data.workers=0",
    "--config.model.text.context=8",
    "--config.model.text.width=32",
    "--config.model.text.layers=1",
    "--config.model.text.heads=2",
    "--config.model.embed_dim=16",
    "--config.batch_size=32",
    "--config.optimizer.warmup_steps=0",
    "--config.evals={}",
    "--config.log_steps=1",
    "--config.data.sources.main.frames=512",
]


def start(workdir: Path, *arguments: str, devices: int = 1) -> subprocess.Popen:
    # The last of a flag's values counts: the tests' other flags stay as tests/conftest.py has them.
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}"
    return subprocess.Popen(
        [sys.executable, "-m", "vujax.main", *TINY, f"--workdir={workdir}", *arguments],
        cwd=ROOT,
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(*processes: subprocess.Popen) -> list[str]:
    # The limits only end a hang: a loaded machine is no failure.
    outputs = [process.communicate(timeout=600)[0] for process in processes]
    for process, output in zip(processes, outputs, strict=True):
        assert process.returncode == 0, output
    return outputs


def cluster(workdir: Path, *arguments: str) -> list[subprocess.Popen]:
    """Two processes of two devices each, which talk over loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    coordinator = f"--coordinator=127.0.0.1:{port}"
    return [
        start(workdir, coordinator, "--processes=2", f"--process={rank}", *arguments, devices=2)
        for rank in range(2)
    ]


def losses(workdir: Path) -> list[float]:
    return [line["loss"] for line in logging.read_metrics(workdir)]


def test_default_workdir():
    assert default_workdir("configs/distill.py") == Path("runs/distill")
    assert default_workdir("configs/distill.py:vit_b32") == Path("runs/distill-vit_b32")


def test_several_hosts_by_environment(monkeypatch):
    assert not is_multi_host()
    monkeypatch.setenv("TPU_WORKER_HOSTNAMES", "a,b")
    assert is_multi_host()


@pytest.mark.multiprocess
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--config.optimizer.widht=3"], "the config has no key 'optimizer.widht'"),
        (["--config.total_epoch=3"], "no key 'total_epoch'; did you mean total_epochs or "),
        (["--config=configs/distill.py:release=/nowhere"], "Error: /nowhere is no model: "),
        (
            ["--config=configs/distill.py:vit_b64"],
            "unknown experiment 'vit_b64'; expected one of: cinema",
        ),
        (["--config.batch_size=-1"], "batch_size"),
        (["--config.data.sources.main.kind=webdatset"], "unknown data source 'webdatset'"),
        (["extra"], "unknown argument 'extra'"),
    ],
)
def test_mistakes_end_with_a_sentence(tmp_path, arguments, words):
    process = start(tmp_path, *arguments)
    output, _ = process.communicate(timeout=300)
    assert process.returncode != 0
    assert words in output


@pytest.mark.multiprocess
def test_two_processes_are_one(tmp_path):
    total = "--config.total_steps=4"
    finish(*cluster(tmp_path / "two", total))
    finish(start(tmp_path / "one", total, devices=4))
    assert len(losses(tmp_path / "one")) == 4
    np.testing.assert_allclose(losses(tmp_path / "two"), losses(tmp_path / "one"), rtol=1e-5)
    assert (tmp_path / "two" / "release" / "weights.safetensors").exists()


def wait_for_steps(process: subprocess.Popen, steps: int) -> None:
    """Reads the process's output until it has reported `steps` steps."""
    for line in process.stdout:
        if (match := re.match(r"step (\d+)/", line)) and int(match[1]) >= steps:
            return
    raise AssertionError("the process ended before it had trained")


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of 60 steps that nothing interrupted."""
    workdir = tmp_path_factory.mktemp("unbroken")
    finish(start(workdir, "--config.total_steps=60"))
    return workdir


@pytest.mark.multiprocess
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_the_same_command_goes_on(unbroken, tmp_path, number):
    long, total = tmp_path / "killed", "--config.total_steps=60"
    process = start(long, total)
    wait_for_steps(process, 5)
    process.send_signal(number)
    output = process.communicate(timeout=300)[0]
    assert process.returncode == 0, output
    done = int(re.search(r"saved step (\d+)\. To resume: python -m vujax.main", output)[1])
    assert 5 <= done < 60 and (long / "checkpoints" / str(done)).is_dir()
    finish(start(long, total))
    assert losses(long) == losses(unbroken)


@pytest.mark.multiprocess
def test_sigterm_on_one_host_saves_on_all_at_one_step(tmp_path):
    first, second = cluster(tmp_path, "--config.total_steps=2000")
    wait_for_steps(first, 5)
    second.send_signal(signal.SIGTERM)
    finish(first, second)
    (step,) = (int(path.name) for path in (tmp_path / "checkpoints").iterdir())
    assert 5 <= step < 2000


@pytest.mark.multiprocess
def test_importing_starts_nothing():
    script = """
import pkgutil, sys, time
begun = time.monotonic()
import vujax
assert "jax" not in sys.modules
for module in pkgutil.walk_packages(vujax.__path__, "vujax."):
    if not module.name.endswith("__main__"):
        __import__(module.name)
from jax._src import xla_bridge
assert not xla_bridge._backends, "a backend was started"
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


@pytest.mark.multiprocess
def test_losses_and_models_need_no_data_packages():
    script = """
import sys
for name in ("grain", "pyarrow", "PIL", "tensorflow_datasets", "array_record"):
    sys.modules[name] = None
import vujax.losses, vujax.models
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)
