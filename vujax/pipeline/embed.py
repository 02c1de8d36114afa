"""Embedding of many films: the stage of one film, and workers that run it for a catalog."""

import functools
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vujax.catalog import Catalog, embeddings
from vujax.catalog.embeddings import LEVELS, EmbeddingStore
from vujax.encoders.base import AnyEncoder, check_level, get_levels
from vujax.pipeline.extractors import Extractor, FilmTables, build_extractor, resolve_model
from vujax.pipeline.run import Run, RunnerOptions
from vujax.pipeline.sources import Source, SourceListing, build_embed_source
from vujax.pipeline.stage import Outcome, Progress, Report
from vujax.pipeline.workers.local import LocalEngine
from vujax.pipeline.workers.pool import Engine, Pool
from vujax.utils.system import count_cores

DEFAULT_LEVELS = ("frame", "shot")
"""Levels of a job without `levels`, if the encoder supports them."""

NUM_ACTOR_DECODERS = 2  # threads of a Ray actor that decode images
NO_SCENES = "it has no scenes: run `vujax scenes` on the catalog"


def embed(
    root: Path,
    encoder: Callable[[], AnyEncoder],
    *,
    levels: tuple[str, ...] | None = None,
    batch: int = 32,
    runner: RunnerOptions | None = None,
) -> Run:
    """Prepare to compute the embeddings that a catalog's films lack.

    Films with embeddings of the same model and of their current version are skipped; the same call
    again therefore finishes an interrupted run.

    Args:
      root: folder of the catalog.
      encoder: picklable; called once per worker, and opens the encoder.
      levels: levels of `embeddings.LEVELS`; None for DEFAULT_LEVELS.
      batch: images, or shots, per batch.
      runner: place and number of the workers. 'local' is one process with this machine's
        accelerators and `workers` decoding threads; 'ray' has `workers` actors, each with a GPU if
        the cluster has any.

    Raises:
      FileNotFoundError, ValueError: an argument is invalid, or `root` is not a catalog.
      ImportError: the runner's package is not installed.
    """
    runner = runner or RunnerOptions()
    root = root.resolve()
    sources = tuple(build_embed_source(root, film) for film in Catalog(root).film_ids())
    decoders = (runner.workers or count_cores()) if runner.name == "local" else NUM_ACTOR_DECODERS
    job = EmbedJob(root, encoder, levels, batch, decoders)
    share = runner.share(sources)
    return Run(SourceListing(sources), share, _events(job, runner, share))


@dataclass(frozen=True)
class EmbedJob:
    """Settings of an embedding worker; picklable.

    Attributes:
      root: folder of the catalog.
      encoder: opens the encoder; called once per worker.
      levels: levels of `embeddings.LEVELS` to compute; None for DEFAULT_LEVELS.
      batch: images, or shots, per batch.
      decoders: number of threads that decode images.
    """

    root: Path
    encoder: Callable[[], AnyEncoder]
    levels: tuple[str, ...] | None = None
    batch: int = 32
    decoders: int = 2

    def __post_init__(self) -> None:
        if self.levels is not None and (not self.levels or set(self.levels) - set(LEVELS)):
            raise ValueError(f"levels must be some of {', '.join(LEVELS)}, got {self.levels}")
        if self.batch < 1 or self.decoders < 1:
            raise ValueError(
                f"batch and decoders must be at least 1, got {self.batch}, {self.decoders}"
            )


class EmbedStage:
    """Stage that computes embeddings, film by film.

    Attributes:
      model: model of the embeddings.
    """

    def __init__(self, job: EmbedJob) -> None:
        """Open the encoder, and run it once, so that it is compiled once for all films.

        Raises:
          ValueError, OSError: the encoder is not available, fails, or has no such embeddings.
        """
        self._job, self._catalog = job, Catalog(job.root)
        self._encoder = job.encoder()
        self._levels = _select_levels(self._encoder, job.levels)
        self.model = resolve_model(self._encoder, self._catalog)
        self._threads = ThreadPoolExecutor(job.decoders, "decode")
        self._extract = build_extractor(self._encoder, self._catalog, job.batch, self._threads)
        self._run_trial()

    def __call__(self, source: Source, report: Report = lambda seconds: None) -> Outcome:
        """Compute a film's embeddings, unless they are current; `source.slug` is the film's id.

        An error of the film becomes the outcome's reason and is not raised.
        """
        try:
            return self._embed(source, report)
        except (ValueError, OSError, KeyError) as error:
            reason = error.args[0] if isinstance(error, KeyError) else error
            return build_failure(source, str(reason))
        except Exception as error:  # one film must not stop the others
            return build_failure(source, f"{type(error).__name__}: {error}")

    def _run_trial(self) -> None:
        batch = self._job.batch
        try:
            found = self._extract.trial()
        except Exception as error:  # of XLA and drivers, mostly for lack of memory
            reason = str(error).partition("\n")[0]
            raise ValueError(
                f"{self.model.name} cannot run on {batch} images at once ({reason}); give a "
                "smaller --batch"
            ) from None
        if found.shape[1:] != (self.model.dim,):
            raise ValueError(
                f"{self.model.name} gives {found.shape}, not {len(found), self.model.dim}"
            )

    def _embed(self, source: Source, report: Report) -> Outcome:
        film = source.slug
        # Read before anything else of the film, see `EmbeddingStore.write`.
        manifest = self._catalog.manifest(film)
        hashes = dict.fromkeys(LEVELS, embeddings.hash_source(manifest))
        if not embeddings.has_keyframes(manifest):
            reason = manifest.get("reason") or "no shots"
            return build_failure(source, f"it has no keyframes ({reason})")
        levels, scenes = self._levels, None
        if "scene" in levels:
            try:
                scenes = self._catalog.scenes(film)
            except FileNotFoundError:
                levels = tuple(level for level in levels if level != "scene")
            else:
                hashes["scene"] = embeddings.hash_scene_source(hashes["scene"], scenes)
        if not levels:
            return build_failure(source, NO_SCENES)
        stores = {level: EmbeddingStore(self._job.root, level, self.model) for level in LEVELS}
        missing = [x for x in levels if not stores[x].is_current(film, hashes[x])]
        if missing:
            shots, keyframes = self._catalog.shots(film), self._catalog.keyframes(film)
            tables = FilmTables(film, shots, keyframes, scenes)
            values = _FilmEmbeddings(self._encoder, self._extract, tables, stores, hashes)
            for level in missing:
                rows, matrix = tables.rows(level), values.get(level, report)
                stores[level].write(film, hashes[level], rows, matrix)
        lacks_scenes = levels != self._levels
        return Outcome(
            source,
            film,
            status="partial" if lacks_scenes else "whole",
            reason=NO_SCENES if lacks_scenes else "",
            done=bool(missing),
            seconds=manifest["seconds"],
            shots=manifest["counts"]["shots"],
            keyframes=manifest["counts"]["keyframes"],
        )


class _FilmEmbeddings:
    """Embeddings of one film by level: stored ones, the encoder's, and means of a level below."""

    def __init__(
        self,
        encoder: AnyEncoder,
        extract: Extractor,
        tables: FilmTables,
        stores: Mapping[str, EmbeddingStore],
        hashes: Mapping[str, str],
    ) -> None:
        self._encoder, self._extract, self._tables = encoder, extract, tables
        self._stores, self._hashes = stores, hashes
        self._known: dict[str, np.ndarray] = {}

    def get(self, level: str, report: Report) -> np.ndarray:
        """Return the embeddings of a level, float32 `[n d]`."""
        if level not in self._known:
            self._known[level] = self._compute(level, report)
        return self._known[level]

    def _compute(self, level: str, report: Report) -> np.ndarray:
        tables, store, source_hash = self._tables, self._stores[level], self._hashes[level]
        if store.is_current(tables.film, source_hash):
            return embeddings.to_matrix(store.read(tables.film, source_hash))
        if level in self._encoder.native_levels:
            return self._extract(level, tables, report)
        if level == "shot":
            return average_groups(self.get("frame", report), tables.keyframes["shot"].to_numpy())
        shots = tables.rows("shot")["shot"].to_numpy()
        rows = embeddings.find_scene_rows(tables.scenes, shots)
        return average_groups(self.get("shot", report), rows)


def average_groups(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the mean of each group of rows, float32 `[groups d]`.

    Args:
      values: float32 `[n d]`.
      groups: group of each row `[n]`, such as its shot, in increasing order.
    """
    _, first, count = np.unique(groups, return_index=True, return_counts=True)
    sums = np.add.reduceat(values, first, axis=0, dtype=np.float64)
    return (sums / count[:, None]).astype(np.float32)


def build_failure(source: Source, reason: str) -> Outcome:
    """Return the outcome of a film without embeddings."""
    return Outcome(source, source.slug, "error", " ".join(reason.split()))


def _select_levels(encoder: AnyEncoder, levels: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the levels to compute.

    Raises:
      ValueError: the encoder does not support one of them.
    """
    for level in levels or ():
        check_level(encoder, level)
    return levels or tuple(level for level in DEFAULT_LEVELS if level in get_levels(encoder))


def _events(
    job: EmbedJob, runner: RunnerOptions, sources: list[Source]
) -> Generator[Progress | Outcome, None, None]:
    if sources:
        engine, workers = _open_engine(functools.partial(EmbedStage, job), runner)
        yield from Pool(engine, workers, stall_s=runner.stall_s, fail=build_failure).run(sources)


def _open_engine(make: Callable[[], EmbedStage], runner: RunnerOptions) -> tuple[Engine, int]:
    if runner.name == "local":
        return LocalEngine(make, cpu_only=False), 1
    from vujax.pipeline.workers.ray import RayEngine

    engine = RayEngine(make, accelerators=True)
    return engine, min(runner.workers or engine.num_slots, engine.num_slots)
