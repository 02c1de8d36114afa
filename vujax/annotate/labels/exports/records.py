"""A label set as a source of image-text records, as training reads them.

The captions are the labels that hold; `label` is the class where exactly one holds, the classes
being the set's labels in order of the alphabet. `fields` says which labels do not hold, and where
the picture is from.

WebDataset: tar shards of `KEY.jpg`, `.txt` (the labels that hold), `.json`, and `.cls`.

`.cls` is there where exactly one label holds; `classes.json` beside the shards lists the labels.
The pictures are frames of the films themselves unless the catalogue's keyframes are asked for.

ArrayRecord: what training here reads (`--config.data.sources.main.path=FOLDER`).
"""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

from vujax.annotate.labels.exports.base import Export, LabelFormat
from vujax.annotate.labels.exports.images import skipped, with_pictures
from vujax.annotate.labels.rows import Item, items_of, labels_of
from vujax.data.records import BadSample, Record
from vujax.data.sources.array_record import convert_source
from vujax.utils.io import write_folder_atomically


class LabelSource:
    """The items of an export that have a picture; see `vujax.data.records.Source`.

    Attributes:
      classes: the labels, in order of the alphabet.
    """

    def __init__(self, export: Export) -> None:
        """Reads no picture yet."""
        self.classes = tuple(labels_of(export.rows))
        self._items = [item for item in items_of(export.rows) if item.place.picture]
        self._pictures = with_pictures(export.catalog, self._items, export.pictures)
        self._next = 0

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Record:
        """The record; they are read in order, since films are decoded in order."""
        if not 0 <= index < len(self):
            raise IndexError(f"item {index} of {len(self)}")
        if index != self._next:
            raise BadSample(f"item {index} was asked for after {self._next - 1}: read in order")
        item, data = next(self._pictures)
        self._next += 1
        return Record(
            key=item.place.id.replace("/", "_"),
            image=data,
            captions=list(item.holds),
            label=self.classes.index(item.holds[0]) if len(item.holds) == 1 else None,
            fields=facts(item),
        )


def facts(item: Item) -> dict[str, Any]:
    """What is known of an item beside its picture and captions."""
    place = item.place
    return dict(
        id=place.id,
        film=place.film,
        level=place.level,
        labels=list(item.holds),
        not_labels=list(item.fails),
        begin_s=place.begin_s,
        end_s=place.end_s,
        pts=place.pts,
        title=item.film.title,
        scores=item.scores,
    )


SHARD = 1000  # samples


def write_webdataset(export: Export, out: Path) -> list[str]:
    """Writes the folder."""
    source = LabelSource(export)
    write_folder_atomically(out, lambda folder: _fill_shards(source, folder))
    return skipped(export, len(source))


def _fill_shards(source: LabelSource, folder: Path) -> None:
    for first in range(0, len(source), SHARD):
        path = folder / f"{first // SHARD:05d}.tar"
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
            for index in range(first, min(first + SHARD, len(source))):
                _add(archive, source[index])
    classes = json.dumps(list(source.classes), ensure_ascii=False)
    (folder / "classes.json").write_text(classes, encoding="utf-8")


def _add(archive: tarfile.TarFile, record: Record) -> None:
    parts = {
        "jpg": record["image"],
        "txt": ", ".join(record["captions"]).encode(),
        "json": json.dumps(record["fields"], ensure_ascii=False).encode(),
    }
    if record["label"] is not None:
        parts["cls"] = str(record["label"]).encode()
    for suffix, data in parts.items():
        member = tarfile.TarInfo(f"{record['key']}.{suffix}")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))


def write_array_record(export: Export, out: Path) -> list[str]:
    """Writes the folder."""
    source = LabelSource(export)
    origin = dict(kind="vujax labels", set=export.name, pictures=export.pictures)
    write_folder_atomically(out, lambda folder: _fill_array_record(source, folder, origin))
    return skipped(export, len(source))


def _fill_array_record(source: LabelSource, folder: Path, origin: dict[str, str]) -> None:
    convert_source(source, folder, origin=origin, max_bad=0.0)


WEBDATASET = LabelFormat("", write_webdataset, pictures="original")
ARRAY_RECORD = LabelFormat("", write_array_record, pictures="keyframes")
