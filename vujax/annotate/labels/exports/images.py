"""Images of exported items, as JPEG files: keyframes of the catalog, or original frames.

Keyframes are the files that `vujax ingest` stored, a few hundred pixels wide. Original frames are
decoded from the films at full size, which therefore must still be at their paths.
"""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from vujax.annotate.labels.exports.base import LabelExport
from vujax.annotate.labels.rows import LabeledItem, group_by_item
from vujax.catalog import Catalog
from vujax.catalog.reader import locate_film_file
from vujax.video.seek import StillReader

IMAGE_KINDS = ("keyframes", "original")
JPEG_QUALITY = 95
ORIGINAL_SIDE = 1 << 16  # larger than any film: frames are never enlarged


def write_images(
    export: LabelExport, folder: Path
) -> Iterator[tuple[LabeledItem, str, tuple[int, int]]]:
    """Write the image of each item.

    Args:
      export: the export.
      folder: directory to create for the files.

    Yields:
      The item, the name of its file, and width and height of the image.
    """
    folder.mkdir()
    for labeled, data in read_images(export.catalog, group_by_item(export.rows), export.images):
        (folder / image_file_name(labeled)).write_bytes(data)
        yield labeled, image_file_name(labeled), read_jpeg_size(data)


def describe_missing_images(export: LabelExport, num_written: int) -> list[str]:
    """Return a note about items without an image; none where all have one."""
    missing = len(group_by_item(export.rows)) - num_written
    return [f"left out {missing} item{'s' * (missing != 1)} without keyframes"] if missing else []


def read_images(
    catalog: Catalog, items: Sequence[LabeledItem], kind: str
) -> Iterator[tuple[LabeledItem, bytes]]:
    """Yield items in order with their JPEG files; items without keyframes are skipped.

    Args:
      catalog: catalog of the items.
      items: items in order of their films.
      kind: one of IMAGE_KINDS.

    Raises:
      ValueError: the kind is unknown, or a keyframe is damaged.
      FileNotFoundError: a film is not at its path.
    """
    if kind not in IMAGE_KINDS:
        raise ValueError(f"unknown images {kind!r}; expected one of: {', '.join(IMAGE_KINDS)}")
    films: dict[str, list[LabeledItem]] = {}
    for labeled in items:
        if labeled.item.keyframe_id:
            films.setdefault(labeled.item.film, []).append(labeled)
    read = _read_keyframes if kind == "keyframes" else _read_originals
    for film, film_items in films.items():
        yield from read(catalog, film, film_items)


def encode_jpeg(pixels: np.ndarray) -> bytes:
    """Encode uint8 `[h w 3]` as a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def read_jpeg_size(data: bytes) -> tuple[int, int]:
    """Return width and height of a JPEG file."""
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        return image.size


def image_file_name(labeled: LabeledItem) -> str:
    """Return a file name for the image of an item, unique in the catalog."""
    return f"{labeled.item.id.replace('/', '_')}.jpg"


def _read_keyframes(
    catalog: Catalog, film: str, items: Sequence[LabeledItem]
) -> Iterator[tuple[LabeledItem, bytes]]:
    reader = catalog.jpegs(film)
    for labeled in items:
        yield labeled, reader[_keyframe_row(labeled)["record"]]


def _read_originals(
    catalog: Catalog, film: str, items: Sequence[LabeledItem]
) -> Iterator[tuple[LabeledItem, bytes]]:
    row = items[0].film.row
    items_by_time: dict[int, list[LabeledItem]] = {}
    for labeled in items:
        items_by_time.setdefault(_keyframe_row(labeled)["pts"], []).append(labeled)
    reader = StillReader(
        locate_film_file(row), items_by_time.keys(), side=ORIGINAL_SIDE, seek=not row["repaired"]
    )
    for pts, still in reader:
        data = encode_jpeg(still.image)
        yield from ((labeled, data) for labeled in items_by_time[pts])
    if reader.status.reason:
        raise ValueError(f"{film}: {reader.status.reason}; export with keyframes instead")


def _keyframe_row(labeled: LabeledItem) -> dict:
    return labeled.film.keyframes[labeled.item.keyframe_id]
