"""Exact tensors from torch files; inconsistent or malicious files are refused."""

import functools
import io
import os
import pickle
import zipfile
from collections import Counter, OrderedDict

import numpy as np
import pytest

from tests.models.pretrained.torch_files import legacy, numbers, plain, state, tensor, zipped
from vujax.models.pretrained.torch_pickle import STORAGES, read_tensors

FORMATS = pytest.mark.parametrize("write", [zipped, legacy])
GOOD = state({"weight": tensor(), "bias": tensor("1", 2, (2,), (1,))})
BLOCKS = {"0": numbers(), "1": numbers(length=2)}


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@FORMATS
def test_tensors_are_read(write):
    arrays = read_tensors(write(GOOD, BLOCKS), "good.pth")
    assert list(arrays) == ["weight", "bias"]
    np.testing.assert_array_equal(arrays["weight"], [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(arrays["bias"], [1, 2])
    assert arrays["weight"].flags.owndata and arrays["weight"].flags.c_contiguous


def test_views_follow_offset_and_strides():
    views = {
        "transposed": tensor(shape=(3, 2), stride=(1, 3)),
        "column": tensor(shape=(2,), stride=(3,), offset=2),
        "scalar": tensor(shape=(), stride=(), offset=5),
        "empty": tensor(shape=(0, 3), stride=(3, 1)),
    }
    arrays = read_tensors(zipped(state(views), BLOCKS), "views.pth")
    np.testing.assert_array_equal(arrays["transposed"], [[1, 4], [2, 5], [3, 6]])
    np.testing.assert_array_equal(arrays["column"], [3, 6])
    assert arrays["scalar"].shape == () and arrays["scalar"] == 6
    assert arrays["empty"].shape == (0, 3)


@pytest.mark.parametrize("kind", STORAGES)
def test_kinds_of_numbers(kind):
    pickled = state({"x": tensor(kind=kind)})
    array = read_tensors(zipped(pickled, {"0": numbers(kind)}), "kinds.pth")["x"]
    assert array.dtype == np.dtype(STORAGES[kind])
    np.testing.assert_array_equal(array.ravel(), np.arange(1, 7).astype(array.dtype))


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    ("function", "argument", "name"),
    [
        (os.system, "echo > {}", f"{os.name}.system"),
        (eval, "open('{}', 'w')", "eval"),
        (exec, "open('{}', 'w')", "exec"),
        (open, "{}", "open"),
        (functools.partial, print, "functools.partial"),
        (getattr, "{}", "getattr"),
        (Counter, "{}", "Counter"),
        (np.frombuffer, b"{}", "frombuffer"),
    ],
)
@FORMATS
def test_anything_but_tensors_is_refused_by_name(
    tmp_path, write, function, argument, name, protocol
):
    trace = tmp_path / "trace"
    if isinstance(argument, str):
        argument = argument.format(trace)
    pickled = pickle.dumps(OrderedDict(weight=Call(function, argument)), protocol)
    with pytest.raises(ValueError, match=rf"evil\.pth .*asks for \S*{name}, and only tensors"):
        read_tensors(write(pickled, BLOCKS), "evil.pth")
    assert not trace.exists()


@pytest.mark.parametrize("name", ["load", "Tensor", "BFloat16Storage", "hub.load"])
def test_other_names_of_torch_are_refused(name):
    pickled = b"\x80\x02ctorch\n" + name.encode() + b"\n."
    with pytest.raises(ValueError, match=f"torch.{name}"):
        read_tensors(zipped(pickled, {}), "evil.pth")


@pytest.mark.parametrize(
    "lie",
    [
        dict(shape=(2, 4), stride=(4, 1)),
        dict(shape=(7,), stride=(1,)),
        dict(shape=(2,), stride=(6,)),
        dict(shape=(1,), stride=(1,), offset=6),
        dict(offset=1),
        dict(offset=-1),
        dict(shape=(2, -3)),
        dict(stride=(-3, 1)),
        dict(stride=(3,)),
        dict(shape=(10**9, 10**9), stride=(0, 0)),
        dict(shape=(2**64,), stride=(1,)),
        dict(shape=(2.0, 3)),
        dict(shape=(True, 3)),
        dict(shape=None),
        dict(length=7),
        dict(length=5, shape=(5,), stride=(1,)),
        dict(length=-6),
        dict(length=2**62, shape=(2**61,), stride=(1,)),
        dict(kind="DoubleStorage"),
        dict(key="7"),
        dict(key="../data.pkl"),
        dict(key=0),
    ],
    ids=str,
)
@FORMATS
def test_sizes_that_the_bytes_do_not_hold_are_refused(write, lie):
    with pytest.raises(ValueError, match=r"^lie\.pth is not a trustworthy file of tensors"):
        read_tensors(write(state({"weight": tensor(**lie)}), {"0": numbers()}), "lie.pth")


@FORMATS
def test_entries_that_are_no_tensors_are_refused(write):
    nested = state({"epoch": plain(3)})
    with pytest.raises(ValueError, match="'epoch' is no tensor"):
        read_tensors(write(nested, {}), "checkpoint.pth")
    with pytest.raises(ValueError, match="no dictionary"):
        read_tensors(write(b"\x80\x02" + tensor() + b".", BLOCKS), "one.pth")


def test_what_this_reader_does_not_know_is_refused():
    with pytest.raises(ValueError, match="list of storages"):
        read_tensors(legacy(state({"weight": tensor()}), BLOCKS), "old.pth")
    part = state({"weight": tensor(more=[("0", 0, 3)])})
    with pytest.raises(ValueError, match="'0' is a view"):
        read_tensors(legacy(part, BLOCKS), "old.pth")
    whole = state({"weight": tensor(more=[None])})  # as the format has it for a storage of its own
    assert list(read_tensors(legacy(whole, {"0": numbers()}), "old.pth")) == ["weight"]
    with pytest.raises(ValueError, match="big-endian"):
        read_tensors(zipped(GOOD, BLOCKS, order="big"), "big.pth")
    with pytest.raises(ValueError, match=r"0 files data\.pkl"):
        read_tensors(zipped(GOOD, BLOCKS).replace(b"data.pkl", b"data.pkg"), "other.pth")


def test_a_pickle_cannot_ask_for_memory_without_end():
    with pytest.raises(ValueError, match="remembers an object"):
        read_tensors(zipped(b"\x80\x02Nr\xff\xff\xff\xff.", {}), "memo.pth")
    with pytest.raises(ValueError, match="is compressed"):
        read_tensors(zipped(GOOD, BLOCKS, compression=zipfile.ZIP_DEFLATED), "bomb.pth")


def test_a_pickle_cannot_change_the_reader():
    builder = b"ctorch._utils\n_rebuild_tensor_v2\n"
    poison = b"\x80\x02" + builder + plain((None, dict(__kwdefaults__=dict(x=1)))) + b"b."
    with pytest.raises(ValueError, match="no dictionary"):
        read_tensors(zipped(poison, {}), "poison.pth")
    shadow = GOOD[:-1] + plain(dict(items=3, keys=4)) + b"b."
    for data in (zipped(GOOD, BLOCKS), zipped(shadow, BLOCKS)):
        assert list(read_tensors(data, "good.pth")) == ["weight", "bias"]


@FORMATS
def test_truncated_files_are_refused(write):
    data = write(GOOD, BLOCKS)
    for end in range(0, len(data), 7):
        with pytest.raises(ValueError, match=r"cut\.pth"):
            read_tensors(data[:end], "cut.pth")


@FORMATS
def test_flipped_bytes_raise_nothing_else(write):
    data, rng = write(GOOD, BLOCKS), np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        flipped = bytearray(data)
        flipped[rng.integers(len(data))] ^= int(rng.integers(1, 256))
        try:
            arrays = read_tensors(bytes(flipped), "flipped.pth")
        except ValueError:
            refused += 1
        else:
            assert all(isinstance(array, np.ndarray) for array in arrays.values())
    assert refused > 50


@pytest.mark.parity
@pytest.mark.parametrize("modern", [True, False])
def test_equal_to_torch(modern):
    import torch

    base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    original = OrderedDict(
        base=base,
        shared=base[1, :, ::2],
        turned=base.permute(2, 0, 1),
        scalar=torch.tensor(7),
        parameter=torch.nn.Parameter(torch.rand(3)),
        double=torch.rand(2, dtype=torch.float64),
        half=torch.rand(2).half(),
        flags=torch.tensor([True, False]),
        none=torch.zeros(0, 4),
        byte=torch.tensor([1, 255], dtype=torch.uint8),
    )
    stream = io.BytesIO()
    torch.save(original, stream, _use_new_zipfile_serialization=modern)
    arrays = read_tensors(stream.getvalue(), "torch.pth")
    assert list(arrays) == list(original)
    for name, value in original.items():
        np.testing.assert_array_equal(arrays[name], value.detach().numpy(), strict=True)
