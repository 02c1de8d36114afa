"""A tagger applied to all films of a catalogue: one row for each item and tag."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vujax.catalog import Catalog, vectors
from vujax.files import csv_rows, json_lines, write_atomically
from vujax.tagging.items import has_items, items_of, vectors_of
from vujax.tagging.tagger import Tagger

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
    write = writer(out)
    check_model(tagger, catalog)
    films = [film for film in catalog.ids() if has_items(catalog, tagger.level, film)]
    counts = np.zeros(len(tagger.tags), np.int64)
    items = 0

    def tables() -> Iterator[pa.Table]:
        nonlocal items
        for film in films:
            table, chosen = _film(tagger, catalog, film)
            items += len(chosen)
            counts[:] += chosen.sum(0)
            yield table

    write_atomically(out, lambda path: write(path, tables()))
    without = len(catalog.ids()) - len(films)
    chosen = dict(zip(tagger.tags, counts.tolist(), strict=True))
    return Applied(len(films), without, items, chosen)


def check_model(tagger: Tagger, catalog: Catalog) -> None:
    """Raises unless the catalogue has vectors of the tagger's level by its model.

    Raises:
      ValueError: it has none; says whose it has.
    """
    model, level = tagger.model, tagger.level
    try:
        found = vectors.find(catalog.path, level, model.folder).model
    except FileNotFoundError:
        parent = catalog.path / vectors.FOLDER / level
        there = sorted(f.name for f in parent.glob("*") if vectors.PLACE.fullmatch(f.name))
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


def writer(out: Path) -> Callable[[Path, Iterator[pa.Table]], None]:
    """What writes a file of this suffix.

    Raises:
      ValueError: there is none.
    """
    suffix = out.suffix.lower()
    if suffix not in WRITERS:
        known = ", ".join(WRITERS)
        raise ValueError(f"{out} has the suffix {suffix!r}: use one of {known}")
    return WRITERS[suffix]


def _parquet(path: Path, tables: Iterator[pa.Table]) -> None:
    with pq.ParquetWriter(path, COLUMNS, compression="zstd") as file:
        for table in tables:
            file.write_table(table)


def _csv(path: Path, tables: Iterator[pa.Table]) -> None:
    csv_rows(path, COLUMNS.names, _rows(tables))


def _jsonl(path: Path, tables: Iterator[pa.Table]) -> None:
    json_lines(path, _rows(tables))


def _rows(tables: Iterator[pa.Table]) -> Iterator[dict[str, Any]]:
    return (row for table in tables for row in table.to_pylist())


WRITERS = {".parquet": _parquet, ".csv": _csv, ".jsonl": _jsonl}
