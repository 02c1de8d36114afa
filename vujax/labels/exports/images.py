"""A folder of JPEG files, one for each labelled item: what several formats have in common."""

from collections.abc import Iterator
from pathlib import Path

from vujax.labels.exports import Export
from vujax.labels.pictures import name_of, size_of, with_pictures
from vujax.labels.rows import Item, items_of


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
