"""WebDataset: tar shards of `KEY.jpg`, `.txt` (the labels that hold), `.json`, and `.cls`.

`.cls` is there where exactly one label holds; `classes.json` beside the shards lists the labels.
The pictures are frames of the films themselves unless the catalogue's keyframes are asked for.
"""

import io
import json
import tarfile
from pathlib import Path

from vujax.data.records import Record
from vujax.labels.exports import Export, write_folder
from vujax.labels.exports.images import skipped
from vujax.labels.exports.records import LabelSource

SHARD = 1000  # samples


def write_webdataset(export: Export, out: Path) -> list[str]:
    """Writes the folder."""
    source = LabelSource(export)
    write_folder(out, lambda folder: _fill_shards(source, folder))
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
