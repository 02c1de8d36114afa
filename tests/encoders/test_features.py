"""Towers on frozen encoders: from pairs to a release that encodes images and texts."""

import io
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from PIL import Image

import vujax
from tests.configs import load
from tests.encoders import releases
from vujax.data.feature_pairs import read_feature_pairs, write_feature_pairs
from vujax.encoders import check_encoder, open_encoder, texts
from vujax.encoders.feature_pairs import open_feature_pairs
from vujax.encoders.texts import FrozenTexts, choose_text_encoder, open_text_encoder
from vujax.models import release
from vujax.models.feature_towers import build_feature_towers
from vujax.models.tokenizers.clip import VOCAB
from vujax.training import loop
from vujax.utils.mesh import make_mesh

CLIP = releases.IMAGE_TEXT | {"text": releases.IMAGE_TEXT["text"] | {"vocab": VOCAB}}
COLORS = ("red", "green", "blue", "black", "white", "yellow")


def image_of(color: str, shade: int) -> bytes:
    image = Image.new("RGB", (releases.SIZE, releases.SIZE), color)
    image.putpixel((0, 0), (shade, 0, 0))
    buffer = io.BytesIO()
    image.save(buffer, "png")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A folder with the frozen model `clip`, a table of pairs, and the towers of a training."""
    root = tmp_path_factory.mktemp("features")
    releases.image_text(root / "clip", settings=CLIP)
    lines = ["image,caption"]
    for i in range(48):
        color = COLORS[i % len(COLORS)]
        (root / f"{i}.png").write_bytes(image_of(color, i))
        lines.append(f"{i}.png,something {color}")
    (root / "pairs.csv").write_text("\n".join(lines))
    loop_mesh, loop.make_mesh = loop.make_mesh, lambda: make_mesh(jax.devices()[:1])
    try:
        loop.train(config_of(root), root / "run")
    finally:
        loop.make_mesh = loop_mesh
    return root


def config_of(root: Path, **overrides):
    config = load("distill", "features")
    config.model.update(dict(encoder=str(root / "clip"), image_dim=8, text_dim=8, hidden=16))
    config.model.embed_dim = 4
    config.data.sources.main.update(dict(kind="table", path=str(root / "pairs.csv")))
    config.data.cache = str(root / "cache")
    config.data.hold_out.modulo = 4
    config.update(dict(batch_size=8, total_epochs=1.0))
    config.update_from_flattened_dict(overrides)
    return config


@pytest.mark.long
def test_a_release_records_the_frozen_encoders(root):
    found = release.read_config(root / "run" / "release")
    digest = open_encoder(str(root / "clip")).digest
    frozen = dict(encoder=str((root / "clip").resolve()), digest=digest)
    assert found["frozen"] == {"image": frozen, "text": frozen} and found["encoder"] == "features"
    scores = json.loads(next((root / "run" / "evaluations").glob("*.json")).read_text())
    assert 0 < scores["metrics"]["mean_recall"] <= 1 and scores["metrics"]["images"] < 24
    assert set(scores["baselines"]) == {"chance", "ceiling"}


def test_the_embeddings_are_those_of_the_towers(root):
    config, variables = release.load(root / "run")
    model = build_feature_towers(**config["model"])
    encoder, frozen = (open_encoder(str(root / name), "frame") for name in ("run", "clip"))
    images = np.stack([encoder.preprocess(image_of(color, 0)) for color in COLORS[:3]])
    expected, _ = model.apply(variables, np.asarray(frozen.encode(images)), method="encode_image")
    np.testing.assert_allclose(encoder.encode(images), expected, atol=1e-5)
    assert (encoder.name, encoder.dim, encoder.image_spec.size) == ("run", 4, releases.SIZE)
    captions = ["something red", "a boat"]
    rows = open_text_encoder(root / "clip").encode(captions)
    expected, _ = model.apply(variables, rows, method="encode_text")
    opened = open_text_encoder(root / "run")
    np.testing.assert_allclose(opened.encode(captions), expected, atol=1e-5)
    assert (opened.digest, opened.dim) == (encoder.digest, encoder.dim)
    assert opened.encode([]).shape == (0, 4)
    loaded = vujax.load_model(root / "run")
    np.testing.assert_allclose(loaded.encode_text(captions), expected, atol=1e-5)
    assert loaded.encode_image([root / "0.png"]).shape == (1, 4)


def test_features_are_computed_once(root, monkeypatch):
    sources = dict(main=dict(kind="table", path=str(root / "pairs.csv")))
    clip, cache = str(root / "clip"), str(root / "cache")
    pairs = open_feature_pairs(sources, clip, cache=cache)
    assert len(pairs) == 48 and len(np.unique(pairs.texts, axis=0)) == len(COLORS)
    monkeypatch.setattr("vujax.encoders.image_text.ImageTextEncoder.encode", None)
    monkeypatch.setattr("vujax.encoders.image_text.TextEncoder.encode", None)
    again = open_feature_pairs(sources, clip, cache=cache)
    np.testing.assert_array_equal(again.images.embeddings, pairs.images.embeddings)
    np.testing.assert_array_equal(again.texts, pairs.texts)
    path = write_feature_pairs(pairs, root / "written.parquet")
    read = open_feature_pairs(dict(main=dict(kind="features", path=str(path))), clip)
    assert read.captions == pairs.captions and read.images.digest == pairs.images.digest


def test_features_of_another_encoder(root, tmp_path):
    path = write_feature_pairs(
        open_feature_pairs(
            dict(main=dict(kind="table", path=str(root / "pairs.csv"))),
            str(root / "clip"),
            cache=str(root / "cache"),
        ),
        tmp_path / "f.parquet",
    )
    sources = dict(main=dict(kind="features", path=str(path)))
    with pytest.raises(ValueError, match="has features of the encoder 'clip', not 'lite': set mod"):
        open_feature_pairs(sources, "lite")
    with pytest.raises(ValueError, match="features of the text_encoder 'clip', not 'minilm'"):
        open_feature_pairs(sources, str(root / "clip"), "minilm")
    with pytest.raises(ValueError, match="source main has no option size"):
        open_feature_pairs(dict(main=dict(kind="features", size=1)), "lite")
    with pytest.raises(ValueError, match="source main needs a path"):
        open_feature_pairs(dict(main=dict(kind="features", path="")), "lite")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"model.image_dim": 9}, "8 dimensions, not model.image_dim=9: set model.image_dim to 8"),
        ({"model.text_dim": 384}, "not model.text_dim=384: set model.text_dim to 8"),
        ({"batch_size": 1}, "batch_size 1 does not fit 3. training pairs: .* so use 2 to 3"),
        ({"batch_size": 64}, "batch_size 64 does not fit 3. training pairs"),
    ],
)
def test_settings_that_do_not_fit(root, overrides, message):
    with pytest.raises(ValueError, match=message):
        loop.open_run(config_of(root, **overrides), root / "none")


def copy_run(root: Path, folder: Path, **frozen) -> Path:
    shutil.copytree(root / "run" / "release", folder / "mine")
    config, variables = release.load_host(folder / "mine")
    for side in config["frozen"].values():
        side.update(frozen)
    release.save(folder / "edited", config, variables)
    return folder / "edited" / "release"


def test_a_release_of_unknown_features_says_so(root, tmp_path):
    copy = copy_run(root, tmp_path, encoder="")
    for opening in (check_encoder, open_encoder, open_text_encoder):
        with pytest.raises(ValueError, match="embeddings of an unknown encoder, so it takes such"):
            opening(str(copy))


def test_a_frozen_encoder_that_changed(root, tmp_path):
    copy = copy_run(root, tmp_path, digest="ab" * 32)
    for opening in (open_encoder, open_text_encoder):
        with pytest.raises(ValueError, match=r"with the digest abababab, which is now .* restore"):
            opening(str(copy))


def test_a_frozen_encoder_that_is_gone(root, tmp_path):
    copy = copy_run(root, tmp_path, encoder="/nowhere/clip")
    with pytest.raises(ValueError, match="unknown encoder '/nowhere/clip'; expected lite"):
        check_encoder(str(copy))
    with pytest.raises(ValueError, match="unknown text encoder '/nowhere/clip'"):
        open_text_encoder(copy)


def test_the_text_encoder_that_goes_with_an_encoder(root, tmp_path, monkeypatch):
    assert choose_text_encoder("lite") == "minilm"
    assert choose_text_encoder(str(root / "clip")) == str(root / "clip")
    releases.shotcol(tmp_path / "shots")
    assert choose_text_encoder(str(tmp_path / "shots")) == "minilm"


def test_captions_of_arrays_without_an_encoder(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "f.npz",
        image=rng.normal(size=(40, 6)),
        text=rng.normal(size=(40, 5)),
        captions=np.array([f"thing {i}" for i in range(40)]),
    )
    config = load("distill", "features")
    config.model.update(dict(image_dim=6, text_dim=5, hidden=8, embed_dim=4))
    config.data.sources.main.update(dict(kind="features", path=str(tmp_path / "f.npz")))
    config.batch_size = 16
    run = loop.open_run(config, tmp_path / "run")
    found = loop.build_release_config(config, 1, run.data)
    assert found["frozen"]["image"] == found["frozen"]["text"] == dict(encoder="", digest="")
    assert read_feature_pairs(tmp_path / "f.npz").images.keys[3] == "3"


def test_sentences_are_named(monkeypatch):
    stub = SimpleNamespace(digest="ab", __call__=None)
    monkeypatch.setattr("vujax.encoders.sentences.SentenceEncoder", lambda: stub)
    assert texts.open_frozen_texts("minilm") == FrozenTexts("minilm", "ab", stub)
