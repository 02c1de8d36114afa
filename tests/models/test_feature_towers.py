"""Towers on frozen embeddings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from vujax.models.feature_towers import Center, build_feature_towers, select_tower

SMALL = dict(image_dim=6, text_dim=4, hidden=8, embed_dim=3)


def inputs(rows: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return tuple(rng.normal(size=(rows, dim)).astype(np.float32) for dim in (6, 4))


def test_the_towers_and_the_scale():
    model, (image, text) = build_feature_towers(**SMALL), inputs()
    variables = model.init(jax.random.key(0), image, text)
    assert set(variables) == {"params", "batch_stats"}
    assert set(variables["params"]) == {"image", "text", "logit_scale"}
    found, out = model.apply(variables, image, text)
    assert found["image"].shape == found["text"].shape == (5, 3)
    np.testing.assert_allclose(np.linalg.norm(found["text"], axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(found["scale"], 1 / 0.07, rtol=1e-5)
    assert out["image"]["hidden"].shape == (5, 8)
    alone, _ = model.apply(variables, image, method="encode_image")
    np.testing.assert_allclose(alone, found["image"], rtol=1e-6)


def test_an_encoders_scale_does_not_matter():
    model, (image, text) = build_feature_towers(**SMALL), inputs()
    variables = model.init(jax.random.key(0), image, text)
    a, _ = model.apply(variables, image, method="encode_image")
    b, _ = model.apply(variables, 100 * image + 7, method="encode_image")
    np.testing.assert_allclose(a, b, atol=1e-4)


def test_the_mean_of_all_training_rows_is_subtracted():
    center, rng = Center(), np.random.default_rng(0)
    variables, seen = center.init(jax.random.key(0), np.zeros((1, 3))), [np.zeros((0, 3))]
    for _ in range(3):
        rows = rng.normal(size=(5, 3)).astype(np.float32) + 4
        mean = np.concatenate([*seen, 0 * rows] if len(seen) == 1 else seen).mean(axis=0)
        found, variables = center.apply(variables, rows, train=True, mutable=["batch_stats"])
        np.testing.assert_allclose(found, rows - mean, atol=1e-5)
        seen.append(rows)
    mean = np.concatenate(seen).mean(axis=0)
    np.testing.assert_allclose(center.apply(variables, rows), rows - mean, atol=1e-5)


def test_one_side_is_selected():
    model, (image, text) = build_feature_towers(**SMALL), inputs()
    variables = model.init(jax.random.key(0), image, text)
    found = select_tower(variables, "text")
    assert set(found["params"]) == {"text", "logit_scale"} and set(found["batch_stats"]) == {"text"}
    alone, _ = model.apply(found, text, method="encode_text")
    np.testing.assert_allclose(alone, model.apply(variables, image, text)[0]["text"], rtol=1e-6)


class Halves:
    """Dropout of the even or the odd entries, by the number of places that were folded in."""

    def __init__(self, folded: int = 0) -> None:
        self.folded = folded

    def fold_in(self, number: int) -> "Halves":
        return Halves(self.folded + number)

    def apply(self, x: jax.Array) -> jax.Array:
        return jnp.where(jnp.arange(x.shape[-1]) % 2 == self.folded % 2, 2 * x, 0)


def test_dropout_falls_on_inputs_and_activations_of_both_towers():
    model, (image, text) = build_feature_towers(**SMALL), inputs()
    variables = model.init(jax.random.key(0), image, text)
    found, _ = model.apply(variables, image, text, dropout=Halves())
    for tower, rows in enumerate((image, text)):
        side = ("image", "text")[tower]
        weights = variables["params"][side]
        rows = (rows - rows.mean(1, keepdims=True)) / rows.std(1, keepdims=True)
        kept = 2 * rows * (np.arange(rows.shape[1]) % 2 == tower)
        hidden = nn.gelu(kept @ weights["in"]["kernel"], approximate=False)
        kept = 2 * hidden * (np.arange(8) % 2 == 1 - tower)
        expected = kept @ weights["out"]["kernel"]
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        np.testing.assert_allclose(found[side], expected, atol=1e-3)


def test_bad_settings_and_inputs():
    with pytest.raises(ValueError, match=r"unknown option model.width"):
        build_feature_towers(width=3)
    with pytest.raises(ValueError, match=r"model.hidden must be positive, got 0"):
        build_feature_towers(hidden=0)
    model, (image, text) = build_feature_towers(**SMALL), inputs()
    with pytest.raises(ValueError, match=r"shape \(5, 4\) do not fit this tower.*\[b 6\]"):
        model.init(jax.random.key(0), text, text)
    variables = model.init(jax.random.key(0), image, text)
    with pytest.raises(ValueError, match=r"takes \[b 4\]"):
        model.apply(variables, image, method="encode_text")
