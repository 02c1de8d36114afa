"""Evaluation sets in the files of their authors."""

import io
import json
import pickle

import numpy as np
import pytest
from PIL import Image

from tests.evals.fakes import Oracle, knowing
from vujax.data.records import BadSample
from vujax.evals import build_evaluator
from vujax.evals.dataset_layouts import open_coco, open_flickr, open_karpathy, open_objectnet

STEP = 36


def picture(path, level, border=None):
    pixels = np.full((16, 12, 3), level, np.uint8)
    if border is not None:
        pixels[[0, 1, -2, -1]] = border
        pixels[:, [0, 1, -2, -1]] = border
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, "PNG")  # lossless whatever the suffix


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")


def level(record):
    return int(np.asarray(Image.open(io.BytesIO(record["image"])))[8, 6, 0])


@pytest.fixture
def coco_root(tmp_path):
    for number in (3, 1, 2):
        picture(tmp_path / "val2017" / f"{number:012d}.jpg", STEP * number)
    images = [{"id": n, "file_name": f"{n:012d}.jpg"} for n in (3, 1, 2)]
    captions = [(1, "one"), (3, "three"), (1, "uno")]
    annotations = [{"image_id": i, "id": 0, "caption": c} for i, c in captions]
    write(
        tmp_path / "annotations/captions_val2017.json",
        {"images": images, "annotations": annotations},
    )
    return tmp_path


def test_coco(coco_root):
    source = open_coco(str(coco_root))
    records = [source[i] for i in range(len(source))]  # picture 2 has no caption
    assert [r["captions"] for r in records] == [["three"], ["one", "uno"]]
    assert [level(r) for r in records] == [3 * STEP, STEP]
    assert records[0]["label"] is None
    assert pickle.loads(pickle.dumps(source))[1]["key"] == "000000000001.jpg"


def test_coco_scores_end_to_end(coco_root, mesh8):
    evaluator = build_evaluator(
        "coco", {"kind": "coco", "source": {"root": str(coco_root)}}, model=Oracle(4), mesh=mesh8
    )
    scores = evaluator(knowing({"three": 3, "one": 1, "uno": 1}))
    assert scores["mean_recall"] == 1.0
    assert (scores["images"], scores["captions"]) == (2, 3)
    assert evaluator.examples(1)[0].correct[0]


def test_karpathy(tmp_path, mesh1):
    entries = [
        {"filename": "b.jpg", "split": "train", "sentences": [{"raw": "no"}]},
        {
            "filename": "a.jpg",
            "filepath": "val2014",
            "split": "test",
            "sentences": [{"raw": "A one."}, {"raw": "uno"}],
        },
        {"filename": "c.jpg", "split": "test", "sentences": [{"raw": "two"}]},
    ]
    write(tmp_path / "dataset_coco.json", {"images": entries})
    picture(tmp_path / "pictures/val2014/a.jpg", STEP)
    picture(tmp_path / "pictures/c.jpg", 2 * STEP)
    options = {"root": str(tmp_path), "annotations": "dataset_coco.json", "images": "pictures"}
    source = open_karpathy(**options)
    assert [source[i]["captions"] for i in range(2)] == [["A one.", "uno"], ["two"]]
    assert len(open_karpathy(**options, split="train")) == 1
    with pytest.raises(ValueError, match=r"dataset_coco\.json has no image of split 'val'"):
        open_karpathy(**options, split="val")
    evaluator = build_evaluator(
        "k", {"kind": "karpathy", "source": options}, model=Oracle(3), mesh=mesh1
    )
    assert evaluator(knowing({"A one.": 1, "uno": 1, "two": 2}))["mean_recall"] == 1.0


def test_flickr(tmp_path, mesh1):
    lines = ["a.jpg#0\tOne dog .", "a.jpg#1\tuno", "", "b#2.jpg#0\ttwo", "c.jpg#0\tthree"]
    write(tmp_path / "Flickr8k.token.txt", "\n".join(lines))
    write(tmp_path / "Flickr_8k.testImages.txt", "b#2.jpg\na.jpg\n")
    for name, n in (("a.jpg", 1), ("b#2.jpg", 2)):
        picture(tmp_path / "Flicker8k_Dataset" / name, n * STEP)
    options = {
        "root": str(tmp_path),
        "tokens": "Flickr8k.token.txt",
        "images": "Flicker8k_Dataset",
        "names": "Flickr_8k.testImages.txt",
    }
    source = open_flickr(**options)
    assert [source[i]["captions"] for i in range(2)] == [["two"], ["One dog .", "uno"]]
    assert len(open_flickr(**options | {"names": None})) == 3
    evaluator = build_evaluator(
        "f", {"kind": "flickr", "source": options}, model=Oracle(3), mesh=mesh1
    )
    assert evaluator(knowing({"two": 2, "One dog .": 1, "uno": 1}))["mean_recall"] == 1.0
    write(tmp_path / "Flickr_8k.testImages.txt", "d.jpg")
    with pytest.raises(ValueError, match=r"no caption for d\.jpg"):
        open_flickr(**options)
    write(tmp_path / "Flickr8k.token.txt", "a.jpg#0\tone\na.jpg one\n")
    with pytest.raises(ValueError, match="line 2: expected"):
        open_flickr(**options)


@pytest.fixture
def objectnet_root(tmp_path):
    root = tmp_path / "objectnet-1.0"
    names = {"alarm_clock": "Alarm clock", "bucket": "Bucket", "air_freshener": "Air freshener"}
    write(root / "mappings/folder_to_objectnet_label.json", names)
    overlap = {"Bucket": "bucket, pail", "Alarm clock": "analog clock; digital clock"}
    write(root / "mappings/objectnet_to_imagenet_1k.json", overlap)
    for number, folder in enumerate(sorted(names)):
        for copy in range(number + 1):
            picture(root / f"images/{folder}/{copy}.png", number * STEP, border=(255, 0, 0))
    return root


def test_objectnet(objectnet_root):
    every, overlap = (open_objectnet(str(objectnet_root), overlap=o) for o in (False, True))
    assert every.classes == ("Air freshener", "Alarm clock", "Bucket")
    assert overlap.classes == ("Alarm clock", "Bucket")
    assert (len(every), len(overlap)) == (6, 5)
    assert [overlap[i]["label"] for i in range(5)] == [0, 0, 1, 1, 1]
    pixels = overlap[0]["image"]
    assert pixels.shape == (12, 8, 3)
    assert (pixels == STEP).all()  # nothing of the red frame


def test_objectnet_scores_end_to_end(objectnet_root, mesh8):
    source = {"root": str(objectnet_root), "overlap": False}
    config = {"kind": "objectnet", "source": source, "templates": "name"}
    evaluator = build_evaluator("objectnet", config, model=Oracle(3), mesh=mesh8)
    scores = evaluator(knowing({"Air freshener": 0, "Alarm clock": 1, "Bucket": 2}))
    assert (scores["top1"], scores["classes"], scores["examples"]) == (1.0, 3, 6)


def test_damage_is_named(coco_root, objectnet_root):
    source = open_coco(str(coco_root))
    (coco_root / "val2017/000000000003.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"000000000003\.jpg is named by the annotations"):
        source[0]
    with pytest.raises(FileNotFoundError, match=r"captions_train2017\.json is missing"):
        open_coco(str(coco_root), split="train2017")
    write(coco_root / "annotations/captions_val2017.json", "{")
    with pytest.raises(ValueError, match=r"captions_val2017\.json is not valid JSON"):
        open_coco(str(coco_root))
    broken = objectnet_root / "images/bucket/0.png"
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(BadSample, match=r"bucket/0\.png"):
        open_objectnet(str(objectnet_root))[2]


def test_no_path_leads_out_of_the_folder(coco_root):
    path = coco_root / "annotations/captions_val2017.json"
    write(
        path,
        {
            "images": [{"id": 1, "file_name": "../../secret.jpg"}],
            "annotations": [{"image_id": 1, "caption": "x"}],
        },
    )
    with pytest.raises(ValueError, match="is outside of"):
        open_coco(str(coco_root))
