"""How one record is written as bytes: a JSON header before the encoded picture.

Layout: b"VJX1", the header's length (uint32, little endian), the header (a UTF-8 JSON object with
`key`, `captions`, `label`, `fields`), the picture's file (JPEG, PNG ...) until the end. It can be
read in any language, and reading it runs no code.
"""

import io
import json
import struct

import numpy as np
from PIL import Image

from vujax.data.records import BadSample, Record

MAGIC = b"VJX1"
PREFIX = struct.Struct("<4sI")


def encode(record: Record) -> bytes:
    """The bytes of a record; pixels are kept without loss, as PNG."""
    header = {name: record[name] for name in ("key", "captions", "label")}
    header["fields"] = record.get("fields", {})
    text = json.dumps(header, ensure_ascii=False).encode()
    image = record["image"]
    content = image if isinstance(image, bytes) else png(image)
    return PREFIX.pack(MAGIC, len(text)) + text + content


def png(pixels: np.ndarray) -> bytes:
    """A PNG file of uint8 `[h w 3]`."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def decode(data: bytes) -> Record:
    """The record that `encode` wrote.

    Raises:
      BadSample: these are other bytes.
    """
    try:
        magic, length = PREFIX.unpack_from(data)
        if magic != MAGIC:
            raise ValueError("it does not begin with VJX1")
        end = PREFIX.size + length
        header = json.loads(data[PREFIX.size : end])
        return Record(
            key=header["key"],
            image=data[end:],
            captions=header["captions"],
            label=header["label"],
            fields=header["fields"],
        )
    except (ValueError, KeyError, TypeError, struct.error) as error:
        raise BadSample(
            f"not a record that tools/to_array_record.py wrote ({error}): convert the source again"
        ) from None
