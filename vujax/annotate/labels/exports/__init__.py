"""Label sets in the formats that other programs read, one file or function each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vujax.utils.registry import Registry

if TYPE_CHECKING:  # the names of formats are listed without numpy
    from vujax.annotate.labels.exports.base import LabelFormat
    from vujax.annotate.labels.items import Places
    from vujax.annotate.labels.log import LabelLog

__all__ = ["FORMATS", "Exported", "export"]

FORMATS = Registry(
    "label format",
    {
        "csv": "vujax.annotate.labels.exports.tables:CSV",
        "jsonl": "vujax.annotate.labels.exports.tables:JSONL",
        "parquet": "vujax.annotate.labels.exports.tables:PARQUET",
        "coco": "vujax.annotate.labels.exports.coco:FORMAT",
        "webdataset": "vujax.annotate.labels.exports.records:WEBDATASET",
        "array_record": "vujax.annotate.labels.exports.records:ARRAY_RECORD",
        "label_studio": "vujax.annotate.labels.exports.label_studio:FORMAT",
        "cvat": "vujax.annotate.labels.exports.cvat:FORMAT",
        "fiftyone": "vujax.annotate.labels.exports.fiftyone:FORMAT",
    },
)


@dataclass(frozen=True)
class Exported:
    """What came of it: where it is, how many labels it has, and what was left out and why."""

    path: Path
    labels: int
    notes: tuple[str, ...]


def export(
    places: "Places",
    log: "LabelLog",
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
      format: a name of FORMATS.
      out: file, or folder that is not there yet.
      labels: only these; None: all.
      pictures: one of `pictures.KINDS`; None: as the format has it.

    Raises:
      ValueError: there is no such format, there is nothing to export, or a file is damaged.
      KeyError: the set has no such label.
      FileExistsError: the folder is there already.
      FileNotFoundError: a film is needed and not where it was.
    """
    from vujax.annotate.labels.exports.base import Export  # brings pyarrow
    from vujax.annotate.labels.rows import rows_of

    chosen: LabelFormat = FORMATS.load(format)
    rows, notes = rows_of(places, log, labels)
    if not rows:
        why = f" ({'; '.join(notes)})" if notes else ""
        raise ValueError(f"the label set {log.path.stem} has nothing to export{why}")
    what = Export(places.catalog, log.path.stem, rows, pictures or chosen.pictures or "keyframes")
    notes += chosen.write(what, out)
    return Exported(out, len(rows), tuple(notes))
