"""Decoding, cropping and resizing of images."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from tests.data.samples import encoded, pixels
from vujax.data.images import (
    FORMATS,
    Augment,
    preprocess_eval_image,
    preprocess_train_image,
    sample_crop_box,
)
from vujax.data.records import BadSample
from vujax.models.image_spec import ImageSpec

PLAIN = Augment(scale=(1.0, 1.0), ratio=(1.0, 1.0))


def saved(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def test_evaluation_is_resize_then_centre_crop():
    image = Image.fromarray(pixels(1, 50, 91))
    expected = image.resize((58, 32), Image.Resampling.BICUBIC).crop((13, 0, 45, 32))
    np.testing.assert_array_equal(
        preprocess_eval_image(saved(image), ImageSpec.square(32)), np.asarray(expected)
    )
    np.testing.assert_array_equal(
        preprocess_eval_image(pixels(1, 50, 91), ImageSpec.square(32)), np.asarray(expected)
    )


def test_evaluation_leaves_a_picture_of_the_right_size_alone():
    for image in (pixels(1, 32, 32), saved(Image.fromarray(pixels(1, 32, 32)))):
        np.testing.assert_array_equal(
            preprocess_eval_image(image, ImageSpec.square(32)), pixels(1, 32, 32)
        )


@pytest.mark.parametrize("shape", [(1, 400), (400, 1), (2, 3), (33, 32)])
def test_odd_shapes_come_out_square(shape):
    data = saved(Image.fromarray(pixels(1, *shape)))
    assert preprocess_eval_image(data, ImageSpec.square(32)).shape == (32, 32, 3)
    assert preprocess_train_image(
        data, rng(), spec=ImageSpec.square(32), augment=Augment()
    ).shape == (32, 32, 3)


def half_clear() -> Image.Image:
    """Left half transparent black, right half red."""
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    image.paste((255, 0, 0, 255), (4, 0, 8, 8))
    return image


@pytest.mark.parametrize("kind", ["RGBA", "palette", "LA"])
def test_transparent_parts_become_white(kind):
    image = half_clear().quantize(4) if kind == "palette" else half_clear().convert(kind)
    found = preprocess_eval_image(saved(image), ImageSpec.square(8))
    np.testing.assert_array_equal(found[0, 0], [255, 255, 255])
    np.testing.assert_array_equal(found[0, 7], [76] * 3 if kind == "LA" else [255, 0, 0])


@pytest.mark.parametrize("colour", [7, (1, 2, 3)])
def test_a_transparent_colour_becomes_white(colour):
    image = Image.new("L" if isinstance(colour, int) else "RGB", (8, 8), colour)
    found = preprocess_eval_image(saved(image, transparency=colour), ImageSpec.square(8))
    assert (found == 255).all()


@pytest.mark.parametrize("kind", ["L", "1", "CMYK", "I;16"])
def test_every_mode_becomes_rgb(kind):
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    if kind == "I;16":
        data = saved(Image.fromarray(grey.astype(np.uint16) << 8))
    elif kind == "CMYK":
        data = saved(Image.fromarray(grey).convert("CMYK"), "JPEG", quality=100)
    else:
        data = saved(Image.fromarray(grey).convert(kind))
    found = preprocess_eval_image(data, ImageSpec.square(8))
    assert found.shape == (8, 8, 3)
    expected = np.repeat(grey[..., None], 3, -1)
    if kind != "1":
        assert np.abs(found.astype(int) - expected).max() <= (0 if kind != "CMYK" else 12)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation):
    upright = Image.fromarray(pixels(3, 32, 64))
    turn = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = upright if turn is None else upright.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(stored, "JPEG", exif=exif, quality=98, subsampling=0)
    expected = preprocess_eval_image(np.asarray(upright), ImageSpec.square(16)).astype(int)
    assert np.abs(preprocess_eval_image(data, ImageSpec.square(16)) - expected).max() < 12
    whole = preprocess_train_image(
        np.asarray(upright), rng(), spec=ImageSpec.square(16), augment=PLAIN
    ).astype(int)
    assert (
        np.abs(
            preprocess_train_image(data, rng(), spec=ImageSpec.square(16), augment=PLAIN) - whole
        ).max()
        < 40
    )


def test_training_decodes_reduced_and_looks_the_same():
    image = Image.fromarray(pixels(2)).resize((768, 512), Image.Resampling.BICUBIC)
    jpeg, png = saved(image, "JPEG", quality=95), saved(image)
    for seed in range(5):
        a = preprocess_train_image(
            jpeg, rng(seed), spec=ImageSpec.square(64), augment=Augment(scale=(0.3, 1.0))
        )
        b = preprocess_train_image(
            png, rng(seed), spec=ImageSpec.square(64), augment=Augment(scale=(0.3, 1.0))
        )
        assert np.abs(a.astype(int) - b).mean() < 3


@pytest.mark.parametrize("turned", [False, True])
def test_reduced_decoding_leaves_a_flat_crop_its_rows(turned):
    rows = np.arange(512) // 2 % 2 * 255
    image = Image.fromarray(np.repeat(rows[:, None], 1024, 1).astype(np.uint8)).convert("RGB")
    exif = Image.Exif()
    if turned:
        exif[0x0112] = 6
        image = image.transpose(Image.Transpose.ROTATE_90)
    augment = Augment(scale=(0.25, 0.25), ratio=(7.6, 7.6))  # 998 x 131
    found = preprocess_train_image(
        saved(image, "JPEG", exif=exif), rng(), spec=ImageSpec.square(64), augment=augment
    )
    assert found.mean((1, 2)).std() > 30


def test_the_generator_alone_decides():
    data, augment = encoded(1, height=40, width=60), Augment(scale=(0.3, 1.0), flip=True)
    same = [
        preprocess_train_image(data, rng(5), spec=ImageSpec.square(16), augment=augment)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*same)
    others = {
        preprocess_train_image(data, rng(s), spec=ImageSpec.square(16), augment=augment).tobytes()
        for s in range(20)
    }
    assert len(others) == 20


def test_flip_mirrors_about_half():
    data = saved(Image.fromarray(pixels(1, 16, 16)))
    augment = Augment(scale=(1.0, 1.0), ratio=(1.0, 1.0), flip=True)
    found = [
        preprocess_train_image(data, rng(s), spec=ImageSpec.square(16), augment=augment)
        for s in range(60)
    ]
    plain = [np.array_equal(image, pixels(1, 16, 16)) for image in found]
    flipped = [np.array_equal(image[:, ::-1], pixels(1, 16, 16)) for image in found]
    assert all(a != b for a, b in zip(plain, flipped, strict=True))
    assert 15 < sum(flipped) < 45


def test_random_boxes_keep_their_bounds():
    augment, generator = Augment(scale=(0.2, 0.8), ratio=(0.5, 2.0)), rng()
    areas, lefts = [], []
    for _ in range(500):
        left, upper, right, lower = sample_crop_box(100, 80, generator, augment)
        assert 0 <= left < right <= 100
        assert 0 <= upper < lower <= 80
        assert 0.47 < (right - left) / (lower - upper) < 2.1
        areas.append((right - left) * (lower - upper) / 8000)
        lefts.append(left)
    assert 0.19 < min(areas) < 0.25
    assert 0.7 < max(areas) < 0.82
    assert len(set(lefts)) > 30


def test_a_picture_too_narrow_for_the_ratio_gives_its_centre():
    augment = Augment(scale=(1.0, 1.0), ratio=(1.0, 1.0))
    assert sample_crop_box(100, 20, rng(), augment) == (40.0, 0.0, 60.0, 20.0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a picture",
        encoded(1)[:200],
        encoded(1, "PNG")[:120],
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
    ],
)
def test_damaged_files_are_bad_samples(data):
    with pytest.raises(BadSample, match=r"its image (cannot be decoded|is not one of JPEG)"):
        preprocess_eval_image(data, ImageSpec.square(8))
    with pytest.raises(BadSample, match=r"its image (cannot be decoded|is not one of JPEG)"):
        preprocess_train_image(data, rng(), spec=ImageSpec.square(8), augment=Augment())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"zoom": 2}, "unknown option augment.zoom; expected one of: scale"),
        ({"scale": (0.0, 1.0)}, "augment.scale"),
        ({"ratio": (2.0, 1.0)}, "augment.ratio"),
    ],
)
def test_wrong_augmentation(options, message):
    with pytest.raises(ValueError, match=message):
        Augment.from_config(options)


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_evaluation_can_squash_and_interpolate_as_a_model_learned(interpolation):
    image = Image.fromarray(pixels(1, 50, 91))
    sampling = Image.Resampling[interpolation.upper()]
    spec = ImageSpec.square(32, interpolation=interpolation)
    squashed = np.asarray(image.resize((32, 32), sampling))
    centre = np.asarray(image.resize((58, 32), sampling).crop((13, 0, 45, 32)))
    for given in (saved(image), pixels(1, 50, 91)):
        both = dataclasses.replace(spec, resize="squash")
        np.testing.assert_array_equal(preprocess_eval_image(given, both), squashed)
        np.testing.assert_array_equal(preprocess_eval_image(given, spec), centre)


@pytest.mark.parametrize(
    ("shape", "resized", "box"),
    [
        ((50, 91), (116, 64), (10, 0, 106, 64)),  # wide: its height fits
        ((91, 50), (96, 174), (0, 55, 96, 119)),  # tall: its width fits
        ((60, 90), (96, 64), (0, 0, 96, 64)),
    ],
)
def test_evaluation_covers_a_shape_that_is_no_square(shape, resized, box):
    image, spec = Image.fromarray(pixels(1, *shape)), ImageSpec(64, 96)
    expected = np.asarray(image.resize(resized, Image.Resampling.BICUBIC).crop(box))
    for given in (saved(image), pixels(1, *shape)):
        np.testing.assert_array_equal(preprocess_eval_image(given, spec), expected)
    squashed = dataclasses.replace(spec, resize="squash")
    expected = np.asarray(image.resize((96, 64), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(preprocess_eval_image(saved(image), squashed), expected)


def test_training_crops_have_the_shape_of_the_model():
    image = pixels(1, 64, 96)
    found = preprocess_train_image(image, rng(), spec=ImageSpec(64, 96), augment=PLAIN)
    np.testing.assert_array_equal(found, image)  # all of it, and not the center square
    wide = Augment(scale=(0.5, 0.5), ratio=(1.0, 1.0))
    left, upper, right, lower = sample_crop_box(300, 200, rng(), wide, 1.5)
    assert (right - left) / (lower - upper) == pytest.approx(1.5, abs=0.02)


@pytest.mark.parametrize("wrong", [{"resize": "longest"}, {"interpolation": "nearest"}])
def test_ways_of_resizing_that_there_are_not(wrong):
    with pytest.raises(KeyError):
        preprocess_eval_image(pixels(1, 50, 91), ImageSpec.square(32, **wrong))


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_is_decoded(format):
    spec = ImageSpec.square(16)
    pixels = preprocess_eval_image(encoded(1, format), spec).astype(int)
    exact = preprocess_eval_image(encoded(1, "PNG"), spec)
    assert np.abs(pixels - exact).mean() < 12  # lossy formats, and GIF's palette
