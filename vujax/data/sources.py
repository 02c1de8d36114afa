"""Opens any data set as a source of records (see `vujax.data.records`)."""

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from vujax.data.kept import Kept
from vujax.data.noise import ShuffledCaptions
from vujax.data.options import check_options
from vujax.data.records import Source
from vujax.data.split import select

KINDS = {
    "array_record": ("vujax.data.array_record", "ArrayRecordSource"),
    "cinema": ("vujax.data.cinema.source", "CinemaSource"),
    "folder": ("vujax.data.folder", "FolderSource"),
    "table": ("vujax.data.table", "TableSource"),
    "tfds": ("vujax.data.tfds", "TfdsSource"),
    "webdataset": ("vujax.data.webdataset", "WebDatasetSource"),
}


def open_source(
    kind: str,
    *,
    hold_out: Mapping[str, Any] | None = None,
    label_field: str | None = None,
    min_count: int = 1,
    shuffle_captions: float = 0.0,
    shuffle_seed: int = 0,
    keep: bool = False,
    **options: Any,
) -> Source:
    """Opens a data set.

    Args:
      kind: one of `KINDS`.
      hold_out: `dict(field='id', modulo=10, remainder=1, part='train')`: see
        `vujax.data.split.HoldOut`.
      label_field: field of the records (a JSON field, a column) whose values become the classes.
      min_count: with `label_field`, the fewest records of a class that is kept.
      shuffle_captions: share of the records that get another's captions, for studies of noise.
      shuffle_seed: of that.
      keep: hold records in memory once they are read (each worker process holds its own).
      **options: of the kind's class.

    Raises:
      ValueError: the kind or an option is unknown.
      FileNotFoundError: a file, or whatever a pattern should match, is not there.
    """
    if kind not in KINDS:
        raise ValueError(f"source kind '{kind}' is unknown: use one of {', '.join(KINDS)}")
    module, name = KINDS[kind]
    make = getattr(importlib.import_module(module), name)
    common = set(inspect.signature(open_source).parameters) - {"kind", "options"}
    check_options(f"source '{kind}'", make, options, common)
    source = select(
        make(**options), hold_out=hold_out, label_field=label_field, min_count=min_count
    )
    if shuffle_captions:
        source = ShuffledCaptions(source, shuffle_captions, seed=shuffle_seed)
    return Kept(source) if keep else source
