"""Tables of movies: all layouts, and an error message for each defect."""

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vujax.data.datasets.condensed_movies import open_condensed_movies, read_clips
from vujax.data.datasets.movielens import imdb_id, open_movielens
from vujax.data.movies.tables import read_pairs
from vujax.data.registry import join_ratings, open_movies

MOVIES = (
    "id,title,year,genres,synopsis\n"
    'a,"One, two",1999,Comedy|Drama,"A ship, a\nwedding."\n'
    "\n"
    "b,Three,,,\\N\n"
    "c,\\N,2001.0,War,x\n"
)
RATINGS = "user,movie,rating\nu1,a,5\nu1,b,\\N\nu2,z,3\nu2,a,0\n"


def write(path: Path, data: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = data.encode() if isinstance(data, str) else data
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def own(folder: Path, **tables: str) -> Path:
    for name, text in ({"movies": MOVIES, "ratings": RATINGS} | tables).items():
        write(folder / f"{name}.csv", text)
    return folder


def test_the_users_own_tables(tmp_path: Path) -> None:
    movies = open_movies(own(tmp_path, lists="movie,similar\na,c\na,z\na,b\n"))
    assert movies.ids == ("a", "b", "c")
    assert movies.titles == ("One, two (1999)", "Three", "c (2001)")
    assert movies.genres == (frozenset({"Comedy", "Drama"}), frozenset(), frozenset({"War"}))
    assert movies.synopses == ("A ship, a\nwedding.", "", "x")
    np.testing.assert_array_equal(movies.ratings.movie, [0, 1, 0])
    np.testing.assert_array_equal(movies.ratings.user, [0, 0, 1])
    np.testing.assert_array_equal(movies.ratings.value, np.float32([5, np.nan, 0]))
    assert movies.lists == {"a": ["c", "b"]}
    assert movies.skipped == {
        "ratings of movies that are not in the table": 1,
        "entries of lists that are not in the table": 1,
    }


def test_parquet_says_the_same(tmp_path: Path) -> None:
    genres = [["Comedy", "Drama"], None, ["War"]]
    columns = {"id": ["a", "b", "c"], "title": ["One", "Three", None], "genres": genres}
    pq.write_table(pa.table(columns), tmp_path / "movies.parquet")
    ratings = {"user": [7, 7], "movie": ["a", "b"], "rating": [4.5, None]}
    pq.write_table(pa.table(ratings), tmp_path / "ratings.parquet")
    movies = open_movies(tmp_path)
    assert movies.genres == (frozenset({"Comedy", "Drama"}), frozenset(), frozenset({"War"}))
    assert movies.titles == ("One", "Three", "c") and movies.synopses == ("", "", "")
    np.testing.assert_array_equal(movies.ratings.value, np.float32([4.5, np.nan]))
    alone = open_movies(tmp_path / "movies.parquet")
    assert alone.ratings is None and alone.ids == movies.ids
    assert len(join_ratings(alone, tmp_path / "ratings.parquet").ratings) == 2


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("movies", "", "movies.csv is empty"),
        ("movies", "id;title\na;b\n", "line 1: cells are separated by semicolons"),
        ("movies", "id\ttitle\na\tb\n", "line 1: cells are separated by tabs"),
        ("movies", "id,name\na,b\n", "line 1: no column 'title': it has id, name"),
        ("movies", "id,title,id\na,b,c\n", "line 1: duplicate column 'id'"),
        ("movies", "id,title\na,b\na,c\n", "line 3: duplicate id 'a'"),
        ("movies", "id,title\na,b\n,c\n", "line 3: id is missing"),
        ("movies", "id,title\na,b\n\\N,c\n", "line 3: id is missing"),
        ("movies", "id,title\na,b,c\n", "line 2: 3 cells under a header of 2"),
        ("movies", 'id,title\na,"b\n', "line 2: not CSV"),
        ("movies", 'id,title,genres\na,b,"War, Comedy"\n', r"line 2: separate genres by \|, not"),
        ("movies", b"id,title\na,b\nc,\xe9t\xe9\n", "line 3: not UTF-8"),
        ("movies", "id,title\na,b\n".encode("utf-16"), "line 1: not UTF-8"),
        (
            "ratings",
            "user,movie,rating\nu,a,5\nu,b,11\n",
            r"line 3: the rating 11 is not within 0\.\.10",
        ),
        ("ratings", "user,movie,rating\nu,a,-1\n", "line 2: the rating -1 is not within"),
        ("ratings", "user,movie,rating\nu,a,nan\n", "line 2: the rating nan is not within"),
        ("ratings", "user,movie,rating\nu,a,good\n", "line 2: the rating 'good' is not a number"),
        ("ratings", "user,movie,rating\n,a,1\n", "line 2: user is missing"),
        ("ratings", "user::movie::rating\nu::a::1\n", "line 1: no column 'user'"),
        ("lists", "movie,similar\na,\n", "line 2: similar is missing"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, name: str, text: str | bytes, why: str) -> None:
    own(tmp_path)
    write(tmp_path / f"{name}.csv", text)
    with pytest.raises(ValueError, match=why) as raised:
        open_movies(tmp_path)
    assert str(tmp_path / f"{name}.csv") in str(raised.value)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"has no movies\.csv"):
        open_movies(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        open_movies(tmp_path / "nowhere")
    for data in (b"\x1f\x8b junk", gzip.compress(MOVIES.encode())[:-12]):
        (tmp_path / "movies.csv.gz").write_bytes(data)
        with pytest.raises(ValueError, match="not a complete gzip file"):
            open_movies(tmp_path)
    (tmp_path / "movies.parquet").write_bytes(b"PAR1junk")
    with pytest.raises(ValueError, match="not a complete Parquet file"):
        open_movies(tmp_path)
    with pytest.raises(ValueError, match="line 3: the score -2 is not within"):
        read_pairs(write(tmp_path / "pairs.csv", "movie,similar,score\na,b,1\na,c,-2\n"))


def test_the_cinemas_films(tmp_path: Path) -> None:
    settings = dict(
        seed=0,
        split="train",
        minutes=1.0,
        fps="24",
        height=64,
        width=64,
        sound_rate=8000,
        channels=1,
    )
    film = dict(studio="S", duration_s=1.0)
    films = [
        film | dict(name="film-0", title="The A", genres=["war"], synopsis="A ship."),
        film | dict(name="film-1", title="The B", genres=[], synopsis=""),
    ]
    users = [dict(favourites=["war", "noir"], nights=0.5, watched=["film-1", "film-0"])]
    truth = dict(kind="vujax cinema set", version=1, settings=settings, films=films, users=users)
    write(tmp_path / "set.json", json.dumps(truth))
    movies = open_movies(tmp_path)
    assert movies.ids == ("film-0", "film-1") and movies.titles == ("The A", "The B")
    assert movies.genres == (frozenset({"war"}), frozenset()) and movies.synopses == ("A ship.", "")
    np.testing.assert_array_equal(movies.ratings.movie, [0, 1])
    assert np.isnan(movies.ratings.value).all()


def movielens(folder: Path, ratings: str = "1,1,4.0,9\n1,3,0.5,9\n2,2,5.0,9\n") -> Path:
    write(
        folder / "movies.csv",
        'movieId,title,genres\n1,"Story, The (1995)",Comedy|War\n2,B (1996),(no genres listed)\n'
        "3,C,War\n4,D,War\n",
    )
    write(
        folder / "links.csv",
        "movieId,imdbId,tmdbId\n1,0114709,862\n2,11234567,1\n3,,2\n4,114709,3\n",
    )
    write(folder / "ratings.csv.gz", "userId,movieId,rating,timestamp\n" + ratings)
    return folder


def test_movielens_by_imdb_ids(tmp_path: Path) -> None:
    movies = open_movies(movielens(tmp_path))
    assert movies.ids == ("tt0114709", "tt11234567")
    assert movies.titles == ("The Story (1995)", "B (1996)")
    assert movies.genres == (frozenset({"Comedy", "War"}), frozenset())
    np.testing.assert_array_equal(movies.ratings.movie, [0, 1])
    assert movies.skipped == {
        "movies whose IMDb id an earlier one has": 1,
        "movies without an IMDb id": 2,
        "ratings of movies that are not in the table": 1,
    }
    movielens(tmp_path, "1,1,5.5,9\n")
    with pytest.raises(ValueError, match=r"line 2: the rating 5.5 is not within 0.5\.\.5"):
        open_movielens(tmp_path)
    with pytest.raises(ValueError, match="here: 'nm01' is not an IMDb id"):
        imdb_id("nm01", "here")


def condensed(folder: Path, genre: str = "\"['Drama', 'War']\"") -> Path:
    write(folder / "movies.csv", "imdbid,title,year\ntt0000001,A,2012.0\ntt0000002,B,\n")
    write(folder / "movie_info.csv", f"imdbid,genre,country\ntt0000001,{genre},['USA']\n")
    write(
        folder / "clips.csv.gz",
        "videoid,title,imdbid\nx,A,tt0000001\ny,A,tt0000001\nz,B,tt0000002\n",
    )
    write(
        folder / "descriptions.csv.gz",
        "imdbid,videoid,description\ntt0000001,x,First.\ntt0000001,y,Second.\ntt0000002,z,Third.\ntt0000009,w,Other.\n",
    )
    return folder


def test_condensed_movies_and_their_clips(tmp_path: Path) -> None:
    movies = open_movies(condensed(tmp_path))
    assert movies.ids == ("tt0000001", "tt0000002") and movies.titles == ("A (2012)", "B")
    assert movies.genres == (frozenset({"Drama", "War"}), frozenset())
    assert movies.synopses == ("First. Second.", "Third.")
    assert movies.skipped == {"descriptions of movies that are not in the table": 1}
    assert [(clip.clip, clip.movie) for clip in read_clips(tmp_path)][1:] == [
        ("y", "tt0000001"),
        ("z", "tt0000002"),
    ]


def test_a_scenes_own_description_is_not_read(tmp_path: Path) -> None:
    movies = open_condensed_movies(condensed(tmp_path), scenes=["y", "z"])
    assert movies.synopses == ("First.", "")


@pytest.mark.parametrize(
    "genre", ["Drama", "\"{'a': 1}\"", '"[1]"', "\"__import__('os')\"", "[" * 3000]
)
def test_a_genre_that_is_no_list_is_refused(tmp_path: Path, genre: str) -> None:
    with pytest.raises(ValueError, match=r"movie_info.csv, line 2: the genre .* is not a list"):
        open_movies(condensed(tmp_path, genre))


def test_damaged_tables_are_read_or_refused_in_a_sentence(tmp_path: Path) -> None:
    """Random bytes are changed: never another exception."""
    whole = {name: (own(tmp_path) / f"{name}.csv").read_bytes() for name in ("movies", "ratings")}
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        for name, data in whole.items():
            changed = np.frombuffer(data, np.uint8).copy()
            changed[rng.integers(0, len(changed), 3)] = rng.integers(0, 256, 3)
            write(tmp_path / f"{name}.csv", changed.tobytes())
        try:
            open_movies(tmp_path)
        except ValueError as error:
            refused += 1
            assert str(error).startswith(str(tmp_path))
    assert refused > 50
