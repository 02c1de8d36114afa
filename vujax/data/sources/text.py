"""Decoding of captions: text in another encoding is a bad sample, never silently U+FFFD."""

import codecs

from vujax.data.records import BadSample

MARKS = "\t\n\r ,\"'0aZ"


def check_encoding(name: str) -> str:
    """Return the encoding's name if Python has it and it extends ASCII.

    Raises:
      ValueError: it is unknown, or has other bytes for ASCII's characters (UTF-16).
    """
    try:
        if codecs.lookup(name).encode(MARKS)[0] == MARKS.encode("ascii"):
            return name
    except (LookupError, TypeError, ValueError):
        raise ValueError(
            f"unknown encoding {name!r}; expected a name such as 'utf-8' or 'latin-1'"
        ) from None
    raise ValueError(f"encoding {name!r} does not extend ASCII; convert the file to UTF-8")


def decode_text(data: bytes, encoding: str, where: str) -> str:
    """Decode a text, a byte order mark left out.

    Raises:
      BadSample: the bytes are not of the encoding; names the place and the option.
    """
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise BadSample(
            f"{where} is not {encoding}: byte {data[error.start]:#04x} at {error.start} "
            "(option encoding)"
        ) from None
