"""The tar files under $VUJAX_DATA."""

import hashlib
import itertools

import chex
import numpy as np
import pytest

from vujax.data.image_text import ImageTextPairs, eval_batches
from vujax.data.images import preprocess_eval_image
from vujax.data.sources import open_source
from vujax.models.image_spec import ImageSpec

pytestmark = pytest.mark.real_data


def fashion(data_root, **options):
    return open_source("webdataset", path=f"{data_root}/pairs/fashion-train-*.tar", **options)


def held_out(data_root, part, **options):
    rule = dict(field="id", modulo=10, remainder=1, part=part)
    return fashion(data_root, hold_out=rule, **options)


def test_fashion_parts_share_no_picture(data_root):
    whole = fashion(data_root)
    parts = [held_out(data_root, part) for part in ("train", "validation")]
    assert len(whole) == 8315
    assert len(parts[0]) + len(parts[1]) == 8315
    assert 0.1 < len(parts[1]) / 8315 < 0.12  # remainder 0 of ten is withheld already
    pictures = [{hashlib.sha1(r["image"]).digest() for r in part} for part in parts]
    assert not pictures[0] & pictures[1]


@pytest.mark.parametrize(("field", "number"), [("articleType", 61), ("baseColour", 42)])
def test_fashion_labels_are_those_of_the_json(data_root, field, number):
    parts = [held_out(data_root, p, label_field=field) for p in ("train", "validation")]
    assert parts[0].classes == parts[1].classes
    assert len(parts[0].classes) == number
    for part in parts:
        for index in range(0, len(part), 97):
            record = part[index]
            assert part.classes[record["label"]] == record["fields"][field]


def test_forty_percent_of_the_captions_move(data_root):
    clean = held_out(data_root, "train")
    noisy = held_out(data_root, "train", shuffle_captions=0.4)
    moved = np.mean([noisy[i]["captions"] != clean[i]["captions"] for i in range(0, 7000, 7)])
    assert 0.34 < moved < 0.44  # some names are equal


def test_emoji_stand_on_white(data_root):
    emoji = open_source("webdataset", path=f"{data_root}/pairs/emoji-google-*.tar")
    assert len(emoji) == 1911
    corners = [
        preprocess_eval_image(emoji[i]["image"], ImageSpec.square(64))[0, 0]
        for i in range(0, 1911, 50)
    ]
    assert np.mean([(corner == 255).all() for corner in corners]) > 0.7
    keywords = open_source(
        "webdataset", path=f"{data_root}/pairs/emoji-google-*.tar", caption_field="keywords"
    )
    assert len(keywords[1]["captions"]) > 1


def test_cifar_labels_agree_with_their_names(data_root):
    folder = f"{data_root}/classes/cifar10"
    source = open_source(
        "webdataset", path=f"{folder}/cifar10-test-*.tar", classes=f"{folder}/classes.json"
    )
    assert len(source) == 2500
    labels = []
    for index in range(0, 2500, 25):
        record = source[index]
        assert source.classes[record["label"]] == record["captions"][0]
    for batch in eval_batches(source, batch_size=500, image_spec=ImageSpec.square(32)):
        labels.extend(batch["label"][batch["mask"]])
    assert np.bincount(labels).tolist() == [250] * 10


def test_tiny_imagenet_has_200_classes_and_grey_pictures(data_root):
    source = open_source(
        "webdataset",
        path=f"{data_root}/classes/tinyimagenet/tinyimagenet-train-{{00000..00002}}.tar",
        label_field="wnid",
    )
    assert (len(source), len(source.classes)) == (10_000, 200)
    batch = next(iter(eval_batches(source, batch_size=512, image_spec=ImageSpec.square(64))))
    grey = (np.ptp(batch["image"].astype(int), axis=-1) == 0).all((1, 2))
    assert 0 < grey.sum() < 40


def test_batches_of_all_pairs_do_not_depend_on_the_hosts(data_root):
    data = {
        "sources": {
            name: {
                "kind": "webdataset",
                "path": f"{data_root}/pairs/{name}-*.tar",
                "weight": weight,
            }
            for name, weight in (("fashion-train", 3.0), ("openclipart-train", 2.0), ("emoji", 1.0))
        }
    }
    options = dict(batch_size=64, seed=0)
    pairs = ImageTextPairs(data, image_spec=ImageSpec.square(64))
    whole = pairs.train_batches(**options)
    halves = [pairs.train_batches(**options, start_step=1, host=h, hosts=2) for h in range(2)]
    batches = list(itertools.islice(whole, 3))
    assert sum(batch["bad"].sum() for batch in batches) == 0
    for host, half in enumerate(halves):
        mine = slice(32 * host, 32 * host + 32)
        expected = [{k: v[mine] for k, v in batch.items()} for batch in batches[1:]]
        chex.assert_trees_all_equal(list(itertools.islice(half, 2)), expected)
        half.close()
    whole.close()
