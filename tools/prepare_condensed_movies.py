"""Write the trainable part of your copy of Condensed Movies, without leaks into LVU.

    python tools/prepare_condensed_movies.py OUT --root condensed_movies --lvu lvu_1.0 \
        --scenes movieclip/train_multi_label_*.txt.gz [--ratings ml-latest]

writes OUT/movies.parquet (id, title, genres, synopsis), OUT/clips.parquet (clip, movie) and, with
--ratings, OUT/ratings.parquet. Movies of LVU's validation lists and withheld movies are excluded
(`vujax.data.movies.holdout`). --scenes names the clips that are trained or evaluated on: files with
a clip's id at the start of each line, alone or before a slash, as in MovieCLIP's label files. Their
descriptions are not read, nor those of the clips of LVU's train lists: synopses come from other
clips. Then `vujax movies similar OUT --channel synopsis TITLE`.
"""

import argparse
from pathlib import Path

import pyarrow as pa

from vujax.data.datasets.condensed_movies import open_condensed_movies, read_clips
from vujax.data.movies.holdout import read_held_out_movies, read_listed_clips, select_leak_free_pool
from vujax.data.movies.records import Movies
from vujax.data.movies.tables import write_movies
from vujax.data.registry import join_ratings
from vujax.data.tables import read_lines
from vujax.utils.io import write_parquet


def prepare(
    root: Path, lvu: Path, scenes: list[Path], ratings: Path | None
) -> tuple[Movies, dict[str, str]]:
    """Return the movies, and the movie of each clip; raises as the readers do."""
    pool = select_leak_free_pool(root, read_held_out_movies(lvu))
    silent = set(read_listed_clips(lvu, "train"))
    silent.update(clip for path in scenes for clip in read_scenes(path))
    movies = open_condensed_movies(root, scenes=silent).select(pool.movies)
    if ratings is not None:
        movies = join_ratings(movies, ratings)
    retained = set(pool.clips)
    return movies, {clip.clip: clip.movie for clip in read_clips(root) if clip.clip in retained}


def read_scenes(path: Path) -> set[str]:
    """Read the clips at the start of a file's lines.

    Raises:
      FileNotFoundError, ValueError: the file is missing, or is not UTF-8 text.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist (--scenes)")
    return {line.split("/")[0].strip() for line in read_lines(path) if line.strip()}


def main() -> None:
    """Prepare the tables of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("out", type=Path, help="folder of the tables")
    add("--root", type=Path, required=True, help="folder of the tables of Condensed Movies")
    add("--lvu", type=Path, required=True, help="folder of LVU's lists")
    add(
        "--scenes",
        type=Path,
        nargs="+",
        required=True,
        help="files of clips whose descriptions are excluded",
    )
    add("--ratings", type=Path, help="folder of MovieLens, or a table of ratings by IMDb id")
    args = parser.parse_args()
    try:
        movies, clips = prepare(args.root, args.lvu, args.scenes, args.ratings)
        write_movies(movies, args.out)
        table = pa.table(dict(clip=list(clips), movie=list(clips.values())))
        write_parquet(args.out / "clips.parquet", table, compression="snappy")
    except (ValueError, OSError) as error:
        parser.error(str(error))
    print(f"{args.out}: {len(movies)} movies, {len(clips)} clips")
    for name, values in (("genres", movies.genres), ("a synopsis", movies.synopses)):
        print(f"with {name}: {sum(map(bool, values))} movies")
    if movies.ratings is not None:
        print(f"with ratings: {len(set(movies.ratings.movie.tolist()))} movies")
    for reason, count in movies.skipped.items():
        print(f"left out: {count} {reason}")


if __name__ == "__main__":
    main()
