"""A tagger on disk: `release/config.json`, `release/weights.safetensors` and `report.json`.

A tagger applied to all films of a catalogue: one row for each item and tag.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vujax.annotate.tagging.resolve import has_items, items_of, vectors_of
from vujax.catalog import Catalog, embeddings
from vujax.catalog.embeddings import EmbeddingModel
from vujax.evals.logistic import LinearClassifier, Standardizer
from vujax.evals.multilabel_probe import TagProbe
from vujax.models import release
from vujax.utils.io import check_table_suffix, write_json, write_table

KIND = "tagger"

SCHEMA = 1

"""Version of its config."""

REPORT = "report.json"


@dataclass(frozen=True)
class Tagger:
    """Tags, and how vectors tell them.

    Attributes:
      level: of the catalogue's vectors: 'frame', 'shot' or 'scene'.
      model: that makes them; a tagger says nothing of another one's.
      tags: names, in the order of the probe's columns.
      probe: the classifiers and thresholds.
    """

    level: str
    model: EmbeddingModel
    tags: tuple[str, ...]
    probe: TagProbe


def check_folder(folder: Path) -> None:
    """Raises unless a tagger can be written there.

    Raises:
      ValueError: it is a file, or a folder that holds something and no tagger.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file: name a folder for the tagger")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / REPORT).is_file():
        raise ValueError(f"{folder} holds something else than a tagger: name a new folder")


def save(folder: Path, tagger: Tagger, report: Mapping[str, Any]) -> None:
    """Writes a tagger, the report first, the config last; an old one there is replaced."""
    model = tagger.model
    about = dict(schema=SCHEMA, level=tagger.level, tags=list(tagger.tags))
    about |= dict(encoder=model.name, digest=model.digest, dim=model.dim)
    (mean, std), (weights, bias), thresholds = tagger.probe
    arrays = dict(mean=mean, std=std, weights=weights, bias=bias, thresholds=thresholds)
    write_json(folder / REPORT, dict(report))
    release.save(folder, {KIND: about}, {"params": arrays})


def load(path: Path) -> Tagger:
    """Reads a tagger.

    Args:
      path: what `save` was given, or the folder 'release' in it.

    Raises:
      FileNotFoundError: there is none.
      ValueError: it is another model, of another version, or damaged.
    """
    config, variables = release.load_host(path)
    about = config.get(KIND) if isinstance(config, dict) else None
    if not isinstance(about, dict):
        raise ValueError(f"{path} is a model, and no tagger: make one with `vujax tag train`")
    if about.get("schema") != SCHEMA:
        raise ValueError(f"{path} is a tagger of another version: train it again")
    try:
        tags = tuple(map(str, about["tags"]))
        model = EmbeddingModel(str(about["encoder"]), str(about["digest"]), int(about["dim"]))
        params = variables["params"]
        scale = Standardizer(params["mean"], params["std"])
        linear = LinearClassifier(params["weights"], params["bias"])
        probe = TagProbe(scale, linear, params["thresholds"])
        tagger = Tagger(str(about["level"]), model, tags, probe)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}): train the tagger again") from None
    _check(tagger, path)
    return tagger


def _check(tagger: Tagger, path: Path) -> None:
    d, t = tagger.model.dim, len(tagger.tags)
    scale, linear, thresholds = tagger.probe
    arrays = (*scale, *linear, thresholds)
    wanted = [(d,), (d,), (d, t), (t,), (t,)]
    shapes = [np.shape(array) for array in arrays]
    if shapes != wanted or not all(np.isfinite(array).all() for array in arrays):
        raise ValueError(
            f"{path} is damaged: its weights are not those of {t} tags: train it again"
        )


COLUMNS = pa.schema(
    {
        "film": pa.string(),
        "id": pa.string(),
        "level": pa.string(),
        "label": pa.string(),
        "score": pa.float64(),  # probability
        "chosen": pa.bool_(),  # whether it reaches the tag's threshold
        "begin_s": pa.float64(),  # since the film's start
        "end_s": pa.float64(),
    }
)


@dataclass(frozen=True)
class Applied:
    """What was done.

    Attributes:
      films: that have vectors.
      without: films without any.
      items: that were tagged.
      chosen: how many items have each tag.
    """

    films: int
    without: int
    items: int
    chosen: dict[str, int]


def apply(tagger: Tagger, catalog: Catalog, out: Path) -> Applied:
    """Writes the tags of all films; the file appears whole or not at all.

    Args:
      tagger: see `tagger.load`.
      catalog: with vectors of the tagger's level, by its encoder.
      out: .parquet, .csv or .jsonl, with columns COLUMNS, items in order, tags in the tagger's.

    Raises:
      ValueError: another suffix; the vectors are of another model, damaged or stale.
      FileNotFoundError: a film has no vectors.
    """
    check_table_suffix(out)
    check_model(tagger, catalog)
    films = [film for film in catalog.film_ids() if has_items(catalog, tagger.level, film)]
    counts = np.zeros(len(tagger.tags), np.int64)
    items = 0

    def tables() -> Iterator[pa.Table]:
        nonlocal items
        for film in films:
            table, chosen = _film(tagger, catalog, film)
            items += len(chosen)
            counts[:] += chosen.sum(0)
            yield table

    write_table(out, tables(), COLUMNS)
    without = len(catalog.film_ids()) - len(films)
    chosen = dict(zip(tagger.tags, counts.tolist(), strict=True))
    return Applied(len(films), without, items, chosen)


def check_model(tagger: Tagger, catalog: Catalog) -> None:
    """Raises unless the catalogue has vectors of the tagger's level by its model.

    Raises:
      ValueError: it has none; says whose it has.
    """
    model, level = tagger.model, tagger.level
    try:
        found = embeddings.open_store(catalog.path, level, model.folder).model
    except FileNotFoundError:
        parent = catalog.path / embeddings.FOLDER / level
        there = sorted(f.name for f in parent.glob("*") if embeddings.FOLDER_NAME.fullmatch(f.name))
        raise ValueError(
            f"the tagger learned on {level} vectors of {model.folder}, and {catalog.path} has "
            f"those of {', '.join(there) or 'none'}: make them with `vujax embed {catalog.path} "
            f"--encoder {model.name}`, or train a tagger on the vectors that are there"
        ) from None
    if found != model:
        raise ValueError(
            f"the tagger learned on vectors of {model.name} {model.digest}, and {catalog.path} has "
            f"those of {found.digest}: train it again"
        )


def _film(tagger: Tagger, catalog: Catalog, film: str) -> tuple[pa.Table, np.ndarray]:
    """The rows of a film, and what was chosen, bool `[k t]`."""
    items = items_of(catalog, tagger.level, film)
    places, found = vectors_of(catalog, tagger.model, items)
    scores = tagger.probe.scores(found)
    if not np.isfinite(scores).all():
        place = places[int(np.flatnonzero(~np.isfinite(scores).all(1))[0])]
        raise ValueError(f"the vector of {items.ids[place]} is not finite: run `vujax embed` again")
    chosen, tags = scores >= tagger.probe.thresholds, len(tagger.tags)
    times = np.repeat(items.seconds[places], tags, axis=0)
    ids = [items.ids[place] for place in places.tolist() for _ in range(tags)]
    columns = [
        [film] * len(ids),
        ids,
        [tagger.level] * len(ids),
        list(tagger.tags) * len(places),
        scores.reshape(-1),
        chosen.reshape(-1),
        times[:, 0],
        times[:, 1],
    ]
    arrays = [pa.array(c, type_) for c, type_ in zip(columns, COLUMNS.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=COLUMNS), chosen
