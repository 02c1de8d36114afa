import pytest

from vujax.training.sweep import chain, over, product, zipped
from vujax.training.sweep.plan import label_points


def test_product_takes_every_combination_the_last_varying_fastest():
    points = product(over("model.width", [64, 128]), over("seed", range(2)))
    assert points == [
        {"model.width": 64, "seed": 0},
        {"model.width": 64, "seed": 1},
        {"model.width": 128, "seed": 0},
        {"model.width": 128, "seed": 1},
    ]


def test_zipped_pairs_points_in_order():
    points = zipped(over("model.width", [64, 128]), over("optimizer.lr", [1e-3, 5e-4]))
    assert points == [
        {"model.width": 64, "optimizer.lr": 1e-3},
        {"model.width": 128, "optimizer.lr": 5e-4},
    ]


def test_zipped_refuses_other_lengths():
    with pytest.raises(ValueError, match="2, 3 points"):
        zipped(over("a", range(2)), over("b", range(3)))


def test_chain_puts_sweeps_one_after_the_other_and_combinators_nest():
    variants = chain([{}], zipped(over("method.target", ["ema"]), over("ema_decay", [0.99])))
    assert product(variants, over("seed", [7])) == [
        {"seed": 7},
        {"method.target": "ema", "ema_decay": 0.99, "seed": 7},
    ]


@pytest.mark.parametrize("combine", [product, zipped])
def test_one_key_from_two_sweeps_is_an_error(combine):
    with pytest.raises(ValueError, match="'seed' is in two sweeps"):
        combine(over("seed", [0]), over("seed", [1]))


def test_labels_say_what_differs_by_the_shortest_name():
    points = [
        {"a.rate": 1, "b.rate": 1, "width": 8, "steps": 9},
        {"a.rate": 2, "b.rate": 1, "width": 8, "steps": 9},
        {"a.rate": 2, "b.rate": 3, "steps": 9},
    ]
    assert label_points(points) == [
        "a.rate 1, b.rate 1, width 8",
        "a.rate 2, b.rate 1, width 8",
        "a.rate 2, b.rate 3",
    ]
    assert label_points(points[:2]) == ["rate 1", "rate 2"]
    assert label_points(points[:1]) == ["default"]


def test_labels_leave_out_what_the_control_has_too():
    control = {"share": 0.0, "soft": 1.0}
    points = [
        {"share": 0.0, "soft": 1.0, "noise": 0.4},
        {"share": 0.0, "soft": 0.5, "noise": 0.4},
        {"share": 0.8, "soft": 1.0, "noise": 0.0},
    ]
    assert label_points(points, control) == [
        "control, noise 0.4",
        "soft 0.5, noise 0.4",
        "share 0.8, noise 0.0",
    ]
