"""From a random-access chain of batches to an iterator with threads or worker processes.

Several sources as one endless stream of (source, record), in an order that needs no state.
"""

import functools
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import grain
import numpy as np
from absl import flags

from vujax.data.records import BadSampleCounter, Source
from vujax.data.sources import open_source

Batch = dict[str, np.ndarray]

INDEX_PERIOD = 2**31  # positions are int32 on the device

NUM_THREADS = 2  # without workers: each makes a batch; Pillow lets other threads run meanwhile


class RowIterator(Iterator[dict[str, Any]], Protocol):
    """An iterator over batches that holds threads or processes."""

    def close(self) -> None:
        """End them."""


class TrainBatches(Iterator[Batch]):
    """This host's rows of one training batch after another, without end.

    Attributes:
      bad: what had to be replaced so far.
    """

    def __init__(self, rows: RowIterator, bad: BadSampleCounter, *, alone: bool) -> None:
        """Reads from `rows`; `alone`: this is the only host, so it may stop the run by itself."""
        self._rows, self.bad, self._alone = rows, bad, alone

    def __next__(self) -> Batch:
        batch = next(self._rows)
        self.bad.add(len(batch["index"]), batch.pop("problems", ()))
        if self._alone:
            self.bad.check()
        return batch

    def close(self) -> None:
        """Ends threads and worker processes."""
        self._rows.close()


def shuffle_examples(examples: int, seed: int) -> grain.MapDataset:
    """`(position in the stream, example)`: each example once a pass, each pass in a new order."""
    order = grain.MapDataset.range(examples).seed(seed).shuffle().repeat()
    return order.map_with_index(_with_position)


def _with_position(position: int, example: int) -> tuple[int, int]:
    return position, example


def iterate(batches: grain.MapDataset, workers: int) -> Iterator[dict[str, Any]]:
    """Batches in order, made ahead by `workers` processes, or by threads of this one."""
    if workers == 0:
        options = grain.ReadOptions(num_threads=NUM_THREADS, prefetch_buffer_size=NUM_THREADS)
        return iter(batches.to_iter_dataset(options))
    if not flags.FLAGS.is_parsed():
        raise RuntimeError(
            "worker processes need parsed absl flags: start through absl's app.run, or call "
            "absl.flags.FLAGS.mark_as_parsed() first"
        )
    options = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
    several = grain.MultiprocessingOptions(num_workers=workers)
    return iter(batches.to_iter_dataset(options).mp_prefetch(several))


def shard_for_host(batch_size: int, host: int, hosts: int, start_step: int) -> tuple[int, slice]:
    """`(rows, slice)`: parts of so many rows make up the stream, and these parts are the host's.

    Raises:
      ValueError: batch_size does not divide among the hosts.
    """
    if batch_size % hosts:
        raise ValueError(f"batch_size {batch_size} does not divide among {hosts} hosts")
    return batch_size // hosts, slice(start_step * hosts + host, None, hosts)


SHUFFLE_WINDOW = (
    4096  # grain's shuffle walks through 2^16 / n numbers for each of n: small ones are slow
)


class Mixture(NamedTuple):
    """Opened sources and their shares of the stream, in any unit."""

    names: tuple[str, ...]
    sources: tuple[Source, ...]
    weights: tuple[float, ...]

    @property
    def examples(self) -> int:
        """Records of all sources together: what an epoch is."""
        return sum(len(source) for source in self.sources)


def open_mixture(sources: Mapping[str, Any] | Mixture) -> Mixture:
    """Opens `{name: dict(kind=..., weight=1.0, **options)}`; opened sources may stand for dicts.

    Raises:
      ValueError: no source, one without a record, or a weight that is not positive.
    """
    if isinstance(sources, Mixture):
        return sources
    if not sources:
        raise ValueError("data.sources is empty: name at least one source")
    opened = {name: _open(name, source) for name, source in sources.items()}
    for name, (source, _) in opened.items():
        if len(source) == 0:
            raise ValueError(f"data.sources.{name} has no record")
    return Mixture(tuple(opened), *zip(*opened.values(), strict=True))


def _open(name: str, source: Any) -> tuple[Source, float]:
    if not hasattr(source, "items"):
        return source, 1.0
    options = dict(source.items())
    weight = options.pop("weight", 1.0)
    if not weight > 0:
        raise ValueError(f"data.sources.{name}.weight must be above 0, not {weight}")
    if "kind" not in options:
        raise ValueError(f"data.sources.{name} needs a kind, such as 'webdataset'")
    return open_source(**options), float(weight)


def derive_seed(seed: int, name: str) -> int:
    """A seed of 31 bits for one purpose; other names and other seeds give unrelated ones."""
    if seed < 0:
        raise ValueError(f"the seed must not be negative: {seed}")
    words = np.random.SeedSequence([seed, zlib.crc32(name.encode())]).generate_state(1)
    return int(words[0] >> 1)


def shuffle_mixture(mixture: Mixture, seed: int) -> grain.MapDataset:
    """The endless stream of `(source's number, record's number)`.

    Each source is shuffled anew in each of its epochs, by a seed of its own name, so that adding a
    source leaves the others' orders as they are. Sources take turns by weight (rounded to a
    hundredth of the smallest); the turns are then shuffled among 4,096 neighbours, since regular
    turns would give all rows of one source to the same host or device.
    """
    streams = []
    for number, (name, source) in enumerate(zip(mixture.names, mixture.sources, strict=True)):
        # Not shuffle(seed=...): there the second epoch of seed s is the first one of s + 1.
        places = grain.MapDataset.range(len(source)).seed(derive_seed(seed, f"order {name}"))
        streams.append(places.shuffle().repeat().map(functools.partial(_tag, number)))
    if len(streams) == 1:
        return streams[0]
    mixed = grain.MapDataset.mix(streams, mixture.weights)
    return grain.experimental.WindowShuffleMapDataset(
        mixed, window_size=SHUFFLE_WINDOW, seed=derive_seed(seed, "turns")
    )


def _tag(number: int, place: int) -> tuple[int, int]:
    return number, place
