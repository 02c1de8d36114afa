"""Label sets in the formats that other programs read: one file here for each.

All have `write(export, out) -> list of notes`, what the format could not take, a sentence each.
What is written appears whole or not at all.
"""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vujax.annotate.labels.items import Places
from vujax.annotate.labels.log import LabelLog
from vujax.annotate.labels.rows import Row, rows_of
from vujax.catalog import Catalog

# The suffix of a file; a folder has none.
FORMATS = {
    "csv": ".csv",
    "jsonl": ".jsonl",
    "parquet": ".parquet",
    "coco": "",
    "webdataset": "",
    "array_record": "",
    "label_studio": "",
    "cvat": "",
    "fiftyone": "",
}
WRITERS = {
    "csv": "vujax.annotate.labels.exports.tables:write_csv",
    "jsonl": "vujax.annotate.labels.exports.tables:write_jsonl",
    "parquet": "vujax.annotate.labels.exports.tables:write_parquet",
    "coco": "vujax.annotate.labels.exports.coco:write",
    "webdataset": "vujax.annotate.labels.exports.records:write_webdataset",
    "array_record": "vujax.annotate.labels.exports.records:write_array_record",
    "label_studio": "vujax.annotate.labels.exports.label_studio:write",
    "cvat": "vujax.annotate.labels.exports.cvat:write",
    "fiftyone": "vujax.annotate.labels.exports.fiftyone:write",
}
# Which pictures a format takes unless told otherwise, see `vujax.annotate.labels.images`.
PICTURES = dict.fromkeys(
    ("coco", "array_record", "label_studio", "cvat", "fiftyone"), "keyframes"
) | {"webdataset": "original"}


@dataclass(frozen=True)
class Export:
    """What is exported.

    Attributes:
      catalog: that the labels are of.
      name: of the set.
      rows: of it, in order.
      pictures: one of `pictures.KINDS`.
    """

    catalog: Catalog
    name: str
    rows: Sequence[Row]
    pictures: str = "keyframes"


@dataclass(frozen=True)
class Exported:
    """What came of it: where it is, how many labels it has, and what was left out and why."""

    path: Path
    labels: int
    notes: tuple[str, ...]


def export(
    places: Places,
    log: LabelLog,
    format: str,
    out: Path,
    *,
    labels: Sequence[str] | None = None,
    pictures: str | None = None,
) -> Exported:
    """Writes a set.

    Args:
      places: of its catalogue.
      log: the set.
      format: one of FORMATS.
      out: file, or folder that is not there yet.
      labels: only these; None: all.
      pictures: one of `pictures.KINDS`; None: as the format has it.

    Raises:
      ValueError: there is no such format, there is nothing to export, or a file is damaged.
      KeyError: the set has no such label.
      FileExistsError: the folder is there already.
      FileNotFoundError: a film is needed and not where it was.
    """
    if format not in FORMATS:
        raise ValueError(f"there is no format {format!r}: there are {', '.join(FORMATS)}")
    rows, notes = rows_of(places, log, labels)
    if not rows:
        why = f" ({'; '.join(notes)})" if notes else ""
        raise ValueError(f"the label set {log.path.stem} has nothing to export{why}")
    what = Export(
        places.catalog, log.path.stem, rows, pictures or PICTURES.get(format, "keyframes")
    )
    module, name = WRITERS[format].split(":")
    notes += getattr(importlib.import_module(module), name)(what, out)
    return Exported(out, len(rows), tuple(notes))
