"""A text head and its files."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from vujax.encoders.text_head import SHAPES, TextHead, load_head, save_head


def head(seed: int = 0, dtype: str = "float16") -> TextHead:
    rng = np.random.default_rng(seed)
    kernel = rng.normal(size=SHAPES["kernel"]).astype(dtype)
    return TextHead(kernel, rng.normal(size=SHAPES["bias"]).astype(np.float32), {"share": 0.5})


def test_it_is_an_affine_map_of_unit_length() -> None:
    features = np.random.default_rng(1).normal(size=(5, 1280)).astype(np.float32)
    one = head()
    expected = features.astype(np.float64) @ one.kernel.astype(np.float64) + one.bias
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(one(features), expected, atol=1e-5)


def test_a_saved_head_comes_back(tmp_path: Path) -> None:
    one = head()
    again = load_head(save_head(tmp_path / "head", one))
    assert again.config == one.config and again.kernel.dtype == np.float16
    for name, tensor in one.tensors.items():
        np.testing.assert_array_equal(again.tensors[name], tensor)


def test_the_head_in_the_package() -> None:
    one = load_head()
    assert one.kernel.dtype == np.float16 and np.isfinite(one.kernel).all()
    assert 0 < one.config["share"] < 1
    assert "experiments/lite_head.py" in one.config["about"]["command"]
    licence = one.config["about"]["licence"]
    assert "openclipart (public domain) and Noto emoji (Apache-2.0)" in licence


def test_files_that_are_no_head_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"config\.json is missing"):
        load_head(tmp_path)
    folder = save_head(tmp_path / "head", head())
    for config in ({}, {"share": 2}, {"share": "half"}, []):
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(ValueError, match="not a text head: it needs a share"):
            load_head(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match="is damaged"):
        load_head(folder)
    save_head(folder, head())
    save_file({"kernel": np.zeros((3, 384), np.float32)}, folder / "weights.safetensors")
    with pytest.raises(ValueError, match="not a text head"):
        load_head(folder)
    (folder / "weights.safetensors").write_bytes(b"\x10")
    with pytest.raises(ValueError, match="is damaged"):
        load_head(folder)
    (folder / "weights.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"weights\.safetensors is missing"):
        load_head(folder)
