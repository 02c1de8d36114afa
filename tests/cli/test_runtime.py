"""Environment of JAX: the compilation cache, and the devices of a CPU."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vujax.cli import runtime
from vujax.cli.runtime import DEVICES, VARIABLE, keep_compiled, use_cores
from vujax.utils import system


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Unset the folder during the test, and restore it afterwards."""
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.delenv(VARIABLE)
    return monkeypatch


def test_in_the_users_cache(tmp_path: Path, unset: pytest.MonkeyPatch) -> None:
    unset.setenv("VUJAX_CACHE", str(tmp_path))
    keep_compiled()
    folder = Path(os.environ[VARIABLE])
    assert folder.is_dir()
    assert folder.parent == tmp_path / "compiled"
    keep_compiled()
    assert Path(os.environ[VARIABLE]) == folder


def test_a_folder_that_is_set_stays(tmp_path: Path, unset: pytest.MonkeyPatch) -> None:
    unset.setenv("VUJAX_CACHE", str(tmp_path))
    unset.setenv(VARIABLE, "elsewhere")
    keep_compiled()
    assert os.environ[VARIABLE] == "elsewhere"
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_nothing_is_kept(tmp_path: Path, unset: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    unset.setenv("VUJAX_CACHE", str(tmp_path / "file"))
    keep_compiled()
    assert VARIABLE not in os.environ


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Unset the number of devices during the test, and restore it afterwards."""
    monkeypatch.setenv(DEVICES, "")
    monkeypatch.delenv(DEVICES)
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    return monkeypatch


@pytest.mark.parametrize(("there", "devices"), [(1, 1), (2, 2), (8, 8), (96, 8)])
def test_cores_become_devices(there: int, devices: int, alone: pytest.MonkeyPatch) -> None:
    alone.setattr(runtime, "count_cores", lambda: there)
    use_cores()
    assert os.environ[DEVICES] == str(devices)


def test_what_is_said_of_devices_stays(alone: pytest.MonkeyPatch) -> None:
    alone.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=4")
    use_cores()
    assert DEVICES not in os.environ
    alone.setenv("XLA_FLAGS", "")
    alone.setenv(DEVICES, "3")
    use_cores()
    assert os.environ[DEVICES] == "3"


def test_jax_has_as_many_devices(alone: pytest.MonkeyPatch) -> None:
    alone.setattr(runtime, "count_cores", lambda: 5)
    alone.setenv("JAX_PLATFORMS", "cpu")
    use_cores()
    code = "import jax; print(len(jax.devices()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["5"]


def test_cores_are_those_of_this_process() -> None:
    assert 1 <= system.count_cores() <= os.cpu_count()


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        *[(name, True) for name in ("accel0", "vfio/0", "nvidia0", "kfd", "dri/renderD128")],
        *[(name, False) for name in ("vfio/vfio", "null", "dri/card0")],
    ],
)
def test_accelerators_are_recognized_by_their_device_files(
    device: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    (tmp_path / device).parent.mkdir(exist_ok=True)
    (tmp_path / device).touch()
    assert system.has_accelerator(tmp_path) == expected


def test_without_an_accelerator_jax_uses_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAX_PLATFORMS", "")
    monkeypatch.delenv("JAX_PLATFORMS")
    monkeypatch.setattr(runtime, "has_accelerator", lambda: True)
    runtime.choose_platform()
    assert "JAX_PLATFORMS" not in os.environ
    monkeypatch.setattr(runtime, "has_accelerator", lambda: False)
    runtime.choose_platform()
    assert os.environ["JAX_PLATFORMS"] == "cpu"
    monkeypatch.setenv("JAX_PLATFORMS", "tpu")
    runtime.choose_platform()
    assert os.environ["JAX_PLATFORMS"] == "tpu"
