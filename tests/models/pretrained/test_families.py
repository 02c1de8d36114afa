"""Published settings as arguments of `models.build_clip`; unsupported ones are refused."""

import math

import jax
import jax.numpy as jnp
import pytest

from vujax.models import build_clip
from vujax.models.pretrained import huggingface, open_clip

LARGE = {
    "model_type": "clip",
    "projection_dim": 768,
    "text_config": {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12},
    "vision_config": {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "patch_size": 14,
    },
}
BIG_G = {
    "embed_dim": 1280,
    "vision_cfg": {
        "image_size": 224,
        "layers": 48,
        "width": 1664,
        "head_width": 104,
        "mlp_ratio": 4.9231,
        "patch_size": 14,
    },
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 49408,
        "width": 1280,
        "heads": 20,
        "layers": 32,
    },
}


def test_clip_large():
    model = huggingface.parse_transformers_config(LARGE, "x")
    assert model == {
        "image": {
            "kind": "vit",
            "width": 1024,
            "layers": 24,
            "heads": 16,
            "hidden": 4096,
            "image_size": 224,
            "patch": 14,
        },
        "text": {
            "width": 768,
            "layers": 12,
            "heads": 12,
            "hidden": 3072,
            "context": 77,
            "vocab": 49408,
        },
        "act": "quick_gelu",
        "epsilon": 1e-5,
        "embed_dim": 768,
    }
    build_clip(**model)


def test_old_settings_come_last():
    old = {"text_config_dict": {"hidden_size": 640, "num_attention_heads": 10}}
    assert huggingface.parse_transformers_config(LARGE | old, "x")["text"]["width"] == 640
    assert huggingface.parse_transformers_config(LARGE | old, "x")["text"]["hidden"] == 2048


def test_the_patches_of_siglip_so400m_do_not_divide_its_images():
    sizes = {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27}
    sizes |= {"num_attention_heads": 16}
    vision = sizes | {"image_size": 384, "patch_size": 14}
    settings = {"model_type": "siglip", "text_config": sizes, "vision_config": vision}
    module = build_clip(**huggingface.parse_transformers_config(settings, "x"), scan=True)
    image = jax.ShapeDtypeStruct((1, 384, 384, 3), jnp.uint8)
    tokens = jax.ShapeDtypeStruct((1, 64), jnp.int32)
    params = jax.eval_shape(module.init, jax.random.key(0), image, tokens)["params"]
    assert params["image"]["positions"].shape == (27 * 27, 1152)
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params)) == 877_960_498


def test_siglip_says_little():
    settings = {"model_type": "siglip", "text_config": {}, "vision_config": {"image_size": 384}}
    model = huggingface.parse_transformers_config(settings, "x")
    assert (model["image"]["image_size"], model["image"]["patch"]) == (384, 16)
    assert (model["text"]["context"], model["text"]["vocab"]) == (64, 32000)
    assert (model["act"], model["epsilon"], model["max_scale"]) == ("gelu_tanh", 1e-6, None)
    assert build_clip(**model).bias


@pytest.mark.parametrize("end", [2, 49407])
def test_the_end_token_is_the_largest(end):
    text = {"eos_token_id": end}
    assert (
        "end"
        not in huggingface.parse_transformers_config(LARGE | {"text_config": text}, "x")["text"]
    )
    text = {"eos_token_id": 49406}
    assert (
        huggingface.parse_transformers_config(LARGE | {"text_config": text}, "x")["text"]["end"]
        == 49406
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "blip"}, "model_type 'blip'; expected one of: clip, siglip, siglip2"),
        ({"model_type": None}, "model_type None"),
        ({"text_config": {"hidden_act": "gelu"}}, "towers differ in hidden_act"),
        ({"text_config": {"eos_token_id": [1, 2]}}, "not a single token"),
        ({"vision_config": {"num_channels": 4}}, "num_channels must be 3, got 4"),
        ({"vision_config": {"image_size": [224, 192]}}, "is not a square"),
        ({"vision_config": {"num_hidden_layers": "12"}}, "must be a positive integer, got '12'"),
        ({"vision_config": {"num_attention_heads": 0}}, "must be a positive integer, got 0"),
        ({"model_type": "siglip", "vision_config": {"vision_use_head": False}}, "vision_use_head"),
        (
            {"model_type": "siglip2", "vision_config": {"num_patches": 20}},
            "square number, got 20",
        ),
    ],
)
def test_settings_of_transformers_that_are_not_known(change, message):
    with pytest.raises(ValueError, match=message):
        huggingface.parse_transformers_config(LARGE | change, "x")


def test_open_clip_big_g():
    model = open_clip.parse_open_clip_config(BIG_G, "x")
    assert model["image"]["heads"] == 16
    assert model["image"]["hidden"] == 8192
    assert (model["act"], model["bias"]) == ("gelu", False)
    build_clip(**model)


def test_open_clip_resnet():
    vision = {"image_size": 288, "layers": [4, 6, 10, 6], "width": 80, "patch_size": None}
    settings = BIG_G | {"vision_cfg": vision, "quick_gelu": True, "init_logit_bias": -10}
    model = open_clip.parse_open_clip_config(settings, "x")
    sizes = {"image_size": 288, "width": 80, "blocks": [4, 6, 10, 6]}
    assert model["image"] == {"kind": "resnet", **sizes}
    assert (model["act"], model["bias"]) == ("quick_gelu", True)
    build_clip(**model)


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("vision_cfg", {"timm_model_name": "convnext"}, "'convnext' comes from another library"),
        ("text_cfg", {"hf_model_name": "roberta"}, "'roberta' comes from another library"),
        ("vision_cfg", {"no_ln_pre": True}, "no_ln_pre = True is not supported"),
        ("vision_cfg", {"pool_type": "avg"}, "pool_type = 'avg' is not supported"),
        ("text_cfg", {"pool_type": "last"}, "pool_type = 'last' is not supported"),
        ("text_cfg", {"hf_tokenizer_name": "bert"}, "hf_tokenizer_name = 'bert' is not supported"),
        ("text_cfg", {"norm_kwargs": {"eps": 1e-6}}, "norm_kwargs"),
        ("vision_cfg", {"new_idea": 1}, "unknown setting new_idea"),
        (None, {"custom_text": True}, "custom_text = True is not supported"),
        (None, {"multimodal_cfg": {}}, "unknown setting multimodal_cfg"),
        (None, {"text_cfg": {}}, "lacks 'width'"),
    ],
)
def test_settings_of_open_clip_that_are_not_known(part, change, message):
    settings = BIG_G | (change if part is None else {part: BIG_G[part] | change})
    with pytest.raises(ValueError, match=message):
        open_clip.parse_open_clip_config(settings, "x")


def test_settings_that_are_as_usual_are_allowed():
    usual = {"pool_type": "tok", "ls_init_value": None, "patch_dropout": 0.5, "no_ln_pre": False}
    settings = BIG_G | {"vision_cfg": BIG_G["vision_cfg"] | usual}
    assert open_clip.parse_open_clip_config(settings, "x") == open_clip.parse_open_clip_config(
        BIG_G, "x"
    )


def test_shapes_that_are_no_clip():
    with pytest.raises(ValueError, match=r"lacks 'visual\.conv1\.weight'"):
        open_clip.infer_config({"x": (1,)}, "gelu", "x")
    with pytest.raises(ValueError, match="a tower of the timm library"):
        open_clip.infer_config({"visual.trunk.norm.weight": (1,)}, "gelu", "x")
