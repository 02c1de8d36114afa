"""Opens any data set as a source of records (see `vujax.data.records`).

Records that stay in memory after their first reading.

Controlled noise: a share of the captions moved to other pictures.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from vujax.data.records import Record, Source
from vujax.data.sources.split import select_records
from vujax.utils.registry import Registry

SOURCES = Registry(
    "data source",
    {
        "array_record": "vujax.data.sources.array_record:ArrayRecordSource",
        "cinema": "vujax.data.synthetic.dataset_images:SyntheticImages",
        "folder": "vujax.data.sources.folder:FolderSource",
        "table": "vujax.data.sources.table:TableSource",
        "tfds": "vujax.data.sources.tfds:TfdsSource",
        "webdataset": "vujax.data.sources.webdataset:WebDatasetSource",
    },
)


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
      kind: name in SOURCES.
      hold_out: `dict(field='id', modulo=10, remainder=1, part='train')`: see
        `vujax.data.sources.split.HoldOut`.
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
    common = set(inspect.signature(open_source).parameters) - {"kind", "options"}
    source = select_records(
        SOURCES.build(kind, common=common, **options),
        hold_out=hold_out,
        label_field=label_field,
        min_count=min_count,
    )
    if shuffle_captions:
        source = ShuffledCaptions(source, shuffle_captions, seed=shuffle_seed)
    return CachedSource(source) if keep else source


class CachedSource:
    """A source whose records are read once by each process, then kept: for small or slow ones.

    What cannot be read is not kept, so it is counted each time.
    """

    def __init__(self, source: Source) -> None:
        self._source, self.classes = source, source.classes
        self._records: dict[int, Record] = {}

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Record:
        if index not in self._records:
            self._records[index] = self._source[index]
        return self._records[index]


class ShuffledCaptions:
    """A source in which a fixed share of the records carry another record's captions.

    The chosen records pass their captions round in one cycle, so none keeps its own (two records
    may have equal texts) and every text stays in use. Which records, and whose captions, depend on
    the seed and the source's length only.
    """

    def __init__(self, source: Source, share: float, *, seed: int = 0) -> None:
        """Moves the captions of `round(share * n)` records of `source`.

        Raises:
          ValueError: `share` is not in [0, 1].
        """
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"shuffle_captions must be a share from 0 to 1, not {share}")
        self._source, self.classes = source, source.classes
        rng = np.random.Generator(np.random.Philox(seed))
        chosen = rng.permutation(len(source))[: round(share * len(source))]
        self._donor = np.arange(len(source))
        self._donor[chosen] = np.roll(chosen, 1)

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Record:
        record, donor = self._source[index], int(self._donor[index])
        if donor == index:
            return record
        return Record({**record, "captions": self._source[donor]["captions"]})
