"""MovieNet in BaSSL's layout; kind 'bassl' of `open_films`.

    ROOT/anno/anno.train.ndjson     JSON lines: video_id, shot_id ("0000"), num_shot, and
                                    boundary_label (1 or -1: a scene ends with the shot; else 0)
    ROOT/240P_frames/tt0120885/     shot_0000_img_0.jpg ...
    ROOT/scene318/shot_movie318/    frames of the shots (MovieNet's own)

Keys and names are those that BaSSL's loader reads. Two facts are uncertain and therefore not relied
on: the last shot of a film, which has no boundary after it, may have a row or not, and rows may be
in any order. A film is labeled if all of its rows have a label.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vujax.data.datasets.movienet import SHOTS, parse_labels, read_shots
from vujax.data.datasets.shot_folders import FolderFilm, ShotFolders, check_widths
from vujax.data.films import FILM_ID, frames_to_seconds, select_films
from vujax.models.image_spec import Size, parse_image_size

SPLITS = ("pretrain", "train", "val", "test", "trainvaltest")


def open_bassl(
    root: str,
    split: str = "train",
    keyframes: str | None = "240P_frames",
    features: str | None = None,
    key: str = "feature",
    frames: int = 3,
    image_size: Size | None = None,
    fps: float = 24.0,
    shot_s: float | None = None,
    films: Sequence[str] | None = None,
) -> tuple[FolderFilm, ...]:
    """Open the films of an annotation file.

    Args:
      root: folder of `anno`.
      split: 'pretrain', 'train', 'val', 'test' or 'trainvaltest'.
      keyframes: folder of keyframes, relative to `root`; None: no images.
      features: folder of features, relative to `root`; None: no features.
      key: array of a features npz file.
      frames: images per shot.
      image_size: height and width, or one number for both; None: full images.
      fps: frames per second; 24 is an assumption.
      shot_s: assumed duration of the shots of films that are missing in shot_movie318, as most
        pretraining films are; None: such a film is an error.
      films: only these, in this order.

    Raises:
      FileNotFoundError: a file does not exist.
      ValueError: a file is damaged, or shots are missing.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; expected one of: {', '.join(SPLITS)}")
    base = Path(root)
    folders = ShotFolders(
        keyframes=keyframes and base / keyframes,
        frames=frames,
        image_spec=parse_image_size(image_size),
        features=features and base / features,
        key=key,
    )
    path = base / "anno" / f"anno.{split}.ndjson"
    rows = _read(path)
    return check_widths(
        tuple(
            _film(film, rows[film], base, path, fps, shot_s, folders)
            for film in select_films(list(rows), films, str(path))
        )
    )


def _film(
    film: str,
    rows: list[dict[str, Any]],
    base: Path,
    path: Path,
    fps: float,
    shot_s: float | None,
    folders: ShotFolders,
) -> FolderFilm:
    rows = sorted(rows, key=lambda row: row["shot"])
    shots = rows[0]["shots"]
    numbers = [row["shot"] for row in rows]
    if numbers[: shots - 1] != list(range(shots - 1)) or len(rows) > shots:
        raise ValueError(f"{path} does not have each of the {shots} shots of {film} once")
    starts = None
    if all(row["label"] is not None for row in rows[: shots - 1]):
        pairs = [(row["shot"], row["label"]) for row in rows[: shots - 1]]
        starts = parse_labels(pairs, f"{film} in {path}")
    listed = base / "scene318" / SHOTS / f"{film}.txt"
    if listed.is_file():
        found = read_shots(listed)
        if len(found) != shots:
            raise ValueError(f"{listed} has {len(found)} shots, and {path} says {shots}")
        return FolderFilm(film, frames_to_seconds(found, fps), found, fps, starts, folders=folders)
    if shot_s is None:
        raise FileNotFoundError(f"{listed} does not exist: set shot_s, a duration for its shots")
    seconds = np.arange(shots)[:, None] * shot_s + [0, shot_s]
    return FolderFilm(film, seconds, None, None, starts, folders=folders)


def _read(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Read the rows of each film: shot, shots (of the film) and label (None: missing)."""
    result: dict[str, list[dict[str, Any]]] = {}
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    film, row = _row(line, number, path)
                    result.setdefault(film, []).append(row)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist: name the folder that has anno") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a text file") from None
    return result


def _row(line: str, number: int, path: Path) -> tuple[str, dict[str, Any]]:
    try:
        row = json.loads(line)
        label = row.get("boundary_label")
        found = dict(shot=int(row["shot_id"]), shots=int(row["num_shot"]))
        film = FILM_ID.fullmatch(row["video_id"])[0]
        return film, found | dict(label=None if label is None else int(label))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError(
            f"line {number} of {path} is not an object with video_id, shot_id and num_shot"
        ) from None
