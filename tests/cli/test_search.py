"""`vujax search` and `vujax search-recall`: output, files and errors."""

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.encoders.stub import Stub
from tests.html import Elements
from tests.search.fakes import Colours, catalogue, space_module
from vujax import cli, encoders
from vujax.catalog import Catalog, schema
from vujax.search.similar import find_similar


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return catalogue(tmp_path_factory.mktemp("search"))


@pytest.fixture
def root(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setitem(sys.modules, "vujax.search.text_space", space_module(Colours()))
    monkeypatch.setattr(encoders, "open_encoder", lambda *spec: Stub(), raising=False)
    return Path(shutil.copytree(made, tmp_path / "catalog"))


def search(root: Path, *words: str | Path) -> int:
    return cli.main(["search", str(root), *map(str, words), "--encoder", "stub"])


def ids(text: str) -> list[str]:
    """Return the ids of the table's rows, without the film."""
    rows = [line for line in text.splitlines() if line[:1].isdigit()]
    return [row.split()[-1].partition("/")[2] for row in rows]


def test_a_table(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert search(root, "a red thing", "--top", "4") == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split() == ["score", "film", "timecode", "id"]
    assert ids(out)[:3] == ["s0000"] * 3
    assert len(ids(out)) == 4
    assert lines[-1].startswith("searched 9 shots, embeddings of stub-")
    assert err == ""
    row = next(line for line in lines if "First" in line).split()
    assert row[2:4] == ["First", "00:00:00:00"]


def test_examples_need_no_text_encoder(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_texts(spec: str) -> None:
        raise ImportError("no text encoder")

    monkeypatch.setattr(sys.modules["vujax.search.text_space"], "open_text_space", no_texts)
    item = Catalog(root).shots()["id"][2].as_py()
    assert search(root, "--like", item, "--top", "4") == 0
    found = ids(capsys.readouterr().out)
    assert found == [hit.id.partition("/")[2] for hit in find_similar(root, item, top=4).items]
    assert search(root, "red", "--like", item) == 1
    assert "no text encoder" in capsys.readouterr().err


def test_weights_negatives_and_filters(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["red:2", "green", "--not", "blue", "--level", "frame", "--templates", "name"]
    assert search(root, *words, "--where", "year>1990", "--fold", "--per-film", "2") == 0
    out = capsys.readouterr().out
    rows = [line for line in out.splitlines() if line[:1].isdigit()]
    assert len(rows) == 2
    assert all("<b>Second</b> & third" in row and row.endswith("(+2)") for row in rows)
    assert [row.split()[-2].partition("/")[2][:5] for row in rows] == ["s0000", "s0001"]
    score = (2 * 200 + 40 - 40) / np.sqrt(200**2 + 2 * 40**2) / 4
    assert float(rows[0].split()[1]) == pytest.approx(score, abs=0.03)  # the film is compressed
    assert "searched 9 of 27 frames" in out


def test_pictures_and_what_is_there_as_queries(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (40, 30), (10, 200, 10)).save(tmp_path / "green.png")
    assert search(root, "--image", tmp_path / "green.png", "--top", "3") == 0
    assert ids(capsys.readouterr().out) == ["s0001"] * 3
    film = schema.list_films(root)[0]
    assert search(root, "--like", f"{film}/s0002", "--top", "2") == 0
    out = capsys.readouterr().out
    assert ids(out) == ["s0002"] * 2
    assert f"{film}/s0002" not in out  # not itself
    (tmp_path / "bad.png").write_text("no picture")
    assert search(root, "--image", tmp_path / "bad.png") == 1
    assert "bad.png is not a readable image" in capsys.readouterr().err


def test_a_picture_of_another_model(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(encoders, "open_encoder", lambda *spec: Stub(1))
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    assert search(root, "--image", tmp_path / "a.png") == 1
    assert "the catalog has embeddings of stub-" in capsys.readouterr().err


def test_results_as_files(root: Path, tmp_path: Path) -> None:
    paths = [tmp_path / "out" / f"r{suffix}" for suffix in (".parquet", ".csv", ".jsonl")]
    for path in paths:
        assert search(root, "blue", "--not", "red:0.5", "--out", path, "--top", "5") == 0
    table = pq.read_table(paths[0]).to_pylist()
    lines = [json.loads(line) for line in paths[2].read_text("utf-8").splitlines()]
    rows = list(csv.DictReader(io.StringIO(paths[1].read_text("utf-8"))))
    assert [row["rank"] for row in table] == [1, 2, 3, 4, 5]
    assert {row["query"] for row in table} == {"blue, not red:0.5"}
    assert {row["level"] for row in table} == {"shot"}
    assert table[0]["encoder"].startswith("stub-")
    for one, two, three in zip(table, lines, rows, strict=True):
        assert one["score"] == pytest.approx(two["score"]) == pytest.approx(float(three["score"]))
        same = {k: v for k, v in one.items() if k != "score"}
        assert same == {k: v for k, v in two.items() if k != "score"}
        assert three["id"] == one["id"]


@pytest.mark.parametrize("level", ["frame", "shot"])
def test_a_page(root: Path, tmp_path: Path, level: str) -> None:
    words = ["red", "<script>alert(1)</script>", "--level", level, "--out", tmp_path / "p.html"]
    assert search(root, *words, "--top", "5") == 0
    page = Elements((tmp_path / "p.html").read_text("utf-8"))
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "iframe"}
    assert "<b>Second</b> & third" in page.text
    assert "red, <script>alert(1)</script>" in page.text
    pictures = page.of("img")
    assert len(pictures) == {"frame": 5, "shot": 15}[level]
    assert all(a["src"].startswith("data:image/jpeg;base64,") for a in pictures)
    assert len(page.of("article")) == 5
    policy = next(a["content"] for a in page.of("meta") if a.get("http-equiv"))
    assert "default-src 'none'" in policy


def test_a_page_without_its_pictures(root: Path, tmp_path: Path) -> None:
    film = schema.list_films(root)[0]
    (root / "keyframes" / f"{film}.array_record").unlink()
    assert search(root, "red", "--out", tmp_path / "p.html", "--top", "9") == 0
    page = Elements((tmp_path / "p.html").read_text("utf-8"))
    assert f"Keyframes of {film} cannot be shown" in page.text
    assert len(page.of("img")) == 18


def test_nothing_is_found(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "r.parquet"
    assert search(root, "red", "--where", "year > 2050", "--out", out) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[0] == "no results: the filter matches none of 9 shots"
    assert len(pq.read_table(out)) == 0


def test_films_without_vectors_are_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film = schema.list_films(root)[1]
    for path in (root / "vectors").rglob(f"{film}.parquet"):
        path.unlink()
    assert search(root, "red") == 0
    out, err = capsys.readouterr()
    assert "searched 6 shots" in out
    assert "1 of 3 films have no shot embeddings of stub-" in err
    assert f"such as {film}; run `vujax embed" in err


@pytest.mark.parametrize("query", ["лодка на озере", "湖上的一只小船"])
def test_a_query_in_another_script(
    root: Path, query: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert search(root, query) == 0
    out, err = capsys.readouterr()
    assert "most letters of the query are not Latin" in err
    assert len(ids(out)) == 9


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "the query is empty; give a text, --image FILE or --like ID"),
        ([" "], "a query term is empty"),
        (["red:0"], "the weight of 'red' must not be 0"),
        (["red", "--not", "red"], "cancel each other"),
        (["red", "--where", "yaer > 3"], "unknown column yaer; expected one of: film, id, shot"),
        (["red", "--where", "year >"], "expected a number, a text in quotes"),
        (["red", "--where", "title > 3"], "holds texts that are not numbers"),
        (["red", "--top", "0"], "must be 1 or more"),
        (["red", "--out", "r.doc"], "r.doc: results are written as .parquet, .csv, .jsonl, .html"),
        (["red", "--level", "frame", "--templates", "poem"], "unknown templates 'poem'"),
        (["--image", "nowhere.png"], "nowhere.png does not exist (--image)"),
        (["--like", "other/s0001"], "has no film other with shots"),
        (["--like", "a b"], "'a b' is not an id"),
    ],
)
def test_a_mistake_is_one_sentence(
    root: Path, words: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert search(root, *words) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("vujax: error: ")
    assert why in line


def test_catalogues_that_cannot_be_searched(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert search(root / "nowhere", "red") == 1
    assert "is not a vujax catalog; create one" in capsys.readouterr().err
    assert cli.main(["search", str(root), "red", "--encoder", "other"]) == 1
    assert (
        "has no shot embeddings of other; compute them with `vujax embed" in capsys.readouterr().err
    )
    (root / schema.CATALOG_FILE).write_text('{"schema": 2000}')
    assert search(root, "red") == 1
    assert "is a catalog of version 2000" in capsys.readouterr().err


def test_recall(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("faiss", reason="extra [ann] is missing")
    words = ["search-recall", str(root), "--encoder", "stub", "--level", "frame"]
    assert cli.main([*words, "-k", "4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "27 queries, 27 frames, k = 4"
    assert [line.split()[:2] for line in lines[2:]] == [["exact", "1.0000"], ["faiss", "1.0000"]]
    (tmp_path / "q.txt").write_text("red\n\nblue\n")
    more = ["--queries", str(tmp_path / "q.txt"), "--where", "shot < 2", "--json"]
    assert cli.main([*words, *more]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["searcher"] for line in found] == ["exact", "faiss"]
    assert all(line["recall"] == 1 and line["p50_ms"] > 0 for line in found)
    (tmp_path / "q.txt").write_text("\n")
    assert cli.main([*words, *more]) == 1
    assert "q.txt has no text" in capsys.readouterr().err
    assert cli.main([*words, "--where", "shot > 99"]) == 1
    assert "the filter matches none of 27 frames" in capsys.readouterr().err


def test_the_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from vujax import cli\n"
        "for words in (['search'], ['search-recall']):\n"
        "    try: cli.main([*words, '--help'])\n"
        "    except SystemExit: pass\n"
        "print([m for m in ('jax', 'av', 'pyarrow', 'numpy', 'tqdm') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
