"""Config values of the command line: None, other units of durations, the nearest keys."""

import pytest

from tests.configs import ROOT, load
from vujax.training.config import resolve_duration
from vujax.training.overrides import replace_durations, split_unset, suggest_keys, unset

FILE = str(ROOT / "configs" / "boundary.py")


def test_none_unsets_a_value_of_any_type():
    argv = ["main", "--config.optimizer.clip_norm=None", "-config.total_steps=none", "--config=x"]
    kept, keys = split_unset([*argv, "--config.init_from=Nonesuch"])
    assert kept == ["main", "--config=x", "--config.init_from=Nonesuch"]
    assert keys == ["optimizer.clip_norm", "total_steps"]
    config = load("boundary", "similarity").lock()
    unset(config, keys)
    assert config.optimizer.clip_norm is None and config.total_steps is None
    for key in ("clip_norm", "optimizer.rate", "seed.a"):
        with pytest.raises(KeyError, match=key):
            unset(config, [key])


@pytest.mark.parametrize("file", ["boundary", "caption", "distill", "movies2scenes", "shotcol"])
@pytest.mark.parametrize(
    ("name", "steps"),
    [
        *(("total_steps", 30), ("total_epochs", 48), ("total_examples", 2)),
        *(("eval_steps", 30), ("eval_examples", 2), ("eval_percent", 8), ("checkpoint_epochs", 48)),
        *(("optimizer.warmup_steps", 30), ("optimizer.warmup_percent", 8)),
    ],
)
def test_a_duration_in_any_unit_replaces_the_config_s(file, name, steps):
    config = load(file).lock()
    value = {"epochs": 3.0, "percent": 4.0}.get(name.rpartition("_")[2], 30)
    config.update_from_flattened_dict({name: value})
    replace_durations(config, ["main", f"--config.{name}", str(value)])
    settings = config.optimizer if "." in name else config
    prefix = name.rpartition(".")[2].rpartition("_")[0]
    sizes = dict(batch_size=16, examples=256, total_steps=200)
    assert resolve_duration(prefix, settings, **sizes) == steps


def test_two_units_on_the_command_line_contradict_each_other():
    config = load("boundary").lock()
    config.total_epochs, config.total_steps = 3.0, 10
    replace_durations(config, ["main", "--config.total_epochs=3", "--config.total_steps=10"])
    with pytest.raises(ValueError, match="set exactly one of total_steps, total_epochs"):
        resolve_duration("total", config, batch_size=16, examples=256)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("total_epoch", "; did you mean total_epochs or "),
        ("lr", "; did you mean optimizer.lr"),
        ("optimizr.lr", "; did you mean optimizer.lr"),
        ("xyz", ""),
    ],
)
def test_the_nearest_keys(key, expected):
    for argv in (["main", f"--config={FILE}:mlp"], ["main", "--config", FILE]):
        found = suggest_keys(argv, key)
        assert found.startswith(expected) if expected else found == ""
    assert suggest_keys(["main"], key) == ""
