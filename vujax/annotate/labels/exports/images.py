"""A folder of JPEG files, one for each labelled item: what several formats have in common.

The pictures that labelled items are exported with: the catalogue's keyframes, or the films' own.

Keyframes are those that `vujax ingest` kept, JPEG files of a few hundred pixels. Original frames
are decoded anew from the films, at their own size, and need the films to be where they were.
"""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from vujax.annotate.labels.exports.base import Export
from vujax.annotate.labels.rows import Item, items_of
from vujax.catalog import Catalog
from vujax.catalog.reader import locate_film_file
from vujax.video.seek import StillReader


def write_images(export: Export, folder: Path) -> Iterator[tuple[Item, str, tuple[int, int]]]:
    """Writes the picture of each item.

    Args:
      export: what is exported.
      folder: for the files; it is made.

    Yields:
      The item, its file's name, and its width and height.
    """
    folder.mkdir()
    for item, data in with_pictures(export.catalog, items_of(export.rows), export.pictures):
        (folder / name_of(item)).write_bytes(data)
        yield item, name_of(item), size_of(data)


def skipped(export: Export, written: int) -> list[str]:
    """What to say of items that have no picture."""
    missing = len(items_of(export.rows)) - written
    if not missing:
        return []
    return [f"left out {missing} item{'s' * (missing != 1)}: there is no keyframe of them"]


KINDS = ("keyframes", "original")

QUALITY = 95

WHOLE = 1 << 16  # a side that no film has: frames are never enlarged


def with_pictures(
    catalog: Catalog, items: Sequence[Item], kind: str
) -> Iterator[tuple[Item, bytes]]:
    """Items and the JPEG file of each, in order; items without a picture are passed over.

    Args:
      catalog: that they are in.
      items: in order of their films.
      kind: one of KINDS.

    Raises:
      ValueError: there is no such kind, or a keyframe is damaged.
      FileNotFoundError: a film is not where it was.
    """
    if kind not in KINDS:
        raise ValueError(f"pictures are {' or '.join(KINDS)}, not {kind!r}")
    films: dict[str, list[Item]] = {}
    for item in items:
        if item.place.picture:
            films.setdefault(item.place.film, []).append(item)
    for film, mine in films.items():
        yield from (_keyframes if kind == "keyframes" else _originals)(catalog, film, mine)


def _keyframes(catalog: Catalog, film: str, items: Sequence[Item]) -> Iterator[tuple[Item, bytes]]:
    reader = catalog.jpegs(film)
    for item in items:
        yield item, reader[item.film.keyframes[item.place.picture]["record"]]


def _originals(catalog: Catalog, film: str, items: Sequence[Item]) -> Iterator[tuple[Item, bytes]]:
    row = items[0].film.row
    times = {item.place.id: item.film.keyframes[item.place.picture]["pts"] for item in items}
    reader = StillReader(
        locate_film_file(row), times.values(), side=WHOLE, seek=not row["repaired"]
    )
    wanted: dict[int, list[Item]] = {}
    for item in items:
        wanted.setdefault(times[item.place.id], []).append(item)
    for pts, still in reader:
        data = jpeg(still.image)
        yield from ((item, data) for item in wanted[pts])
    if reader.status.reason:
        raise ValueError(f"{film}: {reader.status.reason}: export with keyframes instead")


def jpeg(pixels: np.ndarray) -> bytes:
    """A JPEG file of uint8 `[h w 3]`."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def size_of(data: bytes) -> tuple[int, int]:
    """Width and height of a JPEG file."""
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as picture:
        return picture.size


def name_of(item: Item) -> str:
    """A file's name for the picture of an item, its own in the catalogue."""
    return f"{item.place.id.replace('/', '_')}.jpg"
