"""Boundary heads: shapes, masks, symmetry, sizes, and options."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from vujax.data.shot_similarity import compute_local_similarity
from vujax.models import boundary

SMALL = {
    "mlp": dict(kind="mlp", before=3, after=2, hidden=(8,)),
    "transformer": dict(
        kind="transformer", before=3, after=2, width=16, layers=2, heads=2, hidden=32
    ),
}


def shots(rows: int = 4, window: int = 5, width: int = 6) -> dict[str, jax.Array]:
    vectors = jax.random.normal(jax.random.key(0), (rows, window, width))
    mask = jnp.ones((rows, window), bool).at[0, 0].set(False).at[1, 4].set(False)
    return {"vectors": vectors, "mask": mask}


@pytest.mark.parametrize("kind", SMALL)
def test_shots_past_the_end_and_lengths_do_not_count(kind):
    head, inputs = boundary.build_boundary_head(**SMALL[kind]), shots()
    variables = jax.jit(head.init)(jax.random.key(1), **inputs)
    apply, mask = jax.jit(head.apply), inputs["mask"]
    logits = apply(variables, **inputs)
    chex.assert_shape(logits, (4,))
    other = inputs["vectors"].at[0, 0].set(100.0).at[1, 4].set(-7.0) * 1000
    chex.assert_trees_all_close(apply(variables, vectors=other, mask=mask), logits, rtol=1e-4)
    inside = inputs["vectors"].at[2, 1].set(100.0)
    assert abs(apply(variables, vectors=inside, mask=mask) - logits)[2] > 1e-4
    whole = apply(variables, vectors=inputs["vectors"], mask=jnp.ones((4, 5), bool))
    assert (abs(whole - logits) > 1e-5).tolist() == [True, True, False, False]


@pytest.mark.parametrize("kind", SMALL)
def test_dropout_is_for_training_only(kind):
    head, inputs = boundary.build_boundary_head(**SMALL[kind]), shots()
    variables = jax.jit(head.init)(jax.random.key(1), **inputs)
    noisy = jax.jit(lambda key: head.apply(variables, **inputs, train=True, rngs={"dropout": key}))
    assert (abs(noisy(jax.random.key(0)) - noisy(jax.random.key(1))) > 1e-5).all()


def test_default_transformer_has_bassl_sizes():
    head = boundary.build_boundary_head(kind="transformer")
    inputs = {"vectors": jnp.zeros((1, 17, 2048)), "mask": jnp.ones((1, 17), bool)}
    params = jax.eval_shape(head.init, jax.random.key(0), **inputs)["params"]
    shapes = jax.tree.map(jnp.shape, params)
    assert shapes["project"]["kernel"] == (2048, 768)
    assert shapes["position"] == (17, 768)
    assert shapes["attn1"]["query"]["kernel"] == (768, 8, 96)
    assert shapes["fc1_1"]["kernel"] == (768, 3072)
    assert "attn2" not in shapes


def similarity_rows(vectors: np.ndarray, seconds: np.ndarray) -> dict[str, np.ndarray]:
    return compute_local_similarity(vectors, seconds, 3).rows(np.arange(len(vectors) - 1))


def test_a_film_told_backwards_has_the_same_borders():
    rng = np.random.default_rng(0)
    vectors, ends = rng.normal(size=(9, 4)), rng.random(9).cumsum()
    seconds = np.stack([np.append(0, ends[:-1]), ends], axis=1)
    head = boundary.build_boundary_head(kind="similarity", reach=3, hidden=(8,))
    rows = similarity_rows(vectors, seconds)
    variables = head.init(jax.random.key(0), **rows)
    backwards = similarity_rows(vectors[::-1], ends[-1] - seconds[::-1, ::-1])
    logits = head.apply(variables, **rows)
    assert np.ptp(logits) > 1e-3
    chex.assert_trees_all_close(
        head.apply(variables, **backwards), logits[::-1], rtol=1e-3, atol=1e-5
    )


def test_blocks_by_hand():
    similarity = jnp.arange(16.0).reshape(1, 4, 4)
    similarity = similarity + similarity.swapaxes(1, 2)  # [a b] = 5 (a + b)
    full = boundary.compute_block_statistics(similarity, jnp.ones((1, 4), bool))[0]
    cross = [10.0, 15.0, 15.0, 20.0]  # shots 0 and 1 with 2 and 3
    want = [15.0, 15.0, np.mean(cross), 20.0, 5.0, 25.0]
    np.testing.assert_allclose(full, want)
    edge = boundary.compute_block_statistics(similarity, jnp.array([[False, True, True, True]]))[0]
    np.testing.assert_allclose(edge, [15.0, 15.0, 17.5, 20.0, 0.0, 25.0])


def test_the_similarity_head_is_small():
    head = boundary.build_boundary_head(kind="similarity")
    w = 2 * head.reach
    rows = (jnp.zeros((1, w, w)), jnp.zeros((1, w)), jnp.ones((1, w), bool))
    params = jax.eval_shape(head.init, jax.random.key(0), *rows)
    assert 500 < sum(x.size for x in jax.tree.leaves(params)) < 3000


class Encoder(nn.Module):
    """Stands in for `vujax.models.shot_encoder`: a dense layer on 'feature'."""

    @nn.compact
    def __call__(self, inputs, *, train=False, axis_name=None):
        return nn.Dense(6)(inputs["feature"]), {"rows": inputs["feature"].shape[0]}


def test_an_encoder_sees_each_shot_of_each_window():
    model = boundary.BoundaryModel(Encoder(), boundary.build_boundary_head(**SMALL["mlp"]))
    batch = {"feature": shots(width=7)["vectors"], "mask": shots()["mask"]}
    batch |= {"label": jnp.zeros(4), "index": jnp.arange(4)}
    variables = model.init(jax.random.key(0), batch)
    assert set(variables["params"]) == {"encoder", "head"}
    logits, out = model.apply(variables, batch)
    assert (logits.shape, out) == ((4,), {"rows": 20})
    vectors = batch["feature"] @ variables["params"]["encoder"]["Dense_0"]["kernel"]
    want = model.head.apply({"params": variables["params"]["head"]}, vectors, batch["mask"])
    chex.assert_trees_all_close(logits, want, rtol=1e-5)
    assert model.window == {"before": 3, "after": 2}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (dict(head=dict(kind="mpl")), "unknown model.head.kind 'mpl'"),
        (dict(head=dict(kind="mlp", reach=3)), "unknown option model.head.reach"),
        (dict(head=dict(kind="mlp", before=0)), "model.head.before must be at least 1"),
        (dict(head=dict(kind="transformer", width=10)), "10 must be a multiple of .*heads 8"),
        (dict(heads={}), "unknown option model.heads"),
        (dict(head=dict(kind="similarity"), encoder=dict(kind="vit")), "remove model.encoder"),
    ],
)
def test_bad_options(config, words):
    with pytest.raises(ValueError, match=words):
        boundary.build_boundary_model(**config)
