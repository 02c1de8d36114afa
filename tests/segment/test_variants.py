"""Variants of labelled films: joined, mixed, noisy, with shots left out; labels still fit."""

import numpy as np

from tests.data.boundary_films import MemoryFilm
from vujax.segment.train_head import train_head
from vujax.segment.variants import Variation, variants


def film(number: int, shots: int = 30) -> MemoryFilm:
    """Scenes of three shots with a vector each, which no other scene of any film has."""
    vectors = np.zeros((shots, 100), np.float32)
    vectors[np.arange(shots), 20 * number + np.arange(shots) // 3] = 1 + number
    ends = np.cumsum(np.full(shots, number + 1.0))
    starts = np.arange(1, shots) % 3 == 0
    seconds = np.stack([np.append(0, ends[:-1]), ends], axis=1)
    return MemoryFilm(f"film-{number}", {"feature": vectors}, starts, seconds)


FILMS = [film(number) for number in range(4)]


def test_labels_stay_where_pictures_change():
    found = variants(FILMS, 20, Variation(joined=3, noise=0.0, lost=0.5), seed=1)
    assert len({len(one) for one in found}) > 10
    for one in found:
        vectors = one.inputs(np.arange(len(one)))["feature"]
        changed = (np.diff(vectors, axis=0) != 0).any(axis=1)
        np.testing.assert_array_equal(one.starts, changed)
        lasting = np.diff(one.seconds, axis=1)[:, 0]
        np.testing.assert_allclose(lasting, 1 + vectors.argmax(axis=1) // 20)  # its own length
    assert max(len(one) for one in found) > 60


def test_noise_makes_shots_of_a_scene_less_alike():
    lengths = []
    for noise in (0.0, 0.5, 2.0):
        (one,) = variants(FILMS, 1, Variation(joined=1, noise=noise, lost=0.0), seed=3)
        vectors = one.inputs(np.arange(len(one)))["feature"]
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        cosines = (unit[1:] * unit[:-1]).sum(axis=1)
        lengths.append(cosines[~one.starts].mean())
    assert 1 - lengths[0] < 1e-6 and lengths[0] > lengths[1] > lengths[2] > 0


def test_looks_at_one_film_are_mixed():
    plain = MemoryFilm("plain", {"feature": np.ones((30, 5))}, FILMS[0].starts, FILMS[0].seconds)
    found = variants([FILMS[0], plain], 30, Variation(joined=2, noise=0.0, lost=0.0), seed=0)
    across = []
    for one in found:
        assert len(one) == 30  # one film, not two joined
        vectors = one.inputs(np.arange(30))["feature"]
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
        across.append(vectors[0] @ vectors[29])  # the plain look says they are the same
    assert min(across) < 0.2 and max(across) > 0.8


def test_the_same_seed_gives_the_same():
    first, again, other = (variants(FILMS, 3, seed=seed) for seed in (0, 0, 1))
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.vectors, two.vectors)
        np.testing.assert_array_equal(one.seconds, two.seconds)
    assert any(len(one) != len(two) for one, two in zip(first, other, strict=True))


def test_a_head_learns_from_variants():
    """The films themselves have labels that say nothing; what takes their place is learned from."""
    wrong = [MemoryFilm(f.film, f._inputs, ~f.starts, f.seconds) for f in FILMS]
    right = {f.film: f for f in FILMS}
    head = train_head(
        wrong,
        dict(kind="similarity", reach=3, hidden=[8], gain=1.0),
        steps=60,
        batch_size=64,
        lr=0.02,
        folds=2,
        vary=lambda part: variants([right[f.film] for f in part], 4, seed=len(part)),
    )
    scores = head.scores(FILMS[3].inputs(np.arange(30))["feature"], FILMS[3].seconds)
    assert ((scores > head.threshold) == FILMS[3].starts).mean() > 0.9
