"""Batches decoded ahead: order, padding, bounded memory, errors."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from vujax.encoders.pairs import MAX_PENDING, iterate_batches
from vujax.models.image_spec import ImageSpec

SPEC = ImageSpec.square(2)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def grey(data: bytes) -> np.ndarray:
    return np.full((2, 2, 3), data[0], np.uint8)


def test_order_and_padding(threads: ThreadPoolExecutor) -> None:
    records = [5, 3, 9, 1, 7]
    found = list(
        iterate_batches(lambda r: bytes([r]), records, grey, spec=SPEC, batch=2, threads=threads)
    )
    assert [(pixels.shape, count) for pixels, count in found] == [
        ((2, 2, 2, 3), 2),
        ((2, 2, 2, 3), 2),
        ((2, 2, 2, 3), 1),
    ]
    kept = np.concatenate([pixels[:count] for pixels, count in found])
    np.testing.assert_array_equal(
        kept, np.broadcast_to(np.reshape(records, (5, 1, 1, 1)), kept.shape)
    )
    assert not found[-1][0][1].any()
    assert list(iterate_batches(bytes, [], grey, spec=SPEC, batch=2, threads=threads)) == []


def test_decoding_runs_ahead_so_far_and_no_further(threads: ThreadPoolExecutor) -> None:
    read = []
    pictures = iterate_batches(
        lambda r: read.append(r) or b"x",
        range(40),
        grey,
        spec=SPEC,
        batch=2,
        threads=threads,
    )
    next(pictures)
    assert len(read) == 2 * MAX_PENDING


def test_decoding_is_beside_the_reader(threads: ThreadPoolExecutor) -> None:
    together = threading.Barrier(2, timeout=20)  # passes only when two decode at once

    def decode(data: bytes) -> np.ndarray:
        together.wait()
        return grey(data)

    assert (
        len(
            list(
                iterate_batches(
                    lambda r: b"x", range(4), decode, spec=SPEC, batch=2, threads=threads
                )
            )
        )
        == 2
    )


def test_a_bad_picture_is_raised(threads: ThreadPoolExecutor) -> None:
    def decode(data: bytes) -> np.ndarray:
        raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        list(iterate_batches(lambda r: b"x", range(4), decode, spec=SPEC, batch=2, threads=threads))
