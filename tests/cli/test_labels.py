"""`vujax labels`: all actions of the page, and one sentence per error."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.encoders.stub import catalogue
from vujax import cli
from vujax.annotate.labels import items
from vujax.annotate.labels.exports import FORMATS, images
from vujax.catalog import Catalog
from vujax.cli import labels


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return catalogue(tmp_path_factory.mktemp("labels"))


@pytest.fixture
def root(made: Path) -> Path:
    for file in (made / "labels").glob("*"):
        file.unlink()
    return made


def test_starting_imports_nothing_heavy() -> None:
    code = (
        "import sys; from vujax import cli\n"
        "for words in (['labels'], ['labels', 'export']):\n"
        "    try: cli.main([*words, '--help'])\n"
        "    except SystemExit: pass\n"
        "print([m for m in ('jax', 'av', 'pyarrow', 'numpy', 'tqdm') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert FORMATS.names()[0] == "csv" and FORMATS.names()[-1] == "fiftyone"
    assert items.LEVELS == labels.LEVELS
    assert images.IMAGE_KINDS == labels.PICTURES


def test_label_list_export_import_undo(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    film = Catalog(root).film_ids()[0]

    def do(*words: str) -> str:
        assert cli.main(["labels", *words]) == 0
        return capsys.readouterr().out

    assert "no label set yet" in do("list", str(root))
    ids = [f"{film}/s0000", f"{film}/s0001"]
    do("set", str(root), "boats", *ids, "--label", "boat", "--author", "ann")
    do("set", str(root), "boats", ids[1], "--label", "boat", "--value", "no", "--author", "ann")
    assert "boat: 1 positive, 1 negative" in do("list", str(root))
    out = str(tmp_path / "a.csv")
    assert "2 labels" in do("export", str(root), "boats", "--format", "csv", "--out", out)
    assert "2 new, 0 already known" in do("import", str(root), "others", out)
    assert "0 new, 2 already known" in do("import", str(root), "others", out)
    do("undo", str(root), "boats", "--author", "ann")
    assert "boat: 2 positive, 0 negative" in do("list", str(root))


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["list", "nowhere"], "is not a vujax catalog"),
        (["export", "ROOT", "none", "--format", "csv", "--out", "x"], "has no label set none"),
        (
            ["export", "ROOT", "../x", "--format", "csv", "--out", "x"],
            "invalid name of a label set",
        ),
        (["import", "ROOT", "a", "none.csv"], "none.csv does not exist"),
        (["set", "ROOT", "a", "x/s0000", "--label", "boat"], "has no film x"),
        (["set", "ROOT", "a", "../x", "--label", "boat"], "is not an id"),
        (["undo", "ROOT", "none"], "has no label set none"),
    ],
)
def test_a_mistake_is_one_sentence(
    words: list[str], why: str, root: Path, capsys: pytest.CaptureFixture
) -> None:
    assert cli.main(["labels", *(str(root) if word == "ROOT" else word for word in words)]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert why in line
