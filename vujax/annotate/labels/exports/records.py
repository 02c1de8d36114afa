"""WebDataset and ArrayRecord: label sets as image-text records for training.

The captions of a record are its positive labels; `label` is the class of a record with exactly one
positive label, the classes being the sorted labels of the set. `fields` has the negative labels
and the origin of the image.

- WebDataset: tar shards of `KEY.jpg`, `.txt` (the positive labels), `.json`, and, for exactly one
  positive label, `.cls`; `classes.json` beside the shards lists the labels. The images are frames
  of the films by default.
- ArrayRecord: read by training (`--config.data.sources.main.path=FOLDER`).
"""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

from vujax.annotate.labels.exports.base import LabelExport, LabelFormat
from vujax.annotate.labels.exports.images import describe_missing_images, read_images
from vujax.annotate.labels.rows import LabeledItem, group_by_item, list_labels
from vujax.data.records import BadSample, Record
from vujax.data.sources.array_record import convert_source
from vujax.utils.io import write_folder_atomically

SHARD_SAMPLES = 1000


class LabelRecordSource:
    """The items of an export with an image; see `vujax.data.records.Source`.

    Attributes:
      classes: sorted labels.
    """

    def __init__(self, export: LabelExport) -> None:
        """Prepare for reading the images in order."""
        self.classes = tuple(list_labels(export.rows))
        self._items = [
            labeled for labeled in group_by_item(export.rows) if labeled.item.keyframe_id
        ]
        self._images = read_images(export.catalog, self._items, export.images)
        self._next = 0

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Record:
        """Return a record; records must be read in order, as films are decoded in order."""
        if not 0 <= index < len(self):
            raise IndexError(f"item {index} of {len(self)}")
        if index != self._next:
            raise BadSample(
                f"item {index} was requested after {self._next - 1}; read items in order"
            )
        labeled, data = next(self._images)
        self._next += 1
        return Record(
            key=labeled.item.id.replace("/", "_"),
            image=data,
            captions=list(labeled.positives),
            label=self.classes.index(labeled.positives[0]) if len(labeled.positives) == 1 else None,
            fields=describe_item(labeled),
        )


def describe_item(labeled: LabeledItem) -> dict[str, Any]:
    """Return the fields of an item other than image and captions."""
    item = labeled.item
    return dict(
        id=item.id,
        film=item.film,
        level=item.level,
        labels=list(labeled.positives),
        not_labels=list(labeled.negatives),
        begin_s=item.begin_s,
        end_s=item.end_s,
        pts=item.pts,
        title=labeled.film.title,
        scores=labeled.scores,
    )


def write_webdataset(export: LabelExport, out: Path) -> list[str]:
    """Write the directory."""
    source = LabelRecordSource(export)
    write_folder_atomically(out, lambda folder: _fill_shards(source, folder))
    return describe_missing_images(export, len(source))


def _fill_shards(source: LabelRecordSource, folder: Path) -> None:
    for first in range(0, len(source), SHARD_SAMPLES):
        path = folder / f"{first // SHARD_SAMPLES:05d}.tar"
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
            for index in range(first, min(first + SHARD_SAMPLES, len(source))):
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


def write_array_record(export: LabelExport, out: Path) -> list[str]:
    """Write the directory."""
    source = LabelRecordSource(export)
    origin = dict(kind="vujax labels", set=export.name, pictures=export.images)
    write_folder_atomically(out, lambda folder: _fill_array_record(source, folder, origin))
    return describe_missing_images(export, len(source))


def _fill_array_record(source: LabelRecordSource, folder: Path, origin: dict[str, str]) -> None:
    convert_source(source, folder, origin=origin, max_bad=0.0)


WEBDATASET = LabelFormat("", write_webdataset, images="original")
ARRAY_RECORD = LabelFormat("", write_array_record, images="keyframes")
