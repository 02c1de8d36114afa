"""The interface of label exports."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vujax.annotate.labels.rows import Row
from vujax.catalog import Catalog

Write = Callable[["Export", Path], list[str]]


@dataclass(frozen=True)
class LabelFormat:
    """A format for label sets.

    Attributes:
      suffix: of the file, such as '.csv'; '' for a directory.
      write: `(export, out) -> notes`; writes atomically and returns a sentence for each thing that
        the format cannot hold.
      pictures: images that the format takes by default, one of `images.KINDS`; None: no images.
    """

    suffix: str
    write: Write
    pictures: str | None = None


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
