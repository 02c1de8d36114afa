"""MovieNet's tags of scenes: where a scene plays (place) and what is done in it (action).

    FOLDER/tt0120885.json    {"imdb_id": "tt0120885", "scene": [{"id": "scene_0", "shot": [0, 14],
                              "frame": [...], "place_tag": "street" or null,
                              "action_tag": ["drive", ...] or null}, ...], ...}

This is how the annotation files are remembered, no file was at hand. Whether the second number of
'shot' is the scene's last shot or the one after it is not known, so `ends` says it: 'inclusive'
refuses scenes that share a shot, by which the other convention shows. Scenes need not cover a film.

Huang et al., "MovieNet: A Holistic Dataset for Movie Understanding" (2020), arXiv:2007.10937.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from vujax.data.movielens import imdb_id

ENDS = ("inclusive", "exclusive")
TAGS = "tags.parquet"
MOST_BYTES = 1 << 27  # of a film's annotation; a larger file is none
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("film", "scene")),
        *((name, pa.int64()) for name in ("first_shot", "last_shot")),
        ("place", pa.string()),
        ("action", pa.list_(pa.string())),
    ]
)
"""Of `tag_table`; place is null and action empty where they are not tagged."""


@dataclass(frozen=True)
class TaggedScene:
    """A scene of a film.

    Attributes:
      name: its id, unique in the film.
      first: number of its first shot, from 0.
      last: number of its last shot.
      place: None: not tagged.
      actions: in order, each once; none: not tagged.
    """

    name: str
    first: int
    last: int
    place: str | None
    actions: tuple[str, ...]


def read_tags(path: Path, shots: int, ends: str = "inclusive") -> tuple[TaggedScene, ...]:
    """The scenes of one film's annotation, in order of their first shot.

    Args:
      path: of the file, named after the film.
      shots: how many the film has.
      ends: whether ranges of shots are 'inclusive' or 'exclusive' of their second number.

    Raises:
      FileNotFoundError: there is none.
      ValueError: it is damaged or of another film, a scene has shots that the film lacks or that
        another scene has, or two scenes have one id.
    """
    if ends not in ENDS:
        raise ValueError(f"ends is {ends!r}: use one of {', '.join(ENDS)}")
    document = _document(path)
    film = document.get("imdb_id", path.stem)
    if not isinstance(film, str) or imdb_id(film, str(path)) != imdb_id(path.stem, str(path)):
        raise ValueError(f"{path} is of the film {film!r}: name it after that film")
    scenes = document.get("scene") or []
    if not isinstance(scenes, list):
        raise ValueError(f"{path}: 'scene' is no list")
    found = [_scene(scene, f"scene {k} of {path}", ends) for k, scene in enumerate(scenes)]
    found.sort(key=lambda scene: scene.first)
    _check(found, shots, path, ends)
    return tuple(found)


def tag_table(
    folder: Path, films: Mapping[str, int], ends: str = "inclusive"
) -> tuple[pa.Table, tuple[str, ...]]:
    """The tagged scenes of films as a table, and the films that have no annotation.

    Args:
      folder: of the annotations.
      films: how many shots each film has.
      ends: see `read_tags`.

    Raises:
      FileNotFoundError: there is no such folder.
      ValueError: see `read_tags`.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder of annotations")
    there = {film: folder / f"{film}.json" for film in films}
    bare = tuple(film for film, path in there.items() if not path.is_file())
    rows = [
        (film, scene.name, scene.first, scene.last, scene.place, list(scene.actions))
        for film, path in there.items()
        if film not in bare
        for scene in read_tags(path, films[film], ends)
    ]
    named = [dict(zip(SCHEMA.names, row, strict=True)) for row in rows]
    return pa.Table.from_pylist(named, schema=SCHEMA), bare


def _document(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"{path} is larger than {MOST_BYTES >> 20} MiB: it is no annotation")
    try:
        document = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError):
        raise ValueError(f"{path} is no JSON") from None
    if not isinstance(document, dict):
        raise ValueError(f"{path} is no JSON object")
    return document


def _scene(scene: Any, where: str, ends: str) -> TaggedScene:
    name, shot = (scene.get(key) if isinstance(scene, dict) else None for key in ("id", "shot"))
    whole = isinstance(shot, list) and len(shot) == 2 and all(type(x) is int for x in shot)
    if not whole or not isinstance(name, str | int) or "/" in str(name) or str(name) == "":
        raise ValueError(f'{where} is no object with "id" and "shot": [first, last]')
    place, actions = scene.get("place_tag"), scene.get("action_tag")
    actions = [actions] if isinstance(actions, str) else actions or []
    words = [*([] if place is None else [place]), *(actions if isinstance(actions, list) else [0])]
    if not all(isinstance(word, str) for word in words):
        raise ValueError(
            f"{where}: place_tag is a text or null, action_tag a list of texts or null"
        )
    last = shot[1] - (ends == "exclusive")
    return TaggedScene(
        str(name), shot[0], last, place or None, tuple(dict.fromkeys(filter(None, actions)))
    )


def _check(scenes: list[TaggedScene], shots: int, path: Path, ends: str) -> None:
    if len({scene.name for scene in scenes}) < len(scenes):
        raise ValueError(f"{path} has two scenes of one id: each needs its own")
    end = 0
    for scene in scenes:
        if not 0 <= scene.first <= scene.last < shots:
            raise ValueError(
                f"scene {scene.name} of {path} has the shots from {scene.first} to {scene.last}, "
                f"read as {ends}: the film has those from 0 to {shots - 1}"
            )
        if scene.first < end:
            raise ValueError(
                f"scene {scene.name} of {path} begins with shot {scene.first}, which the scene "
                f"before it has too, read as {ends}: try the other of {', '.join(ENDS)}"
            )
        end = scene.last + 1
