"""Checkpoints: retention, restoring on other devices, and errors."""

import chex
import jax
import jax.numpy as jnp
import optax
import pytest

from tests.toy import Toy
from vujax.training.checkpoint import Checkpoints, to_abstract
from vujax.training.step import State, compute_shardings
from vujax.utils.mesh import make_mesh, replicated_sharding


def state(step=0, width=8):
    params = {"a": {"kernel": jnp.arange(16.0 * width).reshape(16, width)}, "s": jnp.ones(())}
    optimizer = optax.partition(
        {"learn": optax.adam(1e-3), "frozen": optax.set_to_zero()},
        {"a": {"kernel": "learn"}, "s": "frozen"},
    )
    return State(jnp.asarray(step, jnp.int32), params, optimizer.init(params), {}, None)


@pytest.fixture
def saved(tmp_path, mesh8):
    checkpoints = Checkpoints(tmp_path, keep_last=2, keep_every=100)
    for step in (1, 100, 150, 160, 170):
        checkpoints.save(step, jax.device_put(state(step), replicated_sharding(mesh8)))
    checkpoints.close()
    return tmp_path


def test_keeps_the_last_and_the_round_steps(saved):
    assert sorted(int(p.name) for p in saved.iterdir()) == [100, 160, 170]


def test_restores_on_another_device_count(saved):
    mesh4 = make_mesh(jax.devices()[:4])
    like = to_abstract(state(), compute_shardings(Toy(), state(), mesh4, fsdp=True))
    back = Checkpoints(saved).restore(like)
    chex.assert_trees_all_equal(jax.device_get(back), jax.device_get(state(170)))
    assert back.params["a"]["kernel"].sharding.num_devices == 4
    assert jax.tree.structure(back) == jax.tree.structure(state())


def test_restores_a_named_step(saved, mesh1):
    assert (
        Checkpoints(saved).restore(to_abstract(state(), replicated_sharding(mesh1)), 100).step
        == 100
    )


def test_other_shapes_are_one_sentence(saved, mesh1):
    with pytest.raises(ValueError, match=r"'params/a/kernel' of shape \(16, 8\), .* \(16, 9\)"):
        Checkpoints(saved).restore(to_abstract(state(width=9), replicated_sharding(mesh1)))


def test_other_names_are_one_sentence(saved, mesh1):
    more = state().replace(aux={"queue": jnp.ones(3)})
    with pytest.raises(ValueError, match="has no 'extra/queue'"):
        Checkpoints(saved).restore(to_abstract(more, replicated_sharding(mesh1)))
    fewer = state().replace(params={"a": state().params["a"]})
    with pytest.raises(ValueError, match="holds 'params/s', which this config does not have"):
        Checkpoints(saved).restore(to_abstract(fewer, replicated_sharding(mesh1)))


def test_nothing_to_restore(tmp_path, mesh1):
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.latest_step() is None
    with pytest.raises(FileNotFoundError, match="no checkpoint in"):
        checkpoints.restore(to_abstract(state(), replicated_sharding(mesh1)))


def damage(folder, name):
    """Cut the newest checkpoint's file of a name, or its largest one, in half."""
    files = [path for path in (folder / "170").rglob("*") if path.is_file()]
    file = max((f for f in files if name in f.name), key=lambda f: f.stat().st_size)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize("name", ["", "_METADATA", "manifest.ocdbt", "_sharding"])
def test_a_damaged_checkpoint_is_named_with_the_one_before(saved, mesh1, name, capsys):
    damage(saved, name)
    target = to_abstract(state(), replicated_sharding(mesh1))
    words = r"checkpoint .*/170 is damaged \(.*; copy it again, or go on from step 160"
    with pytest.raises(ValueError, match=words):
        Checkpoints(saved).restore(target)
    checkpoints = Checkpoints(saved)
    chex.assert_trees_all_equal(
        jax.device_get(checkpoints.restore(target, fallback=True)), jax.device_get(state(160))
    )
    assert "170 is damaged" in capsys.readouterr().out
    assert (saved.with_name(f"{saved.name}-damaged") / "170").is_dir()
    assert checkpoints.latest_step() == 160
    checkpoints.save(170, jax.device_put(state(170), replicated_sharding(mesh1)))
    checkpoints.close()
    assert Checkpoints(saved).restore(target).step == 170


def test_the_only_checkpoint_is_damaged(tmp_path, mesh1):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(170, jax.device_put(state(170), replicated_sharding(mesh1)))
    checkpoints.close()
    damage(tmp_path, "")
    target = to_abstract(state(), replicated_sharding(mesh1))
    with pytest.raises(ValueError, match=r"is damaged .*there is no older one: copy it again"):
        Checkpoints(tmp_path).restore(target, fallback=True)
