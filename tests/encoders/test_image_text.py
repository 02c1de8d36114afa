"""Text encoder of a release: unit length, equal to the model's own, for any batching."""

import jax
import numpy as np
import pytest

from tests.models.small import TEXT, VIT, batch, variables
from vujax import models
from vujax.encoders import image_text, open_encoder
from vujax.encoders.texts import open_text_encoder
from vujax.models import release
from vujax.models.tokenizers.clip import VOCAB, tokenize

MODEL = dict(image=VIT, text=TEXT | dict(vocab=VOCAB), embed_dim=24)
WORDS = [f"a photo of {i} boats" for i in range(70)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs") / "my model.v1"
    weights = jax.tree.map(np.asarray, variables(models.build_clip(**MODEL), *batch(1)))
    release.save(root, {"model": MODEL, "method": {"name": "distill"}}, weights)
    return root


def test_vectors_are_the_models(folder, monkeypatch):
    monkeypatch.setattr(image_text, "BATCH", 16)
    encoder = open_text_encoder(folder)
    found = encoder.encode(WORDS)
    config, weights = release.load(folder)
    model = models.build_clip(**config["model"])
    tokens = tokenize(WORDS, TEXT["context"])
    expected, _ = jax.jit(lambda t: model.apply(weights, t, method="encode_text"))(tokens)
    assert found.dtype == np.float32 and found.shape == (70, encoder.dim) == (70, 24)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(encoder.encode(WORDS[3:4]), found[3:4], atol=1e-6)
    assert encoder.encode([]).shape == (0, 24)


def test_name_and_digest(folder, tmp_path):
    encoder = open_text_encoder(str(folder / "release"))
    assert encoder.name == "my-model-v1"
    assert encoder.digest == open_text_encoder(folder).digest
    config, weights = release.load(folder)
    assert encoder.digest == open_encoder(str(folder), "frame").digest
    same = image_text.compute_release_digest(config | {"step": 3}, weights)
    other = image_text.compute_release_digest(
        config | {"preprocess": {"resize": "squash"}}, weights
    )
    assert encoder.digest == same != other
    weights["params"]["logit_scale"] = weights["params"]["logit_scale"] + 1
    assert image_text.compute_release_digest(config, weights) != same


def test_what_cannot_be_encoded(folder, tmp_path):
    encoder = open_text_encoder(folder)
    with pytest.raises(TypeError, match="sequence of strings"):
        encoder.encode("a boat")
    with pytest.raises(TypeError, match="text 1 is int"):
        encoder.encode(["a boat", 7])
    with pytest.raises(FileNotFoundError, match="is no model"):
        open_text_encoder(tmp_path)
    release.save(tmp_path, {"model": {"image": {}}, "method": {"name": "shotcol"}}, {"params": {}})
    with pytest.raises(ValueError, match="is not an image-text model"):
        open_text_encoder(tmp_path)
