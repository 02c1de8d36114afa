"""Which movies may be trained on before LVU is evaluated, and which must not.

LVU (Wu and Krähenbühl, "Towards Long-Form Video Understanding", CVPR 2021) has nine tasks:

    ROOT/<task>/train.csv, val.csv, test.csv    separated by SPACES, with a column imdb_id
    ROOT/withheld_movies.txt    an IMDb id a line: movies of the lists that are withheld; needed
                                unless all nine test lists are there

Genre and year can be read from metadata, so no movie of any validation or test list, nor a withheld
one, is in a training set that uses metadata: neither its scenes nor what is known of it. In some
tasks movies are in train and in validation; they are left out too.

    held_out = held_out_movies("lvu_1.0")
    pool = leak_free_pool("condensed_movies", held_out)      # 2,201 movies, 20,442 clips
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
    """What may be trained on: IMDb ids of movies that have a clip, and all clips of those."""

    movies: tuple[str, ...]
    clips: tuple[str, ...]


def select_leak_free_pool(condensed_movies: str | Path, held_out: Collection[str]) -> TrainingPool:
    """The clips of Condensed Movies whose movie is not held out.

    Raises:
      FileNotFoundError, ValueError: as `read_clips`.
    """
    refused = set(held_out)
    kept = [clip for clip in read_clips(condensed_movies) if clip.movie not in refused]
    movies = tuple(dict.fromkeys(clip.movie for clip in kept))
    return TrainingPool(movies, tuple(clip.clip for clip in kept))


def read_held_out_movies(lvu: str | Path) -> frozenset[str]:
    """IMDb ids of all movies of LVU's validation and test lists, and of the withheld ones.

    Raises:
      FileNotFoundError: one of the nine validation lists is not there; or a test list is not, and
        the withheld movies' file neither: nothing may be left in for want of a file.
      ValueError: one cannot be read; names the file and line.
    """
    found, withheld = read_listed_movies(lvu, "val"), Path(lvu) / WITHHELD_FILE
    tested = [task for task in TASKS if (Path(lvu) / task / "test.csv").is_file()]
    found |= read_listed_movies(lvu, "test", tested)
    if withheld.is_file() or len(tested) < len(TASKS):
        found |= read_withheld_movies(withheld)
    return found


def read_listed_movies(lvu: str | Path, split: str, tasks: Iterable[str] = TASKS) -> frozenset[str]:
    """IMDb ids of the movies of one split, 'train', 'val' or 'test', of tasks; raises as above."""
    return frozenset(
        imdb_id(row.require("imdb_id"), row.where)
        for task in tasks
        for row in read_rows(Path(lvu) / task / f"{split}.csv", ["imdb_id"], " ")
    )


def read_listed_clips(lvu: str | Path, split: str) -> frozenset[str]:
    """Clips of one split of all nine tasks, not to be described by themselves; raises alike."""
    return frozenset(
        row.require("youtube_id")
        for task in TASKS
        for row in read_rows(Path(lvu) / task / f"{split}.csv", ["youtube_id"], " ")
    )


def read_withheld_movies(path: str | Path) -> frozenset[str]:
    """IMDb ids of a file with one a line.

    Raises:
      FileNotFoundError: there is none.
      ValueError: a line is not an IMDb id; names the file and line.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} does not exist: it names movies that must not be read")
    try:
        lines = Path(path).read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 ({error.reason})") from None
    return frozenset(
        imdb_id(line.strip(), f"{path}, line {number}")
        for number, line in enumerate(lines, 1)
        if line.strip()
    )
