"""Imported models give the originals' embeddings and logits; misfits are named."""

import json
import math
import shutil

import jax
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.models.pretrained import originals
from vujax import models
from vujax.models import convert, release
from vujax.models.pretrained.import_model import get_default_folder, import_model

pytestmark = pytest.mark.parity

OPEN_CLIP = {
    "model_cfg": {
        "embed_dim": 24,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 16, "layers": 2, "width": 64, "patch_size": 8},
        "text_cfg": {"context_length": 12, "width": 64, "heads": 1, "layers": 2},
    },
    "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5] * 3, "interpolation": "bilinear"},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a folder of originals, and their torch models by name."""
    root = tmp_path_factory.mktemp("originals")
    found = {
        "clip": originals.clip(root / "clip"),
        "gelu": originals.clip(root / "gelu", "gelu"),
        "shards": originals.clip(root / "shards", max_shard_size="100KB"),
        "siglip": originals.siglip(root / "siglip"),
        "clip20": originals.clip(root / "clip20", side=20),  # of patches of 8: 4 pixels are left
        "siglip27": originals.siglip(root / "siglip27", side=27),
        "siglip2": originals.siglip2(root / "siglip2"),
        "vit": originals.openai("vit"),
        "resnet": originals.openai("resnet"),
    }
    for kind in ("vit", "resnet"):
        originals.save(found[kind], root / f"{kind}.safetensors")
    originals.save(found["vit"], root / "open_clip" / "open_clip_model.safetensors")
    (root / "open_clip" / "open_clip_config.json").write_text(json.dumps(OPEN_CLIP))
    return root, found


def theirs(model, images, tokens):
    """Compute embeddings of both, and logits [images texts], by the original."""
    import torch

    pixels, ids = torch.tensor(images).permute(0, 3, 1, 2), torch.tensor(tokens).long()
    with torch.no_grad():
        if not hasattr(model, "vision_model"):
            image, text = model(pixels, ids)
            return image, text, model.logit_scale.exp() * image @ text.T
        if hasattr(model.vision_model.embeddings, "resize_positional_embeddings"):
            pixels, options = patches(pixels)
        else:
            options = {"interpolate_pos_encoding": True}
        out = model(pixel_values=pixels, input_ids=ids, **options)
    return out.image_embeds, out.text_embeds, out.logits_per_image


def patches(pixels, side=8):
    """Return images [b 3 h w] as SigLIP2 takes them: patches, their mask and their grid."""
    import torch
    from transformers.models.siglip2.image_processing_pil_siglip2 import convert_image_to_patches

    rows = torch.tensor(np.stack([convert_image_to_patches(x, side) for x in pixels.numpy()]))
    grid = torch.tensor([[pixels.shape[2] // side, pixels.shape[3] // side]] * len(pixels))
    mask = torch.ones(rows.shape[:2], dtype=torch.int32)
    return rows, {"pixel_attention_mask": mask, "spatial_shapes": grid}


def ours(folder, images, tokens):
    config, variables = release.load(folder)
    found, _ = jax.jit(models.build_clip(**config["model"]).apply)(variables, images, tokens)
    logits = found["scale"] * found["image"] @ found["text"].T + found.get("bias", 0.0)
    return found["image"], found["text"], logits


@pytest.mark.parametrize(
    ("name", "source", "size", "act"),
    [
        ("clip", "clip", 16, None),
        ("gelu", "gelu", 16, None),
        ("shards", "shards", 16, None),
        ("siglip", "siglip", 16, None),
        ("clip20", "clip20", 20, None),
        ("siglip27", "siglip27", 27, None),
        ("siglip2", "siglip2", 32, None),
        ("vit", "open_clip", 16, None),
        ("vit", "open_clip/open_clip_model.safetensors", 16, None),
        ("vit", "vit.safetensors", 16, "quick_gelu"),
        ("resnet", "resnet.safetensors", 64, "quick_gelu"),
    ],
)
def test_embeddings_and_logits_equal_the_originals(made, tmp_path, name, source, size, act):
    root, found = made
    folder = import_model(root / source, tmp_path, act).folder
    vocab = 64 if name.startswith("siglip") else originals.CLIP_VOCAB
    inputs = originals.pixels(size), originals.tokens(vocab)
    expected, result = theirs(found[name], *inputs), ours(folder, *inputs)
    worst = [np.abs(a - b.numpy()).max() for a, b in zip(result, expected, strict=True)]
    print(f"{source}: largest differences of image, text, logits {worst}")
    assert max(worst[:2]) < 2e-6
    assert worst[2] < 2e-5


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("clip", (40, 40)),
        ("siglip", (8, 8)),
        ("siglip27", (24, 56)),
        ("siglip2", (24, 56)),
    ],
)
def test_another_image_size_equals_the_originals(made, tmp_path, name, size):
    root, found = made
    result = import_model(root / name, tmp_path, image_size=list(size))
    side = result.config["model"]["image"]["image_size"]
    sampling = "bilinear" if name == "siglip2" else "bicubic"
    resize = "shortest" if name == "clip" else "squash"
    assert side in (size[0], list(size))
    assert result.config["preprocess"] == dict(resize=resize, size=side, interpolation=sampling)
    vocab = originals.CLIP_VOCAB if name == "clip" else 64
    inputs = originals.pixels(size[0], width=size[1]), originals.tokens(vocab)
    expected, image = theirs(found[name], *inputs)[0], ours(result.folder, *inputs)[0]
    assert np.abs(image - expected.numpy()).max() < 2e-6


@pytest.mark.parametrize("name", convert.RESAMPLINGS)
@pytest.mark.parametrize("target", [(7, 7), (3, 12), (2, 1), (20, 5)])
def test_positions_are_resampled_as_torch_does(name, target):
    import torch
    from torch.nn.functional import interpolate

    positions = np.random.default_rng(0).normal(size=(1 + 49, 6)).astype(np.float32)
    mode = "bilinear" if name == "siglip2" else "bicubic"
    antialias = name in ("siglip2", "open_clip")
    grid = torch.tensor(positions[1:].reshape(1, 7, 7, 6)).permute(0, 3, 1, 2)
    expected = interpolate(grid, size=target, mode=mode, align_corners=False, antialias=antialias)
    expected = expected.permute(0, 2, 3, 1).reshape(-1, 6)
    resized = convert.resize_positions(positions, (7, 7), target, convert.RESAMPLINGS[name])
    assert resized.dtype == np.float32
    np.testing.assert_array_equal(resized[0], positions[0])
    np.testing.assert_allclose(resized[1:], expected.numpy(), atol=2e-6)


def test_image_sizes_that_are_refused(made, tmp_path):
    root, _ = made
    with pytest.raises(ValueError, match="is a ResNet: remove --image_size, which is for ViTs"):
        import_model(root / "resnet.safetensors", tmp_path, "quick_gelu", image_size=32)
    with pytest.raises(ValueError, match="image_size 4 must be at least the patch size 8"):
        import_model(root / "clip", tmp_path, image_size=4)


def test_several_shards_were_written(made):
    assert len(list((made[0] / "shards").glob("model-*.safetensors"))) > 1


def test_a_release_says_where_it_comes_from_and_what_it_sees(made, tmp_path):
    root, _ = made
    (root / "siglip" / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A model\n")
    first = import_model(root / "siglip", tmp_path / "a")
    assert first.new
    config, variables = release.load(tmp_path / "a")
    assert config["preprocess"] == {"resize": "squash", "size": 16, "interpolation": "bicubic"}
    assert config["model"]["mean"] == [0.5, 0.5, 0.5]
    assert config["method"] == {"name": "distill"}
    assert config["tokenizer"] == {"kind": "file", "file": "tokenizer.json"}
    assert config["imported"]["licence"] == "apache-2.0"
    assert config["imported"]["assumed"] == []
    assert list(config["imported"]["sha256"]) == ["model.safetensors"]
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {np.dtype("float32")}
    assert first.parameters == sum(leaf.size for leaf in jax.tree.leaves(variables))
    import_model(root / "open_clip", tmp_path / "b")
    config, _ = release.load(tmp_path / "b")
    assert config["preprocess"] == {"resize": "shortest", "size": 16, "interpolation": "bilinear"}
    assert config["model"]["std"] == [0.5, 0.5, 0.5]
    assert config["tokenizer"] == {"kind": "clip"}
    import_model(root / "clip", tmp_path / "c")
    config, _ = release.load(tmp_path / "c")
    assert config["imported"]["assumed"] == ["tokenizer"]


def test_a_second_import_is_none_and_another_model_is_refused(made, tmp_path):
    root, _ = made
    import_model(root / "clip", tmp_path)
    before = (tmp_path / "release" / "config.json").stat().st_mtime_ns
    assert not import_model(root / "clip", tmp_path).new
    assert (tmp_path / "release" / "config.json").stat().st_mtime_ns == before
    with pytest.raises(ValueError, match="holds another model: give another --out"):
        import_model(root / "gelu", tmp_path)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_becomes_float32(made, tmp_path, dtype):
    _, found = made
    originals.save(found["vit"], tmp_path / "half.safetensors", lambda x: x.astype(dtype))
    import_model(tmp_path / "half.safetensors", tmp_path / "out", "quick_gelu")
    _, variables = release.load(tmp_path / "out")
    kept = found["vit"].state_dict()["token_embedding.weight"].numpy().astype(dtype)
    np.testing.assert_array_equal(
        variables["params"]["text"]["token_embedding"], kept.astype(np.float32)
    )


def changed(made, tmp_path, change):
    """Copy CLIP's folder with tensors altered by `change`."""
    folder = tmp_path / "changed"
    shutil.copytree(made[0] / "clip", folder)
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("logit_scale"), r"no tensor for 1 leaves .*: params/logit_scale"),
        (
            lambda t: t.update({"vision_model.extra.weight": np.zeros(3, np.float32)}),
            r"'vision_model\.extra\.weight' has no place",
        ),
        (
            lambda t: t.update({"text_projection.weight": np.zeros((23, 32), np.float32)}),
            r"'text_projection\.weight' .* \(32, 23\), .* \(32, 24\)",
        ),
        (
            lambda t: t["visual_projection.weight"].__setitem__((0, 0), np.nan),
            r"'visual_projection\.weight' holds a value that is not finite",
        ),
        (
            lambda t: t.update({"visual_projection.weight": np.zeros((24, 32), np.int8)}),
            r"'visual_projection\.weight' .* is I8",
        ),
    ],
)
def test_a_parameter_that_does_not_fit_is_named(made, tmp_path, change, message):
    folder = changed(made, tmp_path, change)
    with pytest.raises(ValueError, match=message) as raised:
        import_model(folder, tmp_path / "out")
    assert str(folder) in str(raised.value)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").rglob("*.*"))


def test_a_truncated_file_is_refused_by_the_tensor_that_is_cut(made, tmp_path):
    folder = tmp_path / "cut"
    shutil.copytree(made[0] / "clip", folder)
    path = folder / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 64])
    with pytest.raises(
        ValueError, match=r"model\.safetensors is damaged .* '.+weight' .*truncated"
    ):
        import_model(folder, tmp_path / "out")


def test_a_temperature_beyond_the_bound_is_kept(made, tmp_path):
    folder = changed(
        made, tmp_path, lambda t: t.update(logit_scale=np.asarray(math.log(150), np.float32))
    )
    import_model(folder, tmp_path / "out")
    inputs = originals.pixels(), originals.tokens()
    image, text, logits = ours(tmp_path / "out", *inputs)
    rounding = 150 * 4 * np.finfo(np.float32).eps  # of sums of products of unit vectors, near 0 too
    np.testing.assert_allclose(logits, 150 * image @ text.T, rtol=1e-5, atol=rounding)


def test_another_end_token_is_pooled(made, tmp_path):
    folder = tmp_path / "end"
    shutil.copytree(made[0] / "clip", folder)
    settings = json.loads((folder / "config.json").read_text())
    settings["text_config"]["eos_token_id"] = 7
    (folder / "config.json").write_text(json.dumps(settings))
    import_model(folder, tmp_path / "out")
    from transformers import CLIPModel

    model = CLIPModel.from_pretrained(folder).eval()
    tokens = originals.tokens()
    tokens[:, 5] = 7
    expected = theirs(model, originals.pixels(), tokens)
    result = ours(tmp_path / "out", originals.pixels(), tokens)
    assert np.abs(result[1] - expected[1].numpy()).max() < 2e-6


def test_a_lone_file_needs_the_activation_and_a_folder_refuses_it(made, tmp_path):
    root, _ = made
    with pytest.raises(ValueError, match=r"does not state its activation: .* --act quick_gelu"):
        import_model(root / "vit.safetensors", tmp_path)
    with pytest.raises(ValueError, match="states its activation: remove --act"):
        import_model(root / "clip", tmp_path, "gelu")
    with pytest.raises(ValueError, match="has the names of transformers"):
        import_model(root / "clip" / "model.safetensors", tmp_path, "gelu")


def test_settings_that_make_no_model_are_a_sentence(made, tmp_path):
    folder = tmp_path / "heads"
    shutil.copytree(made[0] / "clip", folder)
    settings = json.loads((folder / "config.json").read_text())
    for name, value, message in (
        ("num_attention_heads", 5, r"heads: model\.image\.width 32 must be"),
        ("num_hidden_layers", 10**9, "more layers than it has tensors"),
    ):
        altered = settings["vision_config"] | {name: value}
        text = json.dumps(settings | {"vision_config": altered})
        (folder / "config.json").write_text(text)
        with pytest.raises(ValueError, match=message):
            import_model(folder, tmp_path / "out")


def test_an_import_that_was_stopped_is_no_release(made, tmp_path, monkeypatch):
    from vujax.models.pretrained import import_model as module

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_json", stopped)
    with pytest.raises(KeyboardInterrupt):
        import_model(made[0] / "clip", tmp_path)
    with pytest.raises(FileNotFoundError):
        release.load(tmp_path)
    monkeypatch.undo()
    assert import_model(made[0] / "clip", tmp_path).new


def test_default_folders(monkeypatch, tmp_path):
    monkeypatch.setenv("VUJAX_CACHE", str(tmp_path))
    assert get_default_folder("org/model.v1") == tmp_path / "models" / "org--model.v1"
    assert get_default_folder("/somewhere/vit.safetensors") == tmp_path / "models" / "vit"
