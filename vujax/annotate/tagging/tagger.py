"""Saving, loading and applying taggers.

A tagger on disk is `release/config.json`, `release/weights.safetensors` and `report.json`. Applied
to a catalog, it writes one row for each item and tag.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vujax.annotate.tagging.resolve import has_items, read_embeddings, read_items
from vujax.catalog import Catalog, embeddings
from vujax.catalog.embeddings import EmbeddingModel
from vujax.evals.logistic import LinearClassifier, Standardizer
from vujax.evals.multilabel_probe import TagProbe
from vujax.models import release
from vujax.utils.io import check_table_suffix, is_empty_folder, write_json, write_table

KIND = "tagger"
REPORT = "report.json"
SCHEMA = 1
"""Version of the config."""

COLUMNS = pa.schema(
    {
        "film": pa.string(),
        "id": pa.string(),
        "level": pa.string(),
        "label": pa.string(),
        "score": pa.float64(),  # predicted probability
        "chosen": pa.bool_(),  # the score reaches the threshold of the tag
        "begin_s": pa.float64(),  # since the start of the film
        "end_s": pa.float64(),
    }
)


@dataclass(frozen=True)
class Tagger:
    """Classifiers of tags for the embeddings of one model.

    Attributes:
      level: level of the embeddings: 'frame', 'shot' or 'scene'.
      model: model of the embeddings; the tagger is invalid for any other.
      tags: names in the order of the probe's columns.
      probe: classifiers and thresholds.
    """

    level: str
    model: EmbeddingModel
    tags: tuple[str, ...]
    probe: TagProbe


def check_folder(folder: Path) -> None:
    """Check that a tagger can be written to a directory.

    Raises:
      ValueError: it is a file, or a non-empty directory without a tagger.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; choose a directory for the tagger")
    if folder.is_dir() and not is_empty_folder(folder) and not (folder / REPORT).is_file():
        raise ValueError(f"{folder} is not empty and is not a tagger; choose a new directory")


def save_tagger(folder: Path, tagger: Tagger, report: Mapping[str, Any]) -> None:
    """Write a tagger, the report first; an existing one is replaced by one rename."""
    model = tagger.model
    config = dict(schema=SCHEMA, level=tagger.level, tags=list(tagger.tags))
    config |= dict(encoder=model.name, digest=model.digest, dim=model.dim)
    (mean, std), (weights, bias), thresholds = tagger.probe
    arrays = dict(mean=mean, std=std, weights=weights, bias=bias, thresholds=thresholds)
    write_json(folder / REPORT, dict(report))
    release.save(folder, {KIND: config}, {"params": arrays})


def load_tagger(path: Path) -> Tagger:
    """Read a tagger.

    Args:
      path: directory given to `save_tagger`, or the directory 'release' in it.

    Raises:
      FileNotFoundError: there is no tagger.
      ValueError: it is a model of another kind, of another version, or damaged.
    """
    config, variables = release.load_host(path)
    about = config.get(KIND) if isinstance(config, dict) else None
    if not isinstance(about, dict):
        raise ValueError(f"{path} is a model but not a tagger; train one with `vujax tag train`")
    if about.get("schema") != SCHEMA:
        raise ValueError(f"{path} is a tagger of another version; train it again")
    try:
        tags = tuple(map(str, about["tags"]))
        model = EmbeddingModel(str(about["encoder"]), str(about["digest"]), int(about["dim"]))
        params = variables["params"]
        scale = Standardizer(params["mean"], params["std"])
        linear = LinearClassifier(params["weights"], params["bias"])
        probe = TagProbe(scale, linear, params["thresholds"])
        tagger = Tagger(str(about["level"]), model, tags, probe)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}); train the tagger again") from None
    _check(tagger, path)
    return tagger


def _check(tagger: Tagger, path: Path) -> None:
    d, t = tagger.model.dim, len(tagger.tags)
    scale, linear, thresholds = tagger.probe
    arrays = (*scale, *linear, thresholds)
    expected = [(d,), (d,), (d, t), (t,), (t,)]
    shapes = [np.shape(array) for array in arrays]
    if shapes != expected or not all(np.isfinite(array).all() for array in arrays):
        raise ValueError(f"{path} is damaged: its weights do not match {t} tags; train it again")


@dataclass(frozen=True)
class TaggingSummary:
    """Result of applying a tagger.

    Attributes:
      films: number of tagged films.
      without: number of films without items to tag.
      items: number of tagged items.
      chosen: number of items with each tag.
    """

    films: int
    without: int
    items: int
    chosen: dict[str, int]


def apply_tagger(tagger: Tagger, catalog: Catalog, out: Path) -> TaggingSummary:
    """Write the tags of all films atomically.

    Args:
      tagger: the tagger.
      catalog: catalog with embeddings of the tagger's level and model.
      out: .parquet, .csv or .jsonl file with columns COLUMNS, items and tags in order.

    Raises:
      ValueError: the suffix is unknown, or embeddings are of another model, damaged or stale.
      FileNotFoundError: a film has no embeddings.
    """
    check_table_suffix(out)
    check_model(tagger, catalog)
    films = [film for film in catalog.film_ids() if has_items(catalog, tagger.level, film)]
    counts = np.zeros(len(tagger.tags), np.int64)
    items = 0

    def tables() -> Iterator[pa.Table]:
        nonlocal items
        for film in films:
            table, chosen = _tag_film(tagger, catalog, film)
            items += len(chosen)
            counts[:] += chosen.sum(0)
            yield table

    write_table(out, tables(), COLUMNS)
    without = len(catalog.film_ids()) - len(films)
    chosen = dict(zip(tagger.tags, counts.tolist(), strict=True))
    return TaggingSummary(len(films), without, items, chosen)


def check_model(tagger: Tagger, catalog: Catalog) -> None:
    """Check that a catalog has embeddings of the tagger's level and model.

    Raises:
      ValueError: it has none; lists the existing ones.
    """
    model, level = tagger.model, tagger.level
    try:
        found = embeddings.open_store(catalog.path, level, model.folder).model
    except FileNotFoundError:
        parent = catalog.path / embeddings.FOLDER / level
        folders = sorted(
            f.name for f in parent.glob("*") if embeddings.FOLDER_NAME.fullmatch(f.name)
        )
        raise ValueError(
            f"the tagger needs {level} embeddings of {model.folder}, and {catalog.path} has those "
            f"of {', '.join(folders) or 'none'}; run `vujax embed {catalog.path} --encoder "
            f"{model.name}`, or train a tagger on the existing embeddings"
        ) from None
    if found != model:
        raise ValueError(
            f"the tagger needs embeddings of {model.name} {model.digest}, and {catalog.path} "
            f"has those of {found.digest}; train it again"
        )


def _tag_film(tagger: Tagger, catalog: Catalog, film: str) -> tuple[pa.Table, np.ndarray]:
    """Return the rows of a film, and the chosen tags, bool `[k t]`."""
    items = read_items(catalog, tagger.level, film)
    indices, vectors = read_embeddings(catalog, tagger.model, items)
    scores = tagger.probe.scores(vectors)
    if not np.isfinite(scores).all():
        index = indices[int(np.flatnonzero(~np.isfinite(scores).all(1))[0])]
        raise ValueError(
            f"the embedding of {items.ids[index]} is not finite; run `vujax embed` again"
        )
    chosen, tags = scores >= tagger.probe.thresholds, len(tagger.tags)
    times = np.repeat(items.seconds[indices], tags, axis=0)
    ids = [items.ids[index] for index in indices.tolist() for _ in range(tags)]
    columns = [
        [film] * len(ids),
        ids,
        [tagger.level] * len(ids),
        list(tagger.tags) * len(indices),
        scores.reshape(-1),
        chosen.reshape(-1),
        times[:, 0],
        times[:, 1],
    ]
    arrays = [pa.array(c, type_) for c, type_ in zip(columns, COLUMNS.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=COLUMNS), chosen
