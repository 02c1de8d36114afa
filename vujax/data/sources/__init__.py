"""Sources of image-text records (see `vujax.data.records`), opened by the name of their kind."""

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
    """Open a data set.

    Args:
      kind: name in SOURCES.
      hold_out: arguments of `vujax.data.sources.split.HoldOut`, such as `dict(field='id',
        modulo=10, remainder=1, part='train')`.
      label_field: field of the records (a JSON field, a column) whose values become the classes.
      min_count: with `label_field`, minimum number of records of a class.
      shuffle_captions: share of the records that get the captions of another one, for studies of
        noise.
      shuffle_seed: seed of that.
      keep: cache records in memory once they are read (in each worker process).
      **options: arguments of the kind's class.

    Raises:
      ValueError: the kind or an option is unknown.
      FileNotFoundError: a file does not exist, or a pattern matches no file.
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
    """A source that caches its records in memory, for small or slow ones.

    Each process has a cache. Records that cannot be read are not cached, so that they are counted
    each time.
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
    """A source in which a fixed share of the records have another record's captions.

    The captions of the chosen records are rotated in one cycle, so that none keeps its own (two
    records may have equal texts) and every text stays in use. The choice and the order depend on
    the seed and the length of the source only.
    """

    def __init__(self, source: Source, share: float, *, seed: int = 0) -> None:
        """Rotate the captions of `round(share * n)` records of `source`.

        Raises:
          ValueError: `share` is not in [0, 1].
        """
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"shuffle_captions must be a share from 0 to 1, got {share}")
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
