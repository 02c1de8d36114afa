"""Models from configuration values: published sizes, and errors."""

import math

import jax
import jax.numpy as jnp
import pytest
from ml_collections import ConfigDict

from tests.models.small import RESNET, TEXT, VIT
from vujax.models import CLIPResNet, ViT, build_clip

PUBLISHED = {  # parameters of OpenAI's released models
    151_277_313: dict(image=dict(kind="vit", variant="B/32")),
    149_620_737: dict(image=dict(kind="vit", variant="B/16")),
    427_616_513: dict(
        image=dict(kind="vit", variant="L/14"), text=dict(width=768, heads=12), embed_dim=768
    ),
    102_007_137: dict(image=dict(kind="resnet", variant="RN50"), embed_dim=1024),
    119_688_033: dict(image=dict(kind="resnet", variant="RN101")),
}


@pytest.mark.parametrize("count", PUBLISHED)
def test_parameter_counts_are_the_published_ones(count):
    model = build_clip(**PUBLISHED[count])
    image = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.uint8)
    tokens = jax.ShapeDtypeStruct((1, 77), jnp.int32)
    params = jax.eval_shape(model.init, jax.random.key(0), image, tokens)["params"]
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params)) == count


def test_takes_a_config_dict_and_names_with_any_patch():
    config = ConfigDict(dict(image=dict(kind="vit", variant="Ti/8", image_size=64), embed_dim=32))
    model = build_clip(**config)
    assert isinstance(model.image, ViT)
    assert (model.image.width, model.image.patch, model.image_spec.size) == (192, 8, 64)
    assert isinstance(build_clip(image=ConfigDict(RESNET)).image, CLIPResNet)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (dict(image=dict(variant="X/32")), r"'X/32'.*Mu, Ti, S, B, L, H"),
        (dict(image=dict(variant="B32")), r"'B32'.*SIZE/PATCH"),
        (dict(image=dict(kind="resnet", variant="RN51")), r"'RN51'.*RN50, RN101"),
        (dict(image=dict(kind="mlp")), r"model.image.kind 'mlp'.*vit, resnet"),
        (dict(image=VIT | dict(depth=3)), r"model.image.depth.*width, layers, heads"),
        (dict(image=RESNET | dict(heads=3)), r"model.image.heads.*width, blocks"),
        (dict(image=VIT, text=TEXT | dict(depth=3)), r"model.text.depth.*context, vocab"),
        (dict(image=VIT, heads=3), r"model.heads.*embed_dim"),
        (dict(image=VIT, act="relu"), r"model.act 'relu'.*gelu, quick_gelu"),
        (dict(image=VIT, dtype="float8"), r"model.dtype 'float8'.*float32, bfloat16"),
        (dict(image=VIT, remat="some"), r"model.remat 'some'.*none, full"),
        (dict(image=VIT | dict(image_size=7)), r"image_size 7 .* patch size 8"),
        (dict(image=VIT | dict(heads=5)), r"model.image.width 32 .* model.image.heads 5"),
        (dict(image=RESNET | dict(image_size=60)), r"image_size 60 .* stride 32"),
        (dict(image=VIT, text=TEXT | dict(heads=0)), r"model.text.width 32 .* model.text.heads 0"),
    ],
)
def test_mistakes_get_one_sentence(config, message):
    with pytest.raises(ValueError, match=message):
        build_clip(**config)
