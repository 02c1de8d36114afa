"""Exports of label sets to the formats of other programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vujax.utils.registry import Registry

if TYPE_CHECKING:  # the names of formats are listed without numpy
    from vujax.annotate.labels.exports.base import LabelFormat
    from vujax.annotate.labels.items import CatalogItems
    from vujax.annotate.labels.log import LabelLog

__all__ = ["FORMATS", "ExportSummary", "export_labels"]

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
class ExportSummary:
    """Result of an export.

    Attributes:
      path: path of the file or directory.
      labels: number of labels that the format represents.
      notes: a note for each reason why something was left out.
    """

    path: Path
    labels: int
    notes: tuple[str, ...]


def export_labels(
    contents: "CatalogItems",
    log: "LabelLog",
    format: str,
    out: Path,
    *,
    labels: Sequence[str] | None = None,
    images: str | None = None,
) -> ExportSummary:
    """Export a label set.

    Args:
      contents: items of its catalog.
      log: the label set.
      format: a name of FORMATS.
      out: path of the file or of a new directory.
      labels: labels to export; None: all.
      images: one of `images.IMAGE_KINDS`; None: the default of the format.

    Raises:
      ValueError: the format is unknown, nothing is left to export, or a file is damaged.
      KeyError: the set lacks a label of `labels`.
      FileExistsError: the directory exists already.
      FileNotFoundError: a required film is not at its path.
    """
    from vujax.annotate.labels.exports.base import LabelExport  # imports pyarrow
    from vujax.annotate.labels.rows import collect_rows

    chosen: LabelFormat = FORMATS.load(format)
    rows, notes = collect_rows(contents, log, labels)
    if not rows:
        why = f" ({'; '.join(notes)})" if notes else ""
        raise ValueError(f"the label set {log.path.stem} has nothing to export{why}")
    kind = images or chosen.images or "keyframes"
    notes += chosen.write(LabelExport(contents.catalog, log.path.stem, rows, kind), out)
    return ExportSummary(out, sum(map(chosen.has_place_for, rows)), tuple(notes))
