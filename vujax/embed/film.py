"""The stage: one film of a catalogue in, its vectors out."""

import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vujax.catalog import Catalog, vectors
from vujax.catalog.vectors import LEVELS, Model, Shelf
from vujax.data.images import eval_image
from vujax.embed.encoders import Encoder
from vujax.embed.pictures import batches
from vujax.ingest.film import Outcome
from vujax.ingest.reading import Report
from vujax.ingest.sources import Source


@dataclass(frozen=True)
class Work:
    """What a worker needs besides films; picklable.

    Attributes:
      root: of the catalogue.
      encoder: makes the encoder; called once in each worker.
      levels: of `vectors.LEVELS`, which to make.
      batch: pictures that the network sees at once.
      decoders: threads that decode pictures beside it.
    """

    root: Path
    encoder: Callable[[], Encoder]
    levels: tuple[str, ...] = LEVELS
    batch: int = 32
    decoders: int = 2

    def __post_init__(self) -> None:
        if not self.levels or set(self.levels) - set(LEVELS):
            raise ValueError(f"levels must be some of {', '.join(LEVELS)}, not {self.levels}")
        if self.batch < 1 or self.decoders < 1:
            raise ValueError(
                f"batch and decoders must be at least 1, not {self.batch}, {self.decoders}"
            )


class Embed:
    """Makes vectors, film by film.

    Attributes:
      model: that makes them.
    """

    def __init__(self, work: Work) -> None:
        """Makes the encoder, and runs it once: for all films it is compiled once.

        Raises:
          ValueError, OSError: it cannot be had, or cannot run.
        """
        self._work, self._catalog = work, Catalog(work.root)
        self._encoder = work.encoder()
        self.model = Model(self._encoder.name, self._encoder.digest, self._encoder.dim)
        self._try()
        self._threads = ThreadPoolExecutor(work.decoders, "decode")

    def __call__(self, source: Source, report: Report = lambda seconds: None) -> Outcome:
        """Makes a film's vectors, unless they are there; `source.slug` is the film's id.

        Whatever is wrong with the film becomes the outcome's reason; nothing is raised for it.
        """
        try:
            return self._embed(source, report)
        except (ValueError, OSError, KeyError) as error:
            return fail(source, str(error.args[0] if isinstance(error, KeyError) else error))
        except Exception as error:  # one film must not stop the others
            return fail(source, f"{type(error).__name__}: {error}")

    def _try(self) -> None:
        size, batch = self._encoder.size, self._work.batch
        try:
            found = np.asarray(self._encoder.encode(np.zeros((batch, size, size, 3), np.uint8)))
        except Exception as error:  # of XLA and drivers, mostly for want of memory
            reason = str(error).partition("\n")[0]
            raise ValueError(
                f"{self.model.name} cannot run on {batch} pictures at once ({reason}): give a "
                "smaller --batch"
            ) from None
        if found.shape != (batch, self.model.dim):
            raise ValueError(f"{self.model.name} gives {found.shape}, not {batch, self.model.dim}")

    def _embed(self, source: Source, report: Report) -> Outcome:
        film = source.slug
        manifest = self._catalog.manifest(film)
        made_from = vectors.source(manifest)  # before all else: see `Shelf.write`
        if not vectors.has_any(manifest):
            return fail(source, f"it has no keyframes ({manifest.get('reason') or 'no shots'})")
        shelves = {level: Shelf(self._work.root, level, self.model) for level in LEVELS}
        wanted = [x for x in self._work.levels if not shelves[x].is_current(film, made_from)]
        if wanted:
            shots, keyframes = self._catalog.shots(film), self._catalog.keyframes(film)
            values = self._frames(shelves["frame"], film, made_from, keyframes, report)
            for level in wanted:
                rows = vectors.rows(level, shots, keyframes)
                found = values if level == "frame" else means(values, keyframes["shot"].to_numpy())
                shelves[level].write(film, made_from, rows, found)
        counts = manifest["counts"]
        facts = dict(seconds=manifest["seconds"], shots=counts["shots"])
        facts |= dict(keyframes=counts["keyframes"], done=bool(wanted))
        return Outcome(source, film, "whole", **facts)

    def _frames(
        self, shelf: Shelf, film: str, made_from: str, keyframes: pa.Table, report: Report
    ) -> np.ndarray:
        """Vectors of the keyframes, float32 `[n d]`: those that are there, or new ones."""
        if shelf.is_current(film, made_from):
            return vectors.matrix(shelf.read(film, made_from))
        # Keyframes of a short shot may share one picture.
        records, first, place = np.unique(
            keyframes["record"].to_numpy(), return_index=True, return_inverse=True
        )
        seconds = keyframes["seconds"].to_numpy()[first]
        found = []
        for part in self._encoded(film, records.tolist()):
            found.append(part)
            report(float(seconds[sum(map(len, found)) - 1]))
        return np.concatenate(found)[place]

    def _encoded(self, film: str, records: Sequence[int]) -> Iterator[np.ndarray]:
        """Vectors of pictures, in order, a batch at a time."""
        encoder, reader = self._encoder, self._catalog.jpegs(film)
        pictures = batches(
            reader.__getitem__,
            records,
            functools.partial(eval_image, size=encoder.size),
            size=encoder.size,
            batch=self._work.batch,
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


def means(values: np.ndarray, shots: np.ndarray) -> np.ndarray:
    """The mean of each shot's rows, float32 `[shots d]`.

    Args:
      values: float32 `[n d]`.
      shots: number of each row's shot, in order.
    """
    _, first, count = np.unique(shots, return_index=True, return_counts=True)
    sums = np.add.reduceat(values, first, axis=0, dtype=np.float64)
    return (sums / count[:, None]).astype(np.float32)


def fail(source: Source, reason: str) -> Outcome:
    """The outcome of a film that has no vectors now."""
    return Outcome(source, source.slug, "error", " ".join(reason.split()))
