"""Embeddings of image-text sources: order, cache, and another source."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.encoders.stub import Stub
from vujax.data import captions
from vujax.data.images import preprocess_eval_image
from vujax.data.sources import open_source
from vujax.encoders import pairs
from vujax.encoders.pairs import encode_pairs, open_pairs
from vujax.models.image_spec import ImageSpec


def table(folder: Path, count: int = 40, broken: int = 0, words: str = "picture") -> dict:
    """Pictures of one colour each, the last ones damaged."""
    folder.mkdir(exist_ok=True)
    rows = ["image,caption"]
    for number in range(count):
        data = io.BytesIO()
        Image.new("RGB", (20, 30), (number, 2 * number, 99)).save(data, "png")
        good = number < count - broken
        (folder / f"{number}.png").write_bytes(data.getvalue() if good else b"none")
        rows.append(f"{number}.png,{words} {number}")
    (folder / "pairs.csv").write_text("\n".join(rows) + "\n")
    return dict(kind="table", path=str(folder / "pairs.csv"))


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Stub:
    encoder = Stub()
    monkeypatch.setattr(pairs, "open_encoder", lambda spec: encoder)
    return encoder


def test_vectors_are_those_of_the_pictures(tmp_path):
    source, encoder = open_source(**table(tmp_path)), Stub()
    found = encode_pairs(source, encoder)
    pictures = np.stack(
        [preprocess_eval_image(source[i]["image"], ImageSpec.square(16)) for i in range(40)]
    )
    np.testing.assert_allclose(found.embeddings, encoder.encode(pictures), rtol=1e-6)
    assert found.captions[7] == ("picture 7",) and found.keys[7].endswith("7.png")
    assert (found.encoder, found.digest) == ("stub", encoder.digest)
    assert {shape[0] for shape in encoder.shapes[:-1]} == {pairs.BATCH}


def test_kept_vectors_are_not_made_again(tmp_path, stub):
    sources = {"main": table(tmp_path / "in")}
    first = open_pairs(sources, "stub", str(tmp_path / "cache"))
    made = len(stub.shapes)
    again = open_pairs(sources, "stub", str(tmp_path / "cache"))
    assert len(stub.shapes) == made
    np.testing.assert_array_equal(again.embeddings, first.embeddings)
    assert again.captions == first.captions
    table(tmp_path / "in", words="other words")  # the same path, number and pictures
    other = open_pairs(sources, "stub", str(tmp_path / "cache"))
    assert len(stub.shapes) > made and other.captions[0] == ("other words 0",)
    assert len(list((tmp_path / "cache").iterdir())) == 1
    open_pairs(sources, "stub")
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_several_sources_and_kept_files(tmp_path, stub):
    one = {"kind": "vectors", "path": str(tmp_path / "one.parquet")}
    made = encode_pairs(open_source(**table(tmp_path / "in")), stub)
    captions.write_embedding_pairs(made, tmp_path / "one.parquet")
    both = open_pairs({"a": one, "b": table(tmp_path / "in")}, "stub")
    assert len(both) == 80
    np.testing.assert_array_equal(both.embeddings[:40], both.embeddings[40:])
    with pytest.raises(
        ValueError, match=r"one.parquet has embeddings of stub, not lite; compute it"
    ):
        open_pairs({"a": one}, "lite")


def test_bad_pictures_are_left_out_up_to_a_limit(tmp_path, caplog):
    source = open_source(**table(tmp_path, broken=1))
    found = encode_pairs(source, Stub(), "mine")
    assert len(found) == 39 and found.captions[-1] == ("picture 38",)
    assert "mine: skipped: '" in caplog.text and "39.png" in caplog.text
    with pytest.raises(ValueError, match=r"2 of 40 images of mine are unusable, such as .*png"):
        encode_pairs(open_source(**table(tmp_path, broken=2)), Stub(), "mine")


def test_options(tmp_path):
    with pytest.raises(ValueError, match="source a needs a path"):
        open_pairs({"a": dict(kind="vectors", path="")}, "lite")
    with pytest.raises(ValueError, match="source a has no option key"):
        open_pairs({"a": dict(kind="vectors", path="x", key="y")}, "lite")
    with pytest.raises(ValueError, match="source a needs a kind"):
        open_pairs({"a": dict(path="x")}, "lite")
    with pytest.raises(FileNotFoundError, match="x does not exist"):
        open_pairs({"a": dict(kind="vectors", path="x")}, "lite")
