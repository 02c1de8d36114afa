"""Configs for tests: files of configs/, and a model small enough to compile in a second."""

import runpy
from pathlib import Path

from ml_collections import ConfigDict

ROOT = Path(__file__).parent.parent


def load(name: str, arg: str | None = None) -> ConfigDict:
    """Return `get_config(arg)` of `configs/<name>.py`."""
    get_config = runpy.run_path(str(ROOT / "configs" / f"{name}.py"))["get_config"]
    return get_config() if arg is None else get_config(arg)


def tiny(**overrides: object) -> ConfigDict:
    """Return the cinema config with a model of a few thousand weights, and dotted overrides."""
    config = load("distill")
    config.model.image.update(dict(image_size=16, patch=8, width=32, layers=1, heads=2))
    config.model.text.update(dict(width=32, layers=1, heads=2, context=8))
    config.model.embed_dim = 16
    config.batch_size = 32
    config.data.workers = 0
    config.optimizer.warmup_steps = 0
    config.update_from_flattened_dict(overrides)
    return config
