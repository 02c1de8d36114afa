"""Files in the formats of `torch.save`, written without torch so that they can be wrong too."""

import io
import pickle
import zipfile
from collections.abc import Mapping

import numpy as np

from vujax.models.pretrained.torch_pickle import MAGIC, PROTOCOL, STORAGES


def plain(value: object) -> bytes:
    """Return the pickle opcodes of a plain value, without start and stop."""
    return pickle.dumps(value, 2)[2:-1]


def tensor(
    key="0", length=6, shape=(2, 3), stride=(3, 1), offset=0, kind="FloatStorage", more=()
) -> bytes:
    """Return the opcodes of one tensor; `more` is added to the id of its storage."""
    named = plain("storage") + f"ctorch\n{kind}\n".encode() + plain(key) + plain("cpu")
    storage = b"(" + named + plain(length) + b"".join(map(plain, more)) + b"tQ"
    view = plain(offset) + plain(shape) + plain(stride) + plain(False)
    hooks = b"ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + view + hooks + b"tR"


def state(entries: Mapping[str, bytes]) -> bytes:
    """Return the pickle of an ordered dictionary of opcodes by name."""
    items = b"".join(plain(name) + opcodes + b"s" for name, opcodes in entries.items())
    return b"\x80\x02ccollections\nOrderedDict\n)R" + items + b"."


def zipped(
    pickled: bytes, blocks: Mapping[str, bytes], order: str = "little", **options: int
) -> bytes:
    """Return a file of the current format."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", **options) as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/byteorder", order)
        for key, block in blocks.items():
            archive.writestr(f"archive/data/{key}", block)
    return stream.getvalue()


def legacy(pickled: bytes, blocks: Mapping[str, bytes], itemsize: int = 4) -> bytes:
    """Return a file of the format before torch 1.6."""
    head = [pickle.dumps(part, 2) for part in (MAGIC, PROTOCOL, dict(little_endian=True))]
    tail = [(len(block) // itemsize).to_bytes(8, "little") + block for _, block in blocks.items()]
    return b"".join([*head, pickled, pickle.dumps(list(blocks), 2), *tail])


def numbers(kind: str = "FloatStorage", length: int = 6) -> bytes:
    """Return the bytes of a storage of 1, 2, 3 ..."""
    return np.arange(1, length + 1).astype(STORAGES[kind]).tobytes()
