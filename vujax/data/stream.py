"""From a random-access chain of batches to an iterator with threads or worker processes."""

from collections.abc import Iterator
from typing import Any

import grain
import numpy as np
from absl import flags

from vujax.data.bad import BadSamples

Batch = dict[str, np.ndarray]
WRAP = 2**31  # positions are int32 on the device
THREADS = 2  # without workers: each makes a batch; Pillow lets other threads run meanwhile


class TrainBatches(Iterator[Batch]):
    """This host's rows of one training batch after another, without end.

    Attributes:
      bad: what had to be replaced so far.
    """

    def __init__(self, rows: Iterator[dict[str, Any]], bad: BadSamples, *, alone: bool) -> None:
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


def drawn(examples: int, seed: int) -> grain.MapDataset:
    """`(position in the stream, example)`: each example once a pass, each pass in a new order."""
    order = grain.MapDataset.range(examples).seed(seed).shuffle().repeat()
    return order.map_with_index(_with_position)


def _with_position(position: int, example: int) -> tuple[int, int]:
    return position, example


def iterate(batches: grain.MapDataset, workers: int) -> Iterator[dict[str, Any]]:
    """Batches in order, made ahead by `workers` processes, or by threads of this one."""
    if workers == 0:
        options = grain.ReadOptions(num_threads=THREADS, prefetch_buffer_size=THREADS)
        return iter(batches.to_iter_dataset(options))
    if not flags.FLAGS.is_parsed():
        raise RuntimeError(
            "worker processes need parsed absl flags: start through absl's app.run, or call "
            "absl.flags.FLAGS.mark_as_parsed() first"
        )
    options = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
    several = grain.MultiprocessingOptions(num_workers=workers)
    return iter(batches.to_iter_dataset(options).mp_prefetch(several))


def host_part(batch_size: int, host: int, hosts: int, start_step: int) -> tuple[int, slice]:
    """`(rows, slice)`: parts of so many rows make up the stream, and these parts are the host's.

    Raises:
      ValueError: batch_size does not divide among the hosts.
    """
    if batch_size % hosts:
        raise ValueError(f"batch_size {batch_size} does not divide among {hosts} hosts")
    return batch_size // hosts, slice(start_step * hosts + host, None, hosts)
