"""Boundary heads: saving, films of any length, invalid embeddings, training in memory."""

import tracemalloc
from dataclasses import replace

import jax
import numpy as np
import pytest
from flax import linen as nn

from tests.data.boundary_films import MemoryFilm
from vujax.data.boundary_windows import BoundaryWindows
from vujax.models import release
from vujax.models.boundary import BoundaryModel, build_boundary_head
from vujax.scenes.head import CHUNK, DEFAULT_HEAD, HEADS_DIR, BoundaryHead, load_head, save_head
from vujax.scenes.train_head import choose_threshold, score_film, train_head
from vujax.scenes.types import SceneDetectionOptions

KINDS = {
    "similarity": dict(kind="similarity", reach=3, hidden=[8]),
    "mlp": dict(kind="mlp", before=3, after=2, hidden=[8]),
}


def film_of(shots: int, width: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    ends = np.cumsum(rng.random(shots) + 0.1)
    return rng.normal(size=(shots, width)), np.stack([np.append(0, ends[:-1]), ends], axis=1)


def head_of(kind: str, encoder: nn.Module | None = None) -> BoundaryHead:
    model = BoundaryModel(encoder, build_boundary_head(**KINDS[kind]))
    vectors, seconds = film_of(3)
    film = MemoryFilm("f", {"feature": vectors.astype(np.float32)}, [1, 1], seconds)
    batch = BoundaryWindows([film], **model.window).load(np.arange(2))
    variables = jax.device_get(jax.jit(model.init)(jax.random.key(0), batch))
    return BoundaryHead(model, variables, 0.7, {"model": {"head": KINDS[kind]}})


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_do_not_change_a_film(kind):
    """Compare three chunks, the last one padded, with all rows of the training pipeline."""
    shots = 2 * CHUNK + 40
    vectors, seconds = film_of(shots)
    head = head_of(kind)
    film = MemoryFilm("f", {"feature": vectors.astype(np.float32)}, [1] * (shots - 1), seconds)
    batch = BoundaryWindows([film], **head.model.window).load(np.arange(shots - 1))
    logits, _ = head.model.apply(head.variables, batch)
    scores = head.scores(vectors, seconds)
    assert scores.dtype == np.float32 and np.ptp(scores) > 0.01
    np.testing.assert_allclose(scores, jax.nn.sigmoid(logits), rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded(kind, tmp_path):
    head = head_of(kind)
    save_head(tmp_path / "mine", head)
    again = load_head(tmp_path / "mine")
    assert again.threshold == 0.7 and again.num_parameters == head.num_parameters > 20
    np.testing.assert_array_equal(again.scores(*film_of(9)), head.scores(*film_of(9)))


def test_the_digest_names_weights_and_settings(tmp_path):
    head = head_of("similarity")
    save_head(tmp_path, head)
    assert head.digest == load_head(tmp_path).digest == head_of("similarity").digest
    assert len(head.digest) == 64 and int(head.digest, 16)
    moved = jax.tree.map(lambda leaf: leaf + 1e-6, head.variables)
    others = [
        replace(head, variables=moved),
        replace(head, threshold=0.71),
        replace(head, config=head.config | {"note": "another"}),
        head_of("mlp"),
    ]
    assert len({head.digest, *(other.digest for other in others)}) == 5


@pytest.mark.parametrize("width", (1, 3, 700))
def test_the_head_of_the_package(width):
    head = load_head()
    assert 0 < head.threshold < 1
    assert (
        SceneDetectionOptions(head=DEFAULT_HEAD).provenance(head)["head_digest"] == head.digest
    )  # what scenes.json says
    files = list((HEADS_DIR / DEFAULT_HEAD / release.FOLDER).iterdir())
    assert {file.name for file in files} == {release.CONFIG, release.WEIGHTS}
    assert sum(file.stat().st_size for file in files) < 20_000
    assert {"films", "command", "seed", "licence"} <= set(head.config["about"])
    for shots in (1, 2, 40):
        scores = head.scores(*film_of(shots, width))
        assert scores.shape == (shots - 1,) and ((scores > 0) & (scores < 1)).all()
    cut = np.repeat([[1.0] + [0.0] * 5, [0.0] * 5 + [1.0]], 20, axis=0)
    noise = 0.1 * np.random.default_rng(0).normal(size=cut.shape)
    seconds = np.stack([np.arange(40.0), np.arange(1.0, 41)], axis=1)
    assert head.scores(cut + noise, seconds).argmax() == 19


def test_what_a_training_releases(tmp_path):
    head = head_of("mlp")
    config = {"model": {"head": KINDS["mlp"], "encoder": None}, "method": {}, "step": 5}
    release.save(tmp_path, config, head.variables)
    assert load_head(tmp_path).threshold == 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_short_and_black_films(kind):
    head = head_of(kind)
    assert head.scores(*film_of(1)).shape == (0,)
    assert head.scores(*film_of(2)).shape == (1,)
    seconds = np.stack([np.arange(30.0), np.arange(1.0, 31)], axis=1)
    scores = head.scores(np.zeros((30, 4)), seconds)
    np.testing.assert_allclose(scores[5:24], scores[5], rtol=1e-5)  # far from the ends


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_film_takes_bounded_memory(kind):
    head, film = head_of(kind), film_of(20_000)
    head.scores(*film_of(3))  # compiles
    tracemalloc.start()
    scores = head.scores(*film)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert scores.shape == (19_999,) and np.isfinite(scores).all()
    assert peak < 40e6


class Encoder(nn.Module):
    """Adds the mean of what it sees at once, unlike any other encoder, to show what it saw."""

    @nn.compact
    def __call__(self, inputs, *, train=False, axis_name=None):
        return nn.Dense(4)(inputs["feature"]), {}


def test_an_encoder_on_vectors():
    head = head_of("mlp", Encoder())
    vectors, seconds = film_of(9)
    weights = head.variables["params"]["encoder"]["Dense_0"]
    encoded = vectors @ weights["kernel"] + weights["bias"]
    alone = BoundaryHead(
        BoundaryModel(None, head.model.head),
        {"params": {"head": head.variables["params"]["head"]}},
        0.5,
        {},
    )
    np.testing.assert_allclose(
        head.scores(vectors, seconds), alone.scores(encoded, seconds), rtol=1e-4
    )


def test_wrong_vectors():
    vectors, seconds = film_of(5, width=6)
    with pytest.raises(ValueError, match="was not trained on embeddings of dim 6"):
        head_of("mlp").scores(vectors, seconds)
    assert head_of("similarity").scores(vectors, seconds).shape == (4,)
    vectors[3, 2] = np.nan
    for kind in KINDS:
        with pytest.raises(
            ValueError,
            match="embeddings of 1 of 5 shots contain NaN or infinity, the first that of shot 3",
        ):
            head_of(kind).scores(vectors[:, :4], seconds)


def test_no_head(tmp_path):
    with pytest.raises(FileNotFoundError, match="no-such is no model"):
        load_head(tmp_path / "no-such")
    release.save(tmp_path, {"model": {"image": {}}}, head_of("mlp").variables)
    with pytest.raises(ValueError, match="holds a model without a boundary head"):
        load_head(tmp_path)


def test_the_best_threshold():
    scores = [np.array([0.9, 0.2, 0.6, 0.1]), np.array([0.3, 0.8]), np.array([0.99])]
    starts = [np.array([1, 0, 1, 0]), np.array([0, 1]), np.array([0])]
    assert 0.3 <= choose_threshold(scores, starts) < 0.6


def scenes(seed: int) -> MemoryFilm:
    """Return a film with scenes of five similar shots."""
    rng = np.random.default_rng(seed)
    looks = np.repeat(rng.normal(size=(12, 16)), 5, axis=0)
    vectors = (looks + 0.4 * rng.normal(size=looks.shape)).astype(np.float32)
    starts = np.arange(1, 60) % 5 == 0
    return MemoryFilm(f"film-{seed}", {"feature": vectors}, starts)


def test_training_learns_and_repeats():
    films = [scenes(seed) for seed in range(3)]
    settings = dict(kind="similarity", reach=3, hidden=[8], gain=1.0)
    head = train_head(films, settings, steps=60, batch_size=64, lr=0.02, folds=3, seed=1)
    new = scenes(9)
    called = score_film(head, new) > head.threshold
    assert (called == new.starts).mean() > 0.95 and head.threshold != 0.5
    again = train_head(films, settings, steps=60, batch_size=64, lr=0.02, folds=0, seed=1)
    np.testing.assert_array_equal(score_film(again, new), score_film(head, new))
    assert head.config["model"] == {"head": settings} and again.threshold == 0.5
