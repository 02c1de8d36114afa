"""The embedding stage against a plain loop over keyframes, and its updates."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.encoders.stub import Stub, catalogue, vector_files
from vujax.catalog import Catalog, embeddings, schema
from vujax.catalog.records import RecordWriter
from vujax.catalog.validate import find_problems
from vujax.catalog.writer import describe_file
from vujax.data.images import preprocess_eval_image
from vujax.models.image_spec import ImageSpec
from vujax.pipeline.embed import EmbedJob, EmbedStage, embed
from vujax.pipeline.stage import Outcome


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return catalogue(tmp_path_factory.mktemp("embed"))


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "catalog"))


def work(root: Path, encoder: object = Stub, **options: object) -> EmbedJob:
    return EmbedJob(root, encoder, **{"batch": 4} | options)


def outcomes(root: Path, encoder: object = Stub, **options: object) -> list[Outcome]:
    """The stage on every film, in this process."""
    stage = EmbedStage(work(root, encoder, **options))
    return [stage(source) for source in embed(root, encoder).sources]


def test_equal_to_a_plain_loop(root: Path) -> None:
    found = outcomes(root)
    assert [(o.status, o.done, o.shots, o.keyframes) for o in found] == [("whole", True, 3, 9)] * 2
    catalog = Catalog(root)
    frames, shots = (catalog.embeddings(level, "stub") for level in ("frame", "shot"))
    assert frames["id"].to_pylist() == catalog.keyframes()["id"].to_pylist()
    assert frames["seconds"].to_pylist() == catalog.keyframes()["seconds"].to_pylist()
    assert shots["id"].to_pylist() == catalog.shots()["id"].to_pylist()
    assert shots["pts"].to_pylist() == catalog.shots()["begin_pts"].to_pylist()
    assert set(shots["keyframe"].to_pylist()) == {None}
    pixels = [
        preprocess_eval_image(catalog.jpeg(i), ImageSpec.square(16))[None]
        for i in frames["id"].to_pylist()
    ]
    plain = np.concatenate([Stub().encode(picture) for picture in pixels])
    np.testing.assert_allclose(embeddings.to_matrix(frames), plain, atol=1e-6)
    keys = list(zip(frames["film"].to_pylist(), frames["shot"].to_pylist(), strict=True))
    means = [
        plain[[key == (film, shot) for key in keys]].mean(axis=0)
        for film, shot in zip(shots["film"].to_pylist(), shots["shot"].to_pylist(), strict=True)
    ]
    np.testing.assert_allclose(embeddings.to_matrix(shots), means, atol=1e-6)
    assert len(np.unique(embeddings.to_matrix(shots), axis=0)) > 2
    assert list(find_problems(root)) == []


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_padding_changes_no_vector(root: Path, batch: int) -> None:
    stub = Stub()
    outcomes(root)
    plain = embeddings.to_matrix(Catalog(root).embeddings("frame", "stub"))
    shutil.rmtree(root / "vectors")
    outcomes(root, lambda: stub, batch=batch)
    padded = embeddings.to_matrix(Catalog(root).embeddings("frame", "stub"))
    np.testing.assert_allclose(padded, plain, atol=1e-6)
    assert set(stub.shapes) == {(batch, 16, 16, 3)}  # so it is compiled once


def test_a_second_run_passes_over_what_is_there(root: Path) -> None:
    outcomes(root)
    before = vector_files(root)
    stub = Stub()
    assert [(o.status, o.done) for o in outcomes(root, lambda: stub)] == [("whole", False)] * 2
    assert len(stub.shapes) == 1  # the trial
    assert vector_files(root) == before


def test_a_changed_manifest_makes_vectors_stale_and_they_alone_are_renewed(root: Path) -> None:
    outcomes(root)
    before = vector_files(root)
    film, _ = schema.list_films(root)
    facts = json.loads(schema.manifest_path(root, film).read_text())
    picture = schema.part_path(root, "keyframes", film)
    with RecordWriter(picture) as writer:  # nine times the picture of another film
        for _ in range(9):
            writer.write(Catalog(root).jpeg(f"{schema.list_films(root)[1]}/s0000/0"))
    facts["files"]["keyframes"] = describe_file(picture)
    schema.manifest_path(root, film).write_text(json.dumps(facts))
    with pytest.raises(ValueError, match=r"former version of the film; run `vujax embed`"):
        Catalog(root).embeddings("shot", "stub")
    assert sum("former version of the film" in problem for problem in find_problems(root)) == 2
    assert [(o.status, o.done) for o in outcomes(root)] == [("whole", True), ("whole", False)]
    after = vector_files(root)
    assert [path for path in before if before[path] != after[path]] == [
        path for path in before if film in path
    ]
    assert (
        len(
            np.unique(embeddings.to_matrix(Catalog(root).embeddings("frame", "stub", film)), axis=0)
        )
        == 1
    )


def test_shots_are_made_of_frames_that_are_there(root: Path) -> None:
    outcomes(root, levels=("frame",))
    assert not (root / "vectors" / "shot").exists()
    stub = Stub()
    outcomes(root, lambda: stub)
    assert len(stub.shapes) == 1
    once = vector_files(root)
    shutil.rmtree(root / "vectors")
    outcomes(root, levels=("shot",))
    assert not (root / "vectors" / "frame").exists()
    outcomes(root)
    assert vector_files(root) == once


def test_another_model_has_a_folder_of_its_own(root: Path) -> None:
    outcomes(root)
    outcomes(root, lambda: Stub(version=1))
    one, two = sorted(path.name for path in (root / "vectors" / "shot").iterdir())
    with pytest.raises(ValueError, match=f"2 models named stub \\({one}, {two}\\)"):
        Catalog(root).embeddings("shot", "stub")
    tables = [embeddings.to_matrix(Catalog(root).embeddings("shot", name)) for name in (one, two)]
    np.testing.assert_allclose(np.abs(tables[0] - tables[1]), 1, atol=1e-5)


def test_pictures_that_are_none_are_an_error_of_their_film(root: Path) -> None:
    film, other = schema.list_films(root)
    with RecordWriter(schema.part_path(root, "keyframes", film)) as writer:
        for _ in range(9):
            writer.write(b"no picture")
    bad, good = outcomes(root)
    assert (bad.status, good.status) == ("error", "whole")
    assert "its image is not one of JPEG" in bad.reason
    with pytest.raises(FileNotFoundError, match=f"{film}.parquet does not exist.*vujax embed"):
        Catalog(root).embeddings("frame", "stub")
    assert len(Catalog(root).embeddings("frame", "stub", other)) == 9


def test_a_film_without_keyframes_says_so(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "text.mp4").write_text("no film")
    root = catalogue(tmp_path, 1)
    outcome = {o.film.rpartition("-")[0]: o for o in outcomes(root)}
    assert outcome["film0"].status == "whole"
    assert outcome["text"].status == "error"
    assert "has no keyframes (" in outcome["text"].reason
    assert len(Catalog(root).embeddings("frame", "stub")) == 9
    assert list(find_problems(root)) == []


class Odd(Stub):
    """Numbers that are not finite."""

    def encode(self, images: np.ndarray) -> np.ndarray:
        return super().encode(images) * np.float32("nan")


class Narrow(Stub):
    """Fewer numbers than promised."""

    def encode(self, images: np.ndarray) -> np.ndarray:
        return super().encode(images)[:, :-1]


class Full(Stub):
    """No memory for the batch."""

    def encode(self, images: np.ndarray) -> np.ndarray:
        raise RuntimeError("RESOURCE_EXHAUSTED: out of memory\nmany lines")


def test_what_an_encoder_may_not_do(root: Path) -> None:
    assert {o.status for o in outcomes(root, Odd)} == {"error"}
    assert vector_files(root) == {}
    with pytest.raises(ValueError, match=r"gives \(4, 5\), not \(4, 6\)"):
        outcomes(root, Narrow)
    with pytest.raises(ValueError, match=r"4 images at once \(RES.*memory\); give a smaller"):
        outcomes(root, Full)
    for name in ("../x", "a/b", "", ".hidden", "x" * 49):
        with pytest.raises(ValueError, match="not an encoder's name"):
            outcomes(root, lambda name=name: Stub(name=name))
    with pytest.raises(ValueError, match="levels must be"):
        work(root, levels=("../frame",))
    with pytest.raises(ValueError, match="at least 1"):
        work(root, batch=0)
