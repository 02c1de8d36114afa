"""Folders of images by class."""

import pickle

import pytest

from tests.data.samples import encoded
from vujax.data.sources.folder import FolderSource


@pytest.fixture
def folder(tmp_path):
    for name in ("b_dog", "a cat"):
        (tmp_path / name / "more").mkdir(parents=True)
        (tmp_path / name / "1.JPG").write_bytes(encoded(1))
        (tmp_path / name / "more" / "ü.png").write_bytes(encoded(2, "PNG"))
        (tmp_path / name / "notes.txt").write_text("not a picture")
        (tmp_path / name / "._1.jpg").write_text("not a picture")
    (tmp_path / ".hidden").mkdir()
    return tmp_path


def test_classes_are_the_folders(folder):
    source = pickle.loads(pickle.dumps(FolderSource(str(folder))))
    assert source.classes == ("a cat", "b_dog")
    assert [r["label"] for r in source] == [0, 0, 1, 1]
    assert [r["key"] for r in source][2:] == ["b_dog/1.JPG", "b_dog/more/ü.png"]
    assert source[3]["image"] == encoded(2, "PNG")
    assert source[0]["captions"] == []


def test_captions_from_the_class(folder):
    source = FolderSource(str(folder), caption="a photo of a {}.")
    assert source[2]["captions"] == ["a photo of a b dog."]


def test_what_is_missing_is_named(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        FolderSource(str(folder / "nowhere"))
    with pytest.raises(ValueError, match="it has none"):
        FolderSource(str(folder / ".hidden"))
    (folder / "c").mkdir()
    with pytest.raises(ValueError, match=r"c has no image"):
        FolderSource(str(folder))
