"""The stage: one film of a catalogue in, its vectors out."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vujax.catalog import Catalog, vectors
from vujax.catalog.vectors import LEVELS, Shelf
from vujax.embed.encoders import AnyEncoder, check_level, levels_of
from vujax.embed.maker import Maker, Tables, maker_of, model_of
from vujax.ingest.film import Outcome
from vujax.ingest.reading import Report
from vujax.ingest.sources import Source

USUAL = ("frame", "shot")
"""Levels that are made unless told otherwise, of those that the encoder can make."""
NO_SCENES = "it has no scenes: run `vujax scenes` on the catalogue"


@dataclass(frozen=True)
class Work:
    """What a worker needs besides films; picklable.

    Attributes:
      root: of the catalogue.
      encoder: makes the encoder; called once in each worker.
      levels: of `vectors.LEVELS`, which to make; None: USUAL.
      batch: pictures that the network sees at once, or shots.
      decoders: threads that decode pictures beside it.
    """

    root: Path
    encoder: Callable[[], AnyEncoder]
    levels: tuple[str, ...] | None = None
    batch: int = 32
    decoders: int = 2

    def __post_init__(self) -> None:
        if self.levels is not None and (not self.levels or set(self.levels) - set(LEVELS)):
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
          ValueError, OSError: it cannot be had, cannot run, or can make no such vectors.
        """
        self._work, self._catalog = work, Catalog(work.root)
        self._encoder = work.encoder()
        self._levels = _levels(self._encoder, work.levels)
        self.model = model_of(self._encoder, self._catalog)
        self._threads = ThreadPoolExecutor(work.decoders, "decode")
        self._make = maker_of(self._encoder, self._catalog, work.batch, self._threads)
        self._try()

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
        batch = self._work.batch
        try:
            found = self._make.trial()
        except Exception as error:  # of XLA and drivers, mostly for want of memory
            reason = str(error).partition("\n")[0]
            raise ValueError(
                f"{self.model.name} cannot run on {batch} pictures at once ({reason}): give a "
                "smaller --batch"
            ) from None
        if found.shape[1:] != (self.model.dim,):
            raise ValueError(
                f"{self.model.name} gives {found.shape}, not {len(found), self.model.dim}"
            )

    def _embed(self, source: Source, report: Report) -> Outcome:
        film = source.slug
        manifest = self._catalog.manifest(film)
        made_from = dict.fromkeys(LEVELS, vectors.source(manifest))  # first: see `Shelf.write`
        if not vectors.has_any(manifest):
            return fail(source, f"it has no keyframes ({manifest.get('reason') or 'no shots'})")
        levels, scenes = self._levels, None
        if "scene" in levels:
            try:
                scenes = self._catalog.scenes(film)
            except FileNotFoundError:
                levels = tuple(level for level in levels if level != "scene")
            else:
                made_from["scene"] = vectors.source_of_scenes(made_from["scene"], scenes)
        if not levels:
            return fail(source, NO_SCENES)
        shelves = {level: Shelf(self._work.root, level, self.model) for level in LEVELS}
        wanted = [x for x in levels if not shelves[x].is_current(film, made_from[x])]
        if wanted:
            tables = (self._catalog.shots(film), self._catalog.keyframes(film), scenes)
            values = _Values(self._encoder, self._make, Tables(film, *tables), shelves, made_from)
            for level in wanted:
                shelves[level].write(
                    film, made_from[level], values.tables.rows(level), values.of(level, report)
                )
        counts = manifest["counts"]
        facts = dict(seconds=manifest["seconds"], shots=counts["shots"])
        facts |= dict(keyframes=counts["keyframes"], done=bool(wanted))
        missing = levels != self._levels
        how = ("partial", NO_SCENES) if missing else ("whole", "")
        return Outcome(source, film, *how, **facts)


def _levels(encoder: AnyEncoder, asked: tuple[str, ...] | None) -> tuple[str, ...]:
    """The levels to make.

    Raises:
      ValueError: the encoder cannot make one of them.
    """
    for level in asked or ():
        check_level(encoder, level)
    return asked or tuple(level for level in USUAL if level in levels_of(encoder))


class _Values:
    """The vectors of one film: those that are there, those that the encoder makes, and means."""

    def __init__(
        self,
        encoder: AnyEncoder,
        make: Maker,
        tables: Tables,
        shelves: Mapping[str, Shelf],
        made_from: Mapping[str, str],
    ) -> None:
        self.tables = tables
        self._encoder, self._make, self._shelves, self._from = encoder, make, shelves, made_from
        self._known: dict[str, np.ndarray] = {}

    def of(self, level: str, report: Report) -> np.ndarray:
        """Vectors of a level, float32 `[n d]`."""
        if level not in self._known:
            self._known[level] = self._find(level, report)
        return self._known[level]

    def _find(self, level: str, report: Report) -> np.ndarray:
        film, shelf, tables = self.tables.film, self._shelves[level], self.tables
        if shelf.is_current(film, self._from[level]):
            return vectors.matrix(shelf.read(film, self._from[level]))
        if level in self._encoder.sees:
            return self._make(level, tables, report)
        if level == "shot":
            return means(self.of("frame", report), tables.keyframes["shot"].to_numpy())
        shots = tables.rows("shot")["shot"].to_numpy()
        return means(self.of("shot", report), vectors.scene_of(tables.scenes, shots))


def means(values: np.ndarray, of: np.ndarray) -> np.ndarray:
    """The mean of each shot's, or scene's, rows, float32 `[shots d]`.

    Args:
      values: float32 `[n d]`.
      of: number of each row's shot or scene, in order.
    """
    _, first, count = np.unique(of, return_index=True, return_counts=True)
    sums = np.add.reduceat(values, first, axis=0, dtype=np.float64)
    return (sums / count[:, None]).astype(np.float32)


def fail(source: Source, reason: str) -> Outcome:
    """The outcome of a film that has no vectors now."""
    return Outcome(source, source.slug, "error", " ".join(reason.split()))
