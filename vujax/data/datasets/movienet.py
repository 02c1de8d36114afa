"""MovieNet: scene boundaries (scene318, kind 'movienet' of `open_films`) and tags of scenes.

    ROOT/label318/tt0120885.txt         a line `0003 1` per shot: 1, a scene ends with it; -1 (a
                                        shot of a montage) counts as 1. The last may be missing;
                                        of other missing trailing labels see `read_labels`
    ROOT/shot_movie318/tt0120885.txt    a line `first last k1 k2 k3` per shot: frames, inclusive,
                                        and frames of the keyframes
    ROOT/split318.json                  {"train": ["tt0120885", ...], "val": ..., "test": ...}; in
                                        the folder meta in some copies

ROOT may also be the parent folder, if it has them in `scene318`. Images and features are the user's
own, see `shot_folders`. Frame rates are not part of these files.

The annotation files tag scenes with a place and with actions:

    FOLDER/tt0120885.json    {"imdb_id": "tt0120885", "scene": [{"id": "scene_0", "shot": [0, 14],
                              "frame": [...], "place_tag": "street" or null,
                              "action_tag": ["drive", ...] or null}, ...], ...}

We know this layout from its description, without a file at hand. It is not known whether the second
number of 'shot' is the last shot of the scene or the one after it. This is the option `ends`:
'inclusive' refuses scenes that share a shot, which reveals the other convention. Scenes need not
cover a film.

Huang et al., "MovieNet: A Holistic Dataset for Movie Understanding" (2020), arXiv:2007.10937.
"""

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vujax.data.datasets.movielens import imdb_id
from vujax.data.datasets.shot_folders import FolderFilm, ShotFolders, check_widths
from vujax.data.films import frames_to_seconds, select_films
from vujax.models.image_spec import Size, parse_image_size

LABELS, SHOTS = "label318", "shot_movie318"

SPLIT = "split318.json"

SPLITS = ("train", "val", "test", "all")

MAX_MISSING = 0.01  # share of a film's labels that may be missing at its end


def open_movienet(
    root: str,
    split: str = "train",
    keyframes: str | None = None,
    features: str | None = None,
    key: str = "feature",
    frames: int = 3,
    image_size: Size | None = None,
    fps: float = 24.0,
    rates: str | None = None,
    labels: bool = True,
    films: Sequence[str] | None = None,
    skip_unreadable: bool = False,
) -> tuple[FolderFilm, ...]:
    """Open the films of a split.

    Args:
      root: folder of label318 and shot_movie318.
      split: 'train', 'val', 'test' or 'all'.
      keyframes: folder of keyframes; None: no images.
      features: folder of features; None: no features.
      key: array of a features npz file.
      frames: images per shot.
      image_size: height and width, or one number for both; None: full images.
      fps: frames per second of films that `rates` does not name. 24 is an assumption.
      rates: JSON file {film: frames per second}.
      labels: False: films need no labels (for pretraining), and have none.
      films: only these of the split, in this order.
      skip_unreadable: leave out each film whose labels or shots are missing or damaged, with a
        warning, instead of an error.

    Raises:
      FileNotFoundError: a folder or file does not exist.
      ValueError: a file is damaged, labels and shots disagree, or the split or `films` names a film
        without labels.
    """
    folder = find_root(Path(root))
    folders = ShotFolders(
        keyframes=keyframes and Path(keyframes),
        frames=frames,
        image_spec=parse_image_size(image_size),
        features=features and Path(features),
        key=key,
    )
    known = sorted(file.stem for file in (folder / (LABELS if labels else SHOTS)).glob("*.txt"))
    wanted = read_split(folder, split, known)
    if not skip_unreadable:
        wanted = select_films(known, wanted, f"{folder / LABELS} (split {split!r})")
    wanted = select_films(wanted, films, f"split {split!r} of {folder}")
    rate_of = {} if rates is None else _read_rates(Path(rates))
    lists = _read_films(folder, wanted, labels, skip_unreadable)
    return check_widths(
        tuple(
            FolderFilm(
                film,
                frames_to_seconds(shots, rate_of.get(film, fps)),
                shots,
                rate_of.get(film, fps),
                starts,
                folders=folders,
            )
            for film, shots, starts in lists
        )
    )


def _read_films(
    folder: Path, films: Sequence[str], labels: bool, skip_unreadable: bool
) -> Iterator[tuple[str, np.ndarray, np.ndarray | None]]:
    """Yield each film with its shots and labels."""
    for film in films:
        try:
            shots = read_shots(folder / SHOTS / f"{film}.txt")
            starts = read_labels(folder / LABELS / f"{film}.txt", len(shots)) if labels else None
        except (ValueError, FileNotFoundError) as error:
            if not skip_unreadable:
                raise
            warnings.warn(f"{film} is left out: {error}", stacklevel=3)
        else:
            yield film, shots, starts


def find_root(root: Path) -> Path:
    """Find the folder that has the folder of shots.

    Raises:
      FileNotFoundError: there is none.
    """
    for folder in (root, root / "scene318"):
        if (folder / SHOTS).is_dir():
            return folder
    raise FileNotFoundError(f"{root} has no folder {SHOTS}: name the one of MovieNet's scene318")


def read_split(root: Path, split: str, known: Sequence[str]) -> list[str]:
    """Read the films of a split; for 'all' return those that are known.

    Raises:
      FileNotFoundError: there is no file of splits.
      ValueError: it is damaged, or lacks the split.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; expected one of: {', '.join(SPLITS)}")
    if split == "all":
        return list(known)
    files = [file for file in (root / SPLIT, root / "meta" / SPLIT) if file.is_file()]
    if not files:
        raise FileNotFoundError(f"{root} has no {SPLIT}: copy it there, or take split='all'")
    try:
        found = json.loads(files[0].read_text("utf-8"))[split]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError(f"{files[0]} has no split {split!r}, or is not JSON") from None
    if not isinstance(found, list) or not all(isinstance(film, str) for film in found):
        raise ValueError(f"split {split!r} of {files[0]} is not a list of films")
    return found


def read_shots(path: Path) -> np.ndarray:
    """Read first and last frame of each shot, int64 `[n 2]`.

    Raises:
      FileNotFoundError: the file does not exist.
      ValueError: it is damaged.
    """
    rows = [row[:2] for row in _rows(path, min_numbers=2)]
    if not rows:
        raise ValueError(f"{path} has no shots")
    return np.array(rows, np.int64)


def read_labels(path: Path, shots: int) -> np.ndarray:
    """Read the labels of all shots but the last, bool `[shots-1]`, True if a scene ends with it.

    Missing labels at the end are 0, with a warning that counts them: film tt1099212 of the test
    split has 1,762 labels for 1,764 shots.

    Args:
      path: file of labels.
      shots: number of shots of the film. A label of the last one has no boundary, and is left out.

    Raises:
      FileNotFoundError: the file does not exist.
      ValueError: it is damaged, or labels more shots than there are, or more than 1% of them, and
        more than one, are not labeled.
    """
    rows = _rows(path, min_numbers=2)
    missing = max(shots - 1 - len(rows), 0)
    if len(rows) > shots or missing > max(MAX_MISSING * shots, 1):
        raise ValueError(
            f"{path} has labels of {len(rows)} shots, and the film has {shots}: it needs "
            f"{shots - 1}, or {shots} with the last one's; download it again"
        )
    if missing:
        warnings.warn(
            f"{path} lacks the last {missing} of {shots - 1} labels: they count as 0", stacklevel=2
        )
    labels = parse_labels([(row[0], row[1]) for row in rows], str(path))[: shots - 1]
    return np.append(labels, np.zeros(missing, bool))


def parse_labels(rows: Sequence[tuple[int, int]], where: str) -> np.ndarray:
    """Return the labels, bool `[n]`, of (shot, label) in order from shot 0; -1 counts as 1.

    Raises:
      ValueError: they are not in order, or a label is not -1, 0 or 1.
    """
    for number, (shot, label) in enumerate(rows):
        if shot != number or label not in (-1, 0, 1):
            raise ValueError(
                f"label {number} of {where} is {label} of shot {shot}: it needs 0, 1 or -1 of shot "
                f"{number}"
            )
    return np.array([label != 0 for _, label in rows], bool)


def _rows(path: Path, min_numbers: int) -> list[list[int]]:
    """Read the integers of each line that is not empty."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a text file") from None
    rows = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                rows.append([int(word) for word in line.split()])
            except ValueError:
                raise ValueError(f"line {number} of {path} is not a row of integers") from None
            if len(rows[-1]) < min_numbers:
                raise ValueError(f"line {number} of {path} has fewer than {min_numbers} numbers")
    return rows


def _read_rates(path: Path) -> dict[str, float]:
    try:
        found = json.loads(path.read_text("utf-8"))
        return {str(film): float(rate) for film, rate in found.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise ValueError(f"{path} is not a JSON object {{film: frames per second}}") from None


ENDS = ("inclusive", "exclusive")

TAGS = "tags.parquet"

MAX_BYTES = 1 << 27  # larger files are not annotations

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("film", "scene")),
        *((name, pa.int64()) for name in ("first_shot", "last_shot")),
        ("place", pa.string()),
        ("action", pa.list_(pa.string())),
    ]
)

"""Schema of `tag_table`; place is null and action empty where they are not tagged."""


@dataclass(frozen=True)
class TaggedScene:
    """A scene of a film, with its tags.

    Attributes:
      name: id, unique in the film.
      first: number of the first shot, from 0.
      last: number of the last shot.
      place: place; None: not tagged.
      actions: actions in order, each once; empty: not tagged.
    """

    name: str
    first: int
    last: int
    place: str | None
    actions: tuple[str, ...]


def read_tags(path: Path, shots: int, ends: str = "inclusive") -> tuple[TaggedScene, ...]:
    """Read the scenes of a film's annotation, in order of their first shot.

    Args:
      path: file, named after the film.
      shots: number of shots of the film.
      ends: whether ranges of shots are 'inclusive' or 'exclusive' of their second number.

    Raises:
      FileNotFoundError: the file does not exist.
      ValueError: it is damaged or of another film, a scene has shots that the film lacks or that
        another scene has, or two scenes have the same id.
    """
    if ends not in ENDS:
        raise ValueError(f"unknown ends {ends!r}; expected one of: {', '.join(ENDS)}")
    document = _document(path)
    film = document.get("imdb_id", path.stem)
    if not isinstance(film, str) or imdb_id(film, str(path)) != imdb_id(path.stem, str(path)):
        raise ValueError(f"{path} is of the film {film!r}: name it after that film")
    scenes = document.get("scene") or []
    if not isinstance(scenes, list):
        raise ValueError(f"{path}: 'scene' is not a list")
    found = [_scene(scene, f"scene {k} of {path}", ends) for k, scene in enumerate(scenes)]
    found.sort(key=lambda scene: scene.first)
    _check(found, shots, path, ends)
    return tuple(found)


def tag_table(
    folder: Path, films: Mapping[str, int], ends: str = "inclusive"
) -> tuple[pa.Table, tuple[str, ...]]:
    """Read the tagged scenes of films as a table, and the films without an annotation.

    Args:
      folder: folder of the annotations.
      films: number of shots of each film.
      ends: see `read_tags`.

    Raises:
      FileNotFoundError: the folder does not exist.
      ValueError: see `read_tags`.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder of annotations")
    paths = {film: folder / f"{film}.json" for film in films}
    missing = tuple(film for film, path in paths.items() if not path.is_file())
    rows = [
        (film, scene.name, scene.first, scene.last, scene.place, list(scene.actions))
        for film, path in paths.items()
        if film not in missing
        for scene in read_tags(path, films[film], ends)
    ]
    named = [dict(zip(SCHEMA.names, row, strict=True)) for row in rows]
    return pa.Table.from_pylist(named, schema=SCHEMA), missing


def _document(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path} is larger than {MAX_BYTES >> 20} MiB: it is not an annotation")
    try:
        document = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError):
        raise ValueError(f"{path} is not JSON") from None
    if not isinstance(document, dict):
        raise ValueError(f"{path} is not a JSON object")
    return document


def _scene(scene: Any, where: str, ends: str) -> TaggedScene:
    name, shot = (scene.get(key) if isinstance(scene, dict) else None for key in ("id", "shot"))
    is_range = isinstance(shot, list) and len(shot) == 2 and all(type(x) is int for x in shot)
    if not is_range or not isinstance(name, str | int) or "/" in str(name) or str(name) == "":
        raise ValueError(f'{where} is not an object with "id" and "shot": [first, last]')
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
        raise ValueError(f"{path} has two scenes with the same id")
    end = 0
    for scene in scenes:
        if not 0 <= scene.first <= scene.last < shots:
            raise ValueError(
                f"scene {scene.name} of {path} has the shots from {scene.first} to {scene.last}, "
                f"read as {ends}: the film has those from 0 to {shots - 1}"
            )
        if scene.first < end:
            raise ValueError(
                f"scene {scene.name} of {path} starts with shot {scene.first}, which the previous "
                f"scene has too, read as {ends}: try the other of {', '.join(ENDS)}"
            )
        end = scene.last + 1
