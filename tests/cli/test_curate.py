"""`vujax curate`: fast start, one sentence per error, and its address."""

import json
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.annotate.app.serving import embedded_catalog
from vujax import cli
from vujax.annotate.app import open_session, read_tag_scores
from vujax.catalog import schema


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return embedded_catalog(tmp_path_factory.mktemp("curate"), 1)


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "catalog"))


def test_starting_imports_nothing_heavy() -> None:
    code = (
        "import sys; from vujax import cli\n"
        "try: cli.main(['curate', '--help'])\n"
        "except SystemExit: pass\n"
        "names = ('jax', 'av', 'pyarrow', 'numpy', 'tqdm', 'starlette', 'uvicorn')\n"
        "print([m for m in names if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def mistake(words: list[str], capsys: pytest.CaptureFixture) -> str:
    assert cli.main(["curate", *words]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def test_mistakes_are_one_sentence(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    stub = ["--encoder", "stub"]
    assert "is not a vujax catalog" in mistake([str(tmp_path)], capsys)
    assert "has no frame embeddings of other" in mistake([str(root), "--encoder", "other"], capsys)
    assert "at least 16 characters" in mistake([str(root), *stub, "--token", "short"], capsys)
    assert "does not exist" in mistake([str(root), *stub, "--tags", "none.csv"], capsys)
    assert "unknown text space" in mistake([str(root), *stub, "--space", "none"], capsys)
    (root / schema.CATALOG_FILE).write_text('{"schema": 99}')
    assert "of version 99, and this vujax reads" in mistake([str(root), *stub], capsys)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setitem(sys.modules, "vujax.annotate.app.server", None)
    assert "pip install 'vujax[curate]'" in mistake(["anywhere"], capsys)


def test_vectors_of_what_a_film_was(root: Path) -> None:
    """They are refused when they are first wanted, not shown as those of other shots."""
    (manifest,) = (root / schema.MANIFESTS).iterdir()
    facts = json.loads(manifest.read_text())
    facts["files"]["shots.parquet"]["sha256"] = "0" * 64
    manifest.write_text(json.dumps(facts))
    session = open_session(root, "stub")
    with pytest.raises(ValueError, match="former version of the film; run `vujax embed`"):
        session.item_set("shot")


def test_all_but_texts_works_without_a_text_encoder(root: Path) -> None:
    session = open_session(root, "stub")
    assert session.text_search_error.startswith("text search is not available: ")
    assert len(session.item_set("shot")) == 3
    np_rows = session.item_set("shot").index.vectors
    assert (np_rows**2).sum(1) == pytest.approx(1.0, abs=1e-5)


def test_a_table_of_tags(tmp_path: Path) -> None:
    path = tmp_path / "tags.csv"
    path.write_text("id,label,score\nf/s0001,boat,0.5\nf/s0002,boat,\nf/s0001,lake,0.25\n")
    assert read_tag_scores(path) == {"boat": {"f/s0001": 0.5}, "lake": {"f/s0001": 0.25}}
    for text, why in (
        ("id,label\n", "no column 'score'"),
        ("id,label,score\nx,y,high\n", "is not a number"),
        ("id,label,score\n,y,1\n", "id is missing"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=why):
            read_tag_scores(path)


@pytest.mark.multiprocess
def test_it_serves_until_it_is_stopped(root: Path) -> None:
    words = [sys.executable, "-m", "vujax.cli", "curate", str(root), "--encoder", "stub"]
    process = subprocess.Popen([*words, "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline().startswith("note: text search is not available")
        address = process.stdout.readline().split()[0]
        with urllib.request.urlopen(f"{address}api/about", timeout=30) as answer:
            assert json.load(answer)["levels"] == ["frame", "shot"]
        process.send_signal(signal.SIGINT)
        assert process.wait(30) in (0, cli.INTERRUPTED)
    finally:
        process.kill()
