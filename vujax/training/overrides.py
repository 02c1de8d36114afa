"""Config values of the command line that flags alone cannot express.

`--config.clip_norm=None` unsets a value of any type. A duration in another unit than the config's
replaces it: `--config.total_epochs=3` unsets `total_steps`.
"""

import difflib
import re
import runpy
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from ml_collections import ConfigDict

from vujax.training.config import UNITS

FLAG = re.compile(r"--?config\.([\w.]+)(?:=(.*))?", re.DOTALL)
CONFIG = re.compile(r"--?config[= ](\S+)(?: .*)?", re.DOTALL)
NONE = ("None", "none")
DURATION = re.compile(rf"(.+)_({'|'.join(UNITS)})")


def split_unset(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the arguments without those that unset a key, and these keys.

    Args:
      argv: command line.
    """
    kept, keys = [], []
    for argument in argv:
        found = FLAG.fullmatch(argument)
        if found and found[2] in NONE:
            keys.append(found[1])
        else:
            kept.append(argument)
    return kept, keys


def unset(config: ConfigDict, keys: Sequence[str]) -> None:
    """Set the dotted keys to None.

    Raises:
      KeyError: the config has no such key.
    """
    for key in keys:
        if not _has(config, key):
            raise KeyError(key)
        *parents, name = key.split(".")
        node = config
        for parent in parents:
            node = node[parent]
        node[name] = None


def replace_durations(config: ConfigDict, argv: Sequence[str]) -> None:
    """Unset the other units of each duration that the command line gives in one.

    Args:
      config: with the values of the command line.
      argv: command line.
    """
    given = {found[1] for argument in argv if (found := FLAG.fullmatch(argument))}
    for key in sorted(given):
        if found := DURATION.fullmatch(key):
            others = {f"{found[1]}_{unit}" for unit in UNITS} - {key}
            if not others & given:  # several contradict each other, and are an error later
                unset(config, [other for other in sorted(others) if _has(config, other)])


def suggest_keys(argv: Sequence[str], key: str) -> str:
    """Return ' (did you mean ...?)' with the keys of the config that are nearest, or nothing.

    Args:
      argv: command line with --config=FILE or FILE:ARGUMENT.
      key: unknown dotted key.
    """
    files = (CONFIG.fullmatch(f"{one} {two}") for one, two in pairwise([*argv, ""]))
    file, _, argument = next((found[1] for found in files if found), "").partition(":")
    if not file:
        return ""
    get_config = runpy.run_path(file)["get_config"]
    keys = sorted(_list_keys(get_config(argument) if argument else get_config()))
    same = [name for name in keys if name.rpartition(".")[2] == key.rpartition(".")[2]]
    found = [*same, *difflib.get_close_matches(key, keys, n=2)][:2]
    return f"; did you mean {' or '.join(dict.fromkeys(found))}?" if found else ""


def _has(config: ConfigDict, key: str) -> bool:
    node: Any = config
    for part in key.split("."):
        if not isinstance(node, ConfigDict) or part not in node:
            return False
        node = node[part]
    return True


def _list_keys(config: ConfigDict, prefix: str = "") -> Iterator[str]:
    for name, value in config.items():
        if isinstance(value, ConfigDict):
            yield from _list_keys(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"
