"""Suspects from pairs to files: truth, ranking, cleaned manifests and the page."""

import csv
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.encoders import releases
from tests.html import Elements
from tests.training.test_cross_fit import SETTINGS, topic_pairs
from vujax import cli
from vujax.annotate.app import read_tag_scores
from vujax.data.feature_pairs import (
    FeaturePairs,
    read_feature_pairs,
    shuffle_captions,
    write_feature_pairs,
)
from vujax.models import release
from vujax.search import suspects
from vujax.search.clean_pairs import select_captions, write_clean
from vujax.search.suspects import Suspects, find_suspects, read_truth
from vujax.training.cross_fit import train_towers

EVIL = "<script>alert(1)</script>"
UNKNOWN = {side: dict(encoder="", digest="") for side in ("image", "text")}
MODEL = dict(image_dim=12, text_dim=10, hidden=16, embed_dim=8)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A folder with features of which 30% have wrong captions, their shards, and towers."""
    root = tmp_path_factory.mktemp("suspects")
    right = topic_pairs()
    wrong = shuffle_captions(right, 0.3)
    write_feature_pairs(wrong, root / "pairs.parquet")
    _, variables = train_towers(right, SETTINGS)
    config = dict(model=MODEL, method=dict(name="distill_features"), encoder="features")
    release.save(root / "run", config | dict(frozen=UNKNOWN), variables)
    write_shard(root / "pairs.tar", wrong)
    write_table(root / "pairs.csv", wrong)
    return root


def write_shard(path: Path, pairs: FeaturePairs) -> None:
    with tarfile.open(path, "w") as tar:
        for key, own, wrong in zip(pairs.images.keys, pairs.captions, pairs.shuffled, strict=True):
            buffer = io.BytesIO()
            Image.new("RGB", (40, 30), "red").save(buffer, "png")
            fields = json.dumps({"swapped": bool(wrong)}).encode()
            for suffix, data in (("png", buffer.getvalue()), ("txt", own[0].encode())):
                add_member(tar, f"{key}.{suffix}", data)
            add_member(tar, f"{key}.json", fields)


def add_member(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def write_table(path: Path, pairs: FeaturePairs) -> None:
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "caption", "shelf"])
        for key, own in zip(pairs.images.keys, pairs.captions, strict=True):
            (path.parent / key).write_bytes(b"")
            table.writerow([key, own[0], "a"])


def judged(root: Path, *words: str) -> list[str]:
    features = str(root / "pairs.parquet")
    return ["pairs", "suspects", features, "--encoder", str(root / "run"), *words]


@pytest.fixture
def found(root: Path) -> Suspects:
    sources = dict(main=dict(kind="features", path=str(root / "pairs.parquet")))
    return find_suspects(sources, str(root / "run"))


@pytest.mark.long
def test_a_table_of_suspects_is_one_of_tags(root, tmp_path, capsys):
    out = tmp_path / "suspects.csv"
    assert cli.main(judged(root, "--out", str(out))) == 0
    told = capsys.readouterr().out
    assert "160 captions of 160 images" in told and "precision@100" in told
    auc = next(float(line.split()[1]) for line in told.splitlines() if line.startswith("auc"))
    assert auc > 0.9
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["rank"]) for row in rows] == list(range(1, 161))
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert all(row["better"] != row["caption"] for row in rows)
    tags = read_tag_scores(out)  # `vujax curate --tags`
    assert list(tags) == ["wrong caption"] and len(tags["wrong caption"]) == 160
    assert tags["wrong caption"][rows[0]["id"]] == pytest.approx(scores[0])


@pytest.mark.long
def test_cross_fitted_towers_need_no_model_of_pairs(root, tmp_path, capsys):
    out = str(tmp_path / "suspects.parquet")
    assert cli.main(judged(root, "--folds", "2", "--out", out)) == 0
    assert "2 towers on" in capsys.readouterr().out
    table = pq.read_table(out)
    assert (
        table["wrong"].to_numpy().sum() == read_feature_pairs(root / "pairs.parquet").shuffled.sum()
    )


def test_the_page_shows_images_and_runs_nothing(root, tmp_path, found):
    evil = replace(found.pairs.images, captions=((EVIL,), *found.pairs.captions[1:]))
    write_feature_pairs(replace(found.pairs, images=evil), tmp_path / "evil.parquet")
    words = ["pairs", "suspects", str(tmp_path / "evil.parquet"), "--encoder", str(root / "run")]
    words += ["--images", str(root / "pairs.tar"), "--top", "160"]
    assert cli.main([*words, "--out", str(tmp_path / "page.html")]) == 0
    page = Elements((tmp_path / "page.html").read_text())
    assert not page.of("script") and EVIL in page.text
    assert len(page.of("article")) == len(page.of("img")) == 160
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in page.of("img"))
    assert "Wrong among the first 100" in page.text and "Rather: " in page.text
    assert {"wrong", "right"} <= {a["class"].split()[-1] for a in page.of("span", "verdict")}


def test_a_page_without_images(root, tmp_path):
    assert cli.main(judged(root, "--top", "3", "--out", str(tmp_path / "page.html"))) == 0
    page = Elements((tmp_path / "page.html").read_text())
    assert len(page.of("article")) == len(page.of("span", "none")) == 3


def test_clean_features_leave_out_the_most_suspicious(root, tmp_path, capsys):
    words = judged(root, "--out", str(tmp_path / "s.csv"), "--clean", str(tmp_path / "c.parquet"))
    assert cli.main([*words, "--share", "0.25"]) == 0
    assert "c.parquet: 120 of 160 captions" in capsys.readouterr().out
    clean = read_feature_pairs(tmp_path / "c.parquet")
    assert len(clean) == 120 and clean.shuffled.mean() < 0.12  # of 0.26 before
    with (tmp_path / "s.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["id"] for row in rows[40:]} == set(clean.images.keys)
    threshold = str((float(rows[9]["score"]) + float(rows[10]["score"])) / 2)
    assert cli.main([*words, "--threshold", threshold]) == 0
    assert len(read_feature_pairs(tmp_path / "c.parquet")) == 150


def test_clean_shards_and_tables(root, tmp_path, found):
    kept = select_captions(found.pairs, found.select_clean(share=0.5))
    assert len(kept) == 80
    shards = dict(a=dict(kind="webdataset", path=str(root / "*.tar")))
    path = write_clean(kept, shards, tmp_path / "c.tar")
    with tarfile.open(path) as clean, tarfile.open(root / "pairs.tar") as whole:
        names = clean.getnames()
        assert {name.partition(".")[0] for name in names} == set(kept.images.keys)
        assert len(names) == 3 * 80
        for name in names[:3]:
            assert clean.extractfile(name).read() == whole.extractfile(name).read()
    table = dict(a=dict(kind="table", path=str(root / "pairs.csv")))
    with write_clean(kept, table, tmp_path / "c.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == list(kept.images.keys) and rows[0]["shelf"] == "a"
    with write_clean(kept, shards, tmp_path / "k.csv").open(newline="") as file:
        assert next(csv.DictReader(file)) == dict(
            key=kept.images.keys[0], caption=kept.captions[0][0]
        )


def test_some_captions_of_an_image_stay():
    pairs = topic_pairs(4)
    images = replace(pairs.images, captions=(("a", "b"), ("c",), ("d", "e", "f"), ("g",)))
    pairs = FeaturePairs(images, np.eye(7, 10, dtype=np.float32))
    kept = select_captions(pairs, np.array([1, 0, 0, 1, 0, 1, 1], bool))
    assert kept.captions == (("a",), ("d", "f"), ("g",)) and kept.images.keys == ("p0", "p2", "p3")
    np.testing.assert_array_equal(kept.texts, np.eye(7, 10)[[0, 3, 5, 6]])


def test_truth_of_a_json_field(root, found):
    sources = dict(a=dict(kind="webdataset", path=str(root / "pairs.tar")))
    truth = read_truth(sources, found.pairs.images.keys, "swapped")
    np.testing.assert_array_equal(truth, found.pairs.shuffled)
    with pytest.raises(ValueError, match=r"'p0' has no field 'fake' that marks wrong captions"):
        read_truth(sources, found.pairs.images.keys, "fake")


def test_an_image_text_model_judges_its_own_embeddings(tmp_path, monkeypatch):
    releases.image_text(tmp_path / "clip")
    pairs = topic_pairs(24)
    images = replace(pairs.images, embeddings=pairs.images.embeddings[:, :8])
    own = FeaturePairs(images, pairs.texts[:, :8])
    monkeypatch.setattr(suspects, "open_feature_pairs", lambda *_: own)
    found = find_suspects(dict(a=dict(kind="table")), str(tmp_path / "clip"))
    assert found.scores.suspicion.shape == (24,) and found.evaluate() == {}
    monkeypatch.setattr(suspects, "open_feature_pairs", lambda *_: pairs)
    with pytest.raises(ValueError, match="has no common space of images and texts: give a number"):
        find_suspects(dict(a=dict(kind="table")), str(tmp_path / "clip"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "s.txt"], "results are written as .parquet, .csv, .jsonl, .html"),
        (["--out", "s.csv", "--share", "0.1"], "--share and --threshold are options of --clean"),
        (["--out", "s.csv", "--clean", "c.txt"], "cleaned pairs are written as .parquet, .csv"),
        (["--out", "s.csv", "--clean", "c.tar"], "only .tar shards are cleaned to .tar"),
        (["--out", "s.csv", "--clean", "c.csv"], "give a share or a threshold of the captions"),
        (["--out", "s.csv", "--clean", "c.csv", "--share", "1"], "must be in [0, 1), got 1.0"),
        (["--out", "s.csv", "--clean", "c.csv", "--threshold", "-9"], "no caption has a score"),
        (["--out", "s.csv", "--folds", "1"], "1 folds cannot be made of 160 different images"),
        (["--out", "s.csv", "--encoder", "lite"], "lite cannot judge captions by itself"),
    ],
)
def test_one_sentence_for_each_mistake(root, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert cli.main(judged(root, *words)) == 1
    printed = capsys.readouterr()
    assert message in printed.err
    assert ("judged by" in printed.out) == ("--threshold" in words)  # the others cost no training


def test_pairs_that_do_not_fit_the_model(root, tmp_path, capsys):
    def complain(pairs: FeaturePairs, *more: str) -> str:
        path = write_feature_pairs(pairs, tmp_path / "odd.parquet")
        words = ["pairs", "suspects", str(path), "--encoder", str(root / "run"), "--out"]
        assert cli.main([*words, str(tmp_path / "s.csv"), *more]) == 1
        return capsys.readouterr().err

    pairs = topic_pairs(12)
    assert "1 pair cannot be judged" in complain(pairs.take([0]))
    equal = replace(pairs.images, captions=(("A dog",), ("a dog",)) * 6)
    for more in ((), ("--folds", "3")):
        assert "all 12 images have the same caption" in complain(
            replace(pairs, images=equal), *more
        )
    narrow = replace(pairs.images, embeddings=pairs.images.embeddings[:, :5])
    assert "do not fit this tower, which takes [b 12]" in complain(replace(pairs, images=narrow))
    assert cli.main(
        [
            "pairs",
            "suspects",
            str(root / "pairs.tar"),
            "--encoder",
            str(root / "run"),
            "--out",
            "s.csv",
        ]
    )
    assert "embeddings of an unknown encoder: name one file of such" in capsys.readouterr().err


def test_features_with_wrong_captions(root, tmp_path, capsys):
    words = ["pairs", "features", str(root / "pairs.parquet"), "--out", str(tmp_path / "f.parquet")]
    assert cli.main([*words, "--shuffle-captions", "0.5"]) == 0
    assert "160 images with 160 captions" in capsys.readouterr().out
    assert read_feature_pairs(tmp_path / "f.parquet").shuffled.sum() > 60
    assert cli.main([*words[:-1], "f.csv"]) == 1
    assert "--out must be a .parquet file" in capsys.readouterr().err
