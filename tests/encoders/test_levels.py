"""Embeddings of shots and scenes: means or the model's own; updated with the scenes."""

import shutil
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest

from tests.encoders import releases
from tests.encoders.stub import Stub, catalogue, vector_files
from vujax.catalog import Catalog, embeddings, scenes
from vujax.catalog.validate import find_problems
from vujax.data.registry import open_films, open_scenes
from vujax.encoders import make_opener
from vujax.pipeline.embed import EmbedJob, EmbedStage, embed
from vujax.pipeline.stage import Outcome


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two films of three shots; the first has scenes of two shots and one."""
    root = catalogue(tmp_path_factory.mktemp("levels"))
    divide(root, 0, [(0, 1), (2, 2)])
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "catalog"))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def divide(root: Path, number: int, spans: list[tuple[int, int]]) -> str:
    """Writes a film's scenes as `vujax scenes` does."""
    film = Catalog(root).film_ids()[number]
    shots = Catalog(root).shots(film).to_pylist()
    rows = [
        dict(film=film, scene=k, id=f"{film}/c{k:03d}", first_shot=first, last_shot=last)
        | {key: shots[first][key] for key in ("begin_pts", "begin_s")}
        | {key: shots[last][key] for key in ("end_pts", "end_s")}
        for k, (first, last) in enumerate(spans)
    ]
    scenes.write_scenes(root, film, embeddings.hash_source(Catalog(root).manifest(film)), rows, {})
    return film


def outcomes(root: Path, encoder: Callable = Stub, *levels: str) -> list[Outcome]:
    """The stage on every film, in this process."""
    stage = EmbedStage(EmbedJob(root, encoder, levels or None, batch=4))
    return [stage(source) for source in embed(root, encoder).sources]


def numbers(root: Path, level: str, encoder: str, film: str | None = None) -> np.ndarray:
    return embeddings.to_matrix(Catalog(root).embeddings(level, encoder, film))


def test_a_scene_is_the_mean_of_its_shots(root: Path) -> None:
    one, other = outcomes(root, Stub, "scene")
    assert (one.status, one.done) == ("whole", True)
    assert (other.status, other.reason) == (
        "error",
        "it has no scenes: run `vujax scenes` on the catalog",
    )
    table = Catalog(root).embeddings("scene", "stub")
    assert table["id"].to_pylist() == [f"{one.film}/c000", f"{one.film}/c001"]
    assert (table["shot"].to_pylist(), table["keyframe"].to_pylist()) == ([0, 2], [None, None])
    assert table["seconds"].to_pylist() == Catalog(root).scenes()["begin_s"].to_pylist()
    assert not (root / "vectors" / "shot").exists()  # only what was asked for
    outcomes(root)
    shots = numbers(root, "shot", "stub", one.film)
    np.testing.assert_allclose(
        numbers(root, "scene", "stub"), [shots[:2].mean(axis=0), shots[2]], atol=1e-6
    )
    assert list(find_problems(root)) == []


def test_scenes_are_made_of_shots_that_are_there(root: Path) -> None:
    outcomes(root)
    stub = Stub()
    outcomes(root, lambda: stub, "scene")
    assert len(stub.shapes) == 1  # the trial
    with_shots = vector_files(root)
    shutil.rmtree(root / "vectors")
    outcomes(root, Stub, "scene")
    alone = vector_files(root)
    assert alone == {path: with_shots[path] for path in alone}


def test_new_scenes_make_their_vectors_old(root: Path) -> None:
    outcomes(root, Stub, "frame", "shot", "scene")
    before = vector_files(root)
    divide(root, 0, [(0, 1), (2, 2)])  # the same again
    assert [o.done for o in outcomes(root, Stub, "frame", "shot", "scene")] == [False, False]
    film = divide(root, 0, [(0, 0), (1, 2)])
    with pytest.raises(ValueError, match="former version of the film's scenes; run `vujax embed"):
        Catalog(root).embeddings("scene", "stub")
    (problem,) = find_problems(root)
    assert "former version of the film's scenes" in problem
    one, other = outcomes(root, Stub, "frame", "shot", "scene")
    assert (one.status, one.done, other.status, other.done) == ("whole", True, "partial", False)
    after = vector_files(root)
    changed = [path for path in before if before[path] != after[path]]
    assert [Path(path).parts[1] for path in changed] == ["scene"]
    shots = numbers(root, "shot", "stub", film)
    np.testing.assert_allclose(
        numbers(root, "scene", "stub"), [shots[0], shots[1:].mean(axis=0)], atol=1e-6
    )


def test_without_scenes_reading_says_what_to_run(root: Path) -> None:
    outcomes(root, Stub, "scene")
    one, other = Catalog(root).film_ids()
    with pytest.raises(FileNotFoundError, match="run `vujax scenes` on its film again"):
        Catalog(root).embeddings("scene", "stub", other)
    scenes.scenes_path(root, one).unlink()
    with pytest.raises(FileNotFoundError, match="has no scenes; run `vujax scenes"):
        Catalog(root).embeddings("scene", "stub")
    with pytest.raises(FileNotFoundError, match=r"no scene embeddings of other.*--level scene`"):
        Catalog(root).embeddings("scene", "other")
    (problem,) = find_problems(root)
    assert "does not exist; run `vujax scenes`" in problem


def test_scenes_that_leave_shots_out_are_the_films_error(root: Path) -> None:
    divide(root, 0, [(0, 0), (2, 2)])
    assert "its scenes leave shots out" in outcomes(root, Stub, "scene")[0].reason


def test_a_film_of_one_scene(root: Path) -> None:
    divide(root, 0, [(0, 2)])
    film = divide(root, 1, [(0, 2)])
    assert [o.status for o in outcomes(root, Stub, "shot", "scene")] == ["whole"] * 2
    shots = numbers(root, "shot", "stub", film)
    np.testing.assert_allclose(
        numbers(root, "scene", "stub", film), [shots.mean(axis=0)], atol=1e-6
    )


def test_shots_by_a_model_of_shots(root: Path, models: Path) -> None:
    model, variables = releases.shotcol(models / "shotcol")
    make = make_opener(str(models / "shotcol"))
    assert [o.status for o in outcomes(root, make)] == ["whole"] * 2
    assert sorted(path.name for path in (root / "vectors").iterdir()) == ["shot"]
    film = open_films("catalog", path=str(root), frames=3, image_size=releases.SIZE)[1]
    plain, _ = jax.jit(model.apply)(variables, film.inputs(np.arange(3)))
    np.testing.assert_allclose(
        numbers(root, "shot", "shotcol", film.film), plain, rtol=1e-4, atol=1e-5
    )
    outcomes(root, make, "scene")
    one = Catalog(root).film_ids()[0]
    shots = numbers(root, "shot", "shotcol", one)
    np.testing.assert_allclose(
        numbers(root, "scene", "shotcol"), [shots[:2].mean(axis=0), shots[2]], atol=1e-5
    )
    with pytest.raises(ValueError, match="no embeddings of level 'frame'"):
        outcomes(root, make, "frame")
    assert list(find_problems(root)) == []


def test_scenes_by_a_model_of_scenes(root: Path, models: Path) -> None:
    model, variables = releases.scene_model(models / "scenes")
    make = make_opener(str(models / "scenes"))
    one, other = outcomes(root, make, "shot", "scene")
    assert (one.status, other.status) == ("whole", "partial")
    opened = open_scenes("catalog", path=str(root), frames=3, image_size=releases.SIZE)
    row = {name: value[None] for name, value in opened.inputs(0).items()}
    row |= dict(segment=np.ones((1, 2), np.int32), place=np.arange(2)[None])
    plain, _ = jax.jit(model.apply)(variables, row | dict(scene=np.zeros((1, 1), np.int32)))
    found, shots = numbers(root, "scene", "scenes"), numbers(root, "shot", "scenes", one.film)
    np.testing.assert_allclose(found[0], plain[0, 0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[1], shots[2], rtol=1e-4, atol=1e-5)  # one shot is a scene
    assert np.abs(found[0] - shots[:2].mean(axis=0)).max() > 1e-4  # not their mean
    assert len(numbers(root, "shot", "scenes")) == 6
    assert list(find_problems(root)) == []


def test_scenes_of_vectors_that_are_there(root: Path, models: Path) -> None:
    releases.scene_model(models / "features", feature=6)
    make = make_opener(str(models / "features"))
    with pytest.raises(FileNotFoundError, match="no shot embeddings of stub; compute them with"):
        outcomes(root, make, "scene")
    outcomes(root)
    assert [o.status for o in outcomes(root, make, "scene")] == ["whole", "error"]
    first = numbers(root, "scene", "features")
    shutil.rmtree(root / "vectors" / "shot")
    outcomes(root, lambda: Stub(version=1))  # other vectors make another model
    outcomes(root, make, "scene")
    one, two = sorted(path.name for path in (root / "vectors" / "scene").iterdir())
    tables = [numbers(root, "scene", name) for name in (one, two)]
    assert any(np.array_equal(first, table) for table in tables)
    assert np.abs(tables[0] - tables[1]).max() > 1e-4
