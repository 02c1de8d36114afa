"""Folds, towers trained inside a command, and pairs judged by towers that have not seen them."""

import dataclasses

import numpy as np
import pytest

from tests.configs import load
from vujax.data.captions import EmbeddingPairs
from vujax.data.feature_pairs import FeaturePairs, concat_feature_pairs, shuffle_captions
from vujax.evals.suspects import evaluate_suspects
from vujax.methods.distill import Distill
from vujax.training import cross_fit
from vujax.training.cross_fit import TowerSettings, assign_folds, train_towers

SETTINGS = TowerSettings(
    hidden=16,
    embed_dim=8,
    method=cross_fit.METHOD | {"dropout": 0.1},  # inputs of a dozen dimensions bear no more
    epochs=12.0,
    batch_size=32,
    lr=1e-2,
)


def topic_pairs(count: int = 160, topics: int = 8, seed: int = 0) -> FeaturePairs:
    """Pairs whose embeddings tell one of `topics`, several images a caption."""
    rng = np.random.default_rng(seed)
    topic = rng.integers(0, topics, count)
    image = 3 * np.eye(12)[topic] + rng.normal(size=(count, 12))
    text = 3 * np.eye(10)[topic] + 0.1 * rng.normal(size=(topics, 10))[topic]
    captions = tuple((f"topic {t}",) for t in topic)
    keys = tuple(f"p{i}" for i in range(count))
    images = EmbeddingPairs(image.astype(np.float32), captions, keys)
    return FeaturePairs(images, text.astype(np.float32))


def test_folds_are_even_and_hold_copies_together():
    pairs = topic_pairs(90)
    fold = assign_folds(pairs, 4)
    assert set(np.bincount(fold)) <= {22, 23}
    order = np.random.default_rng(1).permutation(90)
    np.testing.assert_array_equal(assign_folds(pairs.take(order), 4), fold[order])
    twice = assign_folds(concat_feature_pairs([pairs, pairs]), 4)
    np.testing.assert_array_equal(twice[:90], twice[90:])
    assert len(set(fold[[own == ("topic 0",) for own in pairs.captions]])) > 1  # captions spread


def test_folds_need_pairs():
    for folds in (1, 3):
        with pytest.raises(ValueError, match=f"{folds} folds cannot be made of 4 different images"):
            assign_folds(topic_pairs(4), folds)


@pytest.mark.long
def test_wrong_captions_are_found_by_towers_that_have_not_seen_them():
    pairs = shuffle_captions(topic_pairs(), 0.3)
    done: list[int] = []
    found = cross_fit.cross_fit(pairs, 2, SETTINGS, done.append)
    scores = evaluate_suspects(found.suspicion, pairs.shuffled)
    assert scores["auc"] > 0.8 and done == [1, 2]
    better = [f"topic {int(image.argmax())}" for image in pairs.images.embeddings]
    texts = cross_fit.group_captions(pairs.captions).texts
    named = np.array([texts[best] == want for best, want in zip(found.best, better, strict=True)])
    assert named[pairs.shuffled].mean() > 0.3  # by chance 1 in 7


def test_a_training_is_watched():
    steps, scales = [], []

    def watch(step: int, variables: dict) -> None:
        steps.append(step)
        scales.append(float(variables["params"]["logit_scale"]))

    settings = dataclasses.replace(SETTINGS, epochs=2.0)
    _, variables = train_towers(topic_pairs(), settings, watch=watch, every=4)
    assert steps == [4, 8, 10]
    assert len(set(scales)) == 3 and scales[-1] == float(variables["params"]["logit_scale"])


def test_a_training_follows_its_seed():
    pairs = topic_pairs(64)
    settings = TowerSettings(hidden=8, embed_dim=4, epochs=1.0, batch_size=32)
    first, again, other = (
        train_towers(pairs, settings, seed)[1]["params"]["image"]["in"]["kernel"]
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert abs(first - other).max() > 1e-3


def test_the_defaults_are_those_of_the_config():
    config, settings = load("distill", "features"), TowerSettings()
    method = {key: value for key, value in config.method.items() if key != "name"}
    defaults = {f.name: f.default for f in dataclasses.fields(Distill) if f.name != "model"}
    assert defaults | settings.method == method
    model = config.model
    assert (settings.hidden, settings.embed_dim) == (model.hidden, model.embed_dim)
    assert (settings.epochs, settings.batch_size) == (config.total_epochs, config.batch_size)
    optimizer = config.optimizer
    assert (settings.lr, settings.weight_decay) == (optimizer.lr, optimizer.weight_decay)
    assert optimizer.warmup_steps == 0
