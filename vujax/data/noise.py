"""Controlled noise: a share of the captions moved to other pictures."""

import numpy as np

from vujax.data.records import Record, Source


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
