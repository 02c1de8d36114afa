"""Values that all experiments share: keys of the training loop, and AdamW.

A config file beside this one loads it by its path, so that it works from any working directory:

    common = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("common.py"))))
"""

from collections.abc import Callable, Sequence

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vujax.training.config import UNITS


def base() -> ConfigDict:
    """Return the keys of every training; a config adds model, method, data and batch size."""
    config = ConfigDict()
    config.seed = 0
    config.micro_batches = 1  # parts of a batch held at a time; all negatives are kept
    config.fsdp = False  # shard parameters and optimizer state over the devices
    config.ema_decay = 0.0  # above 0: evaluate and release averaged parameters
    config.optimizer = optimizer()
    config.init_from = ""  # workdir or release folder to start from
    config.init_fresh = ()  # prefixes of parameter names ('head/') that are not taken from it
    config.log_steps = 50
    add_duration(config, "total", "steps", "epochs", "examples")
    add_duration(config, "checkpoint")
    config.checkpoint_steps = 500
    config.restore = "newest"  # "fallback": go on from the newest checkpoint that is whole
    config.keep_last = 2
    config.keep_every = 0
    add_duration(config, "eval")
    config.eval_percent = 100.0
    config.eval_only = False
    config.evals = ConfigDict()
    return config


def add_duration(config: ConfigDict, name: str, *units: str) -> None:
    """Add the keys `{name}_steps`, `_epochs`, `_examples` and `_percent` (of all steps), unset.

    An experiment sets one of them. One that is given on the command line replaces it.

    Args:
      config: receives the keys.
      name: what lasts so long.
      units: those that make sense; all of them by default.
    """
    for unit in units or UNITS:
        config[f"{name}_{unit}"] = placeholder(UNITS[unit])


def optimizer() -> ConfigDict:
    """Return AdamW with warm-up and cosine decay."""
    settings = ConfigDict(
        dict(
            name="adamw",
            lr=1e-3,
            schedule="cosine",
            final=0.0,
            b1=0.9,
            b2=0.98,
            eps=1e-6,
            weight_decay=0.1,
            decay=r".*(kernel|embedding)",
            clip_norm=1.0,
            rules=((".*", 1.0),),
            layer_decay=1.0,
        )
    )
    add_duration(settings, "warmup")
    settings.warmup_steps = 50
    add_duration(settings, "cooldown")
    return settings


def build_experiment(
    file: str, arg: str, experiments: Sequence[Callable[[], ConfigDict]], others: str = ""
) -> ConfigDict:
    """Build the experiment whose function has the name `arg`.

    Args:
      file: name of the config file, for the message.
      arg: argument of the config file.
      experiments: functions of the file.
      others: further arguments of the file, for the message.

    Raises:
      ValueError: the file has no such experiment.
    """
    by_name = {experiment.__name__: experiment for experiment in experiments}
    if arg not in by_name:
        expected = ", ".join([*sorted(by_name), *filter(None, [others])])
        raise ValueError(f"{file}: unknown experiment '{arg}'; expected one of: {expected}")
    return by_name[arg]()
