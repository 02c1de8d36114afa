"""The index: contents, invalidation, and errors."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.catalog.test_embeddings import rewrite
from tests.encoders.stub import Stub, run
from tests.search.fakes import Colours
from vujax.catalog import Catalog, embeddings, scenes
from vujax.search import index_store
from vujax.search.index import Index

NO_PROCESS = 1 << 22  # one more than Linux counts to


def opened(root: Path, level: str = "shot", space: Colours | None = None, **how: str) -> Index:
    return Index.open(root, level, "stub", space or Colours(), **how)


class Counts(Colours):
    """A text space that counts how often embeddings are mapped."""

    def __init__(self, version: int = 0) -> None:
        super().__init__(version)
        self.mapped = 0

    def map_embeddings(self, vectors: np.ndarray) -> np.ndarray:
        """See `Colours`."""
        self.mapped += 1
        return super().map_embeddings(vectors)


@pytest.mark.parametrize("level", ["frame", "shot"])
def test_rows_are_the_catalogues(root: Path, level: str) -> None:
    index, catalog = opened(root, level), Catalog(root)
    table = catalog.embeddings(level, "stub")
    assert index.rows["id"].to_pylist() == table["id"].to_pylist()
    assert index.rows["keyframe"].to_pylist() == table["keyframe"].to_pylist()
    np.testing.assert_array_equal(
        index.vectors, Colours().map_embeddings(embeddings.to_matrix(table))
    )
    shots = {(row["film"], row["shot"]): row for row in catalog.shots().to_pylist()}
    for row in index.rows.to_pylist():
        shot = shots[row["film"], row["shot"]]
        assert (row["begin_s"], row["end_s"]) == (shot["begin_s"], shot["end_s"])
        assert row["duration"] == pytest.approx(shot["end_s"] - shot["begin_s"])
        assert row["begin_s"] <= row["seconds"] < row["end_s"]
    assert index.model == embeddings.open_store(root, level, "stub").model
    assert (len(index), index.missing) == (len(table), ())


def test_scenes_have_the_spans_of_their_shots(root: Path) -> None:
    catalog = Catalog(root)
    film = catalog.film_ids()[0]
    begins = [*catalog.shots(film)["begin_s"].to_pylist(), 9.0]
    rows = [
        dict(film=film, scene=i, id=f"{film}/c00{i}", first_shot=a, last_shot=b)
        | dict(begin_pts=a, end_pts=b, begin_s=begins[a], end_s=begins[b + 1])
        for i, (a, b) in enumerate([(0, 1), (2, 2)])
    ]
    scenes.write_scenes(root, film, embeddings.hash_source(catalog.manifest(film)), rows, {})
    found = pa.Table.from_pylist(
        [dict(film=film, id=row["id"], pts=7, seconds=row["begin_s"]) for row in reversed(rows)]
    )
    made = index_store.build_rows(catalog, "scene", film, found).to_pylist()
    assert [(row["id"][-4:], row["shot"], row["last_shot"]) for row in made] == [
        ("c001", 2, 2),
        ("c000", 0, 1),
    ]
    assert [row["end_s"] for row in made] == [9.0, begins[2]]
    assert made[1]["duration"] == pytest.approx(begins[2] - begins[0])
    assert {row["keyframe"] for row in made} == {None}


def test_columns_of_films_are_given_to_rows(root: Path) -> None:
    index = opened(root)
    titles = index.column("title").to_pylist()
    assert titles == ["First"] * 3 + ["<b>Second</b> & third"] * 3 + [None] * 3
    assert index.column("year").to_pylist()[0] == "1985"
    assert set(index.column("width").to_pylist()) == {96}
    assert index.column("shot").to_pylist() == [0, 1, 2] * 3
    assert index.column("film.end_s").to_pylist()[0] > index.column("end_s").to_pylist()[0]
    assert {"year", "seconds", "genres"} <= set(index.columns)
    with pytest.raises(KeyError, match="unknown column yaer; expected one of: film, id, shot"):
        index.column("yaer")


def test_it_is_made_once(root: Path) -> None:
    first, second = Counts(), Counts()
    one, two = opened(root, space=first), opened(root, space=second)
    assert (first.mapped, second.mapped) == (3, 0)
    assert one.folder == two.folder
    assert two.rows.equals(one.rows)
    np.testing.assert_array_equal(one.vectors, two.vectors)
    assert not two.vectors.flags.writeable


def test_it_is_made_anew_when_the_catalogue_changes(root: Path) -> None:
    folder = opened(root).folder
    path = min((root / "vectors" / "shot").glob("*/*.parquet"))
    left = folder.parent / f".old.ab.{NO_PROCESS}.tmp"
    left.mkdir()
    path.unlink()
    index = opened(root)
    assert index.missing == (path.stem,)
    assert len(index) == 6
    assert [p.name for p in folder.parent.iterdir()] == [index.folder.name]  # the old one is gone
    run(root)
    assert (len(opened(root)), opened(root).missing) == (9, ())


@pytest.mark.parametrize("file", ["vectors.bin", "rows.parquet", "index.json", "films.parquet"])
def test_a_damaged_one_is_made_anew(root: Path, file: str) -> None:
    folder = opened(root).folder
    os.truncate(folder / file, 10)
    space = Counts()
    assert len(opened(root, space=space)) == 9
    assert space.mapped == 3
    assert opened(root).folder == folder


def test_one_with_too_many_numbers_is_made_anew(root: Path) -> None:
    with (opened(root).folder / "vectors.bin").open("ab") as file:
        file.write(b"\0" * 4)
    space = Counts()
    opened(root, space=space)
    assert space.mapped == 3


def test_another_space_has_an_index_of_its_own(root: Path) -> None:
    one, two = opened(root), opened(root, space=Colours(1))
    assert one.folder.parent != two.folder.parent
    assert one.folder.exists()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_the_memory(root: Path, dtype: str) -> None:
    whole, half = opened(root), opened(root, dtype=dtype)
    assert half.vectors.dtype.itemsize == 2
    np.testing.assert_allclose(half.vectors.astype(np.float32), whole.vectors, atol=4e-3)
    with pytest.raises(
        ValueError, match="unknown type 'int8'; expected one of: float32, float16, bfloat16"
    ):
        opened(root, dtype="int8")


def test_where_nothing_can_be_written(root: Path) -> None:
    (root / "index").write_text("in the way")
    index = opened(root)
    assert index.folder is None
    assert len(index) == 9
    np.testing.assert_allclose(np.linalg.norm(index.vectors, axis=1), 1, atol=1e-6)


def test_vectors_of_two_models_are_not_mixed(root: Path) -> None:
    rewrite(min((root / "vectors" / "shot").glob("*/*.parquet")), lambda t: t, digest="0" * 64)
    with pytest.raises(ValueError, match=r"made by another model|of the model"):
        opened(root)


def test_two_models_of_one_name(root: Path) -> None:
    run(root, Other)
    with pytest.raises(ValueError, match="shot embeddings of 2 models named stub"):
        opened(root)
    name = embeddings.EmbeddingModel("stub", Other().digest, 6).folder
    assert len(Index.open(root, "shot", name, Colours())) == 9


class Other(Stub):
    """Another model of the same name."""

    def __init__(self) -> None:
        super().__init__(1)


def test_vectors_of_what_a_film_was(root: Path) -> None:
    rewrite(min((root / "vectors" / "shot").glob("*/*.parquet")), lambda t: t, source="0" * 64)
    with pytest.raises(ValueError, match="former version of the film"):
        opened(root)


def test_there_is_nothing_to_search(root: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no shot embeddings of lite; compute them with"):
        Index.open(root, "shot", "lite", Colours())
    with pytest.raises(FileNotFoundError, match="is not a vujax catalog"):
        Index.open(root / "nowhere", "shot", "stub", Colours())
    (root / "catalog.json").write_text('{"schema": 99}')
    with pytest.raises(ValueError, match="catalog of version 99"):
        opened(root)


def test_a_space_of_another_encoder(root: Path) -> None:
    class Wrong(Colours):
        def map_embeddings(self, vectors: np.ndarray) -> np.ndarray:
            return np.zeros((len(vectors), 7), np.float32)

    with pytest.raises(ValueError, match="not the space of this encoder"):
        opened(root, space=Wrong())
    assert not list((root / "index").rglob("vectors.bin"))


def test_rows_of_an_id(root: Path) -> None:
    frames, shots = opened(root, "frame"), opened(root, "shot")
    film = Catalog(root).film_ids()[1]
    assert shots.find_rows(f"{film}/s1").tolist() == [4]
    assert shots.find_rows(film).tolist() == [3, 4, 5]
    assert shots.find_rows(f"{film}/s0001/0").tolist() == [4]  # the shot of the frame
    ids = frames.rows["id"].to_pylist()
    assert [ids[i] for i in frames.find_rows(f"{film}/s0001")] == [
        f"{film}/s0001/{i}" for i in range(3)
    ]
    assert [ids[i] for i in frames.find_rows(f"{film}/s0001/2")] == [f"{film}/s0001/2"]
    for wrong in ("other", f"{film}/s0009", f"{film}/s0001/9"):
        with pytest.raises(KeyError, match="has no"):
            frames.find_rows(wrong)
    with pytest.raises(ValueError, match="is not an id"):
        frames.find_rows("a/b/c")
