"""Scene tags by a model: the direct computation, single shots, baselines, errors."""

import jax
import numpy as np
import pytest
from flax import linen as nn

from tests.data.boundary_films import numbered
from vujax import evals
from vujax.data import scenes
from vujax.data.registry import SCENES, open_scenes
from vujax.data.scene_batches import SceneRows
from vujax.data.scenes import FilmScenes, SingleShotScenes, find_scene_runs
from vujax.evals.features import extract_scenes
from vujax.evals.folds import hold_out_groups
from vujax.evals.metrics.multilabel import score_tags
from vujax.evals.multilabel_probe import TaggedFeatures, fit_tag_probe
from vujax.models.scene_encoder import build_scene_encoder, compute_segment_means

INPUTS = {"feature": (4,)}
ROWS = dict(width=16, most=4)
GRID = (1e-2,)


class Small(nn.Module):
    """Of ContrastModel's signature: the mean of a scene's shots, and something to compare."""

    @nn.compact
    def __call__(self, rows):
        means = compute_segment_means(rows["feature"], rows["segment"], rows["scene"].shape[1])
        vectors = nn.Dense(6)(means)
        return vectors, vectors[..., :2]


class Contrast(nn.Module):
    """A real encoder of scenes under that signature."""

    encoder: nn.Module

    def __call__(self, rows):
        vectors, _ = self.encoder(rows)
        return vectors, vectors


class Seen(nn.Module):
    """Of pictures: the mean colour of a scene."""

    @nn.compact
    def __call__(self, rows):
        colours = rows["image"].mean(axis=(2, 3, 4)) / 255
        means = compute_segment_means(colours, rows["segment"], rows["scene"].shape[1])
        return nn.Dense(4)(means), means


class Pictured(FilmScenes):
    """Scenes that are red by day, blue by night."""

    def inputs(self, scene, shots=None):
        found = super().inputs(scene, shots)
        image = np.zeros((len(found["time"]), 2, 4, 4, 3), np.uint8)
        image[..., 0 if "day" in self.labels["time"][scene] else 2] = 200
        return {"image": image, "time": found["time"]}


class Coloured(FilmScenes):
    """Scenes whose features show their tags, with noise."""

    def inputs(self, scene, shots=None):
        found = super().inputs(scene, shots)
        of_scene = self.labels["event"][scene]
        rng = np.random.default_rng([scene, self.first])
        tags = np.array([tag in of_scene for tag in ("duel", "feast", "storm", "trial")])
        every = tags + rng.normal(size=(int(self.lengths[scene]), 4)) * 0.6
        chosen = every if shots is None else every[shots]
        return {"feature": chosen.astype(np.float32), "time": found["time"]}

    @property
    def first(self):
        return int(self.movies[0].rpartition("film")[2].strip("-") or 0)


def made(first=0, films=6):
    """Six films of ten scenes; events are seen, places are not, every third scene has none."""
    rng = np.random.default_rng(first)
    borders = [sorted(rng.choice(np.arange(1, 30), 9, replace=False).tolist()) for _ in range(6)]
    opened = tuple(numbered(first + n, 30, borders[n]) for n in range(films))
    found = find_scene_runs(opened)
    tags = np.array(["duel", "feast", "storm", "trial"])
    events = [frozenset(tags[rng.random(4) < 0.4].tolist()) for _ in found]
    places = [
        frozenset() if n % 3 == 0 else frozenset(rng.choice(["cave", "sea"], 1).tolist())
        for n in range(len(found))
    ]
    labels = {"event": events, "place": places}
    names = tuple(scenes.number_scenes(found[:, 0]))
    return Coloured(opened, found, names, labels)


def pictured(first=0):
    """Four films of five scenes of two shots."""
    opened = tuple(numbered(first + n, 10, [2, 4, 6, 8]) for n in range(4))
    times = [frozenset({"night" if n % 3 else "day"}) for n in range(20)]
    return Pictured(opened, find_scene_runs(opened), None, {"time": times})


@pytest.fixture
def sets(monkeypatch):
    monkeypatch.setitem(SCENES._builtin, "made", f"{__name__}:made")
    return dict(train=dict(kind="made", first=0), validation=dict(kind="made", first=10))


def options(sets, **more):
    common = dict(kind="scene_tags", inputs=INPUTS, rows=ROWS, grid=GRID)
    return common | sets | dict(labels=("event", "place")) | more


def variables_of(model, opened):
    rows = SceneRows(opened, INPUTS, **ROWS)
    batches = rows.eval_batches(batch_size=1)
    try:
        return jax.jit(model.init)(jax.random.key(0), next(batches))
    finally:
        batches.close()


def direct(model, variables, opened):
    """Embed each scene in a row of its own."""
    found = []
    apply = jax.jit(lambda rows: model.apply(variables, rows)[0])
    for scene in range(len(opened.keys)):
        rows = SceneRows(opened, INPUTS, width=32, most=1).load(np.array([[scene]]), 32)
        found.append(np.asarray(apply(rows))[0, 0])
    return np.stack(found)


MODELS = {
    "means": Small(),
    "transformer": Contrast(build_scene_encoder(width=8, layers=1, heads=2, dim=6, max_shots=32)),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("plan", [ROWS, dict(buckets=(3, 8, 32))])
def test_vectors_are_in_the_scenes_order(name, plan, mesh1, mesh8):
    model, opened = MODELS[name], made()
    variables = variables_of(model, scenes.select_scenes(opened, max_shots=16))
    plan = dict(plan) if "buckets" in plan else dict(width=32, most=5)
    rows, want = SceneRows(opened, INPUTS, **plan), direct(model, variables, opened)

    def encode(variables, batch):
        return model.apply(variables, batch)[0]

    for mesh, size in ((mesh1, 3), (mesh8, 100)):
        found = extract_scenes(encode, variables, rows, batch_size=size, mesh=mesh)
        np.testing.assert_allclose(found, want, atol=2e-5)


def test_scores_are_those_of_a_probe_on_the_direct_vectors(sets, mesh1):
    model = MODELS["means"]
    train, validation = (open_scenes(**s, max_shots=16) for s in sets.values())
    sets = {name: s | dict(max_shots=16) for name, s in sets.items()}
    variables = variables_of(model, train)
    tags = ["duel", "feast", "storm", "trial"]
    truth, test = (
        np.array([[tag in found for tag in tags] for found in s.labels["event"]])
        for s in (train, validation)
    )
    known, scored = (np.repeat(t.any(1)[:, None], 4, 1) for t in (truth, test))
    out = hold_out_groups(np.array(train.movies)[train.movie], truth, known)
    data = TaggedFeatures(direct(model, variables, train), truth, known)
    probe = fit_tag_probe(data.take(~out), data.take(out), mesh=mesh1, grid=GRID).probe
    scores = probe.scores(direct(model, variables, validation))
    want = score_tags(scores, test, known=scored, thresholds=probe.thresholds).summary()
    evaluator = evals.build_evaluator(
        "tags", options(sets, labels=("event",)), model=model, mesh=mesh1
    )
    found = evaluator(variables)
    for key, value in want.items():
        assert found[f"event/{key}"] == pytest.approx(value, abs=2e-3), key
    assert found["event/examples"] == scored.any(1).sum() < len(test)
    assert found["event/left_out"] == 0
    judged = evaluator.judged["event"]
    np.testing.assert_array_equal(judged.truth, test)
    np.testing.assert_allclose(judged.scores, scores, atol=2e-3)
    assert len(evaluator.hits["event"]) == scored.any(1).sum()


@pytest.mark.long
def test_the_model_is_set_beside_what_is_untrained(sets, mesh1):
    """Compare the model with baselines: features show events, nothing shows places."""
    model = MODELS["means"]
    variables = variables_of(model, open_scenes(**sets["train"], max_shots=16))
    sets = {name: s | dict(max_shots=16) for name, s in sets.items()}
    evaluator = evals.build_evaluator(
        "tags", options(sets, single_shots=True), model=model, mesh=mesh1
    )
    found = evaluator(variables)
    rows = evaluator.baselines
    assert evaluator.headline == "event/map"
    assert list(rows) == ["chance", "prior", "features"]
    assert found["event/map"] > rows["chance"]["event/map"] + 0.3
    assert rows["features"]["event/map"] > rows["chance"]["event/map"] + 0.3
    assert found["place/map"] < rows["chance"]["place/map"] + 0.25
    # A shot alone shows less than its scene's mean.
    assert rows["chance"]["event/map"] < found["shots/event/map"] < found["event/map"]
    shots = SingleShotScenes(evaluator.scenes["validation"])
    assert evaluator.judged["shots/event"].truth.shape == (len(shots.keys), 4)
    assert set(found) == {
        f"{level}{kind}/{key}"
        for level in ("", "shots/")
        for kind in ("event", "place")
        for key in ("map", "micro_map", "f1", "micro_f1", "tags", "examples", "left_out")
    }
    assert evaluator.examples(3) == []


@pytest.mark.long
def test_pictures_are_set_beside_their_histograms(monkeypatch, mesh1):
    monkeypatch.setitem(SCENES._builtin, "pictured", f"{__name__}:pictured")
    parts = dict(train=dict(kind="pictured"), validation=dict(kind="pictured", first=10))
    inputs = {"image": (2, 4, 4, 3)}
    more = dict(labels=("time",), inputs=inputs)
    evaluator = evals.build_evaluator("tags", options(parts, **more), model=Seen(), mesh=mesh1)
    rows = SceneRows(pictured(), inputs, **ROWS).load(np.array([[0, 1]]), 16)
    found = evaluator(jax.jit(Seen().init)(jax.random.key(0), rows))
    assert list(evaluator.baselines) == ["chance", "prior", "histogram"]
    assert found["time/map"] == evaluator.baselines["histogram"]["time/map"] == 1
    assert evaluator.baselines["chance"]["time/map"] == pytest.approx(0.5)


def test_a_movie_on_both_sides_is_refused(sets, mesh1):
    both = dict(train=sets["train"], validation=dict(kind="made", first=3))
    evaluator = evals.build_evaluator("tags", options(both), model=MODELS["means"], mesh=mesh1)
    with pytest.raises(ValueError, match="3 of 6 movies were trained on, such as"):
        evaluator({})


def test_mistakes(sets, mesh1):
    def make(**more):
        return evals.build_evaluator(
            "tags", options(sets, **more), model=MODELS["means"], mesh=mesh1
        )

    with pytest.raises(ValueError, match="to train have no label 'genre': event, place"):
        make(labels=("genre",))({})
    with pytest.raises(ValueError, match="labels is empty; give a kind of label"):
        make(labels=())
    with pytest.raises(ValueError, match=r"unknown option evals\.tags\.label; .* of: train"):
        make(label=("event",))
    few = dict(kind="made", first=0, films=1)
    opened = make(train=few)
    variables = variables_of(MODELS["means"], open_scenes(**few, max_shots=16))
    with pytest.raises(ValueError, match="all examples are of one group"):
        opened(variables)
