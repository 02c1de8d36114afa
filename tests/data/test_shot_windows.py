"""Windows of shots: a naive computation, batches as functions of seed and step."""

import jax
import numpy as np
import pytest

from tests.data.boundary_films import MemoryFilm, numbered
from vujax.data.shot_windows import ShotWindows, batch_spec, cut_window

FILMS = (numbered(0, 12, []), numbered(1, 1, []), numbered(2, 5, []), numbered(3, 30, []))
SHOTS = 12 + 1 + 5 + 30
INPUTS = {"feature": (2,)}


def neighbours_of(query: int, n: int, m: int, ends: str) -> set[int]:
    """Return the shots of a film of n that may be the positive of a query."""
    low, high = query - m, query + m
    if ends == "shift":
        while low < 0:
            low, high = low + 1, high + 1
        while high > n - 1 and low > 0:
            low, high = low - 1, high - 1
    return {shot for shot in range(low, high + 1) if 0 <= shot < n and shot != query}


@pytest.mark.parametrize("ends", ["shift", "clip"])
@pytest.mark.parametrize(("m", "block"), [(1, 1), (3, 1), (8, 1), (2, 3), (4, 8)])
def test_windows_of_every_place_of_many_films(m, block, ends):
    for n in range(1, 41):
        for first in range(n):
            cut = cut_window(n, first, neighbours=m, block=block, ends=ends)
            assert cut.shots.shape == (block + 2 * m,)
            assert cut.shots.min() >= 0 and cut.shots.max() < n
            queries = list(range(max(0, min(first, n - block)), n))[:block]
            assert cut.valid.tolist() == [True] * len(queries) + [False] * (block - len(queries))
            for i, query in enumerate(queries):
                assert cut.shots[cut.query[i]] == query
                found = cut.shots[cut.candidate[i]].tolist()
                assert len(set(found)) == len(found)  # a shot that fills up is no candidate
                assert set(found) == neighbours_of(query, n, m, ends)


@pytest.mark.parametrize("ends", ["shift", "clip"])
def test_the_number_of_candidates_at_the_ends(ends):
    """BaSSL's rule keeps 2m of them, clipping does not."""
    counts = [
        cut_window(20, first, neighbours=4, block=1, ends=ends).candidate.sum()
        for first in range(20)
    ]
    full = [8] * 20 if ends == "shift" else [4, 5, 6, 7, *[8] * 12, 7, 6, 5, 4]
    assert counts == full


def take(count: int, films=FILMS, *, cut=None, **options) -> list[dict[str, np.ndarray]]:
    rows = ShotWindows(films, INPUTS, **dict(neighbours=3, block=2) | (cut or {}))
    batches = rows.train_batches(**dict(batch_size=6, seed=5) | options)
    try:
        return [next(batches) for _ in range(count)]
    finally:
        batches.close()


def test_a_row_is_one_film_and_says_where_it_is():
    films = set()
    for batch in take(12):
        assert (batch["feature"][..., 0] == batch["feature"][:, :1, 0]).all()
        assert batch["feature"][:, 0, 0].tolist() == batch["film"].tolist()
        query = np.take_along_axis(batch["feature"][..., 1], batch["query"], axis=1)
        np.testing.assert_array_equal(query, batch["shot"])
        films |= set(batch["film"].tolist())
    assert films == {0, 1, 2, 3}


def test_a_film_of_one_shot_has_one_query_without_candidates():
    (batch,) = take(1, films=[FILMS[1]])
    assert not batch["candidate"].any()
    np.testing.assert_array_equal(batch["valid"], [[True, False]] * 6)


@pytest.mark.parametrize("ends", ["shift", "clip"])
def test_in_a_film_of_two_shots_each_is_the_others_neighbour(ends):
    for batch in take(2, films=[numbered(0, 2, [])], cut=dict(ends=ends)):
        np.testing.assert_array_equal(batch["shot"], [[0, 1]] * 6)
        assert batch["valid"].all() and (batch["candidate"].sum(2) == 1).all()
        positive = batch["candidate"].argmax(2)
        other = np.take_along_axis(batch["feature"][..., 1], positive, axis=1)
        np.testing.assert_array_equal(other, [[1, 0]] * 6)


def test_shapes_are_those_of_a_batch():
    (batch,) = take(1)
    want = {name: (value.shape, value.dtype) for name, value in batch.items()}
    found = batch_spec(INPUTS, 6, neighbours=3, block=2)
    assert jax.tree.map(lambda s: (s.shape, s.dtype), found) == want
    pictures = batch_spec({"image": (3, 4, 4, 3)}, 6, neighbours=3, block=2)["image"]
    assert (pictures.shape, pictures.dtype) == ((6, 8, 3, 4, 4, 3), np.uint8)


def same(one: dict[str, np.ndarray], two: dict[str, np.ndarray]) -> None:
    assert one.keys() == two.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(two[name], value)


def test_steps_and_hosts_do_not_change_the_batches():
    whole = take(8)
    indices = np.concatenate([batch["index"] for batch in whole])
    np.testing.assert_array_equal(indices, np.arange(48, dtype=np.int32))
    later = take(3, start_step=5)
    hosts = [take(3, start_step=5, host=host, hosts=3) for host in range(3)]
    for step in range(3):
        same(whole[5 + step], later[step])
        parts = [host[step] for host in hosts]
        same(whole[5 + step], {k: np.concatenate([p[k] for p in parts]) for k in parts[0]})


@pytest.mark.multiprocess
@pytest.mark.parametrize("start_step", [0, 5])
def test_worker_processes_give_the_same_batches(start_step):
    alone, several = (
        take(4, cut=dict(workers=workers), start_step=start_step) for workers in (0, 2)
    )
    for one, two in zip(alone, several, strict=True):
        same(one, two)


def test_an_epoch_begins_a_window_with_every_shot_once():
    places = lambda batches: [  # noqa: E731
        (film, int(shot[0]))
        for b in batches
        for film, shot in zip(b["film"].tolist(), b["shot"], strict=True)
    ]
    drawn = places(take(2 * SHOTS // 6, cut=dict(block=1)))
    first, second = drawn[:SHOTS], drawn[SHOTS:]
    every = {(f, shot) for f, film in enumerate(FILMS) for shot in range(len(film))}
    assert set(first) == set(second) == every and first != second
    assert places(take(SHOTS // 6, cut=dict(block=1), seed=6)) != first
    assert ShotWindows(FILMS, INPUTS).examples == SHOTS


def test_only_what_the_config_names_is_read():
    both = {"feature": np.ones((4, 2), np.float32), "audio": np.ones((4, 5, 6), np.float32)}
    (batch,) = take(1, films=[MemoryFilm("m", both, None)])
    assert "audio" not in batch and batch["feature"].shape == (6, 8, 2)


@pytest.mark.parametrize(
    ("films", "inputs", "options", "words"),
    [
        ([], INPUTS, {}, "no film with shots"),
        (FILMS, {"image": (3, 8, 8, 3)}, {}, r"'film-0' has no image .* only \['feature'\]"),
        (FILMS, {"feature": (512,)}, {}, r"shape \(2,\) for each shot, and .* says \(512,\)"),
        (
            FILMS,
            INPUTS,
            dict(ends="wrap"),
            "unknown data.ends 'wrap'; expected one of: shift, clip",
        ),
        (FILMS, INPUTS, dict(neighbours=0), "data.neighbours 0 .* must be at least 1"),
        (FILMS, INPUTS, dict(block=0), "data.block 0 must be at least 1"),
    ],
)
def test_bad_films_and_settings(films, inputs, options, words):
    with pytest.raises(ValueError, match=words):
        ShotWindows(films, inputs, **options)


def test_a_batch_that_does_not_divide_among_the_hosts():
    with pytest.raises(ValueError, match="batch_size 6 is not divisible by 4 hosts"):
        take(1, hosts=4)
