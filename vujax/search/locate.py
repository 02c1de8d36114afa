"""Shots and scenes by id or by time: FILM/s0012, FILM/c003, FILM@00:12:30."""

import difflib
import re
from pathlib import Path

from vujax.catalog import Catalog, Id
from vujax.catalog.schema import build_clock
from vujax.utils.formatting import format_clock
from vujax.video.timecode import TIMECODE, Clock

LEVELS = ("shot", "scene")
MAX_NAMED = 5
NUMBER = re.compile(r"[sc]\d+", re.ASCII)
TIME = re.compile(r"(?:(\d+):)?([0-5]?\d):([0-5]?\d(?:\.\d+)?)", re.ASCII)


def locate_item(catalog: Catalog, query: str, level: str | None = None) -> Id:
    """Return the id of the shot or scene that a query names.

    Args:
      catalog: catalog of the item.
      query: an id, or FILM@TIME with a time since the start of the film: [HH:]MM:SS[.sss], or
        HH:MM:SS:FF, the timecode of a frame. FILM is an id, or the slug, path or name of a file
        that no other film has.
      level: 'shot' or 'scene', for FILM@TIME; None for shots.

    Raises:
      ValueError: the query is invalid, or the film ends before the time.
      KeyError: the catalog has no such item.
      FileNotFoundError: the film has no scenes, and one is requested.
    """
    if level not in (None, *LEVELS):
        raise ValueError(f"unknown level {level!r}; expected one of: {', '.join(LEVELS)}")
    film, separator, time = query.rpartition("@")
    if separator:
        return _locate_time(catalog, find_film(catalog, film), time, level or "shot")
    film, separator, number = query.rpartition("/")
    if NUMBER.fullmatch(number) and film:
        query = f"{find_film(catalog, film)}/{number}"
    item = Id.parse(query)
    if (item.shot is None and item.scene is None) or item.keyframe is not None:
        raise ValueError(
            f"{query} is not a shot or scene; write FILM/s0012, FILM/c003 or FILM@TIME"
        )
    kind = "shot" if item.scene is None else "scene"
    if level not in (None, kind):
        raise ValueError(f"{query} is a {kind}, not a {level}; name a {level}, or FILM@TIME")
    table = catalog.shots(item.film) if kind == "shot" else catalog.scenes(item.film)
    if str(item) not in table["id"].to_pylist():
        raise KeyError(f"{catalog.path} has no {kind} {item}; the film has {len(table)}")
    return item


def find_film(catalog: Catalog, name: str) -> str:
    """Return the id of the film with an id, a slug, a path or a file name.

    Raises:
      KeyError: no film has the name; it names the nearest ids.
      ValueError: several films have it, or it resembles no id.
    """
    films = catalog.film_ids()
    if name in films:
        return name
    named = [film for film in films if film.rpartition("-")[0] == name]
    if not named:
        table = catalog.films().select(["film", "path"]).to_pylist()
        paths = [(row["film"], Path(row["path"] or "")) for row in table]
        named = [film for film, path in paths if name in (str(path), path.name, path.stem)]
    if len(named) > 1:
        raise ValueError(f"several films are named {name}: {', '.join(named[:MAX_NAMED])}")
    if not named:
        near = difflib.get_close_matches(name, films, MAX_NAMED, cutoff=0.3)
        if not near:
            Id.parse(name)  # says what ids look like, if this is none
        hint = f"; the nearest ids are {', '.join(near)}" if near else ""
        raise KeyError(f"{catalog.path} has no film {name}{hint}")
    return named[0]


def parse_time(time: str, clock: Clock) -> float:
    """Parse a time as in `locate_item` and return seconds.

    Args:
      time: the text.
      clock: clock of the film, whose source timecode a timecode counts from.

    Raises:
      ValueError: the text is not a time.
    """
    if match := TIME.fullmatch(time):
        hours, minutes, seconds = match.groups()
        return 3600 * int(hours or 0) + 60 * int(minutes) + float(seconds)
    if not TIMECODE.fullmatch(time):
        raise ValueError(
            f"{time!r} is not a time; write MM:SS, HH:MM:SS, HH:MM:SS.sss or HH:MM:SS:FF"
        )
    return float(clock.parse_timecode(time))


def _locate_time(catalog: Catalog, film: str, time: str, level: str) -> Id:
    (row,) = catalog.films(film).to_pylist()
    items = catalog.items(level, film)
    if not len(items):
        raise ValueError(f"{film} has no shots ({row['reason'] or 'it is empty'})")
    clock = build_clock(row)
    seconds = parse_time(time, clock)
    if TIMECODE.fullmatch(time):  # the middle of the frame: containers round where it starts
        seconds += float(1 / (2 * clock.rate))
    end_s = items["end_s"][-1].as_py()
    if seconds >= end_s:
        raise ValueError(f"{film} ends at {format_clock(end_s)}, before {time}")
    starts = items["start_s"].to_numpy()
    return Id.parse(items["id"][max(0, int((starts <= seconds).sum()) - 1)].as_py())
