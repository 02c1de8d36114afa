"""Converted weights give the originals' embeddings; none is missing or unused."""

import functools

import chex
import jax
import numpy as np
import pytest

from tests.models.small import TEXT, VIT, batch, small, variables
from vujax.models import convert, stack_blocks

pytestmark = pytest.mark.parity

EMBED_DIM = 24
RESNET = dict(kind="resnet", image_size=64, width=8, blocks=(1, 2, 1, 1))
QUICK = dict(act="quick_gelu", embed_dim=EMBED_DIM)


def moved(module):
    """Prepare a torch module for evaluation, without parameters at special values."""
    import torch

    torch.manual_seed(0)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point():
                noise = 0.05 * torch.randn_like(tensor)
                tensor += noise.abs() if name.endswith("running_var") else noise
    return module.eval()


def hugging_face(image, text, act="quick_gelu", embed_dim=EMBED_DIM):
    from transformers import CLIPConfig, CLIPModel

    def sizes(tower, **more):
        return more | dict(
            hidden_size=tower["width"],
            intermediate_size=4 * tower["width"],
            num_hidden_layers=tower["layers"],
            num_attention_heads=tower["heads"],
            hidden_act=act,
        )

    vocab = text["vocab"]
    words = dict(vocab_size=vocab, eos_token_id=vocab - 1, max_position_embeddings=text["context"])
    pixels = dict(image_size=image["image_size"], patch_size=image["patch"])
    config = CLIPConfig(
        text_config=sizes(text, **words),
        vision_config=sizes(image, **pixels),
        projection_dim=embed_dim,
    )
    return moved(CLIPModel(config))


@functools.cache
def openai(kind):
    from tests.models import original

    sizes = {k: v for k, v in (VIT if kind == "vit" else RESNET).items() if k != "kind"}
    visual = dict(vit=original.ViT, resnet=original.ResNet)[kind](**sizes, embed_dim=EMBED_DIM)
    return moved(original.CLIP(visual, **TEXT, embed_dim=EMBED_DIM))


def tensors(module):
    return {name: tensor.numpy() for name, tensor in module.state_dict().items()}


def template(model, size=16):
    return jax.eval_shape(model.init, jax.random.key(0), *batch(1, size))


def compare(model, weights, theirs, images, tokens):
    """Our embeddings, and our float images [b h w c] through the original's two towers."""
    import torch

    embedding, _ = jax.jit(model.apply)(weights, images, tokens)
    with torch.no_grad():
        pixels = torch.tensor(images).permute(0, 3, 1, 2)
        image, text = theirs(pixels, torch.tensor(tokens, dtype=torch.int64))
    np.testing.assert_allclose(embedding["image"], image.numpy(), atol=1e-5)
    np.testing.assert_allclose(embedding["text"], text.numpy(), atol=1e-5)
    return embedding


def inputs(size=16, n=4):
    _, tokens = batch(n)
    images = np.random.default_rng(0).normal(size=(n, size, size, 3)).astype(np.float32)
    return images, np.asarray(tokens)


def run_hugging_face(module, image, tokens):
    out = module(pixel_values=image, input_ids=tokens)
    return out.image_embeds, out.text_embeds


@pytest.mark.parametrize("act", ["quick_gelu", "gelu"])
@pytest.mark.parametrize("scan", [False, True])
def test_hugging_face(act, scan):
    theirs = hugging_face(VIT, TEXT, act)
    model = small(act=act, embed_dim=EMBED_DIM, scan=scan)
    weights = convert.from_hugging_face(tensors(theirs), template(model))
    chex.assert_trees_all_equal_shapes_and_dtypes(weights, template(model))
    embedding = compare(model, weights, functools.partial(run_hugging_face, theirs), *inputs())
    np.testing.assert_allclose(embedding["scale"], theirs.logit_scale.exp().item(), rtol=1e-6)


def test_hugging_face_at_full_width():
    image = dict(kind="vit", image_size=64, patch=32, width=768, layers=12, heads=12)
    text = TEXT | dict(width=512, layers=12, heads=8)
    theirs = hugging_face(image, text, embed_dim=512)
    model = small(image, text=text, act="quick_gelu", embed_dim=512)
    weights = convert.from_hugging_face(tensors(theirs), template(model, 64))
    compare(model, weights, functools.partial(run_hugging_face, theirs), *inputs(64, 2))


@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_openai(kind):
    image = VIT if kind == "vit" else RESNET
    size = image["image_size"]
    model = small(image, **QUICK)
    given = tensors(openai(kind)) | dict(input_resolution=np.asarray(size))
    weights = convert.from_openai(given, template(model, size))
    compare(model, weights, openai(kind), *inputs(size))


def test_half_precision_weights_become_float32():
    given = {name: np.asarray(x, np.float16) for name, x in tensors(openai("vit")).items()}
    weights = convert.from_openai(given, template(small(**QUICK)))
    assert {leaf.dtype for leaf in jax.tree.leaves(weights)} == {np.dtype("float32")}


def test_every_tensor_is_accounted_for():
    given, model = tensors(openai("vit")), small(**QUICK)
    with pytest.raises(ValueError, match=r"'logit_bias' has no place"):
        convert.from_openai(given | dict(logit_bias=np.zeros(())), template(model))
    with pytest.raises(ValueError, match=r"'visual\.conv1\.weight' has no place"):
        convert.from_openai(tensors(openai("resnet")), template(model))
    lacking = {name: x for name, x in given.items() if name != "visual.ln_pre.bias"}
    with pytest.raises(ValueError, match=r"1 leaves .*: params/image/ln_pre/bias"):
        convert.from_openai(lacking, template(model))
    larger = template(small(act="quick_gelu", embed_dim=25))
    with pytest.raises(ValueError, match=r"'text_projection' .* shape \(32, 24\), .* \(32, 25\)"):
        convert.from_openai(given, larger)
    deeper = template(small(VIT | dict(layers=3), **QUICK))
    with pytest.raises(ValueError, match=r"16 leaves .*: params/image/transformer/block02"):
        convert.from_openai(given, deeper)


def test_template_may_be_variables():
    model = small(scan=True, **QUICK)
    given = tensors(openai("vit"))
    weights = convert.from_openai(given, variables(model, *batch(1)))
    unstacked = convert.from_openai(given, template(small(**QUICK)))
    chex.assert_trees_all_equal(weights, stack_blocks(unstacked))
