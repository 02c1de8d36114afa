"""Items of a catalog with their time spans: one table for keyframes, shots, scenes and films."""

import pyarrow as pa

LEVELS = ("frame", "shot", "scene", "film")

ITEMS = pa.schema(
    {
        "film": pa.string(),
        "id": pa.string(),
        "first_shot": pa.int32(),  # null for a film without shots
        "last_shot": pa.int32(),  # inclusive
        "start_pts": pa.int64(),  # null for a film
        "end_pts": pa.int64(),  # start of the next item; of a frame, its own time; null for a film
        "start_s": pa.float64(),  # since the start of the film
        "end_s": pa.float64(),
    }
)
"""Columns of the items of every level; a frame starts and ends at its own time."""

_SOURCES = {
    "frame": ("film", "id", "shot", "shot", "pts", "pts", "seconds", "seconds"),
    "shot": ("film", "id", "shot", "shot", "begin_pts", "end_pts", "begin_s", "end_s"),
    "scene": ("film", "id", "first_shot", "last_shot", "begin_pts", "end_pts", "begin_s", "end_s"),
}
"""Columns of the tables of keyframes, shots and scenes that become those of ITEMS."""


def check_level(level: str, levels: tuple[str, ...] = LEVELS) -> None:
    """Raise unless a level is one of `levels`.

    Raises:
      ValueError: it is not.
    """
    if level not in levels:
        raise ValueError(f"unknown level {level!r}; expected one of: {', '.join(levels)}")


def build_items(level: str, table: pa.Table) -> pa.Table:
    """Return the items of a table of keyframes, shots or scenes: columns of ITEMS, same order.

    Args:
      level: 'frame', 'shot' or 'scene'.
      table: keyframes, shots or scenes, as `Catalog` reads them.

    Raises:
      ValueError: the level is unknown.
    """
    check_level(level, tuple(_SOURCES))
    columns = [table[name] for name in _SOURCES[level]]
    return pa.table(columns, names=ITEMS.names).cast(ITEMS)


def build_film_items(films: pa.Table) -> pa.Table:
    """Return one item per row of the films table: columns of ITEMS.

    A film whose times are unknown starts and ends at 0.
    """
    rows = [
        dict(
            film=row["film"],
            id=row["film"],
            first_shot=0 if row["shots"] else None,
            last_shot=row["shots"] - 1 if row["shots"] else None,
            start_s=row["begin_s"] or 0.0,
            end_s=row["end_s"] or 0.0,
        )
        for row in films.select(["film", "shots", "begin_s", "end_s"]).to_pylist()
    ]
    return pa.Table.from_pylist(rows, schema=ITEMS)
