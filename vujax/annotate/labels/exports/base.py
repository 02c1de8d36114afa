"""The interface of label exports."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vujax.annotate.labels.rows import LabelRow
from vujax.catalog import Catalog

WriteFunction = Callable[["LabelExport", Path], list[str]]


@dataclass(frozen=True)
class LabelFormat:
    """A format for label sets.

    Attributes:
      suffix: suffix of the file, such as '.csv'; '' for a directory.
      write: `(export, out) -> notes`; writes atomically and returns a note for each thing that the
        format cannot represent.
      images: default images of the format, one of `images.IMAGE_KINDS`; None: no images, so that
        items without keyframes have a place too.
      negatives: whether programs that read the format see negative labels.
    """

    suffix: str
    write: WriteFunction
    images: str | None = None
    negatives: bool = True

    def has_place_for(self, row: LabelRow) -> bool:
        """Return whether the format represents the label of a row."""
        has_image = self.images is None or row.item.keyframe_id is not None
        return has_image and (row.is_positive or self.negatives)


@dataclass(frozen=True)
class LabelExport:
    """The input of an export.

    Attributes:
      catalog: catalog of the items.
      name: name of the label set.
      rows: rows of the label set, in order.
      images: one of `images.IMAGE_KINDS`.
    """

    catalog: Catalog
    name: str
    rows: Sequence[LabelRow]
    images: str = "keyframes"
