"""Active learning: labels train a tagger or the page's classifier, whose errors the page shows."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.annotate.app.large_catalog import HUES, large_catalog
from tests.annotate.app.serving import ColorSpace, stub_session
from vujax import cli
from vujax.annotate import app
from vujax.annotate.app import read_tag_scores
from vujax.annotate.app.requests import LabelRequest, QueryTerm, SearchRequest
from vujax.annotate.app.session import CurationSession

GREEN = range(HUES // 3 - 1, HUES // 3 + 2)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return large_catalog(tmp_path_factory.mktemp("circle") / "catalog", films=5, shots=60)


@pytest.fixture(autouse=True)
def color_space(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "open_text_space", lambda spec: ColorSpace())


def truth(work: CurationSession) -> dict[str, bool]:
    """Return the shots that are green, by their images' records."""
    table = work.catalog.keyframes()
    shots = [f"{key.rpartition('/')[0]}" for key in table["id"].to_pylist()]
    return {
        shot: hue in GREEN for shot, hue in zip(shots, table["record"].to_pylist(), strict=True)
    }


def review(work: CurationSession, wrong: int = 0) -> list[str]:
    """Labels 150 shots as they are, but the first ones wrongly; gives those."""
    right = truth(work)
    rng = np.random.default_rng(0)
    items = [str(item) for item in rng.permutation(list(right))[:150]]
    for place, item in enumerate(items):
        value = 1 if right[item] != (place < wrong) else -1
        work.add_labels(LabelRequest("set", "green", value, (item,), (None,), "", "green", False))
    return items[:wrong]


@pytest.mark.long
def test_a_tagger_learns_from_the_page_and_its_errors_come_back(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    work = stub_session(root)
    wrong = review(work, wrong=2)
    out = {name: str(tmp_path / name) for name in ("green.csv", "tagger", "tags.parquet")}
    words = ["labels", "export", str(root), "set", "--format", "csv", "--out", out["green.csv"]]
    assert cli.main(words) == 0
    words = ["tag", "train", str(root), "--labels", out["green.csv"], "--encoder", "stub"]
    assert cli.main([*words, "--out", out["tagger"], "--reviewed", "none"]) == 0
    words = ["tag", "apply", str(root), "--tagger", out["tagger"], "--out", out["tags.parquet"]]
    assert cli.main(words) == 0
    back = stub_session(root, tags=read_tag_scores(tmp_path / "tags.parquet"))
    shots, right = back.item_set("shot"), truth(back)
    found = back.search(SearchRequest("shot", "set", label="green", tags=True))
    assert found["of"] == 300
    best = [shots.ids[row] for row in found["rows"][:20]]
    assert np.mean([right[item] for item in best]) > 0.8
    # Of what the tagger is sure of, what was rejected: the errors of people.
    doubted = back.search(SearchRequest("shot", "set", label="green", status="doubt", fold=False))
    assert {shots.ids[row] for row in doubted["rows"][:6]} >= set(wrong)
    capsys.readouterr()


def test_labels_and_words_applied_to_the_catalogue(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (root / "labels" / "set.jsonl").unlink(missing_ok=True)
    work = stub_session(root)
    review(work)
    words = ["labels", "apply", str(root), "set", "--label", "green", "--encoder", "stub"]
    words += ["--query", "green:2", "--out", str(tmp_path / "a.parquet"), "--threshold", "1.0"]
    assert cli.main(words) == 0
    assert "300 shots" in capsys.readouterr().out
    table = pq.read_table(tmp_path / "a.parquet").to_pylist()
    ask = SearchRequest(
        "shot", "set", label="green", terms=(QueryTerm("green", 2.0),), learn=True, fold=False
    )
    page = work.search(ask)
    assert [row["score"] for row in table] == page["scores"]
    assert [row["id"] for row in table] == [work.item_set("shot").ids[row] for row in page["rows"]]
    right = truth(work)
    chosen = [row for row in table if row["chosen"]]
    assert chosen == [row for row in table if row["score"] >= 1.0]
    assert np.mean([right[row["id"]] for row in table[:20]]) > 0.8
    assert read_tag_scores(tmp_path / "a.parquet")["green"][table[0]["id"]] == table[0]["score"]
    assert cli.main([*words[:3], "none", *words[4:]]) == 1
    assert "has no label set none" in capsys.readouterr().err
