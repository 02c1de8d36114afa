"""Search by a trained model: from its directory to hits."""

import shutil
from pathlib import Path

import pytest

from tests.encoders import releases, stub
from vujax.annotate.app import open_session
from vujax.catalog import Catalog
from vujax.encoders import make_opener
from vujax.models import release
from vujax.models.tokenizers.clip import VOCAB
from vujax.search.run import open_index, search

TEXT = releases.IMAGE_TEXT["text"] | dict(vocab=VOCAB)
SETTINGS = releases.IMAGE_TEXT | dict(text=TEXT)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "mine"
    releases.image_text(folder, settings=SETTINGS)
    return folder


@pytest.fixture(scope="module")
def root(made: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = Path(shutil.copytree(made, tmp_path_factory.mktemp("search") / "catalog"))
    stub.run(copy, make_opener(str(model)), workers=1)
    return copy


@pytest.fixture
def openings(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Directories of models whose weights are read, in order."""
    seen: list[Path] = []
    load = release.load_host
    monkeypatch.setattr(release, "load_host", lambda path: seen.append(path) or load(path))
    return seen


def test_search_for_a_text_opens_the_model_once(
    root: Path, model: Path, openings: list[Path]
) -> None:
    hits = search(root, "a red boat", encoder=str(model), top=3)
    assert len(hits) == 3 and openings == [model]
    openings.clear()
    index = open_index(Catalog(root), "frame", str(model), texts=False)
    assert index.model.name == "mine" and openings == [model]


def test_labeling_opens_the_model_once(root: Path, model: Path, openings: list[Path]) -> None:
    session = open_session(root, str(model))
    assert session.encoder.startswith("mine-") and openings == [model]
    assert session.text_search_error == ""


def test_embeddings_of_former_weights_are_not_searched(root: Path, tmp_path: Path) -> None:
    releases.image_text(tmp_path / "mine", seed=1)
    with pytest.raises(FileNotFoundError, match=r"has no shot embeddings of mine-\w{8}; compute"):
        search(root, "a red boat", encoder=str(tmp_path / "mine"))
