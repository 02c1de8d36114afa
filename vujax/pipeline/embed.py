"""The stage: one film of a catalogue in, its vectors out.

Vectors of all films of a catalogue, by workers that need not finish.

What stands between a film and an encoder: by what that sees, pictures, shots or scenes.

A film's keyframes through an encoder of pictures.

A film's shots, or its scenes, through an encoder of shots.
"""

import functools
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vujax.catalog import Catalog, embeddings, schema
from vujax.catalog.embeddings import LEVELS, EmbeddingModel, EmbeddingStore
from vujax.data.datasets.catalog import open_catalog_films
from vujax.data.scenes import FilmScenes
from vujax.encoders.base import AnyEncoder, Encoder, ShotEncoder, check_level, levels_of
from vujax.encoders.pairs import iterate_batches
from vujax.encoders.shots import encode_scenes, run_trial
from vujax.pipeline.ingest.film import Outcome
from vujax.pipeline.ingest.reader import Report
from vujax.pipeline.ingest.run import Run, RunnerOptions
from vujax.pipeline.ingest.sources import Source, SourceListing
from vujax.pipeline.workers.local import LocalEngine
from vujax.pipeline.workers.pool import Engine, Pool, Progress
from vujax.utils.system import count_cores


@dataclass(frozen=True)
class FilmTables:
    """A film's rows in the catalogue.

    Attributes:
      film: its id.
      shots: of it.
      keyframes: of it.
      scenes: of it, where they matter.
    """

    film: str
    shots: pa.Table
    keyframes: pa.Table
    scenes: pa.Table | None

    def rows(self, level: str) -> pa.Table:
        """See `vectors.rows`."""
        return embeddings.build_rows(level, self.shots, self.keyframes, self.scenes)


class Extractor(Protocol):
    """Makes vectors at the levels that an encoder sees."""

    def trial(self) -> np.ndarray:
        """Runs the encoder once, on nothing; float32 `[n dim]`."""

    def __call__(self, level: str, tables: FilmTables, report: Report) -> np.ndarray:
        """Vectors of a film, one for each of its rows of the level: float32 `[n dim]`."""


def build_extractor(
    encoder: Any, catalog: Catalog, batch: int, threads: ThreadPoolExecutor
) -> Extractor:
    """The maker for an encoder.

    Args:
      encoder: see `vujax.encoders.base`.
      catalog: that the films are in.
      batch: pictures or shots at once, about.
      threads: that decode pictures.

    Raises:
      FileNotFoundError: the catalogue has not the vectors that the encoder takes.
    """
    if encoder.sees[0] == "frame":
        return FrameExtractor(encoder, catalog, batch, threads)
    # brings JAX

    return ShotExtractor(encoder, catalog, batch)


def resolve_model(encoder: Any, catalog: Catalog) -> EmbeddingModel:
    """What vectors in a catalogue say that they are made by.

    An encoder that takes the vectors of another one is a model with that one.

    Raises:
      FileNotFoundError: the catalogue has not the vectors that the encoder takes.
    """
    digest = encoder.digest
    if encoder.vectors:
        under = embeddings.open_store(catalog.path, "shot", encoder.vectors).model
        digest = embeddings.combine_digests(digest, under.digest)
    return EmbeddingModel(encoder.name, digest, encoder.dim)


DEFAULT_LEVELS = ("frame", "shot")

"""Levels that are made unless told otherwise, of those that the encoder can make."""

NO_SCENES = "it has no scenes: run `vujax scenes` on the catalogue"


@dataclass(frozen=True)
class EmbedJob:
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


class EmbedStage:
    """Makes vectors, film by film.

    Attributes:
      model: that makes them.
    """

    def __init__(self, work: EmbedJob) -> None:
        """Makes the encoder, and runs it once: for all films it is compiled once.

        Raises:
          ValueError, OSError: it cannot be had, cannot run, or can make no such vectors.
        """
        self._work, self._catalog = work, Catalog(work.root)
        self._encoder = work.encoder()
        self._levels = _levels(self._encoder, work.levels)
        self.model = resolve_model(self._encoder, self._catalog)
        self._threads = ThreadPoolExecutor(work.decoders, "decode")
        self._make = build_extractor(self._encoder, self._catalog, work.batch, self._threads)
        self._try()

    def __call__(self, source: Source, report: Report = lambda seconds: None) -> Outcome:
        """Makes a film's vectors, unless they are there; `source.slug` is the film's id.

        Whatever is wrong with the film becomes the outcome's reason; nothing is raised for it.
        """
        try:
            return self._embed(source, report)
        except (ValueError, OSError, KeyError) as error:
            return build_failure(
                source, str(error.args[0] if isinstance(error, KeyError) else error)
            )
        except Exception as error:  # one film must not stop the others
            return build_failure(source, f"{type(error).__name__}: {error}")

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
        made_from = dict.fromkeys(
            LEVELS, embeddings.hash_source(manifest)
        )  # first: see `EmbeddingStore.write`
        if not embeddings.has_keyframes(manifest):
            return build_failure(
                source, f"it has no keyframes ({manifest.get('reason') or 'no shots'})"
            )
        levels, scenes = self._levels, None
        if "scene" in levels:
            try:
                scenes = self._catalog.scenes(film)
            except FileNotFoundError:
                levels = tuple(level for level in levels if level != "scene")
            else:
                made_from["scene"] = embeddings.hash_scene_source(made_from["scene"], scenes)
        if not levels:
            return build_failure(source, NO_SCENES)
        shelves = {level: EmbeddingStore(self._work.root, level, self.model) for level in LEVELS}
        wanted = [x for x in levels if not shelves[x].is_current(film, made_from[x])]
        if wanted:
            tables = (self._catalog.shots(film), self._catalog.keyframes(film), scenes)
            values = _Values(
                self._encoder, self._make, FilmTables(film, *tables), shelves, made_from
            )
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
    return asked or tuple(level for level in DEFAULT_LEVELS if level in levels_of(encoder))


class _Values:
    """The vectors of one film: those that are there, those that the encoder makes, and means."""

    def __init__(
        self,
        encoder: AnyEncoder,
        make: Extractor,
        tables: FilmTables,
        shelves: Mapping[str, EmbeddingStore],
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
            return embeddings.to_matrix(shelf.read(film, self._from[level]))
        if level in self._encoder.sees:
            return self._make(level, tables, report)
        if level == "shot":
            return average_groups(self.of("frame", report), tables.keyframes["shot"].to_numpy())
        shots = tables.rows("shot")["shot"].to_numpy()
        return average_groups(
            self.of("shot", report), embeddings.find_scene_rows(tables.scenes, shots)
        )


def average_groups(values: np.ndarray, of: np.ndarray) -> np.ndarray:
    """The mean of each shot's, or scene's, rows, float32 `[shots d]`.

    Args:
      values: float32 `[n d]`.
      of: number of each row's shot or scene, in order.
    """
    _, first, count = np.unique(of, return_index=True, return_counts=True)
    sums = np.add.reduceat(values, first, axis=0, dtype=np.float64)
    return (sums / count[:, None]).astype(np.float32)


def build_failure(source: Source, reason: str) -> Outcome:
    """The outcome of a film that has no vectors now."""
    return Outcome(source, source.slug, "error", " ".join(reason.split()))


NUM_ACTOR_DECODERS = 2  # threads of a Ray actor that decode


def embed(
    root: Path,
    encoder: Callable[[], AnyEncoder],
    *,
    levels: tuple[str, ...] | None = None,
    batch: int = 32,
    runner: RunnerOptions | None = None,
) -> Run:
    """Prepares to make the vectors that a catalogue's films lack.

    Films whose vectors are there, by the same model and of the film as it is, are passed over; so
    the same call again finishes what was interrupted.

    Args:
      root: of the catalogue.
      encoder: picklable; called once in each worker.
      levels: of `vectors.LEVELS`; None: keyframes and shots, see `film.USUAL`.
      batch: pictures that the network sees at once, or shots.
      runner: 'local' is one process that has this machine's accelerators, with `workers` threads
        that decode; 'ray' has `workers` actors, each with a GPU if the cluster has any.

    Raises:
      FileNotFoundError, ValueError: an argument is wrong, or `root` is no catalogue.
      ImportError: the runner's package is missing.
    """
    runner = runner or RunnerOptions()
    root = root.resolve()
    sources = tuple(_source(root, film) for film in Catalog(root).film_ids())
    decoders = (runner.workers or count_cores()) if runner.name == "local" else NUM_ACTOR_DECODERS
    work = EmbedJob(root, encoder, levels, batch, decoders)
    share = runner.share(sources)
    return Run(SourceListing(sources, 0, 0), share, _events(work, runner, share))


def _source(root: Path, film: str) -> Source:
    path = schema.part_path(root, "keyframes", film)
    return Source(str(root), film, path, film, path.stat().st_size if path.exists() else 0)


def _events(
    work: EmbedJob, runner: RunnerOptions, sources: list[Source]
) -> Generator[Progress | Outcome, None, None]:
    if sources:
        engine, workers = _engine(functools.partial(EmbedStage, work), runner)
        yield from Pool(engine, workers, stall_s=runner.stall_s, fail=build_failure).run(sources)


def _engine(make: Callable[[], EmbedStage], runner: RunnerOptions) -> tuple[Engine, int]:
    if runner.name == "local":
        return LocalEngine(make, cpu_only=False), 1
    from vujax.pipeline.workers.ray import RayEngine

    engine = RayEngine(make, accelerators=True)
    return engine, min(runner.workers or engine.places, engine.places)


class FrameExtractor:
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

    def __call__(self, level: str, tables: FilmTables, report: Report) -> np.ndarray:
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
        pictures = iterate_batches(
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


class ShotExtractor:
    """A `Maker` for an encoder of shots; see `Maker`.

    Shots are seen as in training, see `vujax.data.datasets.catalog`: so many of a shot's keyframes,
    evenly, and within a scene a shot that has none as the one before it.
    """

    def __init__(self, encoder: ShotEncoder, catalog: Catalog, batch: int) -> None:
        self._encoder, self._catalog, self._batch = encoder, catalog, batch
        inputs, self._options = encoder.inputs, dict(images="image" in encoder.inputs)
        if "image" in inputs:
            self._options |= dict(frames=inputs["image"][0], image_size=inputs["image"][1])
        if encoder.vectors:
            shelf = embeddings.open_store(catalog.path, "shot", encoder.vectors)
            self._options["encoder"] = shelf.model.folder

    def trial(self) -> np.ndarray:
        """See `Maker`."""
        return run_trial(self._encoder, self._batch).reshape(-1, self._encoder.dim)

    def __call__(self, level: str, tables: FilmTables, report: Report) -> np.ndarray:
        """See `Maker`."""
        films = open_catalog_films(str(self._catalog.path), films=[tables.film], **self._options)
        runs = _runs(level, tables)
        ends = tables.shots["end_s"].to_numpy()
        told = lambda count: report(float(ends[-1]) * count / len(runs))  # noqa: E731
        return encode_scenes(self._encoder, FilmScenes(films, runs), self._batch, told)


def _runs(level: str, tables: FilmTables) -> np.ndarray:
    """See `FilmScenes`: each shot or scene that is to have a vector."""
    rows = tables.rows(level)
    first = rows["shot"].to_numpy().astype(np.int64)
    end = first + 1
    if level == "scene":
        there = tables.scenes.filter(pc.is_in(tables.scenes["id"], rows["id"]))
        end = there["last_shot"].to_numpy().astype(np.int64) + 1
    return np.stack([np.zeros_like(first), first, end], axis=1)
