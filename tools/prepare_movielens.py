"""Write your copy of MovieLens as tables of movies by IMDb id.

    python tools/prepare_movielens.py OUT --root ml-latest

writes OUT/movies.parquet (id, title, genres, synopsis) and OUT/ratings.parquet (user, movie,
rating): Parquet is read several times faster than 30 million lines of CSV, and IMDb ids join other
tables. Then `vujax movies similar OUT --channel cowatch TITLE`. See `vujax.data.datasets.movielens`
for the files that are read and the editions that have them. Its terms apply to the copy too.
"""

import argparse
from pathlib import Path

from vujax.data.datasets.movielens import open_movielens
from vujax.data.movies.tables import write_movies


def main() -> None:
    """Prepare the tables of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="folder of the tables")
    parser.add_argument(
        "--root", type=Path, required=True, help="folder of the tables of MovieLens"
    )
    args = parser.parse_args()
    try:
        movies = open_movielens(args.root)
        write_movies(movies, args.out)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    print(f"{args.out}: {len(movies)} movies, {len(movies.ratings)} ratings")
    for reason, count in movies.skipped.items():
        print(f"left out: {count} {reason}")


if __name__ == "__main__":
    main()
