"""Audio network: any length from the minimum on, and errors for inputs that do not fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.models.small import variables
from vujax.models.audio import SIZES, AudioNet

SOUND = np.random.default_rng(0).normal(size=(3, 12, 16)).astype(np.float32)


def net(**options):
    return AudioNet(**dict(widths=(4, 16), mels=16) | options)


@pytest.fixture(scope="module")
def weights():
    return variables(net(), SOUND)


@pytest.mark.parametrize(("size", "frames"), [("small", 8), ("small", 1001), ("large", 100)])
def test_sizes(size, frames):
    audio = AudioNet(widths=SIZES[size])
    sound = jax.ShapeDtypeStruct((2, frames, 64), jnp.float32)
    (features, out), _ = jax.eval_shape(audio.init_with_output, jax.random.key(0), sound)
    assert (features.shape, features.dtype) == ((2, audio.dim), jnp.float32)
    last = out[f"pair{len(SIZES[size])}"]
    assert last.shape == (2, frames // audio.min_frames, 64 // audio.min_frames, audio.dim)


def test_features_are_mean_and_maximum_over_time(weights):
    features, out = jax.jit(net().apply)(weights, SOUND)
    by_time = np.asarray(out["pair2"]).mean(axis=2)
    np.testing.assert_allclose(features, by_time.mean(1) + by_time.max(1), atol=1e-6)


def test_evaluation_sees_no_other_sound(weights):
    evaluate = jax.jit(lambda w, x: net().apply(w, x)[0])
    padded = np.concatenate([SOUND[:1], np.full_like(SOUND[:2], 99)])
    whole = evaluate(weights, SOUND)
    np.testing.assert_array_equal(evaluate(weights, padded)[0], whole[0])
    assert np.abs(whole[0] - whole[1]).max() > 1e-3


def test_training_updates_the_statistics_of_each_band(weights):
    train = lambda w, x: net().apply(w, x, train=True, mutable=["batch_stats"])[1]  # noqa: E731
    new = jax.jit(train)(weights, SOUND)["batch_stats"]["bands"]["bn"]["mean"]
    old = weights["batch_stats"]["bands"]["bn"]["mean"]
    np.testing.assert_allclose(new, 0.9 * old + 0.1 * SOUND.mean((0, 1)), atol=1e-6)


def test_with_group_norm_the_level_does_not_matter(weights):
    shift = {}
    for norm in ("sync", "group"):
        evaluate = jax.jit(lambda w, x, norm=norm: net(norm=norm).apply(w, x)[0])
        shift[norm] = np.abs(evaluate(weights, SOUND + 3) - evaluate(weights, SOUND)).max()
    assert shift["group"] < 1e-4 < 1e-2 < shift["sync"]


def test_bfloat16_is_close(weights):
    exact, _ = jax.jit(net().apply)(weights, SOUND)
    half, out = jax.jit(net(dtype=jnp.bfloat16).apply)(weights, SOUND)
    assert (half.dtype, out["pair2"].dtype) == (jnp.float32, jnp.bfloat16)
    np.testing.assert_allclose(half, exact, atol=0.05 * np.abs(exact).max())


@pytest.mark.parametrize("shape", [(2, 3, 16), (2, 12, 20), (12, 16)])
def test_what_does_not_fit_gets_one_sentence(shape):
    with pytest.raises(ValueError, match=r"does not fit .* \[n t 16\] with t at least 4: check"):
        jax.eval_shape(net().init, jax.random.key(0), jax.ShapeDtypeStruct(shape, jnp.float32))
