"""Every named experiment's full config, and one training step's metrics, as recorded files.

After an intended change: `python -m tests.test_golden` writes the files again for review.
"""

import inspect
import json
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

from tests.configs import load
from tests.methods.test_distill import CONTROLS, config_of, host_batch
from tests.test_optim import tower
from vujax import optim
from vujax.data import registry
from vujax.training import setup
from vujax.training.config import to_plain_dict
from vujax.utils.mesh import make_global_batch, make_mesh

FOLDER = Path(__file__).parent / "golden"
ARGUMENTS = {
    "distill": ("cinema", "features", "small", "vit_b32", "vit_l14", "rn50"),
    "movies2scenes": ("cinema", "movieclip", "catalog", "pod"),
    "shotcol": ("cinema", "sound", "both", "features", "movienet"),
    "boundary": ("cinema", "similarity", "mlp", "transformer"),
    "caption": ("cinema", "pairs", "vectors"),
}
STEPS = ("clip", "swapped_rows", "psd")  # the first two are those of configs before dropout
EXPERIMENTS = [(file, arg) for file, args in ARGUMENTS.items() for arg in args]


def path_of(name: str) -> Path:
    return FOLDER / f"{name}.json"


def metrics_of(control: str) -> dict[str, float]:
    """Return the metrics of the first step of a tiny model on one device."""
    mesh = make_mesh(jax.devices()[:1])
    parts = setup.build_parts(config_of(CONTROLS[control]), mesh)
    _, metrics = parts.step(
        setup.create_state(parts, seed=0), make_global_batch(mesh, host_batch())
    )
    return {name: float(value) for name, value in sorted(metrics.items())}


def losses_of(optimizer: str) -> list[float]:
    """Return the losses of five steps towards 0 from the parameters of a tiny tower."""
    params = tower()
    transform = optim.build_optimizer(params, optax.constant_schedule(0.02), name=optimizer)
    state, losses = transform.init(params), []
    loss = jax.jit(jax.value_and_grad(lambda tree: optax.tree.norm(tree, squared=True)))
    for _ in range(5):
        value, grads = loss(params)
        updates, state = transform.update(grads, state, params)
        params = optax.apply_updates(params, updates)
        losses.append(float(value))
    return losses


@pytest.mark.parametrize("name", optim.OPTIMIZERS)
def test_optimizers(name):
    recorded = json.loads(path_of("optimizers").read_text())
    np.testing.assert_allclose(losses_of(name), recorded[name], rtol=1e-4)
    assert recorded[name][-1] < recorded[name][0] and recorded.keys() == optim.OPTIMIZERS.keys()


@pytest.mark.parametrize(("file", "arg"), EXPERIMENTS)
def test_configs(file, arg):
    assert to_plain_dict(load(file, arg)) == json.loads(path_of(f"{file}-{arg}").read_text())


@pytest.mark.parametrize(("file", "arg"), EXPERIMENTS)
def test_options_of_data_are_those_of_their_kind(file, arg):
    config = load(file, arg)
    sets = [config.data, *config.evals.values()]
    named = [(registry.FILMS, one) for each in sets for one in each.get("films", {}).values()]
    if file == "movies2scenes":
        named = [(registry.SCENES, config.data.scenes), (registry.TABLES, config.data.tables)]
    assert named or file in ("distill", "caption")
    for kinds, options in named:
        common = ("kind", "ratings", *registry.SCENE_OPTIONS)
        given = {key: value for key, value in options.items() if key not in common}
        inspect.signature(kinds.load(options.kind)).bind(**given)


@pytest.mark.parametrize("control", STEPS)
def test_first_step(control):
    recorded = json.loads(path_of(f"step-{control}").read_text())
    metrics = metrics_of(control)
    assert metrics.keys() == recorded.keys()
    for name, value in recorded.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-3, atol=1e-5, err_msg=name)


@pytest.mark.long
def test_every_experiment_builds_without_data(mesh8):
    for file, arg in EXPERIMENTS:
        config = load(file, arg)
        with config.unlocked():
            config.total_epochs = None
            config.total_steps = 10_000
        parts = setup.build_parts(config, mesh8)
        assert parts.total_steps == 10_000
        if file != "distill":  # shard_map checks what varies over the devices when it traces
            traced = parts.step.trace(parts.state, setup.build_abstract_batch(config, mesh8))
            assert {"loss", "grad_norm"} < set(traced.out_info[1])


def record() -> None:
    FOLDER.mkdir(exist_ok=True)
    for file, arg in EXPERIMENTS:
        text = json.dumps(to_plain_dict(load(file, arg)), indent=1, sort_keys=True)
        path_of(f"{file}-{arg}").write_text(text + "\n")
    losses = {name: losses_of(name) for name in optim.OPTIMIZERS}
    path_of("optimizers").write_text(json.dumps(losses, indent=1) + "\n")
    for control in STEPS:
        text = json.dumps(metrics_of(control), indent=1, sort_keys=True)
        path_of(f"step-{control}").write_text(text + "\n")


if __name__ == "__main__":
    record()
