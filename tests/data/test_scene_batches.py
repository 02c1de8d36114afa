"""Rows of scenes: each scene once an epoch, batches as functions of seed and step."""

import numpy as np
import pytest

from tests.data.boundary_films import numbered
from vujax.data.scene_batches import SceneRows, batch_spec
from vujax.data.scenes import FilmScenes, find_scene_runs

RNG = np.random.default_rng(0)
FILMS = tuple(
    numbered(film, 40, sorted(RNG.choice(np.arange(1, 40), 9, replace=False).tolist()))
    for film in range(4)
)
SCENES = FilmScenes(FILMS, find_scene_runs(FILMS))  # 40 scenes of 160 shots
INPUTS = {"feature": (2,)}
LONGEST = int(SCENES.lengths.max())
PLANS = {"packed": dict(width=24, most=6), "buckets": dict(buckets=(3, 8, 24))}


@pytest.fixture(params=PLANS)
def plan(request):
    return PLANS[request.param]


def take(count: int, plan: dict, **options) -> list[dict[str, np.ndarray]]:
    workers = options.pop("workers", 0)
    rows = SceneRows(SCENES, INPUTS, **plan, workers=workers)
    batches = rows.train_batches(**dict(batch_size=4, seed=5) | options)
    try:
        return [next(batches) for _ in range(count)]
    finally:
        batches.close()


def check_rows(batch: dict[str, np.ndarray]) -> None:
    """A row holds its scenes, whole, one after the other."""
    for row, scenes in enumerate(batch["scene"]):
        at = 0
        for slot, scene in enumerate(scenes[scenes >= 0].tolist(), 1):
            seen, length = SCENES.inputs(scene), int(SCENES.lengths[scene])
            there = slice(at, at + length)
            np.testing.assert_array_equal(batch["feature"][row, there], seen["feature"])
            np.testing.assert_array_equal(batch["time"][row, there], seen["time"])
            assert batch["place"][row, there].tolist() == list(range(length))
            assert (batch["segment"][row, there] == slot).all()
            assert batch["movie"][row, slot - 1] == SCENES.movie[scene]
            at += length
        for name in ("segment", "place", "time", "feature"):
            assert not batch[name][row, at:].any()
    assert ((batch["scene"] < 0) == (batch["movie"] < 0)).all()


def test_rows_hold_whole_scenes(plan):
    for batch in take(12, plan):
        check_rows(batch)


def test_every_scene_once_a_pass(plan):
    rows = SceneRows(SCENES, INPUTS, **plan)
    steps = 1 if "width" in plan else None
    a_pass = rows.examples if steps else rows._plan.rows(4)
    batches = take(3 * a_pass, plan)  # more than three passes' worth of rows
    found = np.concatenate([batch["scene"] for batch in batches])
    orders = []
    for k in range(3):
        one = found[k * a_pass : (k + 1) * a_pass]
        assert sorted(one[one >= 0].tolist()) == list(range(len(SCENES.keys)))
        orders.append(one[one >= 0].tolist())
    assert orders[0] != orders[1] != orders[2] != orders[0]
    index = np.concatenate([batch["index"] for batch in batches])
    assert index.tolist() == list(range(len(index)))


def test_the_step_is_the_state(plan):
    whole = take(30, plan)
    late = take(4, plan, start_step=26)
    for one, other in zip(whole[26:], late, strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], strict=True)
    assert any(
        (a["scene"].shape != b["scene"].shape) or (a["scene"] != b["scene"]).any()
        for a, b in zip(whole, take(3, plan, seed=6), strict=False)
    )


@pytest.mark.parametrize("hosts", [2, 4])
def test_hosts_have_the_parts_of_the_same_batches(plan, hosts):
    whole = take(20, plan)
    parts = [take(20, plan, host=host, hosts=hosts) for host in range(hosts)]
    for step, batch in enumerate(whole):
        for name, value in batch.items():
            mine = np.concatenate([part[step][name] for part in parts])
            np.testing.assert_array_equal(mine, value, strict=True)


@pytest.mark.multiprocess
def test_workers_change_nothing(plan):
    for one, other in zip(take(12, plan), take(12, plan, workers=2), strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], strict=True)


@pytest.mark.parametrize("hosts", [1, 2])
def test_evaluation_sees_every_scene_once(plan, hosts):
    rows, found, steps = SceneRows(SCENES, INPUTS, **plan), [], set()
    for host in range(hosts):
        batches = list(rows.eval_batches(batch_size=6, host=host, hosts=hosts))
        steps.add(len(batches))
        for batch in batches:
            check_rows(batch)
            assert len(batch["segment"]) == 6 // hosts
            found += batch["scene"][batch["scene"] >= 0].tolist()
    assert sorted(found) == list(range(len(SCENES.keys))) and len(steps) == 1


def test_padding_is_counted(plan):
    rows = SceneRows(SCENES, INPUTS, **plan)
    batches = list(rows.eval_batches(batch_size=rows.examples if "width" in plan else 4))
    empty = sum(int((batch["segment"] == 0).sum()) for batch in batches)
    places = sum(batch["segment"].size for batch in batches)
    slots = np.concatenate([batch["scene"] for batch in batches])
    assert rows.padding(4) == pytest.approx(empty / places)
    assert rows.vacancy(4) == pytest.approx((slots < 0).mean())


def test_packing_leaves_less_than_buckets_and_than_nothing():
    packed, buckets, alone = (
        SceneRows(SCENES, INPUTS, **options).padding(4)
        for options in (*PLANS.values(), dict(buckets=(24,)))
    )
    assert packed < 0.05 < buckets < alone


def test_shapes_are_those_of_a_batch():
    for options in PLANS.values():
        rows = SceneRows(SCENES, INPUTS, **options)
        assert rows.batch_spec(4) == batch_spec(INPUTS, 4, **options)
        widest = max(take(20, options), key=lambda batch: batch["segment"].shape[1])
        wanted = rows.batch_spec(4)
        assert set(widest) == set(wanted)
        for name, value in widest.items():
            assert (value.shape, value.dtype) == (wanted[name].shape, wanted[name].dtype), name


class Broken(FilmScenes):
    """Its last scene has something wrong."""

    def inputs(self, scene: int, shots: np.ndarray | None = None) -> dict[str, np.ndarray]:
        seen = super().inputs(scene, shots)
        return seen | {"feature": seen["feature"] * np.nan} if scene == 39 else seen


def test_what_cannot_be():
    with pytest.raises(ValueError, match=rf"film-\d/c\d+ has {LONGEST} shots, and a row 5"):
        SceneRows(SCENES, INPUTS, width=5)
    with pytest.raises(ValueError, match="has no image, only feature, time"):
        SceneRows(SCENES, {"image": (3, 8, 8, 3)})
    with pytest.raises(ValueError, match=r"of shape \[2\] for each shot, where \[5\] was"):
        SceneRows(SCENES, {"feature": (5,)})
    with pytest.raises(ValueError, match="batch_size 5 is not divisible by 2 hosts"):
        SceneRows(SCENES, INPUTS).train_batches(batch_size=5, seed=0, hosts=2)
    broken = SceneRows(Broken(FILMS, find_scene_runs(FILMS)), INPUTS)
    with pytest.raises(ValueError, match="scene film-3/c009 has a feature that is not finite"):
        list(broken.eval_batches(batch_size=4))
