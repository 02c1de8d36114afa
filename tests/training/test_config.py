"""Durations and config differences."""

import pytest
from ml_collections import ConfigDict

from vujax.training.config import diff_configs, resolve_duration, to_plain_dict


@pytest.mark.parametrize(
    ("config", "steps"),
    [
        ({"total_steps": 7}, 7),
        ({"total_epochs": 2.5}, 250),
        ({"total_examples": 640}, 64),
        ({"total_percent": 50.0}, 20),
        ({"total_steps": -1, "total_epochs": 0.001}, 1),
        ({"total_steps": 0}, 0),
        ({"total_steps": None, "total_examples": 10}, 1),
    ],
)
def test_units(config, steps):
    assert resolve_duration("total", config, batch_size=10, examples=1000, total_steps=40) == steps


def test_default_counts_only_when_nothing_is_set():
    assert resolve_duration("eval", {}, batch_size=1, default=9) == 9
    assert resolve_duration("eval", {"eval_steps": 3}, batch_size=1, default=9) == 3


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "exactly one of total_steps, .* sets none"),
        ({"total_steps": 1, "total_epochs": 1}, "sets \\['epochs', 'steps'\\]"),
        ({"total_epochs": 1}, "known length"),
        ({"total_percent": 1}, "needs a total"),
    ],
)
def test_bad_durations(config, words):
    with pytest.raises(ValueError, match=words):
        resolve_duration("total", config, batch_size=10)


def test_differences_name_dotted_keys():
    old = to_plain_dict(ConfigDict({"a": {"b": 1, "c": (1, 2)}, "d": "x"}))
    new = to_plain_dict(ConfigDict({"a": {"b": 2, "c": (1, 2)}, "e": "y"}))
    assert diff_configs(old, new) == ["a.b: 1 -> 2", "d: x -> None", "e: None -> y"]
