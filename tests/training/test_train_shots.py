"""The loop with ShotCoL: the queue survives interrupts, other device counts and sharding."""

import shutil
from pathlib import Path

import chex
import jax
import numpy as np
import pytest

from tests.configs import load
from tests.training.test_loop import losses, use
from vujax.models import release
from vujax.training import loop, setup
from vujax.training.checkpoint import Checkpoints
from vujax.utils.mesh import make_mesh

STEPS = 6
WIDTH = 12
SHOTS = (40, 3, 1, 25)  # of the films


def write_films(folder: Path) -> Path:
    """Write features of films whose scenes of 5 shots are similar."""
    rng = np.random.default_rng(0)
    for number, n in enumerate(SHOTS):
        scene = np.arange(n) // 5
        feature = rng.normal(size=(n, WIDTH))[scene] + 0.3 * rng.normal(size=(n, WIDTH))
        first = 30 * np.arange(n)
        shots, starts = np.stack([first, first + 29], axis=1), np.diff(scene) > 0
        vgg19 = feature.astype(np.float32)
        np.savez(folder / f"film-{number}.npz", vgg19=vgg19, shots=shots, boundary=starts)
    return folder


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    return write_films(tmp_path_factory.mktemp("films"))


def tiny(films: Path, **overrides):
    """Return configs/shotcol.py:features with some hundred weights and a queue of four batches."""
    config = load("shotcol", "features")
    with config.unlocked():
        config.inputs.feature = (WIDTH,)
        config.model.encoder.feature = dict(hidden=(8,), dim=8)
        config.model.projection = (6,)
    given = {
        "data.films.main.path": str(films),
        "data.neighbours": 2,
        "data.block": 2,
        "method.queue": 64,
        "batch_size": 8,
        "total_steps": STEPS,
        "log_steps": 1,
        "checkpoint_steps": 3,
        "optimizer.warmup_steps": 0,
    }
    config.update_from_flattened_dict(given | overrides)
    return config


def run(config, workdir: Path, devices: int) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        use(patch, devices)
        loop.train(config, workdir)
    return workdir


def back_to(workdir: Path, copy: Path, step: int) -> Path:
    """Copy a run as it was after `step` steps."""
    shutil.copytree(workdir, copy, dirs_exist_ok=True)
    shutil.rmtree(copy / "checkpoints" / str(STEPS))
    shutil.rmtree(copy / "release")
    lines = (copy / "metrics.jsonl").read_text().splitlines(keepends=True)
    (copy / "metrics.jsonl").write_text("".join(lines[:step]))
    return copy


def state_of(config, workdir: Path, step: int, devices: int):
    """Return a saved state on the host, restored on a number of devices."""
    mesh = make_mesh(jax.devices()[:devices])
    saved = Checkpoints(workdir / "checkpoints")
    try:
        return jax.device_get(saved.restore(setup.build_parts(config, mesh).state, step))
    finally:
        saved.close()


@pytest.fixture(scope="module")
def unbroken(films, tmp_path_factory):
    return run(tiny(films), tmp_path_factory.mktemp("unbroken"), 1)


def test_a_run_learns_and_evaluates(unbroken):
    assert np.isfinite(losses(unbroken)).all() and len(losses(unbroken)) == STEPS
    saved, variables = release.load(unbroken)
    assert saved["method"]["mode"] == "nearest" and set(variables) == {"params"}
    assert (unbroken / "evaluations" / f"gap-{STEPS}.json").exists()


def test_resume_is_exact_to_the_last_bit_with_the_queue(films, unbroken, tmp_path):
    config = tiny(films)
    resumed = run(config, back_to(unbroken, tmp_path, 3), 1)
    assert losses(resumed) == losses(unbroken)
    old, new = (state_of(config, workdir, STEPS, 1) for workdir in (unbroken, resumed))
    chex.assert_trees_all_equal(new, old)
    assert new.aux["queue"]["next"] == STEPS % 4


@pytest.mark.long
def test_eight_devices_go_on_with_one(films, unbroken, tmp_path):
    """Divided parameters and the queue are those of one device, and come back whole on it."""
    config = tiny(films, fsdp=True)
    with config.unlocked():
        config.evals = {}
    several = run(config, tmp_path / "several", 8)
    np.testing.assert_allclose(losses(several), losses(unbroken), rtol=2e-4)
    saved = [state_of(config, several, 3, devices) for devices in (1, 8)]
    chex.assert_trees_all_equal(*saved)
    alone = state_of(tiny(films), unbroken, 3, 1)
    chex.assert_trees_all_close(saved[0].aux, alone.aux, rtol=1e-3, atol=1e-3)
    resumed = run(config, back_to(several, tmp_path / "resumed", 3), 1)
    np.testing.assert_allclose(losses(resumed), losses(unbroken), rtol=2e-4)
    old, new = (state_of(config, workdir, STEPS, 1).aux["queue"] for workdir in (several, resumed))
    for name in ("film", "shot", "next"):
        np.testing.assert_array_equal(new[name], old[name])
    chex.assert_trees_all_close(new["vectors"], old["vectors"], atol=1e-3)


@pytest.mark.long
def test_a_run_goes_on_from_released_weights_with_both_encoders(films, unbroken, tmp_path):
    config = tiny(films, init_from=str(unbroken), total_steps=1, **{"method.momentum": 1.0})
    config.checkpoint_steps = 1
    with config.unlocked():
        config.evals = {}
    run(config, tmp_path, 1)
    key = state_of(config, tmp_path, 1, 1).aux["key"]["params"]
    chex.assert_trees_all_equal(key, release.load(unbroken)[1]["params"])


@pytest.mark.long
def test_a_boundary_head_on_the_frozen_encoder(films, unbroken, tmp_path):
    config = load("boundary", "mlp")
    with config.unlocked():
        config.inputs.feature = (WIDTH,)
        config.model.encoder = tiny(films).model.encoder
        config.model.head.update(dict(before=2, after=2, hidden=(8,)))
        config.evals.borders = dict(kind="borders", films=dict(config.data.films))
    given = {"data.films.main.path": str(films), "batch_size": 8, "total_steps": 2}
    config.update_from_flattened_dict(given | {"init_from": str(unbroken)})
    config.init_fresh = ("head/", "projection/")
    config.optimizer.rules = (("encoder/.*", None), (".*", 1.0))
    run(config, tmp_path, 1)
    params = release.load(tmp_path)[1]["params"]
    assert set(params) == {"encoder", "head"}
    chex.assert_trees_all_equal(params["encoder"], release.load(unbroken)[1]["params"]["encoder"])
    assert (tmp_path / "evaluations" / "borders-2.json").exists()
