"""The evaluation of a caption decoder, and a whole training through the one loop."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from tests.configs import load
from vujax.data.captions import EmbeddingPairs, write_embedding_pairs
from vujax.evals import build_evaluator
from vujax.evals.captioning import build_caption_decoder, decode_captions, training_free_baselines
from vujax.evals.metrics.captions import score_captions
from vujax.models import release
from vujax.models.caption import build_caption_model
from vujax.training import loop

DIM = 12
THINGS = ("boat", "dog", "cat", "tree", "house", "man")
WHERE = ("on the lake", "at night")


def pictures(seed: int, count: int = 96) -> EmbeddingPairs:
    """Make embeddings of which two numbers give object and place; the rest is noise."""
    rng = np.random.default_rng(seed)
    thing, where = rng.integers(0, 6, count), rng.integers(0, 2, count)
    vectors = rng.normal(size=(count, DIM)).astype(np.float32) * 0.1
    vectors[np.arange(count), thing] += 1
    vectors[np.arange(count), 6 + where] += 1
    captions = tuple(
        (f"A {THINGS[t]} {WHERE[w]}.",) for t, w in zip(thing.tolist(), where.tolist(), strict=True)
    )
    return EmbeddingPairs(vectors, captions, tuple(map(str, range(count))))


def sources(path: Path, seed: int) -> dict:
    write_embedding_pairs(pictures(seed), path)
    return dict(main=dict(kind="vectors", path=str(path)))


@pytest.mark.long
def test_a_training_learns_to_say_what_is_seen(tmp_path):
    config = load("caption", "vectors")
    config.model.update(dict(dim=DIM, vocab=1200, context=10, width=32, layers=1, heads=2))
    config.data.sources = sources(tmp_path / "train.parquet", 0)
    config.update(dict(batch_size=32, total_steps=80))
    config.optimizer.update(dict(lr=1e-2, warmup_steps=5))
    held_out = sources(tmp_path / "validation.parquet", 1)
    options = dict(sources=held_out, cache=str(tmp_path), train=config.data.sources.to_dict())
    config.evals.captions = dict(kind="captions", **options)
    loop.train(config, tmp_path / "run")
    found = json.loads((tmp_path / "run" / "evaluations" / "captions-80.json").read_text())
    assert found["metrics"]["CIDEr"] > 5 > 3 * found["baselines"]["commonest"]["CIDEr"]
    assert found["metrics"]["different"] > 6 and found["baselines"]["commonest"]["different"] == 1
    assert found["baselines"]["neighbour"]["CIDEr"] > 5
    kept, variables = release.load(tmp_path / "run")
    model = build_caption_model(**kept["model"])
    mesh = loop.make_mesh(jax.devices()[:1])
    seen = pictures(1)
    said, scores = decode_captions(
        build_caption_decoder(model, 4, 1.0), variables, seen.embeddings, vocab=1200, mesh=mesh
    )
    assert score_captions(said, seen.captions) == pytest.approx(
        {k: v for k, v in found["metrics"].items() if k != "different"}
    )
    assert len(scores) == len(seen) and (scores < 0).all()
    assert all(text == text.lower() and text.endswith(".") for text in said)


@pytest.mark.long
def test_devices_and_batches_change_nothing(tmp_path, mesh1, mesh8):
    model = build_caption_model(dim=DIM, vocab=600, context=6, width=8, layers=1, heads=2)
    params = model.init(jax.random.key(0), np.zeros((1, DIM)), np.zeros((1, 6), int))["params"]
    variables = {"params": jax.tree.map(lambda p: 6 * p, params)}
    options = dict(kind="captions", sources=sources(tmp_path / "v.parquet", 0), cache="none")
    said = []
    for mesh, batch in ((mesh1, 96), (mesh8, 40)):
        evaluator = build_evaluator(
            "captions", options | dict(batch_size=batch), model=model, mesh=mesh
        )
        found = evaluator(variables)
        assert evaluator.hits.shape == (96,) and evaluator.examples(3) == []
        np.testing.assert_allclose(found["CIDEr"], evaluator.hits.mean())
        said.append(evaluator.captions)
    assert said[0] == said[1] and len(set(said[0])) > 1


def test_said_for_nothing(mesh1):
    vectors = np.eye(3, dtype=np.float32)
    train = EmbeddingPairs(5 * vectors, (("x", "b"), ("b",), ("c", "x", "b")), ("0", "1", "2"))
    found = training_free_baselines(vectors[[2, 0]] + 0.1, train, mesh1)
    assert found == {"commonest": ["b", "b"], "neighbour": ["c", "x"]}


def test_unknown_options(mesh1):
    with pytest.raises(ValueError, match=r"evals.mine.sources is missing: Captioning needs it"):
        build_evaluator(
            "mine", dict(kind="captions", cache=""), model=build_caption_model(), mesh=mesh1
        )
    with pytest.raises(ValueError, match=r"unknown option evals\.mine\.beam"):
        build_evaluator(
            "mine", dict(kind="captions", beam=1), model=build_caption_model(), mesh=mesh1
        )
