"""Validation of a catalog finds and names each kind of damage."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.pipeline.ingest.films import Cuts, film
from vujax.catalog import Catalog, schema
from vujax.catalog.parquet import read_parquet
from vujax.catalog.records import RecordWriter
from vujax.catalog.validate import find_problems
from vujax.catalog.writer import describe_file
from vujax.pipeline.ingest.detectors import share_detector
from vujax.pipeline.ingest.film import IngestJob, IngestStage
from vujax.pipeline.ingest.settings import IngestSettings
from vujax.pipeline.sources import find_films


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalog")
    film(folder / "in" / "a.mp4", (30, 40, 30))
    schema.create_catalog(folder / "out")
    ingest = IngestStage(IngestJob(folder / "out", IngestSettings(), lambda: share_detector(Cuts)))
    for source in find_films([folder / "in"]).sources:
        ingest(source)
    return folder / "out"


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "catalog"))


def part(root: Path, name: str) -> Path:
    return schema.part_path(root, name, schema.list_films(root)[0])


def sign(root: Path, name: str) -> None:
    """Makes the manifest agree with an altered part, so that only its content is wrong."""
    path = schema.manifest_path(root, schema.list_films(root)[0])
    facts = json.loads(path.read_text())
    facts["files"][name] = describe_file(part(root, name))
    path.write_text(json.dumps(facts))


def alter(root: Path, name: str, change: Callable[[list[dict]], object]) -> None:
    table = read_parquet(part(root, name))
    rows = table.to_pylist()
    change(rows)
    pq.write_table(type(table).from_pylist(rows, schema=table.schema), part(root, name))
    sign(root, name)


def test_a_whole_catalogue_has_no_problem(root: Path) -> None:
    assert list(find_problems(root)) == []


@pytest.mark.parametrize(
    "name", ["films.parquet", "shots.parquet", "keyframes.parquet", "keyframes"]
)
def test_a_file_that_is_missing_or_altered(root: Path, name: str) -> None:
    path = part(root, name)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert [str(path) in p and "altered" in p for p in find_problems(root)] == [True]
    path.unlink()
    assert [str(path) in p and "missing" in p for p in find_problems(root)] == [True]


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("shots.parquet", lambda rows: rows.pop(), "2 shots, not 3"),
        ("shots.parquet", lambda rows: rows.reverse(), "not in order"),
        ("shots.parquet", lambda rows: rows[1].update(id=rows[0]["id"]), "have one id"),
        ("shots.parquet", lambda rows: rows[1].update(first_frame=31), "leave gaps or overlap"),
        ("shots.parquet", lambda rows: rows[2].update(last_frame=98), "leave gaps or overlap"),
        ("shots.parquet", lambda rows: rows[0].update(end_pts=7), "leave gaps or overlap"),
        ("shots.parquet", lambda rows: rows[0].update(film="other"), "rows of another film"),
        ("keyframes.parquet", lambda rows: rows.pop(), "8 keyframes, not 9"),
        ("keyframes.parquet", lambda rows: rows.reverse(), "not in order"),
        ("keyframes.parquet", lambda rows: rows[0].update(pts=10**9), "outside its shot"),
        ("keyframes.parquet", lambda rows: rows[0].update(record=99), "have no image"),
        ("keyframes.parquet", lambda rows: rows[0].update(width=3), "another size"),
    ],
)
def test_rows_that_contradict_each_other(
    root: Path, name: str, change: Callable[[list[dict]], object], words: str
) -> None:
    alter(root, name, change)
    assert any(words in problem for problem in find_problems(root))


def test_a_keyframe_that_is_no_picture(root: Path) -> None:
    film = schema.list_films(root)[0]
    count = len(Catalog(root).jpegs(film))
    with RecordWriter(part(root, "keyframes")) as writer:
        for _ in range(count):
            writer.write(b"no picture")
    sign(root, "keyframes")
    assert any("cannot be decoded" in problem for problem in find_problems(root))
    assert list(find_problems(root, decode_images=False)) == []


def test_files_of_no_film_are_named(root: Path) -> None:
    schema.manifest_path(root, schema.list_films(root)[0]).unlink()
    (root / schema.STAGING / "a~host~1").mkdir(parents=True)
    found = list(find_problems(root))
    assert sum("belongs to no film" in problem for problem in found) == 4
    assert sum("in work" in problem for problem in found) == 1


def test_a_damaged_manifest(root: Path) -> None:
    schema.manifest_path(root, schema.list_films(root)[0]).write_text("{")
    assert ["manifest is damaged" in problem for problem in find_problems(root)] == [True]


def test_a_reader_says_what_is_missing(root: Path) -> None:
    catalog = Catalog(root)
    (film,) = catalog.film_ids()
    with pytest.raises(KeyError, match="no film other"):
        catalog.shots("other")
    with pytest.raises(ValueError, match="is not an id"):
        catalog.shots("../../etc")
    with pytest.raises(KeyError, match="no keyframe"):
        catalog.jpeg(f"{film}/s0099/0")
    part(root, "keyframes").write_bytes(b"short")
    with pytest.raises(ValueError, match="is damaged"):
        catalog.jpeg(f"{film}/s0000/0")
