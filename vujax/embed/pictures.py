"""Batches of a film's pictures, decoded ahead of the network by threads."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

AHEAD = 3  # batches that are decoded or wait to be; they bound the memory


def batches(
    read: Callable[[int], bytes],
    records: Sequence[int],
    decode: Callable[[bytes], np.ndarray],
    *,
    size: int,
    batch: int,
    threads: ThreadPoolExecutor,
) -> Iterator[tuple[np.ndarray, int]]:
    """Pictures in order, in batches of one shape.

    Args:
      read: gives the file of a record; called in this thread only.
      records: which pictures.
      decode: a file to uint8 `[size size 3]`; called in the threads. Pillow lets others run while
        it decodes or resizes, so threads do as well as processes.
      size: of the pictures.
      batch: pictures of a batch.
      threads: that decode.

    Yields:
      uint8 `[batch size size 3]`, never to be written to again, and how many of them are pictures:
      in the last batch black ones fill up.

    Raises:
      Whatever `read` and `decode` raise.
    """
    waiting: deque[tuple[np.ndarray, list[Future]]] = deque()

    def put(pixels: np.ndarray, row: int, data: bytes) -> None:
        pixels[row] = decode(data)

    for first in range(0, len(records), batch):
        pixels = np.zeros((batch, size, size, 3), np.uint8)
        files = map(read, records[first : first + batch])
        tasks = [threads.submit(put, pixels, row, data) for row, data in enumerate(files)]
        waiting.append((pixels, tasks))
        if len(waiting) == AHEAD:
            yield _finished(*waiting.popleft())
    while waiting:
        yield _finished(*waiting.popleft())


def _finished(pixels: np.ndarray, tasks: list[Future]) -> tuple[np.ndarray, int]:
    for task in tasks:
        task.result()
    return pixels, len(tasks)
