"""Training rows of shot boundaries: contents, order, limited labels and invalid films."""

import jax
import numpy as np
import pytest

from tests.data.boundary_films import MemoryFilm, numbered
from vujax.data.boundary_windows import BoundaryWindows, select_labeled_boundaries
from vujax.data.shot_similarity import compute_local_similarity

FILMS = (numbered(0, 12, [3, 7]), numbered(1, 2, []), numbered(2, 8, [1, 6]), numbered(3, 1, []))


def take(rows: BoundaryWindows, count: int, **options) -> list[dict[str, np.ndarray]]:
    batches = rows.train_batches(**dict(batch_size=6, seed=5) | options)
    try:
        return [next(batches) for _ in range(count)]
    finally:
        batches.close()


def test_a_row_holds_the_shots_around_its_border():
    rows = BoundaryWindows(FILMS, before=3, after=2)
    assert rows.examples == 11 + 1 + 7
    batch = rows.load(np.arange(19))
    assert batch["feature"].shape == (19, 5, 2) and batch["label"].dtype == np.int32
    boundary = 4  # of film 0, between shots 4 and 5
    np.testing.assert_array_equal(batch["feature"][boundary, :, 1], [2, 3, 4, 5, 6])
    np.testing.assert_array_equal(np.flatnonzero(batch["label"][:11]), [2, 6])
    np.testing.assert_array_equal(batch["mask"][0], [False, False, True, True, True])
    np.testing.assert_array_equal(batch["mask"][11], [False, False, True, True, False])
    inside = batch["feature"][batch["mask"]]
    films = np.repeat([0, 1, 2], [11, 1, 7])
    np.testing.assert_array_equal(inside[:, 0], np.repeat(films, batch["mask"].sum(axis=1)))


def test_rows_of_pictures_keep_their_shape_and_type():
    images = np.arange(5 * 2 * 4 * 4 * 3, dtype=np.uint8).reshape(5, 2, 4, 4, 3)
    film = MemoryFilm("pixels", {"image": images}, [0, 1, 0, 0])
    batch = BoundaryWindows([film], before=1, after=1).load(np.array([1, 3]))
    np.testing.assert_array_equal(batch["image"], images[[[1, 2], [3, 4]]])
    assert batch["image"].dtype == np.uint8


def test_similarity_rows_are_those_of_the_film():
    rng = np.random.default_rng(0)
    film = MemoryFilm("random", {"feature": rng.normal(size=(9, 4)).astype(np.float32)}, [1] * 8)
    batch = BoundaryWindows([film], similarity=3).load(np.array([5, 0]))
    want = compute_local_similarity(film.inputs(np.arange(9))["feature"], film.seconds, 3).rows(
        [5, 0]
    )
    assert set(batch) == {"similarity", "duration", "mask", "label"}
    for name, value in want.items():
        np.testing.assert_array_equal(batch[name], value)


@pytest.mark.parametrize("similarity", [None, 2])
def test_shapes_are_those_of_a_batch(similarity):
    rows = BoundaryWindows(FILMS, before=1, after=2, similarity=similarity)
    (batch,) = take(rows, 1)
    want = jax.tree.map(lambda x: (x.shape, x.dtype), batch)
    assert jax.tree.map(lambda s: (s.shape, s.dtype), rows.batch_spec(6)) == want


def test_steps_hosts_and_workers_do_not_change_the_batches():
    rows = BoundaryWindows(FILMS, before=2, after=2)
    whole = take(rows, 8)
    np.testing.assert_array_equal(
        np.concatenate([b["index"] for b in whole]), np.arange(48, dtype=np.int32)
    )
    later = take(rows, 3, start_step=5)
    chosen = [take(rows, 3, start_step=5, host=host, hosts=3) for host in range(3)]
    for step in range(3):
        for name, value in whole[5 + step].items():
            np.testing.assert_array_equal(later[step][name], value)
            parts = np.concatenate([host[step][name] for host in chosen])
            np.testing.assert_array_equal(parts, value)


@pytest.mark.multiprocess
def test_worker_processes_give_the_same_batches():
    rows = BoundaryWindows(FILMS, before=2, after=2)
    for one, two in zip(take(rows, 3), take(rows, 3, workers=2), strict=True):
        np.testing.assert_array_equal(one["feature"], two["feature"])


def test_every_border_once_a_pass_in_an_order_of_the_seed():
    rows = BoundaryWindows(FILMS, before=1, after=1)
    first = take(rows, 19, batch_size=2)
    seen = [tuple(row) for b in first for row in b["feature"][:, 0]]
    assert len(set(seen[:19])) == len(set(seen[19:])) == 19 and seen[:19] != seen[19:]
    other = [tuple(row) for b in take(rows, 19, batch_size=2, seed=6) for row in b["feature"][:, 0]]
    assert other != seen


def long_films() -> list[MemoryFilm]:
    rng = np.random.default_rng(0)
    return [numbered(i, 300, sorted(rng.choice(299, 40, False) + 1)) for i in range(3)]


def test_fewer_labels_are_whole_scenes_and_nested():
    films, before = long_films(), set()
    for percent in (1, 5, 10, 25, 50, 100):
        places = select_labeled_boundaries(films, percent, seed=3)
        now = {tuple(place) for place in places.tolist()}
        assert before < now
        before = now
        for number, film in enumerate(films):
            scenes = np.concatenate([[0], np.cumsum(film.starts)])[:-1]
            mine = places[places[:, 0] == number, 1]
            touched = np.isin(scenes, scenes[mine])
            np.testing.assert_array_equal(np.flatnonzero(touched), mine)
        counted = sum(
            len(np.unique(np.cumsum(f.starts)[places[places[:, 0] == i, 1]]))
            for i, f in enumerate(films)
        )
        assert counted > 0
    assert len(before) == 3 * 299


def test_the_number_of_labelled_scenes():
    films = long_films()  # 3 x 41 scenes
    places = select_labeled_boundaries(films, 10, seed=0)
    scene = lambda n, i: (n, int(np.concatenate([[0], np.cumsum(films[n].starts)])[i]))  # noqa: E731
    found = {scene(*place) for place in places.tolist()}
    # A film's last scene of one shot has no boundary: at most the three films' lack.
    assert 13 - 3 <= len(found) <= 13
    assert not np.array_equal(places, select_labeled_boundaries(films, 10, seed=1))


def test_a_film_without_a_scene_border_gives_negatives():
    rows = BoundaryWindows([numbered(0, 5, []), numbered(1, 5, [2])], before=1, after=1)
    assert rows.load(np.arange(8))["label"].tolist() == [0, 0, 0, 0, 0, 1, 0, 0]


BROKEN = np.ones((4, 2), np.float32)
BROKEN[2, 1] = np.nan


@pytest.mark.parametrize(
    ("films", "options", "words"),
    [
        ([numbered(0, 5, [])], {}, "none of the 1 films has a scene boundary"),
        ([numbered(0, 1, [])], {}, "none of the 1 films has a scene boundary"),
        ([MemoryFilm("m", {"feature": BROKEN}, None)], {}, "film 'm' has no scene labels"),
        (
            [MemoryFilm("m", {"feature": BROKEN}, [1] * 4)],
            {},
            "4 shots, so 3 boundaries, but 4 labels",
        ),
        ([MemoryFilm("m", {"feature": BROKEN}, [1] * 2)], {}, "so 3 boundaries, but 2 labels"),
        (FILMS, dict(labels_percent=0), "labels_percent must be above 0"),
        (FILMS, dict(before=0), "at least 1 shot"),
        (
            [MemoryFilm("m", {"feature": BROKEN}, [1] * 3)],
            dict(similarity=2),
            "film 'm': embeddings of 1 of 4 shots",
        ),
        ([MemoryFilm("m", {"image": BROKEN}, [1] * 3)], dict(similarity=2), "'m' has no 'feature'"),
    ],
)
def test_bad_films(films, options, words):
    with pytest.raises(ValueError, match=words):
        BoundaryWindows(films, **options)


def test_a_feature_that_is_not_finite_is_named():
    rows = BoundaryWindows([MemoryFilm("m", {"feature": BROKEN}, [1] * 3)], before=1, after=1)
    with pytest.raises(ValueError, match="film 'm', shot 2: its feature contains NaN"):
        rows.load(np.array([1]))
    with pytest.raises(ValueError, match="is not divisible by 4 hosts"):
        rows.train_batches(batch_size=6, seed=0, hosts=4)
