"""Movies held out from training for the evaluation on LVU.

LVU (Wu and Krähenbühl, "Towards Long-Form Video Understanding", CVPR 2021) has nine tasks:

    ROOT/<task>/train.csv, val.csv, test.csv    separated by SPACES, with a column imdb_id
    ROOT/withheld_movies.txt    an IMDb id per line: withheld movies of the lists; required
                                unless all nine test lists exist

Genre and year can be read from metadata. Therefore a training set that uses metadata has no movie
of any validation or test list, and no withheld one: neither its scenes nor its metadata. Movies
that are in training and validation lists, as in some tasks, are left out too.

    held_out = read_held_out_movies("lvu_1.0")
    pool = select_leak_free_pool("condensed_movies", held_out)  # 2,201 movies, 20,442 clips
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from vujax.data.datasets.condensed_movies import read_clips
from vujax.data.datasets.movielens import imdb_id
from vujax.data.tables import read_rows

TASKS = (
    *("relationship", "way_speaking", "scene", "director", "genre", "writer", "year"),
    *("like_ratio", "view_count"),
)
WITHHELD_FILE = "withheld_movies.txt"


@dataclass(frozen=True)
class TrainingPool:
    """Training data: IMDb ids of movies that have a clip, and all clips of these."""

    movies: tuple[str, ...]
    clips: tuple[str, ...]


def select_leak_free_pool(condensed_movies: str | Path, held_out: Collection[str]) -> TrainingPool:
    """Select the clips of Condensed Movies whose movie is not held out.

    Raises:
      FileNotFoundError, ValueError: see `read_clips`.
    """
    refused = set(held_out)
    kept = [clip for clip in read_clips(condensed_movies) if clip.movie not in refused]
    movies = tuple(dict.fromkeys(clip.movie for clip in kept))
    return TrainingPool(movies, tuple(clip.clip for clip in kept))


def read_held_out_movies(lvu: str | Path) -> frozenset[str]:
    """Read the IMDb ids of all movies of LVU's validation and test lists, and of withheld ones.

    Raises:
      FileNotFoundError: one of the nine validation lists is missing; or a test list and the file of
        withheld movies are: a missing file must not let a movie in.
      ValueError: a file cannot be read; names the file and line.
    """
    movies, withheld = read_listed_movies(lvu, "val"), Path(lvu) / WITHHELD_FILE
    tested = [task for task in TASKS if (Path(lvu) / task / "test.csv").is_file()]
    movies |= read_listed_movies(lvu, "test", tested)
    if withheld.is_file() or len(tested) < len(TASKS):
        movies |= read_withheld_movies(withheld)
    return movies


def read_listed_movies(lvu: str | Path, split: str, tasks: Iterable[str] = TASKS) -> frozenset[str]:
    """Read the IMDb ids of the movies of a split, 'train', 'val' or 'test'; raises as above."""
    return frozenset(
        imdb_id(row.require("imdb_id"), row.where)
        for task in tasks
        for row in read_rows(Path(lvu) / task / f"{split}.csv", ["imdb_id"], " ")
    )


def read_listed_clips(lvu: str | Path, split: str) -> frozenset[str]:
    """Read the clips of a split of all tasks, whose descriptions leak labels; raises as above."""
    return frozenset(
        row.require("youtube_id")
        for task in TASKS
        for row in read_rows(Path(lvu) / task / f"{split}.csv", ["youtube_id"], " ")
    )


def read_withheld_movies(path: str | Path) -> frozenset[str]:
    """Read the IMDb ids of a file with one id per line.

    Raises:
      FileNotFoundError: the file does not exist.
      ValueError: a line is not an IMDb id; names the file and line.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} does not exist: it names movies that must be held out")
    try:
        lines = Path(path).read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 ({error.reason})") from None
    return frozenset(
        imdb_id(line.strip(), f"{path}, line {number}")
        for number, line in enumerate(lines, 1)
        if line.strip()
    )
