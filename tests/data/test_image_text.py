"""Batches of image-text pairs: order, hosts, workers, bad samples and evaluation."""

import itertools

import chex
import grain
import numpy as np
import pytest
from absl import flags

from tests.data.samples import ListSource, encoded, pixels, record, write_shards
from vujax.data.image_text import ImageTextPairs, eval_batches
from vujax.data.pipeline import Mixture, TrainBatches
from vujax.data.sources.webdataset import WebDatasetSource
from vujax.models.image_spec import ImageSpec
from vujax.models.tokenizers.clip import tokenize

OPTIONS = dict(batch_size=8, seed=3, image_spec=ImageSpec.square(16), context=12)
AUGMENT = {"scale": (0.5, 1.0), "flip": True}


def of(n: int, broken: tuple[int, ...] = (), **changes) -> ListSource:
    return ListSource(
        f"'k{i:03d}' is broken" if i in broken else record(i, **changes) for i in range(n)
    )


def train_batches(data, *, image_spec: ImageSpec, context: int, **options) -> TrainBatches:
    pairs = ImageTextPairs(data, image_spec=image_spec, context=context)
    return pairs.train_batches(**options)


def take(steps: int, data, **options) -> list[dict[str, np.ndarray]]:
    data = data if isinstance(data, dict) else {"sources": {"own": data}, "augment": AUGMENT}
    batches = train_batches(data, **OPTIONS | options)
    try:
        return list(itertools.islice(batches, steps))
    finally:
        batches.close()


def joined(parts: list[list[dict]]) -> list[dict]:
    """Global batches from the hosts' rows: host 0's come first."""
    return [
        {name: np.concatenate([part[name] for part in batch]) for name in batch[0]}
        for batch in zip(*parts, strict=True)
    ]


def test_shapes_types_and_positions():
    (first, second) = take(2, of(20))
    assert first["image"].shape == (8, 16, 16, 3)
    assert first["image"].dtype == np.uint8
    assert first["tokens"].shape == (8, 12)
    assert {first[k].dtype for k in ("tokens", "index", "bad")} == {np.dtype(np.int32)}
    assert first["index"].tolist() == list(range(8))
    assert second["index"].tolist() == list(range(8, 16))
    assert set(first) == {"image", "tokens", "index", "bad"}


def test_pictures_and_texts_stay_together():
    data = {"sources": {"own": of(20)}, "augment": {"scale": (1.0, 1.0), "ratio": (1.0, 1.0)}}
    texts = tokenize([f"text {i}" for i in range(20)], 12)
    batches = take(5, data, image_spec=ImageSpec.square(24))
    seen = []
    rows = [np.concatenate([b[k] for b in batches]) for k in ("image", "tokens")]
    for image, tokens in zip(*rows, strict=True):
        number = int(np.flatnonzero((texts == tokens).all(-1))[0])
        np.testing.assert_array_equal(image, pixels(number))
        seen.append(number)
    assert sorted(seen[:20]) == sorted(seen[20:]) == list(range(20))
    assert seen[:20] != seen[20:]


@pytest.mark.parametrize("hosts", [2, 4])
def test_hosts_share_the_same_global_batch(hosts):
    source = of(30, broken=(3, 7), captions=["one", "two", "three"])
    expected = take(6, source)
    parts = [take(6, source, host=host, hosts=hosts) for host in range(hosts)]
    chex.assert_trees_all_equal(joined(parts), expected)
    assert sum(b["bad"].sum() for b in expected) > 0


@pytest.mark.parametrize("hosts", [1, 2])
def test_a_resumed_run_sees_the_same_batches(hosts):
    source = of(30, broken=(3, 7))
    expected = take(9, source)
    parts = [take(4, source, start_step=5, host=host, hosts=hosts) for host in range(hosts)]
    chex.assert_trees_all_equal(joined(parts), expected[5:])


def test_mixtures_are_functions_of_the_step_too():
    mixed = Mixture(("a", "b"), (of(30, broken=(2,)), of(9, image=encoded(1))), (2.0, 1.0))
    data = {"sources": mixed, "augment": AUGMENT}
    expected = take(6, data)
    parts = [take(3, data, start_step=3, host=host, hosts=4) for host in range(4)]
    chex.assert_trees_all_equal(joined(parts), expected[3:])


def test_worker_processes_change_nothing(tmp_path):
    """Two workers, second of two hosts, taken up at step 2: equal to one process from step 0."""
    pattern = write_shards(tmp_path, 12, bad={5: b"not a picture"})
    data = {"sources": {"tars": {"kind": "webdataset", "path": pattern}}, "augment": AUGMENT}
    expected = take(5, data)
    rows = take(3, data | {"workers": 2}, start_step=2, host=1, hosts=2)
    chex.assert_trees_all_equal(rows, [{k: v[4:] for k, v in b.items()} for b in expected[2:]])


@pytest.mark.multiprocess
def test_four_hosts_of_two_workers(tmp_path):
    pattern = write_shards(tmp_path, 12, bad={5: b"not a picture"})
    tars = {"kind": "webdataset", "path": pattern}
    data = {"sources": {"a": tars, "b": tars | {"weight": 0.5}}, "augment": AUGMENT}
    expected = take(4, data)
    for host in (0, 3):
        rows = take(4, data | {"workers": 2}, host=host, hosts=4)
        mine = slice(2 * host, 2 * host + 2)
        chex.assert_trees_all_equal(rows, [{k: v[mine] for k, v in b.items()} for b in expected])


def test_seeds_give_other_batches():
    (first,), (again,), (other,) = (take(1, of(30), seed=seed) for seed in (3, 3, 4))
    chex.assert_trees_all_equal(first, again)
    for name in ("image", "tokens"):
        assert not np.array_equal(first[name], other[name])


def test_the_seed_decides_crops_and_captions_too():
    source = ListSource([record(0, captions=[f"text {i}" for i in range(50)])])
    (first,), (other,) = (take(1, source, seed=seed) for seed in (3, 4))
    for name in ("image", "tokens"):
        assert not np.array_equal(first[name], other[name])


def test_each_epoch_crops_and_speaks_anew():
    source = ListSource([record(0, captions=["one", "two", " ", ""])])
    (batch,) = take(1, source, batch_size=64)
    assert len({image.tobytes() for image in batch["image"]}) > 40
    texts = tokenize(["one", "two"], 12)
    counts = [(batch["tokens"] == text).all(-1).sum() for text in texts]
    assert sum(counts) == 64
    assert min(counts) > 16
    assert batch["bad"].sum() == 0


def test_substitutes_touch_no_other_row():
    clean, broken = take(8, of(30)), take(8, of(30, broken=(4, 11, 12)))
    rows = np.concatenate([batch["bad"] for batch in broken]) > 0
    assert 3 <= rows.sum() <= 12
    for name in ("image", "tokens"):
        a, b = (np.concatenate([batch[name] for batch in part]) for part in (clean, broken))
        np.testing.assert_array_equal(a[~rows], b[~rows])
        assert all(not np.array_equal(x, y) for x, y in zip(a[rows], b[rows], strict=True))


def test_substitutes_differ_from_place_to_place():
    data = {"sources": {"own": of(30, broken=tuple(range(15)))}, "max_bad": 1.0}
    (batch,) = take(1, data, batch_size=64)
    replaced = batch["image"][batch["bad"] > 0]
    assert len(replaced) > 20
    assert len({tokens.tobytes() for tokens in batch["tokens"][batch["bad"] > 0]}) > 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": b"no picture"}, "'k001': its image is not one of JPEG"),
        ({"captions": []}, "'k001' has no caption, or an empty one"),
        ({"captions": [" \n"]}, "'k001' has no caption, or an empty one"),
    ],
)
def test_what_is_bad_is_warned_of_and_counted(change, message, caplog):
    source = ListSource([record(0), record(1, **change), record(2)])
    batches = train_batches({"sources": {"own": source}, "max_bad": 1.0}, **OPTIONS)
    total = sum(int(next(batches)["bad"].sum()) for _ in range(3))
    batches.close()
    assert batches.bad.count == total >= 6
    assert batches.bad.seen == 24
    assert len(batches.bad.messages) == 1
    assert message in batches.bad.messages[0]
    assert [r.getMessage() for r in caplog.records].count(
        f"bad sample replaced by another: {batches.bad.messages[0]}"
    ) == 1


def test_too_many_bad_samples_stop_a_single_host():
    data = {"sources": {"own": of(30, broken=(4,))}, "max_bad": 0.0}
    with pytest.raises(
        ValueError, match=r"1 bad samples in \d+ .*max_bad=0.0.*own: 'k004' is broken"
    ):
        take(8, data)
    take(8, data, host=1, hosts=2)  # where several must agree, the loop asks


def test_nothing_but_bad_samples():
    with pytest.raises(
        ValueError, match=r"32 records in a row cannot be used: own: 'k00\d' is broken"
    ):
        take(1, of(9, broken=tuple(range(9))))


def test_a_failing_disk_is_no_bad_sample():
    class Gone(ListSource):
        def __getitem__(self, index):
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        take(1, Gone([record(0)]))


def test_positions_wrap_in_long_runs():
    (batch,) = take(1, of(30), start_step=2**31 // 8 - 1)
    assert batch["index"].tolist() == list(range(2**31 - 8, 2**31))
    (batch,) = take(1, of(30), start_step=2**31 // 8)
    assert batch["index"].tolist() == list(range(8))


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ({}, {"hosts": 3}, "batch_size 8 is not divisible by 3 hosts"),
        (
            {"worker": 2},
            {},
            "unknown option data.worker; expected one of: sources, workers, max_bad, augment",
        ),
        ({"max_bad": 3}, {}, "max_bad must be a share"),
        ({"augment": {"zoom": 1}}, {}, "unknown option augment.zoom"),
    ],
)
def test_wrong_settings(data, options, message):
    with pytest.raises(ValueError, match=message):
        take(1, {"sources": {"own": of(9)}} | data, **options)


def test_workers_need_parsed_flags():
    flags.FLAGS.unparse_flags()
    try:
        with pytest.raises(RuntimeError, match="mark_as_parsed"):
            take(1, {"sources": {"own": of(9)}, "workers": 1})
    finally:
        flags.FLAGS.mark_as_parsed()


def test_an_epoch_is_all_records(tmp_path):
    tars = {"kind": "webdataset", "path": write_shards(tmp_path, 7)}
    data = {"sources": {"a": tars, "b": {**tars, "weight": 5.0}}, "workers": 1}
    assert ImageTextPairs(data, image_spec=ImageSpec.square(16)).examples == 14


def evaluate(source, **options) -> list[dict[str, np.ndarray]]:
    defaults = dict(batch_size=8, image_spec=ImageSpec.square(24), context=12)
    return list(eval_batches(source, **defaults | options))


@pytest.mark.parametrize("hosts", [1, 2, 4])
@pytest.mark.parametrize("n", [16, 21])
def test_evaluation_sees_each_record_once(hosts, n):
    source = of(n, label=None)
    source.records[2]["label"] = 5
    parts = [evaluate(source, host=host, hosts=hosts) for host in range(hosts)]
    assert {len(part) for part in parts} == {-(-n // 8)}
    for batch in itertools.chain(*parts):
        assert batch["image"].shape == (8 // hosts, 24, 24, 3)
    batches = joined(parts)
    mask = np.concatenate([b["mask"] for b in batches])
    rows = {k: np.concatenate([b[k] for b in batches])[mask] for k in batches[0]}
    assert rows["position"].tolist() == list(range(n))
    assert rows["label"].tolist() == [-1, -1, 5] + [-1] * (n - 3)
    np.testing.assert_array_equal(rows["image"], [pixels(i) for i in range(n)])
    np.testing.assert_array_equal(rows["tokens"], tokenize([f"text {i}" for i in range(n)], 12))
    assert not mask[n:].any()


@pytest.mark.multiprocess
def test_evaluation_in_workers(tmp_path):
    source = WebDatasetSource(write_shards(tmp_path, 11))
    chex.assert_trees_all_equal(evaluate(source, workers=1), evaluate(source))


def test_evaluation_of_nothing_and_of_pictures_without_text():
    assert evaluate(of(0)) == []
    (batch,) = evaluate(of(3, captions=[]))
    np.testing.assert_array_equal(batch["tokens"], tokenize([""] * 8, 12))


def test_evaluation_names_what_it_cannot_read():
    with pytest.raises(
        ValueError, match=r"record 4 of .*'k004' is broken; an evaluation needs every"
    ):
        evaluate(of(9, broken=(4,)))
    with pytest.raises(
        ValueError, match=r"'k000' of the evaluation's source: its image is not one"
    ):
        evaluate(of(9, image=b"no"))
    with pytest.raises(ValueError, match="batch_size 8 is not divisible by 3 hosts"):
        evaluate(of(9), hosts=3)


def test_random_access_of_grain_is_what_the_chain_relies_on():
    """A slice of an endless, mapped, shuffled stream is read at any place without what precedes."""
    seen = []
    stream = (
        grain.MapDataset.range(10).seed(0).shuffle().repeat().map(lambda x: seen.append(x) or x)
    )
    part = stream[5 * 10**12 + 1 :: 3].batch(2)
    part[10**6]
    assert len(seen) == 2
