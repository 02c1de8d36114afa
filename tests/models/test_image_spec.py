"""Shapes and preprocessing of images, as configs and releases have them."""

import subprocess
import sys

import numpy as np
import pytest

from vujax.models.image_spec import ImageSpec, parse_image_size


@pytest.mark.parametrize(
    ("size", "shape"), [(32, (32, 32, 3)), ([64, 96], (64, 96, 3)), ((8, 8), (8, 8, 3))]
)
def test_a_size_is_one_or_two_numbers(size, shape) -> None:
    spec = ImageSpec.from_size(size)
    assert spec.shape == shape and spec.zeros(2).shape == (2, *shape)
    assert spec.zeros().dtype == np.uint8
    assert ImageSpec.from_size(spec.size) == spec == parse_image_size(size)
    assert parse_image_size(None) is None


@pytest.mark.parametrize("size", [0, -1, [], [8, 8, 3], [8, 0], [8.5, 8], "8"])
def test_other_sizes_are_refused(size) -> None:
    with pytest.raises(ValueError, match=r"model\.image_size must be one or two positive numbers"):
        ImageSpec.from_size(size, "model.image_size")


def test_releases_keep_their_keys() -> None:
    stored = dict(resize="squash", size=32, interpolation="bilinear")
    spec = ImageSpec.square(32).with_preprocess(stored)
    assert spec == ImageSpec.square(32, resize="squash", interpolation="bilinear")
    assert list(spec.to_preprocess().items()) == list(stored.items())
    assert ImageSpec.square(32).with_preprocess(None) == ImageSpec.square(32)
    assert ImageSpec(64, 96).to_preprocess()["size"] == [64, 96]
    assert ImageSpec(64, 96).describe("n k") == "[n k 64 96 3]"


def test_decoding_needs_no_jax() -> None:
    code = "import sys, vujax.models.image_spec; assert 'jax' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
