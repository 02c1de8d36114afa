"""safetensors files of any size, read and written one tensor at a time.

A published model may fill most of the memory, so no more than one of its tensors is held here.
"""

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import ml_dtypes  # noqa: F401  # numpy learns of bfloat16
import numpy as np
from safetensors import SafetensorError, safe_open

FLOATS = ("F16", "BF16", "F32", "F64")
MAX_HEADER = 100_000_000  # bytes; the format's own bound


class TensorFiles:
    """Tensors of one or several files.

    Attributes:
      shapes: of the tensors, by name.
      files: file of each tensor, by name.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        """Read the headers.

        Raises:
          ValueError: a file is damaged, or two hold a tensor of the same name.
        """
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.files: dict[str, Path] = {}
        self._opened = {}
        for path in paths:
            self._opened[path] = opened = _open(path)
            for name in opened.keys():  # noqa: SIM118  # not a dictionary
                if name in self.files:
                    raise ValueError(
                        f"{path} and {self.files[name]} both hold {name!r}: remove one"
                    )
                self.files[name] = path
                self.shapes[name] = tuple(opened.get_slice(name).get_shape())

    def read(self, name: str) -> np.ndarray:
        """Read a tensor in its own float dtype.

        Raises:
          ValueError: its dtype is not a float, or a value is not finite.
        """
        path = self.files[name]
        kind = self._opened[path].get_slice(name).get_dtype()
        if kind not in FLOATS:
            raise ValueError(
                f"tensor {name!r} of {path} is {kind}, which is not a plain float dtype: use "
                "weights that are not quantized"
            )
        tensor = self._opened[path].get_tensor(name)
        if not np.isfinite(tensor).all():
            raise ValueError(
                f"{path} is damaged: tensor {name!r} holds a value that is not finite; download "
                "it again"
            )
        return tensor


def write_tensors(
    path: Path, shapes: Mapping[str, tuple[int, ...]], tensor: Callable[[str], np.ndarray]
) -> None:
    """Write a safetensors file of float32 tensors, one after the other.

    Args:
      path: of the file.
      shapes: of the tensors, by name.
      tensor: returns the tensor of a name.

    Raises:
      ValueError: a tensor does not have its shape.
    """
    header, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + 4 * int(np.prod(shape, dtype=np.int64))
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in shapes.items():
            array = np.asarray(tensor(name), "<f4", order="C")
            if array.shape != tuple(shape):
                raise ValueError(
                    f"tensor {name!r} has shape {array.shape}, expected {tuple(shape)}"
                )
            file.write(array.data)


def _open(path: Path) -> safe_open:
    try:
        return safe_open(path, framework="numpy")
    except SafetensorError as error:
        raise ValueError(
            f"{path} is damaged ({_describe_damage(path, error)}): download it again"
        ) from None


def _describe_damage(path: Path, error: SafetensorError) -> str:
    """Describe the damage of a file that cannot be opened, with the first truncated tensor."""
    size = path.stat().st_size
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
        if length > min(size - 8, MAX_HEADER):
            return f"it has {size} bytes and ends within its header, or is not a safetensors file"
        try:
            header = json.loads(file.read(length))
            ends = {
                name: 8 + length + entry["data_offsets"][1]
                for name, entry in header.items()
                if name != "__metadata__"
            }
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            return f"its header cannot be read, {error}"
    truncated = [name for name in sorted(ends, key=ends.get) if ends[name] > size]
    if not truncated:
        return str(error)
    return (
        f"it has {size} bytes, not {max(ends.values())}: tensor {truncated[0]!r} and "
        f"{len(truncated) - 1} others are truncated"
    )
