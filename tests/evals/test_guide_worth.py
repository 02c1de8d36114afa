"""Worth of metadata: known directions, more similar movies, a page; what cannot be measured."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.html import Elements
from tests.methods.test_linear_guide import AGREEMENT, GUIDED, MOVIES, PER_THEME, SCENES, world
from vujax.data.registry import open_tables
from vujax.evals.guide_worth import Worth, count_bits, find_channels, measure_worth
from vujax.evals.guide_worth_page import build_growth, build_rows, describe, write_page

IDS = tuple(f"film-{number:02d}" for number in range(MOVIES))


@dataclass
class FeatureScenes:
    """Scenes of one shot each."""

    features: np.ndarray
    movie: np.ndarray
    movies: tuple[str, ...] = IDS

    labels = {}  # noqa: RUF012 (no true label is known)

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(f"{self.movies[m]}/{n}" for n, m in enumerate(self.movie.tolist()))

    def inputs(self, number: int) -> dict[str, np.ndarray]:
        return {"feature": self.features[number : number + 1]}


def write_tables(folder: Path, known: int = MOVIES, synopsis: str = "") -> dict[str, str]:
    """Write a table whose first `known` movies have their theme as genre."""
    rows = ["id,title,genres,synopsis"]
    for number, movie in enumerate(IDS):
        genre = f"Theme {number // PER_THEME}" if number < known else ""
        rows.append(f"{movie},{movie},{genre},{synopsis}")
    (folder / "movies.csv").write_text("\n".join([*rows, ""]))
    return dict(kind="tables", path=str(folder))


@pytest.fixture(scope="module")
def scenes() -> FeatureScenes:
    x, movie, _, _ = world()
    return FeatureScenes(x, movie)


@pytest.fixture(scope="module")
def worth(scenes: FeatureScenes, tmp_path_factory: pytest.TempPathFactory) -> Worth:
    tables = write_tables(tmp_path_factory.mktemp("worth"), known=MOVIES - PER_THEME)
    return measure_worth(scenes, tables, {"genre": {}}, k=2)


def test_genres_guide_their_directions_and_random_movies_none(worth: Worth) -> None:
    (genre,) = worth.guides
    assert genre.directions == GUIDED and worth.random.directions == 0
    assert genre.agreement.values[0] == pytest.approx(AGREEMENT, abs=0.15)
    assert (genre.movies, genre.unknown) == (MOVIES - PER_THEME, PER_THEME)
    assert (genre.scenes, worth.scenes) == (SCENES * (MOVIES - PER_THEME), SCENES * MOVIES)
    rho = genre.agreement.values[:GUIDED]
    assert count_bits(genre.agreement) == pytest.approx(-0.5 * np.log2(1 - rho**2).sum())
    assert count_bits(worth.random.agreement) == 0


def test_more_similar_movies_are_a_prefix_of_the_lists(
    worth: Worth, scenes: FeatureScenes, tmp_path: Path
) -> None:
    (genre,) = worth.guides
    assert list(genre.by_k) == [2, 4, 8]
    assert [a.pairs for a in genre.by_k.values()] == [n * genre.scenes for n in (2, 4, 4)]
    tables = write_tables(tmp_path, known=MOVIES - PER_THEME)
    alone = measure_worth(scenes, tables, {"genre": {}}, k=4).guides[0]
    np.testing.assert_array_equal(genre.by_k[4].values, alone.agreement.values)


def test_the_page_says_it_in_a_sentence_and_a_picture(worth: Worth, tmp_path: Path) -> None:
    sentence = f"Your genres guide {GUIDED} directions; {PER_THEME} movies have no genre."
    assert describe(worth) == sentence
    page = Elements(write_page(worth, tmp_path / "worth.html", source="<b>mine").read_text())
    assert sentence in page.text and "<b>mine" in page.text
    bars = len(worth.guides[0].agreement.values) + len(worth.random.agreement.values)
    assert len(page.of("rect")) == bars and len(page.of("rect", "fill")) == GUIDED
    assert not page.of("script")
    rows = build_rows(worth)
    assert [row[:2] for row in rows] == [["genre", str(GUIDED)], ["random", "0"]]
    assert build_growth(worth)[0] == ["guide", "k = 2", "k = 4", "k = 8"]


def test_a_channel_without_neighbors_is_a_row_of_zeros(
    scenes: FeatureScenes, tmp_path: Path
) -> None:
    tables = write_tables(tmp_path)
    rows = [f"viewer {number},{movie}" for number, movie in enumerate(IDS)]
    (tmp_path / "ratings.csv").write_text("\n".join(["user,movie", *rows, ""]))
    worth = measure_worth(scenes, tables, {"genre": {}, "cowatch": {}}, k=4)
    union, genre, nothing = worth.guides
    assert union.directions == genre.directions == GUIDED and nothing.agreement is None
    assert "your watch logs guide no movie" in describe(worth)
    assert build_rows(worth)[2][1:] == ["0", "", "", "", "0 (0.0%)", "0 (0.0%)"]
    assert len(Elements(write_page(worth, tmp_path / "p.html", source="s").read_text()).of("svg"))


def test_what_cannot_be_measured(scenes: FeatureScenes, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no guide covers any of the 100 movies: genre"):
        measure_worth(scenes, write_tables(tmp_path, known=0), {"genre": {}})
    first = scenes.movie == 0
    one = FeatureScenes(scenes.features[first], scenes.movie[first], IDS[:1])
    with pytest.raises(ValueError, match="all scenes are of one movie, film-00: a guide needs"):
        measure_worth(one, write_tables(tmp_path), {"genre": {}})
    with pytest.raises(ValueError, match="no genre, synopsis, rating or list of any of 100 movies"):
        find_channels(open_tables(**write_tables(tmp_path, known=0)))
    equal = FeatureScenes(np.ones_like(scenes.features), scenes.movie)
    with pytest.raises(ValueError, match="features of all 800 scenes are equal"):
        measure_worth(equal, write_tables(tmp_path), {"genre": {}})
    assert find_channels(open_tables(**write_tables(tmp_path, 9, "A heist."))) == (
        "genre",
        "synopsis",
    )
