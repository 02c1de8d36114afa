"""Untrained releases of small models, of each kind that has an encoder."""

import math
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vujax import models
from vujax.data.scene_batches import batch_spec
from vujax.models import release
from vujax.models.projection import ContrastModel, Projection
from vujax.models.scene_encoder import build_scene_encoder
from vujax.models.shot_encoder import build_shot_encoder

SIZE, FRAMES, MOST = 32, 3, 4
IMAGE_TEXT = dict(
    image=dict(variant="Mu/16", image_size=SIZE, layers=1),
    text=dict(width=32, layers=1, heads=2, context=8, vocab=64),
    embed_dim=8,
)
RESNET = dict(encoder="resnet", variant="RN18", blocks=[1, 1, 1, 1], width=4, image_size=SIZE)
STACK = dict(image=RESNET | dict(pool="stack", frames=FRAMES))
SCENE = dict(variant="tiny", layers=1, dim=12, max_shots=MOST)
SEEN = dict(image=[FRAMES, SIZE, SIZE, 3])


def drawn(model: Any, seed: int, *inputs: Any) -> Any:
    """Variables of a model, at random: what `init` gives takes longer."""
    rng = np.random.default_rng(seed)

    def draw(leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        scale = max(math.prod(leaf.shape[:-1]), 4) ** -0.5
        return rng.normal(0, scale, leaf.shape).astype(np.float32)

    drawn = jax.tree.map(draw, jax.eval_shape(model.init, jax.random.key(0), *inputs))
    statistics = jax.tree.map(lambda x: 0.5 + np.abs(x), drawn.get("batch_stats", {}))
    return drawn | ({"batch_stats": statistics} if statistics else {})


def image_text(
    folder: Path, seed: int = 0, settings: dict[str, Any] = IMAGE_TEXT, **more: Any
) -> tuple[Any, Any]:
    """An image-text model; `(module, variables)`."""
    model = models.build_clip(**settings)
    empty = np.zeros((1, SIZE, SIZE, 3), np.uint8), np.zeros((1, 8), np.int32)
    variables = drawn(model, seed, *empty)
    config = dict(model=settings, method=dict(name="distill"), step=1)
    release.save(folder, config | more, variables)
    return model, variables


def shotcol(folder: Path, **more: Any) -> tuple[Any, Any]:
    """A shot encoder with its projection; `(module, variables)`."""
    model = ContrastModel(build_shot_encoder(**STACK), Projection((8,)))
    empty = {"image": np.zeros((1, *SEEN["image"]), np.uint8)}
    variables = drawn(model, 0, empty)
    config = dict(model=dict(encoder=STACK, projection=[8]), method=dict(name="shotcol"))
    release.save(folder, config | dict(inputs=SEEN) | more, variables)
    return model, variables


def scene_model(folder: Path, feature: int | None = None, **more: Any) -> tuple[Any, Any]:
    """A scene encoder, of keyframes or of vectors of `stub`; `(module, variables)`.

    The variables are the scene encoder's own; the release has them under 'encoder'.
    """
    settings = SCENE if feature else SCENE | dict(encoder=STACK)
    inputs = dict(feature=[feature]) if feature else SEEN
    model = build_scene_encoder(**settings)
    seen = batch_spec({k: tuple(v) for k, v in inputs.items()}, 1, width=MOST, most=MOST)
    empty = {name: np.zeros(array.shape, array.dtype) for name, array in seen.items()}
    variables = drawn(model, 0, empty)
    kept = {name: {"encoder": tree} for name, tree in variables.items()}
    config = dict(model=dict(encoder=settings, projection=[8]), method=dict(name="movies2scenes"))
    config |= dict(inputs=inputs, vectors="stub" if feature else None)
    release.save(folder, config | more, kept)
    return model, variables
