"""Streams of batches without saved state, and the mixing of several sources.

A training stream is an endless, random-access sequence of examples. Position p of the stream is row
p % B of the batch of step p // B, whatever the number of hosts and workers. The batch of a step is
therefore a pure function of (seed, step), and a run resumes at any step, on any number of hosts,
without a saved iterator. `StreamDataset` is the base class of data sets that work this way.
"""

import functools
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple, Protocol

import grain
import numpy as np
from absl import flags

from vujax.data.records import BadSampleCounter, Source
from vujax.data.sources import open_source

Batch = dict[str, np.ndarray]

INDEX_PERIOD = 2**31  # stream positions are int32 on the device
NUM_THREADS = 2  # without worker processes; Pillow releases the interpreter lock while it decodes
SHUFFLE_WINDOW = 4096  # grain's shuffle takes 2^16 / n steps for each of n: small ones are slow


class RowIterator(Iterator[dict[str, Any]], Protocol):
    """An iterator over batches that owns threads or worker processes."""

    def close(self) -> None:
        """Stop the threads or worker processes."""


class TrainBatches(Iterator[Batch]):
    """An endless iterator over this host's rows of the training batches.

    Attributes:
      bad: counter of the samples that were replaced so far.
    """

    def __init__(self, rows: RowIterator, bad: BadSampleCounter, *, is_single_host: bool) -> None:
        """Wrap an iterator of batches.

        Args:
          rows: batches, each with 'index' and, where samples can be bad, 'problems'.
          bad: counter that receives these problems.
          is_single_host: whether this host may stop the run by itself.
        """
        self._rows, self.bad, self._is_single_host = rows, bad, is_single_host

    def __next__(self) -> Batch:
        batch = next(self._rows)
        self.bad.add(len(batch["index"]), batch.pop("problems", ()))
        if self._is_single_host:
            self.bad.check()
        return batch

    def close(self) -> None:
        """Stop threads and worker processes."""
        self._rows.close()


class StreamDataset:
    """Base class of training data whose batches are a pure function of (seed, step).

    A subclass sets `examples` and either names `ORDER` and implements `load_batch`, or overrides
    `open_stream`.

    Attributes:
      examples: examples of an epoch.
      workers: processes that load batches on this host; 0: threads of this process.
      max_bad: largest allowed share of bad samples.
    """

    ORDER: ClassVar[str]
    """Name of the random order of the examples; see `derive_seed`."""

    examples: int
    workers: int = 0
    max_bad: float = 0.0

    def train_batches(
        self,
        *,
        batch_size: int,
        seed: int,
        start_step: int = 0,
        host: int = 0,
        hosts: int = 1,
        workers: int | None = None,
    ) -> TrainBatches:
        """Return this host's rows of the batches of steps `start_step`, `start_step + 1`, ...

        Args:
          batch_size: rows of a batch over all hosts.
          seed: seed of the order and of every random choice; each epoch has an order of its own.
          start_step: first step.
          host: number of this host.
          hosts: number of hosts; host h has the h-th shard of each batch.
          workers: overrides the attribute `workers`.

        Returns:
          An endless iterator, with `close()`, of dicts of arrays with batch_size / hosts rows. All
          have 'index' int32 `[b]`, the position in the stream, step * batch_size + row, modulo
          2^31.

        Raises:
          ValueError: `batch_size` is not divisible by `hosts`.
        """
        rows, shard = shard_for_host(batch_size, host, hosts, start_step)
        batches = self.open_stream(rows, hosts, seed)[shard]
        iterator = iterate(batches, self.workers if workers is None else workers)
        return TrainBatches(iterator, BadSampleCounter(self.max_bad), is_single_host=hosts == 1)

    def open_stream(self, rows: int, hosts: int, seed: int) -> grain.MapDataset:
        """Return the endless stream of batch shards of `rows` rows; `hosts` shards are a batch."""
        del hosts  # matters where the shards of a batch depend on each other
        examples = shuffle_examples(self.examples, derive_seed(seed, self.ORDER))
        return examples.batch(rows).map(_LoadBatch(self, seed))

    def load_batch(self, positions: np.ndarray, examples: np.ndarray, seed: int) -> Batch:
        """Return one batch shard without 'index'.

        Args:
          positions: int64 `[b]`, positions in the stream.
          examples: int64 `[b]`, numbers of the examples, each below the attribute `examples`.
          seed: seed of the run.
        """
        raise NotImplementedError


class _LoadBatch:
    """`(positions [b], examples [b])` to one batch; a class because workers must pickle it."""

    def __init__(self, dataset: StreamDataset, seed: int) -> None:
        self._dataset, self._seed = dataset, seed

    def __call__(self, drawn: tuple[np.ndarray, np.ndarray]) -> Batch:
        positions, examples = drawn
        batch = self._dataset.load_batch(positions, examples, self._seed)
        return batch | {"index": (positions % INDEX_PERIOD).astype(np.int32)}


def shuffle_examples(examples: int, seed: int) -> grain.MapDataset:
    """Return the stream of `(position, example)`: every example once an epoch, in a new order."""
    order = grain.MapDataset.range(examples).seed(seed).shuffle().repeat()
    return order.map_with_index(_with_position)


def _with_position(position: int, example: int) -> tuple[int, int]:
    return position, example


def iterate(batches: grain.MapDataset, workers: int) -> RowIterator:
    """Return an iterator over batches, prefetched by `workers` processes or by threads if 0."""
    if workers == 0:
        options = grain.ReadOptions(num_threads=NUM_THREADS, prefetch_buffer_size=NUM_THREADS)
        return iter(batches.to_iter_dataset(options))
    if not flags.FLAGS.is_parsed():
        raise RuntimeError(
            "worker processes need parsed absl flags: start through absl's app.run, or call "
            "absl.flags.FLAGS.mark_as_parsed() first"
        )
    options = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
    processes = grain.MultiprocessingOptions(num_workers=workers)
    return iter(batches.to_iter_dataset(options).mp_prefetch(processes))


def shard_for_host(batch_size: int, host: int, hosts: int, start_step: int) -> tuple[int, slice]:
    """Return the rows of a batch shard, and the slice of the stream of shards that a host loads.

    Raises:
      ValueError: `batch_size` is not divisible by `hosts`.
    """
    if batch_size % hosts:
        raise ValueError(f"batch_size {batch_size} is not divisible by {hosts} hosts")
    return batch_size // hosts, slice(start_step * hosts + host, None, hosts)


class Mixture(NamedTuple):
    """Opened sources and their shares of the stream, in any unit."""

    names: tuple[str, ...]
    sources: tuple[Source, ...]
    weights: tuple[float, ...]

    @property
    def examples(self) -> int:
        """Number of records of all sources, which is the length of an epoch."""
        return sum(len(source) for source in self.sources)


def open_mixture(sources: Mapping[str, Any] | Mixture) -> Mixture:
    """Open `{name: dict(kind=..., weight=1.0, **options)}`; opened sources may replace dicts.

    Raises:
      ValueError: there is no source, a source is empty, or a weight is not positive.
    """
    if isinstance(sources, Mixture):
        return sources
    if not sources:
        raise ValueError("data.sources is empty: name at least one source")
    opened = {name: _open(name, source) for name, source in sources.items()}
    for name, (source, _) in opened.items():
        if len(source) == 0:
            raise ValueError(f"data.sources.{name} has no record")
    return Mixture(
        names=tuple(opened),
        sources=tuple(source for source, _ in opened.values()),
        weights=tuple(weight for _, weight in opened.values()),
    )


def _open(name: str, source: Any) -> tuple[Source, float]:
    if not hasattr(source, "items"):
        return source, 1.0
    options = dict(source.items())
    weight = options.pop("weight", 1.0)
    if not weight > 0:
        raise ValueError(f"data.sources.{name}.weight must be positive, got {weight}")
    if "kind" not in options:
        raise ValueError(f"data.sources.{name} needs a kind, such as 'webdataset'")
    return open_source(**options), float(weight)


def derive_seed(seed: int, name: str) -> int:
    """Return a 31-bit seed for one purpose; different names give unrelated seeds."""
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    words = np.random.SeedSequence([seed, zlib.crc32(name.encode())]).generate_state(1)
    return int(words[0] >> 1)


def shuffle_mixture(mixture: Mixture, seed: int) -> grain.MapDataset:
    """Return the endless stream of `(number of the source, number of the record)`.

    Each source is reshuffled in each of its epochs, with a seed derived from its name, so that
    adding a source does not change the order of the others. Sources alternate by weight (rounded to
    a hundredth of the smallest). The alternation is then shuffled within windows of 4,096, since a
    regular one would give all rows of one source to the same host or device.
    """
    streams = []
    for number, (name, source) in enumerate(zip(mixture.names, mixture.sources, strict=True)):
        # Not shuffle(seed=...): with it the second epoch of seed s is the first one of s + 1.
        records = grain.MapDataset.range(len(source)).seed(derive_seed(seed, f"order {name}"))
        streams.append(records.shuffle().repeat().map(functools.partial(_tag, number)))
    if len(streams) == 1:
        return streams[0]
    mixed = grain.MapDataset.mix(streams, mixture.weights)
    return grain.experimental.WindowShuffleMapDataset(
        mixed, window_size=SHUFFLE_WINDOW, seed=derive_seed(seed, "turns")
    )


def _tag(source: int, record: int) -> tuple[int, int]:
    return source, record
