"""Placement of a network on devices, and sharding of its rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vujax.models import inference
from vujax.models.inference import ShardedFunction, build_weight_mesh


def test_all_devices_have_small_networks() -> None:
    assert build_weight_mesh({"w": jnp.zeros(4)}).size == jax.local_device_count() == 8
    assert build_weight_mesh({}).size == 8


@pytest.mark.parametrize(("copies", "used"), [(8 * 400, 8), (1300, 3), (799, 1), (1, 1)])
def test_large_networks_have_fewer_copies_on_a_cpu(
    copies: int, used: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "MAX_COPIES_BYTES", copies)
    assert build_weight_mesh({"w": jnp.zeros(50), "v": jnp.zeros(50)}).size == used


@pytest.mark.parametrize("copies", [1, 1 << 30])
@pytest.mark.parametrize("rows", [1, 8, 13])
def test_rows_are_as_without(copies: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "MAX_COPIES_BYTES", copies)
    rng = np.random.default_rng(0)
    w, x = rng.normal(size=(3, 4)).astype(np.float32), rng.normal(size=(rows, 3))
    network = ShardedFunction(lambda w, x: jnp.tanh(x @ w), w)
    assert network.devices == (1 if copies == 1 else 8)
    found = network(x.astype(np.float32))
    np.testing.assert_allclose(found, np.tanh(x @ w), atol=1e-6)
