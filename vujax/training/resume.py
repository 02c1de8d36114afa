"""Rules of what may differ when a run is resumed, and the record of it in run.json.

A run goes on if every number stays what it would have been: settings that change no number may
differ, and so may the places of the data if the first batch is still the same. A longer training
has another schedule and needs the caller's word. Everything else is refused.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from vujax.methods import resolve_settings
from vujax.methods.base import Batch
from vujax.training.config import diff_configs, to_plain_dict
from vujax.utils.io import write_json

CONFIG, FACTS = "config.json", "run.json"

# Keys that configs of 0.1.0 lack, with the values of their behavior. (A method's are in its class.)
ADDED = {"fit_scale_on": ""}
ADDED_TO_OPTIMIZER = {"name": "adamw", "layer_decay": 1.0}
ADDED_TO_DATA = {"shotcol": {"walls": 0.0}}

# Keys that change no trained weight.
UNRELATED = re.compile(
    r"eval_.*|evals(\..*)?|restore|log_steps|checkpoint_.*|keep_.*|fsdp|model\.(.*\.)?remat"
    r"|data\.(workers|max_bad|cache)|data\.(.*\.)?(index_dir|keep)"
)
TOTAL = re.compile(r"total_(steps|epochs|examples)")
PLACE = re.compile(r"data\.(.*\.)?(path|root|clips|ratings|data_dir|lvu|list)")


@dataclass(frozen=True)
class Start:
    """A training that is about to start or to be resumed.

    Attributes:
      workdir: directory of the run.
      config: its config.
      facts: contents of its run.json.
      saved_step: step of the newest checkpoint; None: there is none.
      extend: whether a larger number of steps is intended.
      has_batch_norm: whether statistics of a micro-batch enter the numbers.
      read_batch: `hosts -> batch`, the rows of host 0 of the batch of step 0.
    """

    workdir: Path
    config: ConfigDict
    facts: dict[str, Any]
    saved_step: int | None
    extend: bool
    has_batch_norm: bool
    read_batch: Callable[[int], Batch]


def record_run(start: Start) -> None:
    """Write config.json and run.json, or check that the run in the workdir is this one.

    A run that has saved nothing yet may be started with any config.

    Raises:
      ValueError: the workdir holds a run with other numbers.
    """
    config, recorded = to_plain_dict(start.config), _read(start.workdir / FACTS)
    is_new = start.saved_step is None and not (start.workdir / "release").exists()
    kept = {} if is_new else {k: recorded[k] for k in ("batch", "changes") if k in recorded}
    if (start.workdir / CONFIG).exists() and not is_new:
        before = _read(start.workdir / CONFIG)
        if changed := diff_configs(_resolve(before), _resolve(config)):
            _check_changes(start, changed, recorded)
            change = {"step": start.saved_step, "changed": changed}
            kept["changes"] = [*kept.get("changes", []), change]
    if jax.process_index() == 0:
        write_json(start.workdir / CONFIG, config)
        write_json(start.workdir / FACTS, start.facts | kept)


def record_batch(workdir: Path, batch: Batch) -> None:
    """Add the digest of the first batch to run.json, by which moved data are recognized."""
    if jax.process_index() == 0:
        digest = {"sha256": digest_batch(batch), "hosts": jax.process_count()}
        write_json(workdir / FACTS, _read(workdir / FACTS) | {"batch": digest})


def digest_batch(batch: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of a batch: names, dtypes, shapes and contents."""
    digest = hashlib.sha256()
    for name in sorted(batch):
        values = np.ascontiguousarray(batch[name])
        digest.update(f"{name} {values.dtype.str} {values.shape} ".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def _check_changes(start: Start, changed: list[str], recorded: Mapping[str, Any]) -> None:
    keys = {line: line.partition(":")[0] for line in changed}
    related = [line for line, key in keys.items() if not UNRELATED.fullmatch(key)]
    if not start.has_batch_norm:
        related = [line for line in related if keys[line] != "micro_batches"]
    totals = [line for line in related if TOTAL.fullmatch(keys[line])]
    places = [line for line in related if PLACE.fullmatch(keys[line])]
    refused = [line for line in related if line not in totals + places]
    refused += _refuse_totals(start, totals, recorded)
    if refused:
        hint = "" if start.extend or not totals else "; for a longer training add --extend"
        raise ValueError(
            f"{start.workdir} holds a run with another config ({'; '.join(refused[:5])}): "
            f"choose another --workdir, or the same values{hint}"
        )
    if places:
        _check_places(start, places, recorded)


def _refuse_totals(start: Start, totals: list[str], recorded: Mapping[str, Any]) -> list[str]:
    is_longer = start.facts["total_steps"] >= recorded.get("total_steps", 0)
    return [] if start.extend and is_longer else totals


def _check_places(start: Start, places: list[str], recorded: Mapping[str, Any]) -> None:
    """Check that the data at another place are the same.

    Raises:
      ValueError: they are not, or the run has no record of them.
    """
    where = f"{start.workdir} holds a run on data at another place ({'; '.join(places[:5])})"
    if "batch" not in recorded:
        raise ValueError(
            f"{where}, and no record of its first batch: give the former place, or choose another "
            "--workdir"
        )
    before, now = recorded["examples"], start.facts["examples"]
    if before != now:
        raise ValueError(f"{where}: there are {now} examples there instead of {before}")
    if digest_batch(start.read_batch(recorded["batch"]["hosts"])) != recorded["batch"]["sha256"]:
        raise ValueError(
            f"{where}, and the first batch differs: give the same data, or choose another --workdir"
        )


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def _resolve(config: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON-ready config that has every setting, whatever version wrote it."""
    method = resolve_settings(config["method"])
    data = ADDED_TO_DATA.get(method["name"], {}) | config["data"]
    optimizer = ADDED_TO_OPTIMIZER | config["optimizer"]
    resolved = {"method": method, "data": data, "optimizer": optimizer}
    return json.loads(json.dumps(ADDED | config | resolved))
