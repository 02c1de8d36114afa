"""Properties of soft targets that the choice of PSD's settings rests on."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.losses.cases import embeddings
from vujax.losses import info_nce, reference, soft_alignment

N, D, SCALE, SHARE = 48, 16, 10.0, 0.8


def gradients(loss) -> np.ndarray:
    """Return the gradients of `loss(image, text)` by both, as one vector."""
    by_rows = jax.grad(lambda pair: loss(*pair))(embeddings(N, D, noise=1.0))
    return np.concatenate([np.ravel(g) for g in by_rows])


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def mixed(temperature: float):
    """Return the loss whose every row mixes SHARE of a plain target with the one-hot."""
    options = dict(target="plain", soft_weight=SHARE, teacher_temperature=temperature)
    return lambda i, t: soft_alignment(i, t, SCALE, np.ones(N, bool), **options)


def test_plain_targets_by_oneself_at_temperature_1_shorten_the_gradient_of_clip():
    clip = gradients(lambda i, t: info_nce(i, t, SCALE))
    psd = gradients(mixed(1.0))
    chex.assert_trees_all_close(psd, (1 - SHARE) * clip, atol=1e-5 * np.abs(clip).max())


def test_plain_targets_near_temperature_1_lower_the_entropy():
    def entropy(image, text):
        logits = reference.scaled_similarity(image, text, SCALE)
        logs = [jax.nn.log_softmax(x, axis=1) for x in (logits, logits.T)]
        return -sum((jnp.exp(x) * x).sum(1).mean() for x in logs) / 2

    def beyond_clip(temperature: float) -> np.ndarray:
        return gradients(mixed(temperature)) - gradients(mixed(1.0))

    expected = SHARE * gradients(entropy)
    near = beyond_clip(0.98)
    assert cosine(near, expected) > 0.999
    assert np.linalg.norm(near) / np.linalg.norm(expected) == pytest.approx(1 / 0.98 - 1, rel=0.05)
    assert cosine(beyond_clip(0.5), expected) < cosine(near, expected)


def test_swapped_rows_carry_a_wrong_caption_on_and_own_columns_do_not():
    # Six pairs of each of two types; the network knows the types, and pair 0's caption is wrong.
    image_types = np.repeat([0, 1], 6)
    text_types = image_types.copy()
    text_types[0] = 1
    logits = 3.0 * (image_types[:, None] == text_types)
    row = {t: soft_target_of_image_0(logits, t) for t in ("plain", "swapped_rows", "own_columns")}
    right = {target: mass[text_types == 0].sum() for target, mass in row.items()}
    assert right["swapped_rows"] < 0.25 < 0.9 < min(right["plain"], right["own_columns"])
    # Where the wrong pair is half memorized, five images compete for its caption.
    logits[0, 0] = 4.0
    plain, own = (soft_target_of_image_0(logits, t)[0] for t in ("plain", "own_columns"))
    assert own < 0.8 * plain


def soft_target_of_image_0(logits: np.ndarray, target: str) -> np.ndarray:
    return np.asarray(reference.soft_targets(jnp.asarray(logits), target)[0][0])
