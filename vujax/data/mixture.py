"""Several sources as one endless stream of (source, record), in an order that needs no state."""

import functools
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import grain
import numpy as np

from vujax.data.records import Source
from vujax.data.sources import open_source

WINDOW = 4096  # grain's shuffle walks through 2^16 / n numbers for each of n: small ones are slow


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


def fold(seed: int, name: str) -> int:
    """A seed of 31 bits for one purpose; other names and other seeds give unrelated ones."""
    if seed < 0:
        raise ValueError(f"the seed must not be negative: {seed}")
    words = np.random.SeedSequence([seed, zlib.crc32(name.encode())]).generate_state(1)
    return int(words[0] >> 1)


def order(mixture: Mixture, seed: int) -> grain.MapDataset:
    """The endless stream of `(source's number, record's number)`.

    Each source is shuffled anew in each of its epochs, by a seed of its own name, so that adding a
    source leaves the others' orders as they are. Sources take turns by weight (rounded to a
    hundredth of the smallest); the turns are then shuffled among 4,096 neighbours, since regular
    turns would give all rows of one source to the same host or device.
    """
    streams = []
    for number, (name, source) in enumerate(zip(mixture.names, mixture.sources, strict=True)):
        # Not shuffle(seed=...): there the second epoch of seed s is the first one of s + 1.
        places = grain.MapDataset.range(len(source)).seed(fold(seed, f"order {name}"))
        streams.append(places.shuffle().repeat().map(functools.partial(_tag, number)))
    if len(streams) == 1:
        return streams[0]
    mixed = grain.MapDataset.mix(streams, mixture.weights)
    return grain.experimental.WindowShuffleMapDataset(
        mixed, window_size=WINDOW, seed=fold(seed, "turns")
    )


def _tag(number: int, place: int) -> tuple[int, int]:
    return number, place
