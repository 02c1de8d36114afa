"""Releases of every family applied eagerly, as jax arrays and as numpy arrays."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import chex
import jax
import numpy as np
import pytest

from tests.models.small import RESNET, TEXT, VIT, batch, variables
from vujax.models import build_clip, release
from vujax.models.boundary import build_boundary_model
from vujax.models.caption import build_caption_model
from vujax.models.scene_encoder import build_scene_encoder
from vujax.models.shot_encoder import build_shot_encoder

CLIPS = {
    "class token": dict(image=VIT),
    "mean and scan": dict(image=VIT | dict(pool="mean"), scan=True),
    "bfloat16": dict(image=VIT, dtype="bfloat16"),
    "imported CLIP": dict(image=VIT | dict(hidden=64), act="quick_gelu", epsilon=1e-6),
    "SigLIP": dict(
        image=VIT | dict(stem="plain", pool="attention"),
        text=TEXT | dict(causal=False, pool="last", bias=True),
        embed_dim=VIT["width"],
        act="gelu_tanh",
        bias=True,
        max_scale=None,
    ),
    "ResNet": dict(image=RESNET),
}
SMALL_VIT = dict(encoder="vit", variant="Mu/8", width=16, layers=1, heads=2, image_size=16)
SHOTS = {
    "ResNet": dict(
        image=dict(encoder="resnet", variant="Mu", pool="stack", frames=2, image_size=32)
    ),
    "ViT": dict(image=SMALL_VIT | dict(pool="attention")),
    "sound and features": dict(audio=dict(widths=(4, 8)), feature=dict(dim=4), projection=(8,)),
}
HEADS = {
    "mlp": dict(before=2, after=2, hidden=(8,)),
    "transformer": dict(before=2, after=2, width=16, layers=1, heads=2, hidden=16),
    "similarity": dict(reach=2),
}


def reload(folder: Path, settings: dict[str, Any], weights: Any) -> list[tuple[dict, Any]]:
    release.save(folder, {"model": settings}, jax.tree.map(np.asarray, weights))
    loaded = [release.load(folder), release.load_host(folder)]
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(loaded[0][1]))
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(loaded[1][1]))
    return loaded


def check(folder: Path, settings: dict, build: Callable, *inputs: Any, **keywords: Any) -> None:
    """Compare eager `apply` on the loaded variables with that on the first ones."""
    model = build(**settings)
    weights = variables(model, *inputs, **keywords)
    expected, _ = model.apply(weights, *inputs, **keywords)
    for config, loaded in reload(folder, settings, weights):
        found, _ = build(**config["model"]).apply(loaded, *inputs, **keywords)
        chex.assert_trees_all_close(found, expected, rtol=1e-5, atol=1e-5)


# The others differ from these in settings, not in how their arrays are read.
FIRST = ("class token", "SigLIP", "ResNet")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in FIRST else pytest.mark.long) for n in CLIPS]
)
def test_image_text_models(name: str, tmp_path: Path) -> None:
    settings = dict(text=TEXT, embed_dim=24) | CLIPS[name]
    images, tokens = batch(2, settings["image"]["image_size"])
    model = build_clip(**settings)
    weights = variables(model, images, tokens)
    for config, loaded in reload(tmp_path, settings, weights):
        model = build_clip(**config["model"])
        for method, inputs in {"encode_image": images, "encode_text": tokens}.items():
            expected, _ = model.apply(weights, inputs, method=method)
            found, _ = model.apply(loaded, inputs, method=method)
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
            np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("name", SHOTS)
def test_shot_encoders(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    size = SHOTS[name].get("image", {}).get("image_size", 16)
    inputs = {
        "image": rng.integers(0, 256, (2, 2, size, size, 3)).astype(np.uint8),
        "audio": rng.normal(size=(2, 8, 64)).astype(np.float32),
        "feature": rng.normal(size=(2, 6)).astype(np.float32),
    }
    check(tmp_path, SHOTS[name], build_shot_encoder, inputs)


@pytest.mark.parametrize(
    "settings",
    [dict(pool="mean", scan=True), dict(encoder=dict(image=SMALL_VIT))],
    ids=["mean and scan", "class token over keyframes"],
)
def test_scene_encoders(settings: dict, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = {
        "feature": rng.normal(size=(1, 4, 6)).astype(np.float32),
        "image": rng.integers(0, 256, (1, 4, 2, 16, 16, 3)).astype(np.uint8),
        "segment": np.array([[1, 1, 2, 0]]),
        "place": np.array([[0, 1, 0, 0]]),
        "time": np.array([[0.0, 3.0, 0.0, 0.0]], np.float32),
        "scene": np.array([[0, 1]]),
    }
    sizes = dict(variant="tiny", width=16, layers=2, heads=2, dim=8, max_shots=4)
    check(tmp_path, sizes | settings, build_scene_encoder, rows)


@pytest.mark.parametrize("kind", HEADS)
def test_boundary_models(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    inputs = {
        "feature": rng.normal(size=(3, 4, 6)).astype(np.float32),
        "similarity": rng.normal(size=(3, 4, 4)).astype(np.float32),
        "duration": rng.normal(size=(3, 4)).astype(np.float32),
        "mask": np.ones((3, 4), bool),
    }
    check(tmp_path, dict(head=dict(kind=kind) | HEADS[kind]), build_boundary_model, inputs)


def test_caption_decoders(tmp_path: Path) -> None:
    settings = dict(dim=6, vocab=20, context=4, prefix=2, width=8, layers=1, heads=2)
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(2, 6)).astype(np.float32)
    tokens = rng.integers(0, 20, (2, 4)).astype(np.int32)
    check(tmp_path, settings, build_caption_model, embeddings, tokens)
