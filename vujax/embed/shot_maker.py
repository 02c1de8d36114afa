"""A film's shots, or its scenes, through an encoder of shots."""

import numpy as np
import pyarrow.compute as pc

from vujax.catalog import Catalog, vectors
from vujax.catalog.films import open_catalog
from vujax.data.film_scenes import FilmScenes
from vujax.embed.encoders import ShotEncoder
from vujax.embed.maker import Tables
from vujax.embed.rows import encode_scenes, trial
from vujax.ingest.reading import Report


class ShotMaker:
    """A `Maker` for an encoder of shots; see `Maker`.

    Shots are seen as in training, see `vujax.catalog.films`: so many of a shot's keyframes, evenly,
    and within a scene a shot that has none as the one before it.
    """

    def __init__(self, encoder: ShotEncoder, catalog: Catalog, batch: int) -> None:
        self._encoder, self._catalog, self._batch = encoder, catalog, batch
        inputs, self._options = encoder.inputs, dict(images="image" in encoder.inputs)
        if "image" in inputs:
            self._options |= dict(frames=inputs["image"][0], image_size=inputs["image"][1])
        if encoder.vectors:
            shelf = vectors.find(catalog.path, "shot", encoder.vectors)
            self._options["encoder"] = shelf.model.folder

    def trial(self) -> np.ndarray:
        """See `Maker`."""
        return trial(self._encoder, self._batch).reshape(-1, self._encoder.dim)

    def __call__(self, level: str, tables: Tables, report: Report) -> np.ndarray:
        """See `Maker`."""
        films = open_catalog(str(self._catalog.path), films=[tables.film], **self._options)
        runs = _runs(level, tables)
        ends = tables.shots["end_s"].to_numpy()
        told = lambda count: report(float(ends[-1]) * count / len(runs))  # noqa: E731
        return encode_scenes(self._encoder, FilmScenes(films, runs), self._batch, told)


def _runs(level: str, tables: Tables) -> np.ndarray:
    """See `FilmScenes`: each shot or scene that is to have a vector."""
    rows = tables.rows(level)
    first = rows["shot"].to_numpy().astype(np.int64)
    end = first + 1
    if level == "scene":
        there = tables.scenes.filter(pc.is_in(tables.scenes["id"], rows["id"]))
        end = there["last_shot"].to_numpy().astype(np.int64) + 1
    return np.stack([np.zeros_like(first), first, end], axis=1)
