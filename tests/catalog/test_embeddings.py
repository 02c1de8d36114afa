"""Files of embeddings: their metadata, refusals, and the validation of a catalog."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.encoders.stub import Stub, catalogue
from vujax.catalog import Catalog, embeddings, schema
from vujax.catalog.embeddings import EmbeddingModel, EmbeddingStore
from vujax.catalog.validate import find_problems
from vujax.pipeline.embed import EmbedJob, EmbedStage, embed

NO_PROCESS = 1 << 22  # one more than Linux counts to


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = catalogue(tmp_path_factory.mktemp("vectors"))
    stage = EmbedStage(EmbedJob(root, Stub, batch=4))
    assert [stage(source).status for source in embed(root, Stub).sources] == ["whole"] * 2
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "catalog"))


def file(root: Path, level: str = "frame") -> Path:
    return min((root / "vectors" / level).glob("stub-*/*.parquet"))


def rewrite(path: Path, change: Callable[[pa.Table], pa.Table], **facts: str) -> None:
    table = pq.ParquetFile(path).read()
    metadata = table.schema.metadata | {f"vujax.{k}".encode(): v for k, v in facts.items()}
    pq.write_table(change(table).replace_schema_metadata(metadata), path)


def with_number(table: pa.Table, number: float) -> pa.Table:
    numbers = embeddings.to_matrix(table).copy()
    numbers[1, 2] = number
    column = pa.FixedSizeListArray.from_arrays(pa.array(numbers.reshape(-1)), 6)
    return table.set_column(table.schema.get_field_index("vector"), "vector", column)


def test_a_file_says_what_made_it_and_of_what(root: Path) -> None:
    path = file(root)
    (film, _) = schema.list_films(root)
    stub = Stub()
    metadata = {k.decode(): v.decode() for k, v in pq.read_schema(path).metadata.items()}
    assert {k: v for k, v in metadata.items() if k.startswith("vujax.")} == {
        "vujax.schema": "1",
        "vujax.level": "frame",
        "vujax.encoder": "stub",
        "vujax.digest": stub.digest,
        "vujax.dim": "6",
        "vujax.source": embeddings.hash_source(Catalog(root).manifest(film)),
    }
    assert path.parent.name == f"stub-{stub.digest[:8]}"
    assert pq.read_schema(path).field("vector").type == pa.list_(pa.float32(), 6)


def test_reading_by_name_by_hash_and_by_film(root: Path) -> None:
    catalog, film = Catalog(root), schema.list_films(root)[1]
    everything = catalog.embeddings("frame", "stub")
    assert len(everything) == 18
    assert catalog.embeddings("frame", file(root).parent.name).equals(everything)
    assert catalog.embeddings("frame", "stub", film)["film"].unique().to_pylist() == [film]
    assert embeddings.to_matrix(everything).shape == (18, 6)
    assert embeddings.to_matrix(everything.slice(0, 0)).shape == (0, 6)


@pytest.mark.parametrize("name", ["../../etc", "stub/..", "/etc", ".", "", "a\n", "x" * 49])
def test_a_name_never_leaves_the_folder(root: Path, name: str) -> None:
    with pytest.raises(ValueError, match="is not an encoder's name"):
        Catalog(root).embeddings("frame", name)
    with pytest.raises(ValueError, match="is not an encoder's name"):
        EmbeddingModel(name, "0" * 64, 6)


def test_what_is_not_there(root: Path) -> None:
    catalog = Catalog(root)
    with pytest.raises(FileNotFoundError, match="no frame embeddings of other; compute them"):
        catalog.embeddings("frame", "other")
    with pytest.raises(ValueError, match=r"unknown level '\.\./frame'"):
        catalog.embeddings("../frame", "stub")
    with pytest.raises(KeyError, match="no film other"):
        catalog.embeddings("frame", "stub", "other")
    with pytest.raises(ValueError, match="sha256"):
        EmbeddingModel("stub", "../" + "0" * 61, 6)


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        (dict(digest="f" * 64), "of the model stub-ffffffff|another model"),
        (dict(dim="7"), "another model or version|other columns"),
        (dict(schema="2"), "another model or version"),
        (dict(level="shot"), "another model or version"),
        (dict(source="0" * 64), "former version of the film"),
        (dict(encoder="../x"), "not an encoder's name|another model"),
    ],
)
@pytest.mark.parametrize("which", [0, 1])  # the first one is also where the model is found
def test_files_that_do_not_belong_together(
    root: Path, facts: dict[str, str], why: str, which: int
) -> None:
    path = sorted(file(root).parent.iterdir())[which]
    rewrite(path, lambda table: table, **facts)
    with pytest.raises(ValueError, match=why):
        Catalog(root).embeddings("frame", "stub")
    assert any(str(path) in problem for problem in find_problems(root))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda table: table.slice(1), "not have one row for each frame"),
        (lambda table: table.take(list(range(8, -1, -1))), "not have one row for each frame"),
        (lambda table: with_number(table, np.nan), "not finite"),
        (lambda table: with_number(table, np.inf), "not finite"),
        (lambda table: table.drop_columns("pts"), "other columns"),
        (
            lambda table: table.set_column(
                6, "vector", pa.nulls(len(table), pa.list_(pa.float32(), 6))
            ),
            "other columns",
        ),
    ],
)
def test_the_check_finds_wrong_rows(
    root: Path, change: Callable[[pa.Table], pa.Table], why: str
) -> None:
    rewrite(file(root), change)
    (problem,) = find_problems(root)
    assert why in problem
    assert str(file(root)) in problem


def test_the_check_reads_shots_too(root: Path) -> None:
    rewrite(file(root, "shot"), lambda table: table.slice(1))
    (problem,) = find_problems(root)
    assert "not have one row for each shot" in problem


def test_a_damaged_file(root: Path) -> None:
    path = file(root)
    path.write_bytes(path.read_bytes()[:-20])
    (problem,) = find_problems(root)
    assert "is damaged" in problem
    with pytest.raises(ValueError, match=r"is damaged.*vujax embed"):
        Catalog(root).embeddings("frame", "stub")


def test_the_check_names_what_belongs_to_nothing(root: Path) -> None:
    folder = file(root).parent
    for name in ("other.parquet", ".x.parquet.1.tmp", "notes.txt"):
        (folder / name).write_bytes(b"x")
    (root / "vectors" / "frame" / "no-hash").mkdir()
    (root / "vectors" / "reel").mkdir()
    found = list(find_problems(root))
    assert len(found) == 5
    assert sum("belongs to no film" in problem for problem in found) == 2
    assert sum("a killed run" in problem for problem in found) == 1


def test_killed_in_mid_write_nothing_half_written_is_left(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, film = file(root), schema.list_films(root)[0]
    shelf = EmbeddingStore(root, "frame", EmbeddingModel("stub", Stub().digest, 6))
    source = embeddings.hash_source(Catalog(root).manifest(film))
    table = shelf.read(film, source)
    before, numbers = path.read_bytes(), embeddings.to_matrix(table)
    left, other = (path.with_name(f".{path.name}.{n}.tmp") for n in (NO_PROCESS, os.getppid()))
    left.write_bytes(b"half")
    other.write_bytes(b"half")

    def half(table: pa.Table, where: Path, **options: object) -> None:
        where.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(pq, "write_table", half)
    with pytest.raises(KeyboardInterrupt):
        shelf.write(film, source, table.drop_columns("vector"), numbers)
    assert path.read_bytes() == before
    assert not left.exists()
    other.unlink()  # of a process that may still write it
    assert list(find_problems(root)) == []


def test_new_metadata_makes_no_vectors_stale(root: Path) -> None:
    (film, _) = schema.list_films(root)
    manifest = Catalog(root).manifest(film)
    same = manifest | {"metadata": "other", "folder": "moved"}
    assert embeddings.hash_source(same) == embeddings.hash_source(manifest)
    files = manifest["files"] | {"keyframes": {"bytes": 1, "sha256": "0"}}
    assert embeddings.hash_source(manifest | {"files": files}) != embeddings.hash_source(manifest)
