"""safetensors files of any size: read and written one tensor at a time.

A published model may fill most of the memory, so nothing here holds more than one tensor of it.
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
    """The tensors of one or several files.

    Attributes:
      shapes: of the tensors by name.
      file_of: the file of each.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        """Reads the headers.

        Raises:
          ValueError: a file is damaged, or two hold a tensor of one name.
        """
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.file_of: dict[str, Path] = {}
        self._opened = {}
        for path in paths:
            self._opened[path] = opened = _open(path)
            for name in opened.keys():  # noqa: SIM118  # it is no dictionary
                if name in self.file_of:
                    raise ValueError(f"{path} and {self.file_of[name]} both hold {name!r}.")
                self.file_of[name] = path
                self.shapes[name] = tuple(opened.get_slice(name).get_shape())

    def read(self, name: str) -> np.ndarray:
        """A tensor, of whichever float type it has.

        Raises:
          ValueError: it is no float tensor, or holds a number that is not finite.
        """
        path = self.file_of[name]
        kind = self._opened[path].get_slice(name).get_dtype()
        if kind not in FLOATS:
            raise ValueError(
                f"Tensor {name!r} of {path} is {kind}, which is no plain float type: take weights "
                "that are not quantised."
            )
        tensor = self._opened[path].get_tensor(name)
        if not np.isfinite(tensor).all():
            raise ValueError(
                f"{path} is damaged: tensor {name!r} holds a number that is not finite; download "
                "it again."
            )
        return tensor


def write_tensors(
    path: Path, shapes: Mapping[str, tuple[int, ...]], tensor: Callable[[str], np.ndarray]
) -> None:
    """Writes a safetensors file of float32 tensors, asking for one after the other.

    Args:
      path: of the file.
      shapes: of the tensors by name.
      tensor: gives the tensor of a name.

    Raises:
      ValueError: it has another shape than was said.
    """
    header, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + 4 * int(np.prod(shape, dtype=np.int64))
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in shapes.items():
            array = np.asarray(tensor(name), "<f4", order="C")
            if array.shape != tuple(shape):
                raise ValueError(f"Tensor {name!r} is {array.shape}, not {tuple(shape)}.")
            file.write(array.data)


def _open(path: Path) -> safe_open:
    try:
        return safe_open(path, framework="numpy")
    except SafetensorError as error:
        raise ValueError(
            f"{path} is damaged ({_reason(path, error)}): download it again."
        ) from None


def _reason(path: Path, error: SafetensorError) -> str:
    """What is wrong with a file that cannot be opened: the first tensor that it lacks, if any."""
    size = path.stat().st_size
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
        if length > min(size - 8, MAX_HEADER):
            return f"it has {size} bytes and ends within its header, or is no safetensors file"
        try:
            header = json.loads(file.read(length))
            ends = {
                name: 8 + length + entry["data_offsets"][1]
                for name, entry in header.items()
                if name != "__metadata__"
            }
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            return f"its header cannot be read, {error}"
    beyond = [name for name in sorted(ends, key=ends.get) if ends[name] > size]
    if not beyond:
        return str(error)
    return (
        f"it has {size} bytes, not {max(ends.values())}: tensor {beyond[0]!r} and "
        f"{len(beyond) - 1} others are not whole"
    )
