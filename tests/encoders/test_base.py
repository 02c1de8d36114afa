"""Encoders by name and by folder: embeddings, names, refusals."""

import functools
import json
import pickle
from pathlib import Path

import jax
import numpy as np
import pytest

from tests.encoders import releases, stub
from vujax import encoders
from vujax.catalog import Catalog
from vujax.catalog.embeddings import NAME
from vujax.encoders import base, make_opener, open_encoder, resolve_name, shots
from vujax.encoders.base import get_levels, locate_model, split_output
from vujax.models import release
from vujax.models.image_spec import ImageSpec
from vujax.models.pretrained import import_model
from vujax.pipeline.extractors import resolve_model

PICTURES = np.random.default_rng(0).integers(0, 256, (3, releases.SIZE, releases.SIZE, 3), np.uint8)


def config_of(folder: Path) -> dict:
    return json.loads((folder / "release" / "config.json").read_text())


def write_config(folder: Path, config: object) -> None:
    release.save(folder, config, release.load_host(folder)[1])


def test_an_image_text_model_by_workdir_and_release(tmp_path: Path) -> None:
    model, variables = releases.image_text(tmp_path / "mine")
    encode = functools.partial(model.apply, method="encode_image")
    plain, _ = jax.jit(encode)(variables, PICTURES)
    for path in (tmp_path / "mine", tmp_path / "mine" / "release"):
        encoder = open_encoder(str(path), "frame")
        assert (encoder.name, encoder.image_spec.size, encoder.dim) == ("mine", releases.SIZE, 8)
        np.testing.assert_allclose(encoder.encode(PICTURES), plain, atol=1e-5)
    assert get_levels(encoder) == ("frame", "shot", "scene")


def test_shots_are_seen_as_the_model_sees_them(tmp_path: Path) -> None:
    model, variables = releases.shotcol(tmp_path / "shots")
    encoder = open_encoder(str(tmp_path / "shots"))
    shot = np.stack([PICTURES, PICTURES[::-1]])  # [2 k h w 3]
    plain, compared = jax.jit(model.apply)(variables, {"image": shot})
    empty = dict(segment=np.ones((2, 1), np.int32), place=np.zeros((2, 1), np.int32))
    empty |= dict(time=np.zeros((2, 1), np.float32), scene=np.zeros((2, 1), np.int32))
    found = np.asarray(encoder.encode({"image": shot[:, None]} | empty))
    np.testing.assert_allclose(found[:, 0], plain, rtol=1e-4, atol=1e-5)
    assert found.shape[-1] == encoder.dim != compared.shape[-1]  # not what is only for training
    assert get_levels(encoder) == ("shot", "scene") and encoder.max_shots == 1


def test_names_are_a_catalogues(tmp_path: Path) -> None:
    for folder, name in (
        ("a b (1)", "a-b-1-"),
        ("_x", "x"),
        ("é", "encoder"),
        ("x" * 60, "x" * 48),
    ):
        (tmp_path / folder / "release").mkdir(parents=True)
        assert base.derive_name(tmp_path / folder) == name
        assert base.derive_name(tmp_path / folder / "release") == name
        assert NAME.fullmatch(name)


def test_a_catalog_keeps_embeddings_under_a_name_and_a_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()  # no model
    for name in ("lite", "other", "mine", "mine-1a2b3c4d"):
        assert resolve_name(tmp_path, name) == name
    releases.image_text(tmp_path / "mine")
    name = f"mine-{open_encoder('mine').digest[:8]}"
    assert resolve_name(tmp_path, "mine") == resolve_name(tmp_path, "mine/release") == name
    assert resolve_name(tmp_path, "mine", "0" * 64) == "mine-00000000"
    with pytest.raises(ValueError, match=r"unknown encoder '\./gone'; expected lite or"):
        resolve_name(tmp_path, "./gone")
    with pytest.raises(FileNotFoundError, match="other is no model"):
        resolve_name(tmp_path, "./other")


def test_the_hash_of_a_model_on_embeddings_has_theirs(tmp_path: Path) -> None:
    releases.scene_model(tmp_path / "s", feature=6)
    with pytest.raises(FileNotFoundError, match="no shot embeddings of stub"):
        resolve_name(tmp_path, str(tmp_path / "s"))
    root = stub.catalogue(tmp_path, films=1)
    stub.run(root, workers=1)
    found = resolve_model(open_encoder(str(tmp_path / "s")), Catalog(root)).folder
    assert resolve_name(root, str(tmp_path / "s")) == found


def test_a_digest_is_of_weights_sizes_and_pictures(tmp_path: Path) -> None:
    digests = []
    for number, (seed, more) in enumerate(
        [
            (0, {}),
            (0, dict(step=7, imported="x")),  # changes no vector
            (1, {}),
            (0, dict(preprocess=dict(resize="squash", size=32, interpolation="bilinear"))),
        ]
    ):
        releases.image_text(tmp_path / f"m{number}", seed, **more)
        digests.append(open_encoder(str(tmp_path / f"m{number}")).digest)
        assert digests[-1] == base.compute_release_digest(*release.load(tmp_path / f"m{number}"))
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_an_opener_goes_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    releases.image_text(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    make = pickle.loads(pickle.dumps(make_opener("mine")))
    monkeypatch.chdir("/")
    assert make().name == "mine"


def test_what_is_no_encoder(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match="unknown encoder 'no-such'; expected lite or the directory"
    ):
        make_opener("no-such")
    with pytest.raises(FileNotFoundError, match="is no model"):
        make_opener(str(tmp_path))
    releases.image_text(tmp_path / "m")
    whole = config_of(tmp_path / "m")
    for config, why in (
        (whole | dict(method=dict(name="boundary")), "is of the method 'boundary', and embeddings"),
        ({"model": {}}, "names no method"),
        ([], "names no method"),
    ):
        write_config(tmp_path / "m", config)
        with pytest.raises(ValueError, match=why):
            make_opener(str(tmp_path / "m"))
    write_config(tmp_path / "m", dict(method=dict(name="distill")))
    with pytest.raises(ValueError, match="is no model that this vujax knows"):
        open_encoder(str(tmp_path / "m"))
    (tmp_path / "m" / "release" / "config.json").write_text("{")
    with pytest.raises(ValueError, match="is damaged"):
        make_opener(str(tmp_path / "m"))


@pytest.mark.parametrize(
    ("inputs", "vectors", "why"),
    [
        (None, None, "does not declare its inputs per shot in its config.json"),
        (dict(audio=[50, 32]), None, "takes audio of shots, and a catalog has only image and"),
        (dict(feature=[3, 8]), "lite", "features of single keyframes"),
        (
            dict(feature=[8]),
            None,
            r"encoder of its input embeddings in .*json \(vectors\)",
        ),
    ],
)
def test_what_a_model_of_shots_must_say(
    tmp_path: Path, inputs: dict | None, vectors: str | None, why: str
) -> None:
    releases.shotcol(tmp_path / "s", inputs=inputs, vectors=vectors)
    with pytest.raises(ValueError, match=why):
        open_encoder(str(tmp_path / "s"))


def test_a_level_that_cannot_be(tmp_path: Path) -> None:
    releases.scene_model(tmp_path / "s")
    with pytest.raises(ValueError, match="no embeddings of level 'frame'; use shot or scene"):
        open_encoder(str(tmp_path / "s"), "frame")
    with pytest.raises(ValueError, match="unknown level 'reel'"):
        open_encoder(str(tmp_path / "s"), "reel")
    encoder = open_encoder(str(tmp_path / "s"), "scene")
    assert shots.run_trial(encoder, 8).shape == (2, releases.MOST, 12)
    assert encoders.check_encoder(str(tmp_path / "s")) is None


def test_pictures_become_what_the_model_learned_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = dict(resize="squash", interpolation="bilinear")
    releases.image_text(tmp_path / "imported", preprocess=how | dict(size=releases.SIZE))
    releases.image_text(tmp_path / "ours")
    seen = []
    monkeypatch.setattr(base, "preprocess_eval_image", lambda file, spec: seen.append((file, spec)))
    for name in ("imported", "ours"):
        open_encoder(str(tmp_path / name)).preprocess(b"file")
    assert seen == [
        (b"file", ImageSpec.square(releases.SIZE, **how)),
        (b"file", ImageSpec.square(releases.SIZE)),
    ]


def test_a_name_on_the_hub_is_imported_and_a_missing_folder_is_not(tmp_path, monkeypatch):
    asked = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(import_model, "import_once", lambda name: asked.append(name) or tmp_path)
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    for spec in ("runs/mine", "runs/other", "lite", "./org/model", "/org/model", "a/b/c"):
        assert locate_model(spec) == Path(spec)
    assert asked == []
    assert locate_model("org/model") == tmp_path
    assert split_output("org/model:projection") == (tmp_path, "projection")
    assert asked == ["org/model"] * 2
