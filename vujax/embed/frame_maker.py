"""A film's keyframes through an encoder of pictures."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from vujax.catalog import Catalog
from vujax.embed.encoders import Encoder
from vujax.embed.maker import Tables
from vujax.embed.pictures import batches
from vujax.ingest.reading import Report


class FrameMaker:
    """A `Maker` for an encoder of pictures; see `Maker`."""

    def __init__(
        self, encoder: Encoder, catalog: Catalog, batch: int, threads: ThreadPoolExecutor
    ) -> None:
        self._encoder, self._catalog, self._batch = encoder, catalog, batch
        self._threads = threads

    def trial(self) -> np.ndarray:
        """See `Maker`."""
        size = self._encoder.size
        return np.asarray(self._encoder.encode(np.zeros((self._batch, size, size, 3), np.uint8)))

    def __call__(self, level: str, tables: Tables, report: Report) -> np.ndarray:
        """See `Maker`."""
        # Keyframes of a short shot may share one picture.
        records, first, place = np.unique(
            tables.keyframes["record"].to_numpy(), return_index=True, return_inverse=True
        )
        seconds = tables.keyframes["seconds"].to_numpy()[first]
        found = []
        for part in self._encoded(tables.film, records.tolist()):
            found.append(part)
            report(float(seconds[sum(map(len, found)) - 1]))
        return np.concatenate(found)[place]

    def _encoded(self, film: str, records: Sequence[int]) -> Iterator[np.ndarray]:
        """Vectors of pictures, in order, a batch at a time."""
        encoder, reader = self._encoder, self._catalog.jpegs(film)
        pictures = batches(
            reader.__getitem__,
            records,
            encoder.picture,
            size=encoder.size,
            batch=self._batch,
            threads=self._threads,
        )
        pending = None
        for pixels, count in pictures:
            given = encoder.encode(pixels), count
            if pending:  # fetched one batch late: the device never waits for the host
                yield _fetched(*pending)
            pending = given
        if pending:
            yield _fetched(*pending)


def _fetched(found: Any, count: int) -> np.ndarray:
    return np.asarray(found, np.float32)[:count]
