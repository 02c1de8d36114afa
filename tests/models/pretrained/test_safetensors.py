"""safetensors files read and written one tensor at a time; damage is named."""

import json
import struct

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from vujax.models.pretrained.safetensors import TensorFiles, write_tensors

TENSORS = {
    "first": np.arange(6, dtype=np.float32).reshape(2, 3),
    "second": np.ones((4,), np.float32),
    "third": np.float32(2.5),
}


@pytest.fixture
def path(tmp_path):
    save_file({k: np.asarray(v) for k, v in TENSORS.items()}, tmp_path / "a.safetensors")
    return tmp_path / "a.safetensors"


def test_what_is_written_is_what_the_library_reads(tmp_path):
    asked = []

    def tensor(name):
        asked.append(name)
        return TENSORS[name]

    shapes = {name: np.shape(value) for name, value in TENSORS.items()}
    write_tensors(tmp_path / "b.safetensors", shapes, tensor)
    found = load_file(tmp_path / "b.safetensors")
    assert asked == list(TENSORS) == sorted(found)
    for name, value in TENSORS.items():
        np.testing.assert_array_equal(found[name], value)
        assert found[name].dtype == np.float32
    with pytest.raises(ValueError, match=r"'second' has shape \(4,\), expected \(5,\)"):
        write_tensors(tmp_path / "c.safetensors", shapes | {"second": (5,)}, TENSORS.get)


def test_transposed_and_other_floats_are_written_in_order(tmp_path):
    value = np.arange(6, dtype=np.float64).reshape(2, 3).T
    write_tensors(tmp_path / "b.safetensors", {"x": (3, 2)}, lambda name: value)
    np.testing.assert_array_equal(load_file(tmp_path / "b.safetensors")["x"], value)


def test_tensors_of_several_files(path, tmp_path):
    half = np.array([1.5, -2.0], ml_dtypes.bfloat16)
    save_file({"half": half, "whole": np.arange(3)}, tmp_path / "b.safetensors")
    files = TensorFiles([path, tmp_path / "b.safetensors"])
    assert files.shapes == {
        "first": (2, 3),
        "second": (4,),
        "third": (),
        "half": (2,),
        "whole": (3,),
    }
    np.testing.assert_array_equal(files.read("half").astype(np.float32), [1.5, -2.0])
    np.testing.assert_array_equal(files.read("first"), TENSORS["first"])
    with pytest.raises(ValueError, match=r"'whole' of .*b\.safetensors is I64"):
        files.read("whole")
    with pytest.raises(ValueError, match="both hold 'first'"):
        save_file({"first": half}, tmp_path / "c.safetensors")
        TensorFiles([path, tmp_path / "c.safetensors"])


def test_numbers_that_are_not_finite(tmp_path):
    save_file({"x": np.array([1.0, np.inf], np.float16)}, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"a\.safetensors is damaged: tensor 'x' holds"):
        TensorFiles([tmp_path / "a.safetensors"]).read("x")


@pytest.mark.parametrize("lost", [1, 4, 5, 20, 21, 44])
def test_a_file_that_ends_early_names_its_first_tensor_that_is_cut(path, lost):
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
    kept = sum(value.nbytes for value in TENSORS.values()) - lost
    ends = sorted((entry["data_offsets"][1], name) for name, entry in header.items())
    cut = next(name for end, name in ends if end > kept)
    path.write_bytes(data[: len(data) - lost])
    with pytest.raises(ValueError, match=rf"a\.safetensors is damaged .*tensor '{cut}' and"):
        TensorFiles([path])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "ends within its header"),
        (b"\x08", "ends within its header"),
        (struct.pack("<Q", 1 << 60) + b"{}", "ends within its header"),
        (struct.pack("<Q", 8) + b"no json!", "header cannot be read"),
        (struct.pack("<Q", 8) + b"[1,2,3] ", "header cannot be read"),
        (struct.pack("<Q", 8) + b'{"a":1} ', "header cannot be read"),
        (b"PK\x03\x04" + bytes(100), "damaged"),
    ],
)
def test_what_is_no_safetensors_file(tmp_path, data, message):
    path = tmp_path / "a.safetensors"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message) as raised:
        TensorFiles([path])
    assert str(path) in str(raised.value)
