"""Hold-out and classes of a source."""

import hashlib

import numpy as np
import pytest

from tests.data.samples import ListSource, pixels, record
from vujax.data.sources.split import HoldOut, Subset, select_records


def hashed(text: str, modulo: int = 4, remainder: int = 1) -> bool:
    return int(hashlib.sha1(text.encode()).hexdigest(), 16) % modulo == remainder


def parts(source, **options):
    rule = dict(modulo=4, remainder=1, **options)
    return [
        select_records(source, hold_out=rule | {"part": part}) for part in ("train", "validation")
    ]


def keys(source):
    return [r["key"] for r in source]


@pytest.mark.parametrize("field", ["key", "id"])
def test_hold_out_is_the_hash_of_the_field(field):
    source = ListSource(record(i) for i in range(40))
    train, validation = parts(source, field=field)
    values = {r["key"]: r["key"] if field == "key" else r["fields"]["id"] for r in source}
    assert keys(validation) == [key for key, value in values.items() if hashed(value)]
    assert keys(train) == [key for key, value in values.items() if not hashed(value)]
    assert 0 < len(validation) < len(train)


def test_equal_pictures_go_where_their_smallest_key_goes():
    source = ListSource(record(i, image=pixels(i // 4)) for i in reversed(range(120)))
    train, validation = parts(source)
    for part, held in ((train, False), (validation, True)):
        for r in part:
            assert hashed(f"k{int(r['key'][1:]) // 4 * 4:03d}") == held
    assert len(train) + len(validation) == 120
    assert len(validation) % 4 == 0


def test_the_order_of_the_records_does_not_matter():
    records = [record(i, image=pixels(i // 3)) for i in range(40)]
    forward, backward = (set(keys(parts(ListSource(r))[1])) for r in (records, records[::-1]))
    assert forward == backward


def test_classes_are_those_of_the_whole_source_in_both_parts():
    kinds = ["x", "y", "z", None, "", "x"]
    source = ListSource(record(i, fields={"kind": kinds[i % 6]}) for i in range(36))
    found = [
        select_records(
            source, label_field="kind", hold_out={"modulo": 4, "remainder": 1, "part": part}
        )
        for part in ("train", "validation")
    ]
    assert found[0].classes == found[1].classes == ("x", "y", "z")
    assert len(found[0]) + len(found[1]) == 24
    for part in found:
        assert [part.classes[r["label"]] for r in part] == [r["fields"]["kind"] for r in part]


def test_labels_do_not_move_the_border_of_the_parts():
    """A rare class's record may be the smallest of its picture's group."""
    source = ListSource(
        record(i, image=pixels(i // 2), fields={"kind": "rare" if i % 2 == 0 else "often"})
        for i in range(40)
    )
    records = [r for r in source if r["fields"]["kind"] == "often"] + [source[0], source[2]]
    source = ListSource(records)
    rule = {"modulo": 4, "remainder": 1, "part": "validation"}
    labelled = select_records(source, hold_out=rule, label_field="kind", min_count=3)
    assert labelled.classes == ("often",)
    assert set(keys(labelled)) <= set(keys(select_records(source, hold_out=rule)))


def test_zero_is_a_value_and_rare_classes_are_left_out():
    source = ListSource(record(i, fields={"n": [0, 0, 0, 1][i % 4]}) for i in range(8))
    labelled = select_records(source, label_field="n")
    assert labelled.classes == ("0", "1")
    assert [r["label"] for r in labelled] == [0, 0, 0, 1] * 2
    common = select_records(source, label_field="n", min_count=3)
    assert common.classes == ("0",)
    assert len(common) == 6


def test_records_that_cannot_be_read_stay_in_training():
    source = ListSource([record(i) for i in range(20)] + ["broken"])
    train, validation = parts(source)
    assert len(train) + len(validation) == 21
    with pytest.raises(ValueError, match="broken"):
        train[len(train) - 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"hold_out": {"field": "name"}},
            r"'k000' has no field 'name' .*\['caption', 'id', 'key'\]",
        ),
        ({"hold_out": {"part": "test"}}, "unknown hold_out.part 'test'; expected one of: train"),
        ({"hold_out": {"modulo": 3, "remainder": 3}}, "hold_out.remainder must be 0 to 2"),
        ({"hold_out": {"share": 0.1}}, "unknown option hold_out.share"),
        (
            {"label_field": "kind"},
            r"no record has a value in label_field 'kind': .*\['caption', 'id', 'key'\]",
        ),
        ({"label_field": "id", "min_count": 2}, "no value of 'id' occurs 2 times"),
        ({"hold_out": {"modulo": 10**9, "part": "validation"}}, "nothing is left"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        select_records(ListSource(record(i) for i in range(5)), **options)


def test_nothing_asked_nothing_done():
    source = ListSource([record(0)])
    assert select_records(source) is source


def test_subset_bounds_and_labels():
    source = ListSource((record(i) for i in range(5)), classes=("a", "b"))
    assert Subset(source, [3, 1]).classes == ("a", "b")
    subset = Subset(source, np.array([3, 1]), labels=[1, 0], classes=("c", "d"))
    assert [(r["key"], r["label"]) for r in subset] == [("k003", 1), ("k001", 0)]
    assert subset.classes == ("c", "d")
    with pytest.raises(IndexError):
        subset[2]


def test_hold_out_share_is_about_one_in_modulo():
    rule = HoldOut(modulo=10, remainder=3)
    assert 150 < sum(rule.is_held_out(f"key {i}") for i in range(2000)) < 250


def test_the_caption_can_be_the_class():
    source = ListSource(record(i, captions=[f"class {i % 3}", "other"]) for i in range(12))
    found = select_records(source, label_field="caption")
    assert found.classes == ("class 0", "class 1", "class 2")
    assert [r["label"] for r in found] == [i % 3 for i in range(12)]
