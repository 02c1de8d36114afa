"""Scenes through an encoder of shots: independent of each other, ordered, long ones thinned."""

from dataclasses import dataclass, field
from pathlib import Path

import jax
import numpy as np
import pytest

from tests.encoders import releases
from vujax.data.images import sample_evenly
from vujax.data.scene_batches import SceneRows, batch_spec
from vujax.data.scenes import SingleShotScenes, select_scenes
from vujax.encoders import open_encoder
from vujax.encoders.base import derive_name, split_output
from vujax.encoders.shots import encode_scenes
from vujax.models import release
from vujax.models.projection import ContrastModel, Projection
from vujax.models.scene_encoder import build_scene_encoder

LENGTHS = (1, 3, 2, 4, 7, 1, 4, 9)


@dataclass(frozen=True, eq=False)
class Random:
    """Scenes of random features; see `vujax.data.scenes.Scenes`."""

    lengths: np.ndarray
    width: int = 6
    movies: tuple[str, ...] = ("film",)
    labels: dict = field(default_factory=dict)
    empty_movies: tuple[str, ...] = ()

    @property
    def movie(self) -> np.ndarray:
        return np.zeros(len(self.lengths), np.int32)

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(f"film/c{i:03d}" for i in range(len(self.lengths)))

    def inputs(self, scene: int, shots: np.ndarray | None = None) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(scene)
        feature = rng.normal(size=(self.lengths[scene], self.width)).astype(np.float32)
        time = np.cumsum(rng.uniform(1, 9, self.lengths[scene])).astype(np.float32)
        chosen = np.arange(self.lengths[scene]) if shots is None else shots
        return {"feature": feature[chosen], "time": (time - time[0])[chosen]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("releases")


@pytest.mark.parametrize("batch", [1, 16])
def test_each_scene_is_seen_alone(folder: Path, batch: int) -> None:
    model, variables = releases.scene_model(folder / "scenes", feature=6)
    encoder, scenes = open_encoder(str(folder / "scenes")), Random(np.array(LENGTHS))
    apply, told = jax.jit(model.apply), []
    found = encode_scenes(encoder, scenes, batch, told.append)
    assert told[-1] == len(LENGTHS) and told == sorted(told)
    for scene, length in enumerate(LENGTHS):
        kept = min(length, releases.MOST)
        seen = scenes.inputs(scene, np.array(sample_evenly(length, kept)))
        row = {name: value[None] for name, value in seen.items()}
        row |= dict(segment=np.ones((1, kept), np.int32), place=np.arange(kept)[None])
        plain, _ = apply(variables, row | dict(scene=np.zeros((1, 1), np.int32)))
        np.testing.assert_allclose(found[scene], plain[0, 0], rtol=1e-4, atol=1e-5)
    assert len(np.unique(found.round(4), axis=0)) == len(LENGTHS)


def test_shots_are_scenes_of_one(folder: Path) -> None:
    releases.scene_model(folder / "scenes", feature=6)
    encoder, scenes = open_encoder(str(folder / "scenes")), Random(np.array(LENGTHS))
    found = encode_scenes(encoder, SingleShotScenes(scenes))
    whole = encode_scenes(encoder, scenes)
    assert len(found) == sum(LENGTHS)
    np.testing.assert_allclose(found[0], whole[0], rtol=1e-4, atol=1e-5)  # it has one shot
    assert not np.allclose(found[1], whole[1], atol=1e-3)


def test_a_feature_of_another_width_is_refused(folder: Path) -> None:
    releases.scene_model(folder / "scenes", feature=6)
    encoder = open_encoder(str(folder / "scenes"))
    with pytest.raises(ValueError, match="has a feature of shape"):
        encode_scenes(encoder, Random(np.array([2]), width=5))


def test_rows_hold_their_scenes_in_front() -> None:
    """`encode` gives vectors by place in the row, so that places must be what `scene` says."""
    scenes = select_scenes(Random(np.array(LENGTHS)), max_shots=releases.MOST)
    given = SceneRows(scenes, {"feature": (6,)}, width=releases.MOST, most=releases.MOST)
    for batch in given.eval_batches(batch_size=2):
        for row, segment in zip(batch["scene"], batch["segment"], strict=True):
            there = int((row >= 0).sum())
            assert (row[:there] >= 0).all() and segment.max() == there


def test_the_projection_is_an_encoder_of_its_own(folder: Path) -> None:
    path = folder / "contrast"
    model = ContrastModel(build_scene_encoder(**releases.SCENE), Projection((8, 5)))
    seen = batch_spec({"feature": (6,)}, 1, width=releases.MOST, most=releases.MOST)
    variables = releases.drawn(model, 0, {k: np.zeros(v.shape, v.dtype) for k, v in seen.items()})
    config = dict(model=dict(encoder=releases.SCENE, projection=[8, 5]), inputs=dict(feature=[6]))
    release.save(path, config | dict(method=dict(name="movies2scenes"), vectors="lite"), variables)
    plain, projected = open_encoder(str(path)), open_encoder(f"{path}:projection")
    assert (plain.dim, projected.dim) == (12, 5) and plain.digest != projected.digest
    assert (plain.name, projected.name) == ("contrast", "contrast-projection")
    scenes = Random(np.array([3]))
    row = {name: value[None] for name, value in scenes.inputs(0).items()}
    row |= dict(segment=np.ones((1, 3), np.int32), place=np.arange(3)[None])
    want = model.apply(variables, row | dict(scene=np.zeros((1, 1), np.int32)))
    for encoder, embedding in zip((plain, projected), want, strict=True):
        np.testing.assert_allclose(
            encode_scenes(encoder, scenes)[0], embedding[0, 0], rtol=1e-4, atol=1e-5
        )


def test_a_release_without_a_projection_has_none(folder: Path) -> None:
    releases.scene_model(folder / "scenes", feature=6)
    with pytest.raises(ValueError, match="scenes-projection: the release has no weights of its"):
        open_encoder(f"{folder / 'scenes'}:projection")
    config, variables = release.load_host(folder / "scenes")
    config["model"].pop("projection")
    release.save(folder / "scenes", config, variables)
    with pytest.raises(ValueError, match="scenes has no projection: use it without ':projection'"):
        open_encoder(f"{folder / 'scenes'}:projection")
    with pytest.raises(ValueError, match="unknown encoder 'nowhere:projection'"):
        open_encoder("nowhere:projection")


def test_a_directory_may_be_named_like_an_output(folder: Path) -> None:
    assert split_output("nowhere:projection") == (Path("nowhere"), "projection")
    (folder / "odd:projection").mkdir()
    assert split_output(str(folder / "odd:projection")) == (folder / "odd:projection", "")
    name = derive_name(Path("x" * 200), "projection")
    assert name.endswith("-projection") and len(name) == len(derive_name(Path("x" * 200)))
