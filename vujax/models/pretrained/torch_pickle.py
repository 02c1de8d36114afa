"""Tensors from the files that `torch.save` writes, without torch and without trusting them.

Such a file holds a pickle, which can call any function of the machine that reads it. Here a pickle
builds only ordered dictionaries and descriptions of tensors; any other name is refused.
Descriptions are checked against the available bytes before numpy sees them.

Two formats are supported: the zip archive of torch 1.6 and later, and the older one, a sequence of
pickles followed by the raw values of each storage, which old released weights still use.
"""

import io
import math
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # start of a file of the older format
STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "?",
}


class _Storage(NamedTuple):
    """Flat array of `length` values, in the file under `key`."""

    dtype: str
    key: str
    length: int


class _Tensor(NamedTuple):
    """View of a storage; offset and stride count values, not bytes."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def read_tensors(data: bytes, name: str) -> dict[str, np.ndarray]:
    """Read the tensors of a saved state dict.

    Args:
      data: content of a file written by `torch.save`.
      name: of the file, for messages.

    Returns:
      Arrays by name, in the file's order; each owns its memory, in C order.

    Raises:
      ValueError: the file is damaged, names anything but tensors, or describes tensors outside its
        bytes.
    """
    read = _read_zip if data.startswith(b"PK") else _read_legacy
    try:
        return read(data)
    except Exception as error:
        # Damaged pickles and archives raise almost any error: KeyError, struct.error, EOFError ...
        raise ValueError(f"{name} is not a trustworthy file of tensors: {error}") from error


def _read_zip(data: bytes) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: info for info in archive.infolist()}
        for info in members.values():
            if info.compress_type != zipfile.ZIP_STORED:  # torch never compresses; a zip bomb does
                raise ValueError(f"its member {info.filename!r} is compressed")
        pickles = [member for member in members if member.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError(f"it holds {len(pickles)} files data.pkl, not one")
        folder = pickles[0].removesuffix("data.pkl")
        order = folder + "byteorder"
        if order in members and archive.read(order) != b"little":
            raise ValueError("its numbers are big-endian")
        state, _ = _unpickle(archive.read(pickles[0]), 0)
        return _build_arrays(state, lambda storage: archive.read(f"{folder}data/{storage.key}"))


def _read_legacy(data: bytes) -> dict[str, np.ndarray]:
    position, parts = 0, []
    for _ in range(5):
        part, position = _unpickle(data, position)
        parts.append(part)
    magic, protocol, system, state, keys = parts
    if (magic, protocol) != (MAGIC, PROTOCOL):
        raise ValueError("it does not start like a file of torch")
    if type(system) is not dict or system.get("little_endian") is not True:
        raise ValueError("its numbers are not little-endian")
    declared = {t.storage.key: t.storage for t in _check_tensors(state).values()}
    if type(keys) is not list or sorted(keys) != sorted(declared):
        raise ValueError("its list of storages is not that of its tensors")
    blocks: dict[str, bytes] = {}
    for key in keys:
        storage = declared[key]
        start = position + 8  # the length comes first, as int64
        position = start + storage.length * np.dtype(storage.dtype).itemsize
        if int.from_bytes(data[start - 8 : start], "little") != storage.length:
            raise ValueError(f"storage {key!r} has two lengths")
        blocks[key] = data[start:position]
    return _build_arrays(state, lambda storage: blocks[storage.key])


def _unpickle(data: bytes, start: int) -> tuple[Any, int]:
    """Unpickle the object at `start`; return it with the end of its pickle."""
    stream = io.BytesIO(data)
    stream.seek(start)
    for opcode, argument, _ in pickletools.genops(stream):
        # The memo is an array that grows to any given index: 64 GB for a pickle of 6 bytes.
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and argument > len(data):
            raise ValueError(f"its pickle remembers an object under the number {argument}")
    end = stream.tell()
    return _Unpickler(io.BytesIO(data[start:end])).load(), end


class _Unpickler(pickle.Unpickler):
    """Unpickler of dictionaries, tuples, numbers, strings and `_Tensor`; refuses other names."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) in BUILDERS:
            # A new function each time: a pickle may set attributes of what it receives.
            return lambda *arguments: BUILDERS[module, name](*arguments)
        raise ValueError(f"its pickle asks for {module}.{name}, and only tensors may be built")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, length, *view = pid
        if kind != "storage" or dtype not in STORAGES.values() or type(key) is not str:
            raise ValueError("its pickle refers to something that is no storage")
        if any(part is not None for part in view):
            raise ValueError(f"storage {key!r} is a view of another one")
        return _Storage(dtype, key, _check_count(length))


def _check_count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("a size, stride or offset is no whole number from 0 on")
    return value


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> _Tensor:
    if type(storage) is not _Storage or len(shape) != len(stride):
        raise ValueError("a tensor has no storage, or a shape that does not fit its strides")
    sizes, steps = tuple(map(_check_count, shape)), tuple(map(_check_count, stride))
    last = _check_count(offset) + sum((n - 1) * step for n, step in zip(sizes, steps, strict=True))
    # More entries than values means entries that share memory: a few bytes could claim petabytes.
    if math.prod(sizes) > storage.length or (math.prod(sizes) and last >= storage.length):
        raise ValueError(
            f"a tensor of shape {sizes}, strides {steps} and offset {offset} does not fit into "
            f"its storage of {storage.length} numbers"
        )
    return _Tensor(storage, offset, sizes, steps)


def _rebuild_parameter(tensor: _Tensor, *_: Any) -> _Tensor:
    return tensor


BUILDERS: dict[tuple[str, str], Callable[..., _Tensor]] = {
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
}


def _check_tensors(state: Any) -> dict[str, _Tensor]:
    """Check that `state` is a dict of tensors by name; return it."""
    if not isinstance(state, dict):
        raise ValueError("it holds no dictionary of tensors")
    # Through dict: a pickle may have given this object an attribute named 'items'.
    entries = dict(dict.items(state))
    for key, tensor in entries.items():
        if type(key) is not str or type(tensor) is not _Tensor:
            entry = f"{key[:80]!r}" if type(key) is str else f"of type {type(key).__name__}"
            raise ValueError(
                f"its entry {entry} is no tensor under a name: save a state dict alone"
            )
    return entries


def _build_arrays(state: Any, content: Callable[[_Storage], bytes]) -> dict[str, np.ndarray]:
    """Build the arrays that `state` describes; `content` returns the bytes of a storage."""
    arrays, loaded = {}, {}
    for name, (storage, offset, shape, stride) in _check_tensors(state).items():
        if storage not in loaded:
            block = content(storage)
            itemsize = np.dtype(storage.dtype).itemsize
            if len(block) != storage.length * itemsize:
                raise ValueError(
                    f"storage {storage.key!r} has {len(block)} bytes, not "
                    f"{storage.length} numbers of {itemsize}"
                )
            loaded[storage] = np.frombuffer(block, storage.dtype)
        steps = tuple(step * loaded[storage].itemsize for step in stride)
        view = np.lib.stride_tricks.as_strided(loaded[storage][offset:], shape, steps)
        arrays[name] = np.array(view, order="C")
    return arrays
