"""Shots or scenes of a catalogue that are like one of them.

Which vectors of a catalogue are nearest to one of them: exact, by cosine, a film at a time.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa

from vujax.catalog import Catalog, Id, embeddings
from vujax.catalog.schema import build_clock
from vujax.encoders import name_of
from vujax.utils.formatting import format_clock, quote_unprintable
from vujax.video.timecode import TIMECODE, nearest_timecode_rate, parse_timecode


@dataclass(frozen=True, order=True)
class Neighbour:
    """A vector that is near.

    Attributes:
      cosine: of the angle between it and the query.
      film: id of its film.
      row: number of it among the film's vectors.
    """

    cosine: float
    film: str
    row: int


def nearest(
    query: np.ndarray,
    films: Iterable[tuple[str, np.ndarray]],
    *,
    top: int,
    per_film: int | None = None,
    without: tuple[str, int] | None = None,
) -> list[Neighbour]:
    """The vectors with the highest cosines, the highest first; equal ones in order of film and row.

    Only one film's vectors and `top` results are held at a time.

    Args:
      query: float32 `[d]`.
      films: id and vectors float32 `[n d]` of each film, each film once.
      top: most results.
      per_film: most results of one film; None: as many as there are.
      without: film and row of one that is no result: the query itself.

    Raises:
      ValueError: nothing is asked for, or the query or a film has another width or numbers that are
        not finite.
    """
    if top < 1 or (per_film is not None and per_film < 1):
        raise ValueError(f"ask for at least 1 result, not {top if top < 1 else per_film}")
    best: list[Neighbour] = []
    for film, vectors in films:
        cosines = cosines_with(query, vectors, film)
        rows = np.argsort(-cosines, kind="stable")
        rows = rows[rows != without[1]] if without and without[0] == film else rows
        most = top if per_film is None else min(top, per_film)
        best += [Neighbour(float(cosines[row]), film, int(row)) for row in rows[:most]]
        best = sorted(best, key=lambda one: (-one.cosine, one.film, one.row))[:top]
    return best


def cosines_with(query: np.ndarray, vectors: np.ndarray, film: str = "the query") -> np.ndarray:
    """Cosines of vectors with one, float64 `[n]`; 0 with a vector of zeros.

    Args:
      query: `[d]`.
      vectors: `[n d]`.
      film: for messages.

    Raises:
      ValueError: widths differ, or a number is not finite.
    """
    if vectors.ndim != 2 or query.shape != vectors.shape[1:]:
        raise ValueError(f"vectors {list(vectors.shape)} of {film} do not fit {list(query.shape)}")
    query = query.astype(np.float64)
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    found = (vectors @ query) / np.maximum(lengths * np.linalg.norm(query), 1e-30)
    if not np.isfinite(found).all():
        raise ValueError(f"a vector of {film} is not finite: run `vujax embed` again")
    return found


LEVELS = ("shot", "scene")

TIME = re.compile(r"(?:(\d+):)?([0-5]?\d):([0-5]?\d(?:\.\d+)?)", re.ASCII)

PER_FILM = 5

"""Most results of one film, unless told otherwise, where there are several films."""


@dataclass(frozen=True)
class Piece:
    """A shot or a scene.

    Attributes:
      id: its id.
      film: id of its film.
      title: of the film.
      shots: numbers of its first and last shot.
      begin_s: since the film's start.
      end_s: since the film's start.
      timecodes: of these.
      cosine: with the query; 1 for the query itself.
    """

    id: str
    film: str
    title: str
    shots: tuple[int, int]
    begin_s: float
    end_s: float
    timecodes: tuple[str, str]
    cosine: float = 1.0


@dataclass(frozen=True)
class Similar:
    """What was found.

    Attributes:
      query: what was looked for.
      level: 'shot' or 'scene'.
      encoder: name and hash of the model whose vectors were compared.
      found: the nearest first.
      compared: vectors.
      films: that they are of.
      left_out: film and reason of those that have no such vectors, or old ones.
    """

    query: Piece
    level: str
    encoder: str
    found: tuple[Piece, ...]
    compared: int
    films: int
    left_out: tuple[tuple[str, str], ...]


def similar(
    catalog: Catalog,
    query: str,
    *,
    encoder: str | None = None,
    level: str | None = None,
    top: int = 20,
    per_film: int | None = None,
    other_films: bool = False,
) -> Similar:
    """Looks for what is most similar to a shot or scene, in all films; exact.

    Args:
      catalog: to look in.
      query: FILM/s0012, FILM/c003, or FILM@TIME for what is there at a time; see `locate`.
      encoder: whose vectors to compare: what `vujax embed --encoder` took, or name and hash; None:
        the only one that there is.
      level: 'shot' or 'scene', for FILM@TIME; None: shots.
      top: most results.
      per_film: most results of one film; None: PER_FILM, or all where there is one film.
      other_films: leave out the query's own film.

    Raises:
      KeyError: the film, shot or scene is not in the catalogue.
      FileNotFoundError: there are no such vectors or scenes.
      ValueError: the query is none, or an option is wrong; or the query's vectors are damaged or of
        what the film was before.
    """
    wanted = locate(catalog, query, level)
    level = "shot" if wanted.scene is None else "scene"
    model = embeddings.open_store(catalog.path, level, _encoder(catalog.path, level, encoder)).model
    own = catalog.embeddings(level, model.folder, wanted.film)
    row = _row(own, wanted)
    films = [film for film in catalog.film_ids() if film != wanted.film or not other_films]
    read: dict[str, int] = {}
    left_out: dict[str, str] = {}
    near = nearest(
        embeddings.to_matrix(own)[row],
        _read(catalog, level, model.folder, films, read, left_out),
        top=top,
        per_film=PER_FILM if per_film is None and len(films) > 1 else per_film,
        without=(wanted.film, row),
    )
    pieces = _Pieces(catalog, level, model.folder)
    return Similar(
        pieces(Neighbour(1.0, wanted.film, row)),
        level,
        model.folder,
        tuple(map(pieces, near)),
        sum(read.values()) - (wanted.film in read),
        len(read),
        tuple(left_out.items()),
    )


def locate(catalog: Catalog, query: str, level: str | None = None) -> Id:
    """The shot or scene that a query names.

    Args:
      catalog: that it is in.
      query: its id; or FILM@TIME, the time being [HH:]MM:SS[.sss], or HH:MM:SS:FF at the film's
        frame rate, since the film's start.
      level: of the result, for FILM@TIME.

    Raises:
      ValueError: it is no such thing, or the film is over by then.
      KeyError: there is none in the catalogue.
      FileNotFoundError: the film has no scenes, and one is wanted.
    """
    if level not in (None, *LEVELS):
        raise ValueError(f"level is {level!r}: use {' or '.join(LEVELS)}")
    film, at, time = query.partition("@")
    if at:
        return _at(catalog, film, time, level or "shot")
    found = Id.parse(query)
    if (found.shot is None and found.scene is None) or found.keyframe is not None:
        raise ValueError(f"{query} is no shot or scene: write FILM/s0012, FILM/c003 or FILM@TIME")
    kind = "shot" if found.scene is None else "scene"
    if level not in (None, kind):
        raise ValueError(f"{query} is a {kind}, not a {level}: name one, or FILM@TIME")
    table = catalog.shots(found.film) if kind == "shot" else catalog.scenes(found.film)
    if str(found) not in table["id"].to_pylist():
        raise KeyError(f"{catalog.path} has no {kind} {found}: the film has {len(table)}")
    return found


def _at(catalog: Catalog, film: str, time: str, level: str) -> Id:
    (row,) = catalog.films(film).to_pylist()
    table = catalog.shots(film) if level == "shot" else catalog.scenes(film)
    if not len(table):
        raise ValueError(f"{film} has no shots ({row['reason'] or 'it is empty'})")
    seconds = seconds_of(time, nearest_timecode_rate(build_clock(row).rate))
    if seconds >= table["end_s"][-1].as_py():
        raise ValueError(
            f"{film} is over after {format_clock(table['end_s'][-1].as_py())}, before {time}"
        )
    begins = table["begin_s"].to_numpy()
    return Id.parse(table["id"][max(0, int((begins <= seconds).sum()) - 1)].as_py())


def seconds_of(time: str, rate: Fraction) -> float:
    """Seconds since a film's start of a time as people write it; see `locate`.

    Raises:
      ValueError: it is none.
    """
    if match := TIME.fullmatch(time):
        hours, minutes, seconds = match.groups()
        return 3600 * int(hours or 0) + 60 * int(minutes) + float(seconds)
    if not TIMECODE.fullmatch(time):
        raise ValueError(f"{time!r} is no time: write MM:SS, HH:MM:SS, HH:MM:SS.sss or HH:MM:SS:FF")
    return float(parse_timecode(time, rate) / rate)


def _encoder(root: Path, level: str, encoder: str | None) -> str:
    """Name of the vectors to compare."""
    there = [folder.name for folder in embeddings.list_folders(root, level)]
    if encoder is None and len(there) > 1:
        raise ValueError(f"{root} has {level} vectors of {', '.join(there)}: name one (--encoder)")
    name = None if encoder is None else name_of(encoder)
    known = [folder for folder in there if name in (None, folder, folder[: -len("-1a2b3c4d")])]
    if not known:
        raise FileNotFoundError(
            f"{root} has no {level} vectors{f' of {encoder}' if encoder else ''}: make them with "
            f"`vujax embed {root} --encoder {encoder or 'lite'} --level {level}`"
        )
    return name or known[0]


def _row(table: pa.Table, wanted: Id) -> int:
    ids = table["id"].to_pylist()
    if str(wanted) not in ids:
        raise ValueError(f"{wanted} has no keyframe, and so no vector: name a neighbour of it")
    return ids.index(str(wanted))


def _read(
    catalog: Catalog,
    level: str,
    model: str,
    films: Sequence[str],
    read: dict[str, int],
    left_out: dict[str, str],
) -> Iterator[tuple[str, np.ndarray]]:
    """Vectors of each film that has some; counts them, and says why others have none."""
    for film in films:
        try:
            found = embeddings.to_matrix(catalog.embeddings(level, model, film))
        except (FileNotFoundError, ValueError) as error:
            left_out[film] = str(error)
            continue
        if len(found):
            read[film] = len(found)
            yield film, found


class _Pieces:
    """What a vector is of; a film's tables are read once."""

    def __init__(self, catalog: Catalog, level: str, model: str) -> None:
        self._catalog, self._level, self._model = catalog, level, model
        self._films: dict[str, tuple[dict, list[str], dict[str, dict]]] = {}

    def __call__(self, found: Neighbour) -> Piece:
        if found.film not in self._films:
            self._films[found.film] = self._tables(found.film)
        film, ids, rows = self._films[found.film]
        row, time = rows[ids[found.row]], build_clock(film)
        ends = ("shot", "shot") if self._level == "shot" else ("first_shot", "last_shot")
        return Piece(
            row["id"],
            found.film,
            str(film.get("title") or quote_unprintable(Path(film["path"]).name)),
            (row[ends[0]], row[ends[1]]),
            row["begin_s"],
            row["end_s"],
            (time.timecode(row["begin_pts"]), time.timecode(row["end_pts"])),
            found.cosine,
        )

    def _tables(self, film: str) -> tuple[dict, list[str], dict[str, dict]]:
        """Its row, the ids of its vectors, and rows of shots or scenes by id."""
        (row,) = self._catalog.films(film).to_pylist()
        ids = self._catalog.embeddings(self._level, self._model, film)["id"].to_pylist()
        read = self._catalog.shots if self._level == "shot" else self._catalog.scenes
        return row, ids, {one["id"]: one for one in read(film).to_pylist()}
