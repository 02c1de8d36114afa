"""Each export format is read back by an independent reader."""

import csv
import io
import json
import tarfile
from pathlib import Path
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.annotate.labels.labeled_catalog import HOSTILE, labeled_catalog
from vujax.annotate.labels.entry import Decision
from vujax.annotate.labels.exports import export_labels
from vujax.annotate.labels.items import CatalogItems
from vujax.annotate.labels.log import LabelLog
from vujax.annotate.labels.rows import COLUMNS, collect_rows
from vujax.catalog import embeddings
from vujax.data.sources.array_record import ArrayRecordSource
from vujax.data.sources.webdataset import WebDatasetSource

LABELS = 7  # of the set that hold or do not hold


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[CatalogItems, LabelLog]:
    return labeled_catalog(tmp_path_factory.mktemp("labels"))


@pytest.fixture
def contents(made: tuple[CatalogItems, LabelLog]) -> CatalogItems:
    return made[0]


@pytest.fixture
def log(made: tuple[CatalogItems, LabelLog]) -> LabelLog:
    return made[1]


def test_jsonl_and_parquet_say_everything(
    contents: CatalogItems, log: LabelLog, tmp_path: Path
) -> None:
    done = export_labels(contents, log, "jsonl", tmp_path / "a.jsonl")
    assert (done.labels, done.notes) == (LABELS, ())
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").open(encoding="utf-8")]
    export_labels(contents, log, "parquet", tmp_path / "a.parquet")
    assert pq.read_table(tmp_path / "a.parquet").to_pylist() == rows
    assert list(rows[0]) == list(COLUMNS)
    frame = next(row for row in rows if row["id"].endswith("/s0000/1"))
    one = contents.catalog.film_ids()[0]
    (keyframe,) = (
        k for k in contents.catalog.keyframes(one).to_pylist() if k["id"] == f"{one}/s0000/1"
    )
    assert frame["pts"] == keyframe["pts"]
    assert frame["begin_s"] == frame["end_s"] == keyframe["seconds"]
    assert (frame["level"], frame["video"], frame["title"]) == ("frame", "film0.mp4", "film0.mp4")
    assert (frame["score"], frame["query"], frame["author"]) == (0.5, "a boat", "ann")
    num, den = map(int, frame["time_base"].split("/"))
    assert keyframe["pts"] * num / den == pytest.approx(keyframe["seconds"])
    scene = next(row for row in rows if row["level"] == "scene")
    shot = contents.catalog.shots(scene["film"]).to_pylist()[2]
    assert (scene["begin_s"], scene["end_s"]) == (shot["begin_s"], shot["end_s"])
    assert scene["picture"] == f"{scene['film']}/s0002/1"


def test_csv(contents: CatalogItems, log: LabelLog, tmp_path: Path) -> None:
    export_labels(contents, log, "csv", tmp_path / "a.csv", labels=[HOSTILE])
    rows = list(csv.DictReader((tmp_path / "a.csv").open(newline="", encoding="utf-8")))
    assert [row["label"] for row in rows] == [HOSTILE] * 2
    assert list(rows[0])[:5] == ["video", "label", "start", "end", "score"]
    assert [row["score"] for row in rows] == ["", "0.125000"]


def test_coco(contents: CatalogItems, log: LabelLog, tmp_path: Path) -> None:
    done = export_labels(contents, log, "coco", tmp_path / "coco")
    found = json.loads((tmp_path / "coco" / "annotations.json").read_text("utf-8"))
    names = {category["id"]: category["name"] for category in found["categories"]}
    assert sorted(names.values()) == sorted([HOSTILE, "boat", "lake"])
    images = {image["id"]: image for image in found["images"]}
    for image in images.values():
        with Image.open(tmp_path / "coco" / "images" / image["file_name"]) as picture:
            assert picture.size == (image["width"], image["height"])
    said = {
        (images[one["image_id"]]["vujax_id"], names[one["category_id"]])
        for one in found["annotations"]
    }
    rows, _ = collect_rows(contents, log)
    assert said == {(row.item.id, row.label) for row in rows if row.is_positive}
    never = {
        (image["vujax_id"], names[n])
        for image in images.values()
        for n in image["neg_category_ids"]
    }
    assert never == {(row.item.id, row.label) for row in rows if not row.is_positive}
    for one in found["annotations"]:
        image = images[one["image_id"]]
        assert one["bbox"] == [0, 0, image["width"], image["height"]]
        assert one["area"] == image["width"] * image["height"]
    assert done.notes == ()


def test_webdataset_of_original_frames(
    contents: CatalogItems, log: LabelLog, tmp_path: Path
) -> None:
    export_labels(contents, log, "webdataset", tmp_path / "tars")
    source = WebDatasetSource(
        str(tmp_path / "tars" / "*.tar"), classes=str(tmp_path / "tars" / "classes.json")
    )
    assert len(source) == 5
    records = {record["fields"]["id"]: record for record in (source[i] for i in range(5))}
    one = contents.catalog.film_ids()[0]
    record = records[f"{one}/s0000/1"]
    assert record["captions"] == ["boat"]
    assert source.classes[record["label"]] == "boat"
    with Image.open(io.BytesIO(record["image"])) as picture:
        assert picture.size == (96, 64)  # as the film is
        assert picture.getpixel((48, 40))[0] > 150 > picture.getpixel((48, 40))[1]  # red
    assert records[f"{one}/s0001/0"]["fields"]["not_labels"] == ["boat"]
    with tarfile.open(tmp_path / "tars" / "00000.tar") as archive:
        assert not [member for member in archive if "/" in member.name or not member.isfile()]


def test_originals_need_the_films(tmp_path: Path) -> None:
    contents, log = labeled_catalog(tmp_path)
    film = tmp_path / "in" / "film1.mp4"
    film.rename(tmp_path / "elsewhere.mp4")
    with pytest.raises(FileNotFoundError, match=r"film1.*is not readable; put the file back"):
        export_labels(contents, log, "webdataset", tmp_path / "tars")
    film.write_bytes(b"another film")
    with pytest.raises(FileNotFoundError, match="no longer the file that was ingested"):
        export_labels(contents, log, "webdataset", tmp_path / "tars")
    film.unlink()
    film.symlink_to(tmp_path / "elsewhere.mp4")
    with pytest.raises(FileNotFoundError, match="does not lie in"):
        export_labels(contents, log, "webdataset", tmp_path / "tars")
    assert [path.name for path in tmp_path.iterdir() if "tars" in path.name] == []
    assert (
        export_labels(contents, log, "webdataset", tmp_path / "tars", images="keyframes").labels
        == 7
    )


def test_array_record(contents: CatalogItems, log: LabelLog, tmp_path: Path) -> None:
    export_labels(contents, log, "array_record", tmp_path / "records")
    source = ArrayRecordSource(str(tmp_path / "records"))
    assert source.classes == tuple(sorted([HOSTILE, "boat", "lake"]))
    records = [source[index] for index in range(len(source))]
    assert [record["captions"] for record in records].count([HOSTILE, "boat"]) == 1
    assert {record["fields"]["level"] for record in records} == {"frame", "shot", "scene"}
    one = contents.catalog.film_ids()[0]
    (record,) = (r for r in records if r["fields"]["id"] == f"{one}/s0000/1")
    assert record["image"] == contents.catalog.jpeg(f"{one}/s0000/1")


def test_label_studio(contents: CatalogItems, log: LabelLog, tmp_path: Path) -> None:
    export_labels(contents, log, "label_studio", tmp_path / "studio")
    view = ElementTree.parse(tmp_path / "studio" / "config.xml").getroot()
    for choices in view.iter("Choices"):
        assert [one.get("value") for one in choices] == sorted([HOSTILE, "boat", "lake"])
    assert [c.get("name") for c in view.iter("Choices")] == ["present", "absent"]
    tasks = json.loads((tmp_path / "studio" / "tasks.json").read_text("utf-8"))
    for task in tasks:
        place = task["data"]["image"].removeprefix("/data/local-files/?d=")
        assert (tmp_path / place).is_file()
        for result in task["annotations"][0]["result"]:
            assert result["to_name"] == view.find("Image").get("name")


def test_cvat(contents: CatalogItems, log: LabelLog, tmp_path: Path) -> None:
    done = export_labels(contents, log, "cvat", tmp_path / "cvat")
    root = ElementTree.parse(tmp_path / "cvat" / "annotations.xml").getroot()
    assert root.findtext("version") == "1.1"
    labels = [one.findtext("name") for one in root.iter("label")]
    assert labels == sorted([HOSTILE, "boat", "lake"])
    images = root.findall("image")
    assert [image.get("id") for image in images] == ["0", "1", "2", "3", "4"]
    assert root.findtext("meta/task/size") == "5"
    tags = sorted(tag.get("label") for image in images for tag in image)
    assert tags == sorted([HOSTILE, HOSTILE, "boat", "boat", "boat"])
    assert done.notes == ("left out 2 negative labels: CVAT has no negative labels",)
    assert done.labels == len(tags) == LABELS - 2
    for image in images:
        with Image.open(tmp_path / "cvat" / "images" / image.get("name")) as picture:
            assert picture.size == (int(image.get("width")), int(image.get("height")))


def test_fiftyone(contents: CatalogItems, log: LabelLog, tmp_path: Path) -> None:
    done = export_labels(contents, log, "fiftyone", tmp_path / "fifty")
    assert done.labels == LABELS - 2
    assert done.notes[0].startswith("2 negative labels only in items.json")
    found = json.loads((tmp_path / "fifty" / "labels.json").read_text("utf-8"))
    assert found["classes"] is None  # then FiftyOne takes the labels as they are
    files = {path.stem for path in (tmp_path / "fifty" / "data").iterdir()}
    assert files == set(found["labels"])
    names = [sorted(one["label"] for one in labels) for labels in found["labels"].values()]
    assert sorted(names) == sorted([["boat"], [HOSTILE], sorted([HOSTILE, "boat"]), ["boat"], []])


def test_a_folder_is_never_written_over(
    contents: CatalogItems, log: LabelLog, tmp_path: Path
) -> None:
    (tmp_path / "coco").mkdir()
    with pytest.raises(FileExistsError, match="exists already"):
        export_labels(contents, log, "coco", tmp_path / "coco")


def test_what_cannot_be_exported(contents: CatalogItems, log: LabelLog, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown label format 'zip'; expected one of: csv, jsonl"):
        export_labels(contents, log, "zip", tmp_path / "a")
    with pytest.raises(KeyError, match=r"boats has no label .*cat.*; existing labels: "):
        export_labels(contents, log, "csv", tmp_path / "a", labels=["cat"])
    with pytest.raises(ValueError, match=r"unknown images .best.; expected one of: keyframes"):
        export_labels(contents, log, "coco", tmp_path / "a", images="best")
    with pytest.raises(ValueError, match="has nothing to export"):
        export_labels(contents, LabelLog(tmp_path / "none.jsonl"), "csv", tmp_path / "a")
    assert sorted(path.name for path in tmp_path.iterdir()) == []


def test_labels_of_what_a_film_was_are_left_out(
    contents: CatalogItems, log: LabelLog, tmp_path: Path
) -> None:
    one = contents.catalog.film_ids()[0]
    old = LabelLog(tmp_path / "old.jsonl")
    source = embeddings.hash_source(contents.catalog.manifest(one))
    old.append(
        [
            Decision(f"{one}/s0000", "now", 1, made_from=source),
            Decision(f"{one}/s0001", "before", 1, made_from="0" * 64),
            Decision(f"{one}/c000", "drawn otherwise", 1, made_from=source),
            Decision(f"{one}/s0099", "gone", 1),
            Decision("no-film-00000000/s0000", "gone", 1),
        ],
        author="ann",
    )
    done = export_labels(contents, old, "jsonl", tmp_path / "a.jsonl")
    assert done.labels == 1
    assert sorted(note.partition(":")[0] for note in done.notes) == ["left out 2 labels"] * 2
