"""MovieCLIP's labels of shots as scenes, see `vujax.data.scenes`; kind 'movieclip'.

A clip of Condensed Movies is a scene. MovieCLIP labels its shots with places, one line per shot in
no useful order. The labels are CLIP's, noisy and not verified by people:

    n3DXIGYjMkg/n3DXIGYjMkg-Scene-017.mp4 63 126

Shots with low confidence are missing; 'time' has the gaps in their numbers. The feature of a shot
is a vector of zeros and ones. The movie of a clip is in the table clips.csv of Condensed Movies,
with the columns videoid and imdbid.

Bose et al., "MovieCLIP: Visual Scene Recognition in Movies" (2023), arXiv:2210.11065; Bain et al.,
"Condensed Movies: Story Based Retrieval with Contextual Embeddings" (2020), arXiv:2005.04208.
"""

import csv
import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from absl import logging

from vujax.data.scenes import Labels
from vujax.data.sources.files import expand_patterns

LINE = re.compile(
    r"(?P<clip>[^\s/]+)/(?P=clip)-Scene-(?P<shot>\d{1,9})\.mp4(?P<labels>( \d{1,9})+)"
)
LINE_FORMAT = "CLIP/CLIP-Scene-NNN.mp4 LABEL LABEL ..."


@dataclass(frozen=True, eq=False)
class ClipScenes:
    """Clips whose shots are sets of labels; see `Scenes`.

    Attributes:
      movies: see `Scenes`.
      movie: see `Scenes`.
      keys: 'MOVIE/CLIP'.
      first_shot: int64 `[n+1]`, index in `shot` of the first shot of each clip.
      shot: int32 `[shots]`, numbers of the shots, in order within a clip.
      first_label: int64 `[shots+1]`, index in `label` of the first label of each shot.
      label: int32, labels of all shots.
      width: number of different labels.
      empty_movies: see `Scenes`.
    """

    movies: tuple[str, ...]
    movie: np.ndarray
    keys: tuple[str, ...]
    first_shot: np.ndarray
    shot: np.ndarray
    first_label: np.ndarray
    label: np.ndarray
    width: int
    empty_movies: tuple[str, ...]

    @cached_property
    def lengths(self) -> np.ndarray:
        """Shots of each scene."""
        return np.diff(self.first_shot).astype(np.int32)

    @property
    def labels(self) -> Labels:
        """No labels: here they are the inputs."""
        return {}

    def inputs(self, scene: int, shots: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Return 'feature' `[t width]` of 0 and 1, and 'time' in shots."""
        start, end = self.first_shot[scene : scene + 2].tolist()
        first, last = self.first_label[[start, end]].tolist()
        counts = np.diff(self.first_label[start : end + 1])
        feature = np.zeros((end - start, self.width), np.float32)
        feature[np.repeat(np.arange(end - start), counts), self.label[first:last]] = 1
        time = (self.shot[start:end] - self.shot[start]).astype(np.float32)
        if shots is None:
            return {"feature": feature, "time": time}
        return {"feature": feature[shots], "time": time[shots]}


def open_movieclip(
    path: str | Iterable[str],
    clips: str,
    labels: int = 150,
    skip_unknown: bool = False,
) -> ClipScenes:
    """Open the clips of MovieCLIP.

    Args:
      path: lists of shots, plain or .gz: one or several paths or patterns.
      clips: Condensed Movies' table of clips, plain or .gz.
      labels: number of labels, which count from 0.
      skip_unknown: skip clips that are not in the table with a warning, instead of an error.

    Raises:
      FileNotFoundError: a file does not exist.
      ValueError: a line is invalid, a shot is listed twice, or a clip is not in the table; names
        the file and line.
    """
    movie_of = read_clip_movies(Path(clips))
    shots: dict[str, dict[int, list[int]]] = {}
    skipped: set[str] = set()
    for file in expand_patterns(path):
        for line, clip, shot, found in _lines(Path(file), labels):
            if clip not in movie_of:
                if not skip_unknown:
                    raise ValueError(
                        f"{file}, line {line}: the clip {clip} is not in {clips}: give the table "
                        "that has it, or set skip_unknown"
                    )
                skipped.add(clip)
            elif shot in shots.setdefault(clip, {}):
                raise ValueError(f"{file}, line {line}: shot {shot} of {clip} is listed twice")
            else:
                shots[clip][shot] = found
    if skipped:
        logging.warning("%d clips are not in %s and were skipped", len(skipped), clips)
    return _scenes(shots, movie_of, labels)


def _scenes(
    shots: dict[str, dict[int, list[int]]], movie_of: dict[str, str], width: int
) -> ClipScenes:
    keys = sorted((movie_of[clip], clip) for clip in shots)
    movies = tuple(sorted({movie for movie, _ in keys}))
    numbers = {movie: number for number, movie in enumerate(movies)}
    rows = [(shot, shots[clip][shot]) for _, clip in keys for shot in sorted(shots[clip])]
    return ClipScenes(
        movies,
        np.array([numbers[movie] for movie, _ in keys], np.int32),
        tuple(f"{movie}/{clip}" for movie, clip in keys),
        np.cumsum([0] + [len(shots[clip]) for _, clip in keys]),
        np.array([shot for shot, _ in rows], np.int32),
        np.cumsum([0] + [len(found) for _, found in rows]),
        np.array([label for _, found in rows for label in found], np.int32),
        width,
        tuple(sorted(set(movie_of.values()) - set(movies))),
    )


def _lines(file: Path, labels: int) -> Iterator[tuple[int, str, int, list[int]]]:
    """Yield (line, clip, shot, labels of the shot) of a list of shots."""
    for number, line in enumerate(_text(file).splitlines(), 1):
        match = LINE.fullmatch(line.rstrip())
        if match is None:
            if line.strip():
                raise ValueError(
                    f"{file}, line {number}: {line[:80]!r} is not of the form {LINE_FORMAT}"
                )
            continue
        found = [int(word) for word in match["labels"].split()]
        if max(found) >= labels:
            raise ValueError(
                f"{file}, line {number}: label {max(found)} is not within 0..{labels - 1}; set "
                "`labels` to their number"
            )
        yield number, match["clip"], int(match["shot"]), found


def read_clip_movies(file: Path) -> dict[str, str]:
    """Read the movie of each clip of Condensed Movies.

    Raises:
      FileNotFoundError: the file does not exist.
      ValueError: it is damaged or lacks a column, or a clip has two movies.
    """
    rows = csv.DictReader(_text(file).splitlines())
    if missing := {"videoid", "imdbid"} - set(rows.fieldnames or ()):
        raise ValueError(
            f"{file} has no column {', '.join(sorted(missing))}: it needs a header with videoid "
            "and imdbid, separated by commas"
        )
    found: dict[str, str] = {}
    for row in rows:
        clip, movie = row["videoid"], row["imdbid"]
        if not clip or not movie or movie == "\\N" or "/" in clip + movie:
            raise ValueError(f"{file}, line {rows.line_num}: it has no videoid, or no imdbid")
        if found.setdefault(clip, movie) != movie:
            raise ValueError(
                f"{file}, line {rows.line_num}: the clip {clip} is of {movie}, and of "
                f"{found[clip]} in a line before"
            )
    return found


def _text(file: Path) -> str:
    """Read a text file, decompressed if its name ends in .gz.

    Raises:
      FileNotFoundError, ValueError: it does not exist, is damaged, or is not UTF-8.
    """
    try:
        data = file.read_bytes()
        return (gzip.decompress(data) if file.suffix == ".gz" else data).decode("utf-8-sig")
    except FileNotFoundError:
        raise FileNotFoundError(f"{file} does not exist") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ValueError(f"{file}, line {line}: the text is not UTF-8") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{file} is not a complete gzip file ({error})") from None
