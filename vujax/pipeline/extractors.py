"""Extraction of a film's embeddings: keyframes, shots or scenes of a catalog through an encoder."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vujax.catalog import Catalog, embeddings
from vujax.catalog.embeddings import EmbeddingModel
from vujax.data.datasets.catalog import open_catalog_films
from vujax.data.scenes import FilmScenes
from vujax.encoders.base import Encoder, ShotEncoder, add_input_digest
from vujax.encoders.pairs import iterate_batches
from vujax.encoders.shots import encode_scenes, run_trial
from vujax.pipeline.stage import Report


@dataclass(frozen=True)
class FilmTables:
    """Rows of one film in the catalog.

    Attributes:
      film: id of the film.
      shots: rows of the shots table.
      keyframes: rows of the keyframes table.
      scenes: rows of the scenes table; None if no scenes are embedded.
    """

    film: str
    shots: pa.Table
    keyframes: pa.Table
    scenes: pa.Table | None

    def rows(self, level: str) -> pa.Table:
        """Return the rows with an embedding at a level; see `embeddings.build_rows`."""
        return embeddings.build_rows(level, self.shots, self.keyframes, self.scenes)


class Extractor(Protocol):
    """Extraction of embeddings at the levels that an encoder takes."""

    def trial(self) -> np.ndarray:
        """Run the encoder once on zeros; return float32 `[n dim]`."""

    def __call__(self, level: str, tables: FilmTables, report: Report) -> np.ndarray:
        """Return a film's embeddings, one per row of the level: float32 `[n dim]`."""


def build_extractor(
    encoder: Any, catalog: Catalog, batch: int, threads: ThreadPoolExecutor
) -> Extractor:
    """Return the extractor of an encoder.

    Args:
      encoder: encoder, see `vujax.encoders.base`.
      catalog: catalog of the films.
      batch: images, or shots, per batch.
      threads: threads that decode images.

    Raises:
      FileNotFoundError: the catalog lacks the embeddings that the encoder takes as input.
    """
    if encoder.native_levels[0] == "frame":
        return FrameExtractor(encoder, catalog, batch, threads)
    return ShotExtractor(encoder, catalog, batch)


def resolve_model(encoder: Any, catalog: Catalog) -> EmbeddingModel:
    """Return the model under which a catalog stores an encoder's embeddings.

    An encoder that takes another encoder's embeddings as input is one model together with it.

    Raises:
      FileNotFoundError: the catalog lacks the embeddings that the encoder takes as input.
    """
    digest = add_input_digest(catalog.path, encoder.digest, encoder.input_encoder)
    return EmbeddingModel(encoder.name, digest, encoder.dim)


class FrameExtractor:
    """`Extractor` for an encoder of images."""

    def __init__(
        self, encoder: Encoder, catalog: Catalog, batch: int, threads: ThreadPoolExecutor
    ) -> None:
        self._encoder, self._catalog, self._batch = encoder, catalog, batch
        self._threads = threads

    def trial(self) -> np.ndarray:
        """Run the encoder once, see `Extractor`."""
        return np.asarray(self._encoder.encode(self._encoder.image_spec.zeros(self._batch)))

    def __call__(self, level: str, tables: FilmTables, report: Report) -> np.ndarray:
        """Return a film's embeddings, see `Extractor`."""
        # Keyframes of a short shot may share one image.
        records, first, place = np.unique(
            tables.keyframes["record"].to_numpy(), return_index=True, return_inverse=True
        )
        seconds = tables.keyframes["seconds"].to_numpy()[first]
        parts: list[np.ndarray] = []
        for part in self._encode(tables.film, records.tolist()):
            parts.append(part)
            report(float(seconds[sum(map(len, parts)) - 1]))
        return np.concatenate(parts)[place]

    def _encode(self, film: str, records: Sequence[int]) -> Iterator[np.ndarray]:
        """Yield the embeddings of images, in order, one batch at a time."""
        encoder, reader = self._encoder, self._catalog.jpegs(film)
        images = iterate_batches(
            reader.__getitem__,
            records,
            encoder.preprocess,
            spec=encoder.image_spec,
            batch=self._batch,
            threads=self._threads,
        )
        pending: tuple[Any, int] | None = None
        for pixels, count in images:
            submitted = encoder.encode(pixels), count
            if pending:  # fetched one batch late: the device never waits for the host
                yield _fetch(pending)
            pending = submitted
        if pending:
            yield _fetch(pending)


class ShotExtractor:
    """`Extractor` for an encoder of shots, or of shots and scenes.

    Shots are prepared as in training, see `vujax.data.datasets.catalog`: a fixed number of a shot's
    keyframes, evenly spaced; in a scene, a shot without keyframes takes those of the one before.
    """

    def __init__(self, encoder: ShotEncoder, catalog: Catalog, batch: int) -> None:
        self._encoder, self._catalog, self._batch = encoder, catalog, batch
        inputs, self._options = encoder.inputs, dict(images="image" in encoder.inputs)
        if "image" in inputs:
            self._options |= dict(frames=inputs["image"][0], image_size=inputs["image"][1:3])
        if encoder.input_encoder:
            store = embeddings.open_store(catalog.path, "shot", encoder.input_encoder)
            self._options["encoder"] = store.model.folder

    def trial(self) -> np.ndarray:
        """Run the encoder once, see `Extractor`."""
        return run_trial(self._encoder, self._batch).reshape(-1, self._encoder.dim)

    def __call__(self, level: str, tables: FilmTables, report: Report) -> np.ndarray:
        """Return a film's embeddings, see `Extractor`."""
        films = open_catalog_films(str(self._catalog.path), films=[tables.film], **self._options)
        runs = _build_runs(level, tables)
        end_s = float(tables.shots["end_s"].to_numpy()[-1])

        def report_count(count: int) -> None:
            report(end_s * count / len(runs))

        return encode_scenes(self._encoder, FilmScenes(films, runs), self._batch, report_count)


def _fetch(submitted: tuple[Any, int]) -> np.ndarray:
    batch, count = submitted
    return np.asarray(batch, np.float32)[:count]


def _build_runs(level: str, tables: FilmTables) -> np.ndarray:
    """Return the runs of shots to embed, see `FilmScenes`: each shot, or each scene."""
    rows = tables.rows(level)
    first = rows["shot"].to_numpy().astype(np.int64)
    end = first + 1
    if level == "scene":
        scenes = tables.scenes.filter(pc.is_in(tables.scenes["id"], rows["id"]))
        end = scenes["last_shot"].to_numpy().astype(np.int64) + 1
    return np.stack([np.zeros_like(first), first, end], axis=1)
