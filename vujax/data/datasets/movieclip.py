"""MovieCLIP's labels of shots as scenes, see `vujax.data.scenes`; kind 'movieclip'.

A clip of Condensed Movies is a scene. MovieCLIP says of its shots in which places they play, a line
for each in no useful order, as CLIP saw it (noisy: no person looked):

    n3DXIGYjMkg/n3DXIGYjMkg-Scene-017.mp4 63 126

Shots of which it was not sure enough are missing, so their numbers have gaps, which 'time' tells. A
shot is seen as a vector of zeros and ones. Which movie a clip is of is in Condensed Movies' table
clips.csv, with the columns videoid and imdbid.

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
      begins: int64 `[n+1]`, where each clip's shots begin among all.
      shot: int32 `[shots]`, their numbers, in order within a clip.
      label_begins: int64 `[shots+1]`, where each shot's labels begin among all.
      label: int32, the labels.
      width: how many labels there are to have.
      empty_movies: see `Scenes`.
    """

    movies: tuple[str, ...]
    movie: np.ndarray
    keys: tuple[str, ...]
    begins: np.ndarray
    shot: np.ndarray
    label_begins: np.ndarray
    label: np.ndarray
    width: int
    empty_movies: tuple[str, ...]

    @cached_property
    def lengths(self) -> np.ndarray:
        """See `Scenes`."""
        return np.diff(self.begins).astype(np.int32)

    @property
    def labels(self) -> Labels:
        """None: the labels here are what is seen."""
        return {}

    def inputs(self, scene: int, shots: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """'feature' `[t width]` of 0 and 1; 'time' in shots."""
        begin, end = self.begins[scene : scene + 2].tolist()
        first, last = self.label_begins[[begin, end]].tolist()
        counts = np.diff(self.label_begins[begin : end + 1])
        feature = np.zeros((end - begin, self.width), np.float32)
        feature[np.repeat(np.arange(end - begin), counts), self.label[first:last]] = 1
        time = (self.shot[begin:end] - self.shot[begin]).astype(np.float32)
        if shots is None:
            return {"feature": feature, "time": time}
        return {"feature": feature[shots], "time": time[shots]}


def open_movieclip(
    path: str | Iterable[str],
    clips: str,
    labels: int = 150,
    skip_unknown: bool = False,
) -> ClipScenes:
    """Clips of MovieCLIP.

    Args:
      path: its lists of shots, plain or .gz: a path, a pattern or several of them.
      clips: Condensed Movies' table of clips, plain or .gz.
      labels: how many there are, counted from 0.
      skip_unknown: pass over shots of clips that are not in the table, and say how many they are;
        otherwise they are an error.

    Raises:
      FileNotFoundError: a file is not there.
      ValueError: a line is wrong, a shot is there twice, or a clip is not in the table; says where.
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
                raise ValueError(f"{file}, line {line}: shot {shot} of {clip} is there twice")
            else:
                shots[clip][shot] = found
    if skipped:
        logging.warning("%d clips are not in %s and were passed over", len(skipped), clips)
    return _scenes(shots, movie_of, labels)


def _scenes(
    shots: dict[str, dict[int, list[int]]], movie_of: dict[str, str], width: int
) -> ClipScenes:
    keys = sorted((movie_of[clip], clip) for clip in shots)
    movies = tuple(sorted({movie for movie, _ in keys}))
    place = {movie: number for number, movie in enumerate(movies)}
    rows = [(shot, shots[clip][shot]) for _, clip in keys for shot in sorted(shots[clip])]
    return ClipScenes(
        movies,
        np.array([place[movie] for movie, _ in keys], np.int32),
        tuple(f"{movie}/{clip}" for movie, clip in keys),
        np.cumsum([0] + [len(shots[clip]) for _, clip in keys]),
        np.array([shot for shot, _ in rows], np.int32),
        np.cumsum([0] + [len(found) for _, found in rows]),
        np.array([label for _, found in rows for label in found], np.int32),
        width,
        tuple(sorted(set(movie_of.values()) - set(movies))),
    )


def _lines(file: Path, labels: int) -> Iterator[tuple[int, str, int, list[int]]]:
    """(line, clip, shot, its labels) of a list of shots."""
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
                "`labels` to how many there are"
            )
        yield number, match["clip"], int(match["shot"]), found


def read_clip_movies(file: Path) -> dict[str, str]:
    """Which movie each clip of Condensed Movies is of.

    Raises:
      FileNotFoundError: the file is not there.
      ValueError: it is damaged or lacks a column, or a clip is of two movies.
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
    """A text file, unpacked when its name ends in .gz.

    Raises:
      FileNotFoundError, ValueError: it is not there, damaged, or not UTF-8.
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
