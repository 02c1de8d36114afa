"""Statistics of soft targets against dense ones, on one device and on eight."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from tests.losses.cases import embeddings
from vujax.losses import alignment_stats, reference


def expected(image, text, scale: float, temperature: float, rows: int) -> dict[str, jax.Array]:
    targets = reference.soft_targets(scale * image @ text.T / temperature, "swapped_rows")
    entropies = [-(t * np.log(t)).sum(1)[:rows].mean() for t in targets]
    own = [jnp.diagonal(t)[:rows].mean() for t in targets]
    return {"target_entropy": sum(entropies) / 2, "target_diagonal": sum(own) / 2}


@pytest.mark.parametrize("rows", [1, 10, 64, 200])
def test_is_what_the_soft_targets_say(rows: int):
    image, text = embeddings(64, 16)
    stats = alignment_stats(image, text, 10.0, rows=rows)
    chex.assert_trees_all_close(stats, expected(image, text, 10.0, 1.0, rows), rtol=1e-5)
    teacher = embeddings(64, 16, seed=1)
    stats = alignment_stats(image, text, 10.0, teacher=teacher, teacher_temperature=0.5, rows=rows)
    chex.assert_trees_all_close(stats, expected(*teacher, 10.0, 0.5, rows), rtol=1e-5)


def test_is_the_same_to_the_last_bit_on_eight_devices(mesh1, mesh8):
    arguments = (*embeddings(64, 16), embeddings(64, 16, seed=1))

    def share(image, text, teacher):
        return alignment_stats(image, text, 20.0, teacher=teacher, rows=20, axis_name="data")

    one, eight = (
        jax.jit(jax.shard_map(share, mesh=m, in_specs=P("data"), out_specs=P()))(*arguments)
        for m in (mesh1, mesh8)
    )
    chex.assert_trees_all_equal(one, eight)
    chex.assert_trees_all_close(one, expected(*arguments[2], 20.0, 1.0, 20), rtol=1e-5)


def test_ends_of_the_scale():
    image, _ = embeddings(64, 16)
    sharp = alignment_stats(image, image, 100.0, teacher_temperature=0.01)
    chex.assert_trees_all_close(sharp, {"target_entropy": 0.0, "target_diagonal": 1.0}, atol=1e-6)
    same = np.repeat(image[:1], 64, axis=0)
    uniform = {"target_entropy": np.log(64), "target_diagonal": 1 / 64}
    chex.assert_trees_all_close(alignment_stats(same, same, 100.0), uniform, rtol=1e-6)


def test_no_gradient_flows():
    image, text = embeddings(16, 8)
    gradient = jax.grad(lambda i, s: alignment_stats(i, text, s)["target_entropy"], (0, 1))
    chex.assert_trees_all_equal(gradient(image, 20.0), (np.zeros((16, 8), np.float32), 0.0))
