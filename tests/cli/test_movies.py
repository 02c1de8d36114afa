"""`vujax movies similar`: its output, and errors."""

import argparse
from pathlib import Path

import pytest

from vujax.cli import movies

TABLE = """id,title,year,genres,synopsis
a,Heat Wave,1995,Crime|Drama,A thief plans a heist. A cop waits.
b,Cold Wave,1999,Crime|Drama,The cop plans a heist.
c,Heat Wave,2010,Comedy,A dog and a wedding.
d,Alone,,,
"""
RATINGS = "user,movie,rating\nu,a,5\nu,b,4\nu,zz,4\nv,a,3\nv,b,3\n"


def similar(*arguments: str | Path) -> int:
    parser = argparse.ArgumentParser()
    movies.add_arguments(parser)
    return movies.run(parser.parse_args(["similar", *map(str, arguments)]))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "movies.csv").write_text(TABLE)
    (tmp_path / "ratings.csv").write_text(RATINGS)
    return tmp_path


def test_neighbours_are_shown_with_reasons(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    channels = ["--channel", "genre", "--channel", "cowatch:shrinkage=2,weight=0.5"]
    channels += ["--channel", "synopsis:max_df=1.0"]
    assert similar(folder, *channels, "heat wave (1995)") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Heat Wave (1995)  Crime, Drama  [a]"
    assert lines[1].split() == ["score", "genre", "cowatch", "synopsis", "title", "genres", "why"]
    row = lines[2].split()
    assert row[0] == "1" and row[2:4] == ["1.000", "0.500"] and row[5:7] == ["Cold", "Wave"]
    assert "2 of 2 and 2 watchers; cop, heist, plans" in lines[2]
    assert "genre: 1 of 4 movies are unknown" in lines
    assert "left out: 1 ratings of movies that are not in the table" in lines


def test_a_movie_like_no_other(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert similar(folder, "--channel", "genre", "d") == 0
    assert "no similar movies" in capsys.readouterr().out


def test_ratings_from_elsewhere_and_movies_held_out(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "mine").mkdir()
    table = TABLE.replace("\na,", "\ntt0000001,").replace("\nb,", "\ntt0000002,")
    (folder / "mine" / "movies.csv").write_text(table)
    rated = folder / "rated.csv"
    rated.write_text("user,movie\nu,tt0000001\nu,tt0000002\nu,c\n")
    held = folder / "held.txt"
    held.write_text("tt0000002\n")
    arguments = [folder / "mine", "--channel", "cowatch", "--ratings", rated, "tt0000001"]
    assert similar(*arguments) == 0
    assert "Cold Wave" in capsys.readouterr().out
    assert similar(*arguments, "--hold-out", held) == 0
    shown = capsys.readouterr().out
    assert "Cold Wave" not in shown and "Heat Wave (2010)" in shown


@pytest.mark.parametrize(
    ("arguments", "error", "why"),
    [
        (
            ["--channel", "genre", "heat wave"],
            KeyError,
            r"several movies match 'heat wave'; use one of the ids: Heat Wave \(1995\) \[a\], ",
        ),
        (["--channel", "genre", "wav"], KeyError, "several movies match 'wav'"),
        (["--channel", "genre", "Matrix"], KeyError, "no movie has the title or id 'Matrix'"),
        (["--channel", "style", "a"], ValueError, "unknown channel 'style'"),
        (["--channel", "genre:power=2", "a"], ValueError, "unknown option 'power'"),
        (["--channel", "lists", "a"], ValueError, "needs more-like-this lists"),
        (["--channel", "genre", "-k", "0", "a"], ValueError, "-k must be 1 or more"),
        (["--channel", "genre", "--hold-out", "no", "a"], FileNotFoundError, "no does not exist"),
    ],
)
def test_mistakes(folder: Path, arguments: list[str], error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=why):
        similar(folder, *arguments)


def test_an_option_without_a_value_is_a_mistake_of_the_arguments(folder: Path) -> None:
    with pytest.raises(SystemExit):
        similar(folder, "--channel", "genre:idf", "a")


def test_a_part_of_a_title_is_enough(folder: Path) -> None:
    table = movies._movies(argparse.Namespace(movies=folder, ratings=None, hold_out=None))
    assert movies.find(table, "Cold") == 1 and movies.find(table, "b") == 1
    assert movies.find(table, "heat wave (2010)") == 2
