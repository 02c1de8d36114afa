"""Guides: neighbors by metadata, and controls."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.data.test_scene_batches import INPUTS, SCENES
from vujax.data.movies.guide import (
    ANY,
    ITSELF,
    NONE,
    GuidedRows,
    batch_spec,
    collect_labels,
    count_slots,
    find_alone,
    select_similar_movies,
)
from vujax.data.registry import open_tables

MOVIES = "id,title,genres,synopsis\n" + "".join(
    f"m{i},Movie {i},{genres},{text}\n"
    for i, (genres, text) in enumerate(
        [
            ("Comedy|War", "soldiers laugh in a trench"),
            ("Comedy|War", "soldiers weep in a trench"),
            ("Drama", "a lawyer loses"),
            ("Drama", "a lawyer wins"),
            ("", ""),
        ]
    )
)
IDS = ("m3", "m0", "m4", "m1", "m2", "elsewhere")  # in the order of the scenes
CHANNELS = {"genre": {}, "synopsis": {"max_df": 1.0, "min_df": 1}}


@pytest.fixture
def tables(tmp_path):
    (tmp_path / "movies.csv").write_text(MOVIES)
    return {"kind": "tables", "path": str(tmp_path)}


def similar(guide: str, tables=None, **options):
    given = dict(k=2, channels=CHANNELS, tables=tables or {}) | options
    return select_similar_movies(IDS, guide, **given)


def test_neighbours_are_numbers_of_the_movies_that_have_scenes(tables):
    found = similar("genre", tables)
    assert found.similar.tolist() == [
        [4, NONE],  # m3: m2
        [3, NONE],  # m0: m1
        [NONE, NONE],
        [1, NONE],
        [0, NONE],
        [NONE, NONE],
    ]
    assert found.counts["not in the tables"] == 1
    assert found.counts["genre"] == found.counts["similar to none"] == 1


def test_held_out_movies_guide_nobody(tables):
    found = similar("union", tables, held_out=["m2"]).similar
    assert not (found == IDS.index("m2")).any() and (found[IDS.index("m2")] == NONE).all()
    assert IDS.index("m2") in similar("union", tables).similar


@pytest.mark.parametrize("guide", ["genre", "synopsis", "union"])
def test_a_guide_is_a_channel_or_all_of_them(guide, tables):
    found = similar(guide, tables)
    assert found.similar.shape == (6, 2) and found.similar[1, 0] == 3
    assert ("genre" in found.counts) == (guide != "synopsis")


def test_controls_read_no_table():
    assert (similar("all").similar[:, 0] == ANY).all()
    assert similar("same").similar[:, 0].tolist() == list(range(6))
    assert (similar("augmentation").similar[:, 0] == ITSELF).all()
    drawn = similar("random", k=3).similar
    assert all(len({i, *row}) == 4 for i, row in enumerate(drawn.tolist()))
    np.testing.assert_array_equal(drawn, similar("random", k=3).similar)
    assert (drawn != similar("random", k=3, seed=1).similar).any()
    few = similar("random", k=9).similar
    assert (np.sort(few, axis=1)[:, -5:] >= 0).all() and ((few == NONE).sum(axis=1) == 4).all()


def test_every_guide_can_have_the_movie_itself(tables):
    for guide in ("genre", "union", "random", "all"):
        without, found = (similar(name, tables).similar for name in (guide, f"{guide}+same"))
        np.testing.assert_array_equal(found[:, :2], without)
        assert found[:, 2].tolist() == list(range(6)), guide
        assert count_slots(f"{guide}+same", 2) == 3 == count_slots(guide, 3)
    np.testing.assert_array_equal(similar("nearest").similar, similar("all+same").similar)
    assert count_slots("nearest", 2) == 3


def test_the_oracle_is_guided_by_true_labels():
    kinds = [{"sea"}, {"air"}, {"sea"}, set(), {"air", "sea"}, {"land"}]
    truth = {"kind": [frozenset(each) for each in kinds], "other": [frozenset()] * 6}
    found = similar("oracle:kind", truth=truth)
    assert found.similar.tolist() == [
        [2, 4],
        [4, NONE],
        [0, 4],
        [NONE] * 2,
        found.similar[4].tolist(),
        [NONE] * 2,
    ]
    assert set(found.similar[4].tolist()) < {0, 1, 2} and found.counts["similar to none"] == 2
    with pytest.raises(
        ValueError, match="needs scenes with labels 'mood'; these have: kind, other"
    ):
        similar("oracle:mood", truth=truth)


def test_labels_of_a_movie_are_those_of_its_scenes():
    labels = {"kind": [frozenset({"sea"}), frozenset(), frozenset({"air"})]}
    two = SimpleNamespace(movies=("a", "b"), movie=np.array([0, 1, 0]), labels=labels)
    assert collect_labels(two) == {"kind": [frozenset({"sea", "air"}), frozenset()]}


def test_scenes_without_a_possible_positive():
    """Movie 0 has two scenes, the others one each."""
    movie = np.array([0, 1, 2, 0])
    lists = {
        "nothing": ([[NONE], [NONE], [NONE]], [True] * 4),
        "others": ([[1], [NONE], [0]], [False, True, False, False]),
        "the movie itself": ([[0], [1], [2]], [False, True, True, False]),
        "all": ([[ANY]] * 3, [False] * 4),
        "the scene itself": ([[ITSELF]] * 3, [False] * 4),
    }
    for name, (similar, alone) in lists.items():
        found = find_alone(movie, np.array(similar, np.int32))
        assert found.tolist() == alone, name
    assert find_alone(np.zeros(2, np.int32), np.array([[ANY]])).all()


def test_rows_bring_the_movies_that_guide_their_scenes():
    similar = np.arange(2 * len(SCENES.movies), dtype=np.int32).reshape(-1, 2)
    rows = GuidedRows(SCENES, INPUTS, similar, width=24, most=9)
    batches = rows.train_batches(batch_size=4, seed=0)
    try:
        batch = next(batches)
    finally:
        batches.close()
    for name, array in rows.batch_spec(4).items():
        assert (batch[name].shape, batch[name].dtype) == (array.shape, array.dtype), name
    assert rows.batch_spec(4) == batch_spec(INPUTS, 4, k=2, width=24, most=9)
    there = batch["movie"] >= 0
    np.testing.assert_array_equal(batch["similar"][there], similar[batch["movie"][there]])
    assert not there.all() and (batch["similar"][~there] == NONE).all()


def test_the_cinema_has_tables_of_its_own():
    movies = open_tables("cinema", films=3, first=2, minutes=1.0)
    assert movies.ids == tuple(f"cinema-0-train-{i:04d}" for i in (2, 3, 4))
    assert all(movies.genres) and all(movies.synopses) and len(movies.ratings)
    again = open_tables("cinema", films=5, minutes=1.0).select(movies.ids)
    assert again.synopses == movies.synopses and again.titles == movies.titles


@pytest.mark.parametrize(
    ("guide", "options", "why"),
    [
        ("plot", {}, "unknown data.guide 'plot'; expected one of: genre, synopsis"),
        ("all", dict(k=0), "data.k must be at least 1, got 0"),
        ("genre", dict(tables=dict(kind="tapes")), "unknown kind of movie tables 'tapes'"),
        ("genre", dict(tables=dict(kind="cinema", hero=1)), "unknown option 'hero'"),
        ("genre", dict(tables=dict(kind="cinema", films=2)), "none of the 6 movies"),
    ],
)
def test_what_cannot_be(guide, options, why):
    with pytest.raises(ValueError, match=why):
        similar(guide, **options)
