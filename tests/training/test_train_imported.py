"""Imported models: evaluation, fine-tuning, and the tokenizer in the release."""

import json

import chex
import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from tests.configs import load
from tests.models.pretrained import originals
from vujax import evals, models
from vujax.encoders.texts import open_text_encoder
from vujax.models import release
from vujax.models.inputs import open_preprocessing, open_tokenizer
from vujax.models.pretrained.import_model import import_model
from vujax.models.tokenizers.huggingface import TokenizerFile
from vujax.training import loop
from vujax.utils.mesh import make_mesh

pytestmark = pytest.mark.parity


@pytest.fixture(autouse=True)
def one_device(monkeypatch):
    mesh = make_mesh(jax.devices()[:1])
    monkeypatch.setattr(loop, "make_mesh", lambda: mesh)


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """Import a SigLIP and a CLIP."""
    root = tmp_path_factory.mktemp("imported")
    for name in ("siglip", "clip"):
        getattr(originals, name)(root / "there" / name)
        import_model(root / "there" / name, root / name)
    return root


def config(path, **overrides):
    """Return `configs/distill.py:release=PATH` with a few steps on synthetic frames."""
    given = load("distill", f"release={path}")
    with given.unlocked():
        given.data.sources.main = ConfigDict(dict(kind="cinema", split="train", frames=64))
    given.batch_size = 16
    given.data.workers = 0
    given.total_epochs = -1.0
    with given.unlocked():
        given.total_steps = 2
    given.optimizer.warmup_steps = 0
    given.optimizer.lr = 1e-3
    given.update_from_flattened_dict(overrides)
    return given


LOCKED = (("image/.*", None), (".*", 1.0))
SIGMOID = {"method.loss": "sigmoid", "method.unaligned_end": 0.0}


@pytest.mark.parametrize(("name", "loss"), [("siglip", SIGMOID), ("clip", {})])
def test_a_locked_tower_stays_to_the_bit_and_the_other_learns(imported, tmp_path, name, loss):
    given = config(imported / name, **loss)
    given.optimizer.rules = LOCKED
    loop.train(given, tmp_path)
    new, old = release.load(tmp_path)[1]["params"], release.load(imported / name)[1]["params"]
    chex.assert_trees_all_equal(new["image"], old["image"])
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), new["text"], old["text"])
    assert all(np.isfinite(leaf) for leaf in jax.tree.leaves(moved))
    assert moved["token_embedding"] > 1e-5
    assert new.keys() == old.keys()


def test_fine_tuning_hands_the_tokenizer_on(imported, tmp_path):
    loop.train(config(imported / "siglip"), tmp_path / "first")
    before, _ = release.load(imported / "siglip")
    after, _ = release.load(tmp_path / "first")
    for part in ("model", "preprocess", "tokenizer"):
        assert after[part] == json.loads(json.dumps(before[part]))
    texts = ["a red boat", "A Cat at night", ""]
    expected = open_tokenizer(imported / "siglip")(texts)
    np.testing.assert_array_equal(open_tokenizer(tmp_path / "first")(texts), expected)
    assert expected.max() < 64
    loop.train(config(tmp_path / "first", total_steps=1), tmp_path / "second")
    assert (tmp_path / "second" / "release" / "tokenizer.json").is_file()


def test_training_reads_texts_by_the_models_tokenizer(imported):
    given = config(imported / "siglip")
    from vujax.methods import load_spec

    batches = load_spec(given).open_data(given).train_batches(batch_size=8, seed=0)
    tokens = next(batches)["tokens"]
    batches.close()
    assert tokens.shape == (8, 12)
    assert tokens.max() < 64
    assert (tokens == 1).any(axis=1).all()


def test_the_way_of_a_release(imported):
    siglip = open_preprocessing(imported / "siglip", 12)
    assert siglip.image_options == {"resize": "squash", "interpolation": "bicubic"}
    assert isinstance(siglip.tokenizer, TokenizerFile)
    plain = open_preprocessing("", 9)
    assert (plain.image_options, plain.tokenizer(["a cat"]).shape) == ({}, (1, 9))


def test_an_imported_model_is_evaluated_as_it_sees_and_reads(imported):
    """Against embeddings that are made by hand from whole, odd-shaped pictures."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 20, 33, 3), np.uint8)
    captions = [[f"{a} {b}"] for a in ("red", "blue") for b in ("boat", "cat", "dog")]
    source = Source(images, captions)
    settings, weights = release.load(imported / "siglip")
    model = models.build_clip(**settings["model"])
    options = dict(model=model, mesh=make_mesh(jax.devices()[:1]), parent=imported / "siglip")
    evaluator = evals.build_evaluator("r", dict(kind="retrieval", source=source), **options)
    evaluator(weights)
    found_images, found_texts = evaluator._last

    from PIL import Image

    squashed = [
        Image.fromarray(image).resize((16, 16), Image.Resampling.BICUBIC) for image in images
    ]
    expected, _ = model.apply(weights, np.stack(squashed), method="encode_image")
    np.testing.assert_allclose(found_images, expected, atol=1e-5)
    texts = open_text_encoder(imported / "siglip").encode([own for (own,) in captions])
    np.testing.assert_allclose(found_texts, texts, atol=1e-5)


class Source:
    """Captioned pictures in memory."""

    classes = None

    def __init__(self, images, captions):
        self.images, self.captions = images, captions

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        own = dict(image=self.images[index], captions=self.captions[index])
        return dict(key=f"r{index}", label=None, fields={}, **own)


def test_evaluation_alone_through_the_loop(imported, tmp_path):
    given = config(imported / "siglip", eval_only=True)
    with given.unlocked():
        source = dict(kind="cinema", split="validation", frames=16, image_size=16)
        given.evals = dict(retrieval=dict(kind="retrieval", source=source, batch_size=8))
    loop.train(given, tmp_path)
    found = json.loads((tmp_path / "evaluations" / "retrieval-0.json").read_text())
    assert found["metrics"]["images"] == 16


def test_a_release_that_is_gone_is_a_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="is no model"):
        load("distill", f"release={tmp_path}")
    with pytest.raises(ValueError, match=r"expected one of: .*, release=DIR"):
        load("distill", "nothing")
