"""Taggers from labels to tags: trained, saved, applied; refused for other embeddings."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.annotate.tagging.stub_catalog import (
    NAMES,
    embed_all,
    embedded_catalog,
    label_rows,
    write_table,
)
from tests.encoders import releases
from tests.encoders.stub import Stub
from tests.kill_points import killed_at_each_change
from vujax.annotate.tagging import tagger as disk
from vujax.annotate.tagging.labels import read_labels
from vujax.annotate.tagging.resolve import resolve_labels
from vujax.annotate.tagging.tagger import apply_tagger
from vujax.annotate.tagging.train import train_tagger
from vujax.catalog import Catalog, embeddings, schema
from vujax.catalog.ids import Id
from vujax.encoders import base
from vujax.models import release


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return embedded_catalog(tmp_path_factory.mktemp("tagging"))


def learned(root, folder, mesh, lines, level="shot", reviewed=None, header="id,label", **options):
    options = dict(encoder="stub", mesh=mesh) | options
    catalog = Catalog(root)
    labels = read_labels(write_table(folder / "labels.csv", lines, header))
    said = resolve_labels(catalog, level, labels, reviewed)
    return train_tagger(catalog, said, **options)


@pytest.fixture(scope="module")
def trained(root, tmp_path_factory, mesh1):
    """Of four films of five."""
    folder = tmp_path_factory.mktemp("labels")
    return learned(root, folder, mesh1, label_rows(root, slice(0, 4)))


def test_tags_are_learned_and_reported(root, trained):
    tagger, report = trained
    assert tagger.tags == tuple(sorted(NAMES))
    assert report["examples"] == dict(train=9, validation=3)
    (film,) = report["validation"]
    assert film in Catalog(root).film_ids()[:4]
    assert report["validated_on"] == "films"
    for row in report["tags"].values():
        assert row["chance"] == pytest.approx(1 / 3)
        assert (row["ap"], row["f1"], row["support"], row["of"]) == (1, 1, 1, 3)
        assert 0 < row["threshold"] < 1 and row["learned_from"] == 3
    assert (report["map"], report["left_out"], report["without_vector"]) == (1, {}, 0)
    json.dumps(report, allow_nan=False)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_applied_to_a_film_that_nobody_labelled(root, trained, tmp_path, suffix):
    catalog, out = Catalog(root), tmp_path / f"tags{suffix}"
    disk.save_tagger(tmp_path / "tagger", *trained)
    done = apply_tagger(disk.load_tagger(tmp_path / "tagger"), catalog, out)
    assert (done.films, done.without, done.items) == (5, 0, 15)
    assert done.chosen == dict.fromkeys(sorted(NAMES), 5)
    found = read(out)
    assert len(found) == 45
    assert list(found[0]) == ["film", "id", "level", "label", "score", "chosen", "begin_s", "end_s"]
    shots = {row["id"]: row for row in catalog.shots().to_pylist()}
    for row in found:
        shot = Id.parse(row["id"]).shot
        assert (str(row["chosen"]) == "True") == (row["label"] == NAMES[shot])
        assert float(row["begin_s"]) == shots[row["id"]]["begin_s"]
        assert float(row["end_s"]) == shots[row["id"]]["end_s"]
        assert (row["film"], row["level"]) == (Id.parse(row["id"]).film, "shot")
        assert 0 < float(row["score"]) < 1
    assert [path.name for path in tmp_path.glob(".*")] == []


def read(out: Path) -> list[dict]:
    if out.suffix == ".parquet":
        return pq.read_table(out).to_pylist()
    lines = out.read_text("utf-8").splitlines()
    return list(csv.DictReader(lines)) if out.suffix == ".csv" else list(map(json.loads, lines))


def test_the_encoder_may_be_the_directory_of_its_model(root, trained, tmp_path, mesh1, monkeypatch):
    releases.image_text(tmp_path / "stub")
    rows = label_rows(root, slice(0, 4))
    with pytest.raises(FileNotFoundError, match=r"no shot embeddings of stub-\w{8}"):
        learned(root, tmp_path, mesh1, rows, encoder=str(tmp_path / "stub"))
    digest = trained[0].model.digest
    monkeypatch.setattr(base, "compute_release_digest", lambda config, variables: digest)
    tagger, report = learned(root, tmp_path, mesh1, rows, encoder=str(tmp_path / "stub"))
    assert tagger.model == trained[0].model and report == trained[1]


def test_a_saved_tagger_scores_as_before(trained, tmp_path):
    tagger, report = trained
    disk.save_tagger(tmp_path, tagger, report)
    loaded = disk.load_tagger(tmp_path / "release")
    assert (loaded.level, loaded.model, loaded.tags) == (tagger.level, tagger.model, tagger.tags)
    features = np.random.default_rng(0).normal(size=(7, 6))
    np.testing.assert_array_equal(loaded.probe.scores(features), tagger.probe.scores(features))
    np.testing.assert_array_equal(loaded.probe.thresholds, tagger.probe.thresholds)
    assert json.loads((tmp_path / "report.json").read_text()) == report


def test_one_film_is_split_by_time(root, tmp_path, mesh1):
    """A third of its keyframes are green, in the middle: blocks on both sides have some."""
    film = Catalog(root).film_ids()[0]
    tagger, report = learned(root, tmp_path, mesh1, [f"{film}/s0001,green"], level="frame")
    assert report["validated_on"] == "blocks of time"
    assert report["examples"]["train"] + report["examples"]["validation"] == 9
    assert tagger.level == "frame"
    assert report["tags"]["green"]["support"] >= 1


def test_tags_that_are_too_rare_are_named(root, tmp_path, mesh1):
    first = Catalog(root).film_ids()[0]
    lines = label_rows(root) + [f"{first}/s0000,rare"]
    tagger, report = learned(root, tmp_path, mesh1, lines)
    assert tagger.tags == tuple(sorted(NAMES))
    assert report["left_out"] == {"rare": {"holds": 1, "not": 14, "in": 1, "not in": 5}}
    with pytest.raises(ValueError, match=r"'rare' is positive for 1 in 1 and negative for 2 in 2"):
        learned(root, tmp_path, mesh1, lines[-1:])
    with pytest.raises(ValueError, match=r"'red' is positive for 5 in 5 and negative for 0 in 0"):
        learned(root, tmp_path, mesh1, label_rows(root)[::3], reviewed=[])


def test_counterexamples_are_enough_without_reviewed_films(root, tmp_path, mesh1):
    films = Catalog(root).film_ids()
    lines = [f"{film}/s000{k},red,{1 - k}" for film in films for k in (0, 1)]
    _, report = learned(root, tmp_path, mesh1, lines, reviewed=[], header="id,label,value")
    assert sum(report["examples"].values()) == 10
    assert report["tags"]["red"]["of"] == 2


def test_vectors_of_another_model_are_refused(root, trained, tmp_path):
    tagger, _ = trained
    other = Path(shutil.copytree(root, tmp_path / "catalog"))
    shutil.rmtree(other / "vectors")
    with pytest.raises(ValueError, match=r"needs shot embeddings of stub-.* has those of none"):
        apply_tagger(tagger, Catalog(other), tmp_path / "tags.csv")
    embed_all(other, Newer)
    newer = embeddings.open_store(other, "shot", "stub").model.folder
    with pytest.raises(ValueError, match=f"has those of {newer}; run `vujax embed"):
        apply_tagger(tagger, Catalog(other), tmp_path / "tags.csv")
    assert not (tmp_path / "tags.csv").exists()


class Newer(Stub):
    """Of the same name, with other weights."""

    def __init__(self) -> None:
        super().__init__(version=1)


def test_films_that_lack_vectors_or_keyframes(root, trained, tmp_path):
    other = Path(shutil.copytree(root, tmp_path / "catalog"))
    film = schema.list_films(other)[2]
    next(other.glob(f"vectors/shot/*/{film}.parquet")).unlink()
    with pytest.raises(FileNotFoundError, match=film):
        apply_tagger(trained[0], Catalog(other), tmp_path / "tags.csv")
    assert not (tmp_path / "tags.csv").exists()


def test_damaged_and_other_models_are_refused(root, trained, tmp_path):
    tagger, report = trained
    catalog = Catalog(root)
    known = r"suffix '\.xlsx'; expected one of: \.parquet, \.csv, \.jsonl"
    with pytest.raises(ValueError, match=known):
        apply_tagger(tagger, catalog, tmp_path / "tags.xlsx")
    with pytest.raises(FileNotFoundError, match="is no model"):
        disk.load_tagger(tmp_path)
    release.save(tmp_path / "head", {"model": {}}, {"params": {"x": np.zeros(1)}})
    with pytest.raises(ValueError, match="is a model but not a tagger"):
        disk.load_tagger(tmp_path / "head")
    with pytest.raises(ValueError, match="is not empty and is not a tagger"):
        disk.check_folder(tmp_path / "head")
    disk.save_tagger(tmp_path / "tagger", tagger, report)
    disk.check_folder(tmp_path / "tagger")
    config = tmp_path / "tagger" / "release" / "config.json"
    good, weights = config.read_text(), release.load_host(tmp_path / "tagger")[1]
    for old, new, why in (
        ('"schema": 1', '"schema": 2', "another version"),
        ('"dim": 6', '"dim": 7', "its weights do not match 3 tags"),
        ('"level": "shot",', "", r"is damaged \('level'\)"),
        (tagger.model.digest, "x", "needs a sha256"),
    ):
        release.save(tmp_path / "tagger", json.loads(good.replace(old, new, 1)), weights)
        assert config.read_text() != good
        with pytest.raises(ValueError, match=why):
            disk.load_tagger(tmp_path / "tagger")
    config.write_text(good.replace("{", "", 1))
    with pytest.raises(ValueError, match="is damaged"):
        disk.load_tagger(tmp_path / "tagger")


@pytest.mark.filterwarnings("ignore:.*is not the config of the weights beside it")
def test_a_tagger_over_another_is_the_old_or_the_new_wherever_it_is_killed(trained, tmp_path):
    tagger, report = trained
    other = replace(tagger, tags=tagger.tags[::-1])
    disk.save_tagger(tmp_path, tagger, report)
    found = []
    for _ in killed_at_each_change(lambda: disk.save_tagger(tmp_path, other, report)):
        found.append(disk.load_tagger(tmp_path).tags)
        disk.save_tagger(tmp_path, tagger, report)
    assert set(found) == {tagger.tags, other.tags} and found[-1] == other.tags
