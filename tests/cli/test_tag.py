"""`vujax tag`: its output, and one sentence per error."""

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.annotate.tagging.stub_catalog import embedded_catalog, label_rows, write_table
from vujax import cli


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return embedded_catalog(tmp_path_factory.mktemp("tagging"), 4)


def tag(*words: str | Path) -> int:
    return cli.main(["tag", *map(str, words)])


def test_train_and_apply(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [*label_rows(root), label_rows(root)[0].partition(",")[0] + ",rare"]
    labels, tagger = write_table(tmp_path / "labels.csv", lines), tmp_path / "tagger"
    common = ["--labels", labels, "--encoder", "stub", "--out", tagger]
    assert tag("train", root, *common) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].split() == [
        "tag",
        "AP",
        "chance",
        "F1",
        "threshold",
        "positives",
        "of",
        "trained",
        "on",
    ]
    assert shown[1].split()[:4] == ["blue", "1.000", "0.333", "1.000"]
    assert shown[4].split() == ["mean", "1.000", "0.333", "1.000"]
    assert "evaluated on 3 shots of 1 other films" in shown[6]
    assert any(
        line.startswith("left out     rare: too few examples: 1 positives in 1 films")
        for line in shown
    )
    assert tag("train", root, *common) == 0  # again, over the old one
    capsys.readouterr()
    out = tmp_path / "tags.parquet"
    assert tag("apply", root, "--tagger", tagger, "--out", out) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[1].split() == ["blue", "4", "12"]
    assert shown[-1] == f"written      36 rows of 4 films: {out}"
    assert len(pq.read_table(out)) == 36


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--encoder", "other"], "no shot embeddings of other"),
        (["--encoder", "stub", "--level", "minute"], "unknown level 'minute'"),
        (["--encoder", "../stub"], "unknown encoder '../stub'; expected lite or"),
        (["--encoder", "stub", "--reviewed", "none"], "no label is trainable"),
        (["--encoder", "stub", "--reviewed", "none", "x"], "--reviewed none excludes films"),
        (["--encoder", "stub", "--reviewed", "x"], "no film x, which is listed as reviewed"),
        (["--encoder", "stub", "--labels", "no.csv"], "no.csv does not exist"),
        (["--encoder", "stub", "--out", "LABELS"], "is a file"),
    ],
)
def test_a_mistake_is_one_sentence(
    root: Path, words: list[str], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = write_table(tmp_path / "labels.csv", label_rows(root))
    words = [str(labels) if word == "LABELS" else word for word in words]
    common = ["--labels", labels, "--out", tmp_path / "tagger"]
    assert tag("train", root, *common, *words) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("vujax: error: ") and why in line
    assert not (tmp_path / "tagger").exists()


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from vujax import cli\n"
        "for words in (['tag'], ['tag', 'train'], ['tag', 'apply']):\n"
        "    try: cli.main([*words, '--help'])\n"
        "    except SystemExit: pass\n"
        "print([m for m in ('jax', 'av', 'pyarrow', 'numpy', 'tqdm') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
