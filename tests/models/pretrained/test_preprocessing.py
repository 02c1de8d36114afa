"""Image preprocessing: settings of both layouts, and parity with transformers' pixels."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from vujax.data.images import preprocess_eval_image
from vujax.models.image_spec import MEAN, STD, ImageSpec
from vujax.models.pretrained.preprocessing import (
    CLIP,
    HALF,
    SIGLIP,
    read_preprocessing,
)
from vujax.models.pretrained.published import PublishedModel, find_published

SQUARE = {"height": 32, "width": 32}


def published(folder, processor=None, kind="clip", name="preprocessor_config.json"):
    import json

    if processor is not None:
        (folder / name).write_text(json.dumps(processor))
    return PublishedModel(folder, "transformers", {"model_type": kind}, ())


@pytest.mark.parametrize(
    ("processor", "expected"),
    [
        ({}, CLIP),
        ({"size": 32, "crop_size": 32}, CLIP),
        ({"size": {"shortest_edge": 32}, "crop_size": SQUARE, "resample": 3}, CLIP),
        ({"size": SQUARE, "crop_size": SQUARE, "resample": 2}, CLIP | dict(resize="squash")),
        ({"size": SQUARE, "do_center_crop": False}, CLIP | dict(resize="squash")),
        (
            {"image_mean": [0.5] * 3, "image_std": [0.5] * 3},
            CLIP | dict(mean=HALF, std=HALF),
        ),
    ],
)
def test_settings_of_transformers(tmp_path, processor, expected):
    if processor.get("resample") == 2:
        expected = expected | dict(interpolation="bilinear")
    spec = ImageSpec.square(32, **expected)
    assert read_preprocessing(published(tmp_path, processor), 32) == (spec, True)


def test_a_processor_within_another_file_and_none(tmp_path):
    clip, siglip = (ImageSpec.square(32, **family) for family in (CLIP, SIGLIP))
    assert read_preprocessing(published(tmp_path), 32) == (clip, False)
    assert read_preprocessing(published(tmp_path, kind="siglip"), 32) == (siglip, False)
    nested = {"image_processor": {"size": SQUARE, "resample": 2}}
    found = read_preprocessing(published(tmp_path, nested, "siglip", "processor_config.json"), 32)
    assert found == (dataclasses.replace(siglip, interpolation="bilinear"), True)


@pytest.mark.parametrize(
    ("processor", "message"),
    [
        ({"size": {"shortest_edge": 36}, "crop_size": SQUARE}, "gives images of 36 pixels"),
        ({"size": {"shortest_edge": 32}, "crop_size": 28}, "gives images of 28 pixels"),
        ({"size": {"height": 32, "width": 16}}, "is not a square"),
        ({"size": {"longest_edge": 32}}, "is not a square"),
        ({"size": {"shortest_edge": 32}, "do_center_crop": False}, "not square"),
        ({"do_normalize": False}, "do_normalize = false"),
        ({"rescale_factor": 1 / 127.5}, "rescale_factor"),
        ({"resample": 1}, "unknown resample 1"),
        ({"image_mean": [0.5]}, "three numbers"),
    ],
)
def test_ways_that_are_not_known(tmp_path, processor, message):
    with pytest.raises(ValueError, match=message):
        read_preprocessing(published(tmp_path, processor), 32)


def test_settings_of_open_clip(tmp_path):
    def found(preprocess, **vision):
        settings = {"model_cfg": {"vision_cfg": vision}, "preprocess_cfg": preprocess}
        return read_preprocessing(PublishedModel(tmp_path, "open_clip", settings, ()), 32)

    assert found({}) == (ImageSpec(32, 32, MEAN, STD, "shortest", "bicubic"), True)
    assert found(None)[1] is False
    assert found(None, image_mean=[0.5] * 3)[0].mean == HALF
    given = {"mean": HALF, "std": HALF, "interpolation": "bilinear", "resize_mode": "squash"}
    assert found(given | {"size": [32, 32]})[0] == ImageSpec(
        32, 32, HALF, HALF, "squash", "bilinear"
    )
    for wrong in ({"resize_mode": "longest"}, {"interpolation": "random"}, {"size": 64}):
        with pytest.raises(ValueError, match=r"preprocess_cfg (resizes|gives)"):
            found(wrong)


@pytest.mark.parity
@pytest.mark.parametrize("kind", ["clip", "siglip"])
@pytest.mark.parametrize("resample", [2, 3])
def test_pixels_equal_those_of_transformers(tmp_path, kind, resample):
    from transformers import CLIPImageProcessorPil, SiglipImageProcessorPil

    made = dict(clip=CLIPImageProcessorPil, siglip=SiglipImageProcessorPil)[kind]
    size = {"shortest_edge": 32} if kind == "clip" else SQUARE
    crop = dict(crop_size=SQUARE) if kind == "clip" else {}
    processor = made(size=size, resample=resample, **crop)
    processor.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(f'{{"model_type": "{kind}"}}')
    (tmp_path / "model.safetensors").write_bytes(b"")
    way, stated = read_preprocessing(find_published(tmp_path), 32)
    assert stated
    for height, width in ((48, 96), (90, 60), (32, 32), (20, 40)):
        image = drawn(height, width)
        expected = processor(image, return_tensors="np")["pixel_values"][0].transpose(1, 2, 0)
        np.testing.assert_allclose(normalized(image, way), expected, atol=1e-5)


def drawn(height, width):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def normalized(image, spec):
    pixels = preprocess_eval_image(np.asarray(image), spec)
    return (pixels / 255 - np.asarray(spec.mean)) / np.asarray(spec.std)


@pytest.mark.parity
def test_square_pixels_equal_those_of_siglip2(tmp_path):
    from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil

    default = read_preprocessing(published(tmp_path, kind="siglip2"), 32)
    processor = Siglip2ImageProcessorPil(patch_size=8, max_num_patches=16)
    processor.save_pretrained(tmp_path)
    spec, stated = read_preprocessing(published(tmp_path, kind="siglip2"), 32)
    assert stated and spec.interpolation == "bilinear"
    assert default == (spec, False)
    for side in (48, 90, 32, 20):
        image = drawn(side, side)
        rows = processor(image, return_tensors="np")["pixel_values"][0]
        expected = rows.reshape(4, 4, 8, 8, 3).transpose(0, 2, 1, 3, 4).reshape(32, 32, 3)
        np.testing.assert_allclose(normalized(image, spec), expected, atol=1e-5)
