"""Exported models give our embeddings in the other implementations; misfits are named."""

import json

import jax
import numpy as np
import pytest

from tests.models import small
from tests.models.pretrained import originals
from tests.models.pretrained.test_import_model import ours, theirs
from vujax.models import convert, exports, release, unstack_blocks
from vujax.models.exports import export_model
from vujax.models.pretrained.import_model import import_model

pytestmark = pytest.mark.parity

TEXT = small.TEXT | {"width": 64, "heads": 1, "vocab": originals.CLIP_VOCAB}
VIT = small.VIT | {"width": 64, "heads": 1}
RESNET = {"kind": "resnet", "image_size": 64, "width": 8, "blocks": [1, 2, 1, 1]}
CLIP = {"image": VIT, "text": TEXT, "embed_dim": 24, "act": "quick_gelu"}
SIGLIP = {
    "image": VIT | {"stem": "plain", "pool": "attention", "hidden": 80},
    "text": TEXT | {"vocab": 64, "causal": False, "pool": "last", "bias": True},
    "embed_dim": 64,
    "act": "gelu_tanh",
    "epsilon": 1e-6,
    "bias": True,
    "max_scale": None,
}
ENDING = {"text": TEXT | {"end": 7}}


def save(folder, settings, **config):
    """Release a model with random weights; return its folder."""
    model = small.build_clip(**settings)
    variables = small.variables(model, *inputs(settings))
    scale = np.float32(5.0 if settings.get("max_scale", 100.0) else 2.0)  # above ln 100
    variables["params"] = variables["params"] | {"logit_scale": scale}
    plain = jax.tree.map(np.asarray, variables)
    return release.save(folder, {"model": settings, "method": {"name": "distill"}} | config, plain)


def inputs(settings):
    size, text = settings["image"]["image_size"], settings["text"]
    images = (
        originals.pixels(size[0], width=size[1])
        if isinstance(size, list)
        else originals.pixels(size)
    )
    return images, originals.tokens(text["vocab"], context=text["context"])


def assert_equal(model, folder, settings):
    """Compare embeddings and logits with the original's."""
    pair = inputs(settings)
    result, expected = ours(folder, *pair), theirs(model.eval(), *pair)
    worst = [np.abs(a - b.numpy()).max() for a, b in zip(result, expected, strict=True)]
    print(f"largest differences of image, text, logits {worst}")
    assert max(worst[:2]) < 1e-5
    assert worst[2] < 1e-3


@pytest.mark.parametrize(
    "settings",
    [CLIP, CLIP | {"scan": True, "act": "gelu"}, CLIP | ENDING, SIGLIP],
    ids=["clip", "scan", "end", "siglip"],
)
def test_transformers_gives_our_embeddings(tmp_path, settings):
    from transformers import AutoModel

    folder = save(tmp_path, settings)
    out = export_model(tmp_path, "hf", tmp_path / "out", card="# Mine")
    assert (out / "README.md").read_text() == "# Mine"
    model, report = AutoModel.from_pretrained(out, output_loading_info=True)
    assert not any(report[name] for name in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert_equal(model, folder, settings)


@pytest.mark.parametrize("image", [VIT, RESNET], ids=["vit", "resnet"])
def test_open_clips_names_give_our_embeddings(tmp_path, image):
    import torch
    from safetensors.torch import load_file

    settings = CLIP | {"image": image}
    folder = save(tmp_path, settings)
    out = export_model(folder, "open_clip", tmp_path / "out", card="")
    model = originals.openai(image["kind"])
    tensors = load_file(out / "open_clip_model.safetensors")
    report = model.load_state_dict(tensors, strict=False)
    assert not report.unexpected_keys
    assert not [n for n in report.missing_keys if not n.endswith("num_batches_tracked")]
    assert_equal(model, folder, settings)
    assert tensors["logit_scale"] == torch.tensor(np.log(100.0), dtype=torch.float32)
    preprocess = json.loads((out / "open_clip_config.json").read_text())["preprocess_cfg"]
    assert preprocess["size"] == image["image_size"]
    assert preprocess["resize_mode"] == "shortest"


@pytest.mark.parametrize(
    ("format_name", "settings"),
    [("hf", CLIP), ("hf", SIGLIP), ("open_clip", CLIP), ("open_clip", CLIP | {"image": RESNET})],
)
def test_an_import_is_the_way_back(tmp_path, format_name, settings):
    if settings is SIGLIP:
        (tmp_path / "release").mkdir()
        originals.words(tmp_path / "release")
        pieces = tokenizer_file(tmp_path / "release" / "tokenizer.json")
        folder = save(tmp_path, settings, tokenizer=pieces)
    else:
        folder = save(tmp_path, settings)
    out = export_model(tmp_path, format_name, tmp_path / "out", card="---\nlicense: mit\n---\n")
    result = import_model(out, tmp_path / "again")
    assert result.config["imported"]["licence"] == "mit"
    before, after = (release.load_host(path)[1] for path in (folder, result.folder))
    before["params"]["logit_scale"] = after["params"]["logit_scale"]
    jax.tree.map(np.testing.assert_array_equal, unstack_blocks(before), after)


def tokenizer_file(path):
    """Pad and truncate a tokenizer.json as an import does; return a release's settings."""
    import tokenizers

    opened = tokenizers.Tokenizer.from_file(str(path))
    opened.enable_truncation(12)
    opened.enable_padding(pad_id=1, pad_token="</s>", length=12)
    opened.save(str(path))
    return {"kind": "file", "file": path.name, "canonical": True}


def test_a_tokenizer_of_canonical_texts_needs_no_other_step(tmp_path):
    from transformers import AutoTokenizer

    from vujax.models.inputs import open_tokenizer

    (tmp_path / "release").mkdir()
    originals.words(tmp_path / "release")
    pieces = tokenizer_file(tmp_path / "release" / "tokenizer.json")
    save(tmp_path, SIGLIP, tokenizer=pieces)
    out = export_model(tmp_path, "hf", tmp_path / "out", card="")
    texts = ["A red,\n boat!", "The (cat) of_the night.", "", "Blue-lake \u2581dog", "a " * 30]
    tokens = AutoTokenizer.from_pretrained(out)(
        texts, padding="max_length", truncation=True, return_tensors="np"
    )
    np.testing.assert_array_equal(tokens["input_ids"], open_tokenizer(tmp_path)(texts))


@pytest.mark.parametrize("resize", ["shortest", "squash"])
def test_transformers_prepares_our_pixels(tmp_path, resize):
    from PIL import Image
    from transformers import AutoImageProcessor

    from vujax.data.images import preprocess_eval_image
    from vujax.models.clip import normalize_image

    save(tmp_path, CLIP, preprocess={"resize": resize, "interpolation": "bilinear"})
    out = export_model(tmp_path, "hf", tmp_path / "out", card="")
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8))
    spec = small.build_clip(**CLIP).image_spec.with_preprocess(
        {"resize": resize, "interpolation": "bilinear"}
    )
    image.save(tmp_path / "a.png")
    pixels = preprocess_eval_image((tmp_path / "a.png").read_bytes(), spec)
    ours = np.asarray(normalize_image(jax.numpy.asarray(pixels), spec.mean, spec.std))
    found = AutoImageProcessor.from_pretrained(out, use_fast=False)(image, return_tensors="np")
    difference = np.abs(found["pixel_values"][0].transpose(1, 2, 0) - ours)
    assert difference.max() < 0.05 and difference.mean() < 1e-3


@pytest.mark.parametrize(
    ("format_name", "settings", "message"),
    [
        ("hf", CLIP | {"image": RESNET}, "cannot express a ResNet"),
        ("hf", CLIP | {"image": VIT | {"pool": "mean"}}, r"model\.image\.pool = 'mean', only"),
        ("hf", CLIP | {"image": VIT | {"image_size": [16, 24]}}, "images of 16x24"),
        ("hf", SIGLIP | {"bias": False}, r"model\.bias = False, only True"),
        ("open_clip", SIGLIP, "a SigLIP has --format hf"),
        ("open_clip", CLIP | {"epsilon": 1e-6}, r"model\.image\.epsilon = 1e-06, only 1e-05"),
        ("open_clip", CLIP | ENDING, r"model\.text\.end = 7, only None"),
        ("onnx", CLIP, "unknown weights format 'onnx'; expected one of: hf, open_clip"),
    ],
)
def test_what_a_format_cannot_express_is_a_sentence(tmp_path, format_name, settings, message):
    save(tmp_path, settings)
    with pytest.raises(ValueError, match=message):
        export_model(tmp_path, format_name, tmp_path / "out", card="")
    assert not (tmp_path / "out").exists()


def test_other_models_and_full_folders_are_refused(tmp_path):
    save(tmp_path, CLIP)
    with pytest.raises(FileExistsError, match="exists already"):
        export_model(tmp_path, "hf", tmp_path / "release", card="")
    release.save(tmp_path / "shots", {"model": {}, "method": {"name": "shotcol"}}, {"params": {}})
    with pytest.raises(ValueError, match="a model of shotcol is no CLIP or SigLIP"):
        export_model(tmp_path / "shots", "hf", tmp_path / "out", card="")


def test_a_variable_without_counterpart_is_named():
    variables = {"params": {"image": {"adapter": {"kernel": np.zeros((2, 2))}}}}
    with pytest.raises(ValueError, match="params/image/adapter/kernel has no counterpart"):
        convert.build_tensors(variables, convert.CLIP_NAMING)


def test_the_formats_have_libraries():
    from vujax.training.model_card import LIBRARIES

    assert tuple(LIBRARIES) == exports.FORMATS.names()
