"""Fine-tuning learns more than frozen embeddings hold, and stops by its own fold."""

import jax
import numpy as np
import pytest

from tests.data.boundary_films import MemoryFilm
from vujax.data.scene_batches import SceneRows
from vujax.data.scenes import FilmScenes, find_scene_runs
from vujax.evals.finetune import KINDS, Targets, finetune
from vujax.evals.logistic import Standardizer, fit_softmax
from vujax.models.scene_encoder import build_scene_encoder

INPUTS = {"feature": (6,)}
ROWS = dict(width=12, most=4)
FILMS = 30
TUNED = dict(steps=80, every=20, lr=3e-3, head_lr=1e-2, batch_size=8, weight_decay=0.01)


def toy(seed: int = 0):
    """Make films of two scenes; a label is the product of two signs: not linear."""
    rng = np.random.default_rng(seed)
    films, labels = [], []
    for film in range(FILMS):
        signs = rng.choice([-1, 1], (2, 2))
        feature = rng.normal(size=(8, 6)).astype(np.float32)
        feature[:, :2] = 2 * np.repeat(signs, 4, axis=0) + 0.3 * rng.normal(size=(8, 2))
        films.append(MemoryFilm(f"f{film:02d}", {"feature": feature}, np.arange(1, 8) == 4))
        labels += (signs.prod(1) > 0).astype(int).tolist()
    films = tuple(films)
    return FilmScenes(films, find_scene_runs(films)), np.array(labels)


@pytest.fixture(scope="module")
def case():
    scenes, labels = toy()
    model = build_scene_encoder(variant="tiny", width=16, layers=1, heads=2, dim=8, max_shots=6)
    rows = SceneRows(scenes, INPUTS, **ROWS)
    batch = next(iter(rows.eval_batches(batch_size=8)))
    inputs = {name: value for name, value in batch.items() if name != "index"}
    variables = jax.jit(model.init)(jax.random.key(1), inputs)
    train, evaluated = np.arange(40), np.arange(40, 60)
    return model, variables, scenes, labels, train, evaluated, rows


def run(case, targets: Targets, **options):
    model, variables, scenes, _, train, evaluated, _ = case
    options = dict(train=train, evaluated=evaluated) | TUNED | ROWS | options
    return finetune(model, variables, scenes, INPUTS, targets, **options)


def frozen(case) -> np.ndarray:
    model, variables, scenes, _, _, _, rows = case
    found = np.zeros((len(scenes.keys), 8), np.float32)
    encode = jax.jit(lambda batch: model.apply(variables, batch)[0])
    for batch in rows.eval_batches(batch_size=8):
        there = batch["scene"] >= 0
        found[batch["scene"][there]] = np.asarray(encode(batch))[there]
    return found


@pytest.fixture(scope="module")
def tuned(case):
    return run(case, Targets("class", case[3]))


@pytest.mark.long
def test_it_beats_the_frozen_probe(case, tuned, mesh1) -> None:
    labels, train, evaluated = case[3:6]
    x = frozen(case)
    x = Standardizer.fit(x[train])(x)
    probes = [
        fit_softmax(x[train], labels[train], classes=2, l2=l2, mesh=mesh1) for l2 in (1e-3, 0.1)
    ]
    best = max(probe.accuracy(x[evaluated], labels[evaluated]) for probe in probes)
    accuracy = (tuned.predictions.argmax(1) == labels[evaluated]).mean()
    assert accuracy >= 0.9 and accuracy > best + 0.1
    np.testing.assert_allclose(tuned.predictions.sum(1), 1, atol=1e-5)
    assert tuned.step == min(tuned.losses, key=tuned.losses.get) > 0
    assert tuned.losses[0] == pytest.approx(np.log(2), abs=1e-5)  # the head begins at zero


@pytest.mark.long
def test_evaluated_scenes_change_nothing(case, tuned) -> None:
    labels = case[3].copy()
    labels[case[5]] = 1 - labels[case[5]]
    other = run(case, Targets("class", labels), evaluated=case[5][:7])
    np.testing.assert_allclose(other.predictions, tuned.predictions[:7], atol=1e-6)
    assert other.losses == tuned.losses


@pytest.mark.long
def test_devices_do_not_matter(case, mesh8) -> None:
    targets, short = Targets("class", case[3]), dict(steps=3, every=1, warmup_steps=0)
    one, eight = run(case, targets, **short), run(case, targets, mesh=mesh8, **short)
    np.testing.assert_allclose(list(one.losses.values()), list(eight.losses.values()), atol=1e-4)


@pytest.mark.long
def test_tags_and_numbers(case) -> None:
    labels, evaluated = case[3], case[5]
    tags = np.stack([labels == 1, labels == 0, np.zeros_like(labels, bool)], axis=1)
    found = run(case, Targets("tags", tags)).predictions
    assert found.shape == (20, 3) and found[:, 2].max() < 0.5
    assert ((found[:, 0] > found[:, 1]) == labels[evaluated]).mean() >= 0.9
    numbers = 100 + 30.0 * labels
    found = run(case, Targets("number", numbers)).predictions
    assert found.shape == (20, 1)
    error = ((found[:, 0] - numbers[evaluated]) ** 2).mean()
    assert error < 0.4 * numbers[evaluated].var()


@pytest.mark.long
def test_the_part_that_stops_shares_no_movie_and_noise_is_not_learned(case) -> None:
    noise = np.random.default_rng(3).integers(0, 2, 60)
    found = run(case, Targets("class", noise), folds=2)
    assert found.losses[found.step] <= found.losses[0] < max(found.losses.values())


def test_wrong_arguments(case) -> None:
    labels = case[3]
    with pytest.raises(ValueError, match="scene f19/c001 is both trained on and evaluated"):
        run(case, Targets("class", labels), evaluated=np.array([39, 50]))
    with pytest.raises(ValueError, match="5 folds cannot be made of 2 movies"):
        run(case, Targets("class", labels), train=np.arange(4))
    with pytest.raises(ValueError, match=f"expected one of: {', '.join(KINDS)}"):
        Targets("words", labels)
    with pytest.raises(ValueError, match=r"'tags' have shape \(60,\)"):
        Targets("tags", labels)
