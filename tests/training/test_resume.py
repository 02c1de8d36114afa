"""Rules of what may differ when a run is resumed, and the record of it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from tests.configs import tiny
from vujax.training import logging, loop
from vujax.training.config import to_plain_dict
from vujax.training.loop import Interrupt
from vujax.training.resume import Start, digest_batch, record_batch, record_run
from vujax.utils.mesh import make_mesh

BATCH = {"index": np.arange(4), "image": np.ones((4, 2), np.uint8)}


def config(**overrides: Any):
    given = tiny(**{"total_steps": 6, "log_steps": 1, "checkpoint_steps": 3, **overrides})
    with given.unlocked():
        given.evals = {}
    return given


def start_of(workdir: Path, overrides: dict[str, Any] | None = None, **options: Any) -> Start:
    given = config(**(overrides or {}))
    facts = dict(examples=100, total_steps=given.total_steps)
    settings = dict(
        saved_step=3, extend=False, has_batch_norm=False, read_batch=lambda hosts: BATCH
    )
    return Start(workdir, given, facts, **(settings | options))


@pytest.fixture
def workdir(tmp_path):
    record_run(start_of(tmp_path, saved_step=None))
    record_batch(tmp_path, BATCH)
    return tmp_path


def facts_of(workdir: Path) -> dict[str, Any]:
    return json.loads((workdir / "run.json").read_text())


@pytest.mark.parametrize(
    "changed",
    [
        *("fsdp", "micro_batches", "model.remat", "data.max_bad", "data.workers", "log_steps"),
        *("eval_only", "checkpoint_steps", "keep_last"),
    ],
)
def test_what_changes_no_number_may_differ_and_is_recorded(workdir, changed):
    other = {"fsdp": True, "model.remat": "full", "eval_only": True}.get(changed, 7)
    now = start_of(workdir, {changed: other})
    assert now.config != config()
    record_run(now)
    (change,) = facts_of(workdir)["changes"]
    assert change["step"] == 3 and change["changed"][0].startswith(f"{changed}: ")
    assert json.loads((workdir / "config.json").read_text()) == to_plain_dict(now.config)
    record_run(start_of(workdir))
    assert len(facts_of(workdir)["changes"]) == 2
    assert facts_of(workdir)["batch"]["sha256"] == digest_batch(BATCH)


@pytest.mark.parametrize(
    "overrides",
    [{"optimizer.lr": 0.5}, {"batch_size": 16}, {"seed": 1}, {"model.embed_dim": 8}],
)
def test_what_changes_numbers_is_refused(workdir, overrides):
    before = (workdir / "config.json").read_bytes()
    with pytest.raises(ValueError, match=rf"another config \({next(iter(overrides))}: .* -> "):
        record_run(start_of(workdir, overrides))
    assert (workdir / "config.json").read_bytes() == before


def test_micro_batches_enter_batch_statistics(workdir):
    with pytest.raises(ValueError, match=r"another config \(micro_batches: 1 -> 2\)"):
        record_run(start_of(workdir, {"micro_batches": 2}, has_batch_norm=True))


def test_more_steps_need_a_word(workdir):
    with pytest.raises(ValueError, match=r"total_steps: 6 -> 9.*longer training add --extend"):
        record_run(start_of(workdir, {"total_steps": 9}))
    record_run(start_of(workdir, {"total_steps": 9}, extend=True))
    assert facts_of(workdir)["changes"][0]["changed"] == ["total_steps: 6 -> 9"]
    with pytest.raises(ValueError, match="total_steps: 9 -> 6"):
        record_run(start_of(workdir, {"total_steps": 6}, extend=True))


def test_a_run_that_saved_nothing_blocks_nothing(workdir):
    record_run(start_of(workdir, {"optimizer.lr": 0.5}, saved_step=None))
    assert "changes" not in facts_of(workdir) and "batch" not in facts_of(workdir)
    (workdir / "release").mkdir()
    with pytest.raises(ValueError, match="another config"):
        record_run(start_of(workdir, {"optimizer.lr": 0.1}, saved_step=None))


def at(workdir: Path, path: str, **options: Any) -> Start:
    start = start_of(workdir, **options)
    with start.config.unlocked():
        start.config.data.sources.main.path = path
    return start


def test_the_same_data_may_move(workdir, tmp_path):
    record_run(at(workdir, "here", saved_step=None))
    record_batch(workdir, BATCH)
    record_run(at(workdir, "there"))
    assert facts_of(workdir)["changes"][0]["changed"] == ["data.sources.main.path: here -> there"]
    other = {**BATCH, "image": np.zeros((4, 2), np.uint8)}
    with pytest.raises(ValueError, match=r"there -> else.*the first batch differs: give the same"):
        record_run(at(workdir, "else", read_batch=lambda hosts: other))
    fewer = replace(at(workdir, "else"), facts=dict(examples=99, total_steps=6))
    with pytest.raises(ValueError, match="there are 99 examples there instead of 100"):
        record_run(fewer)
    (workdir / "run.json").write_text("{}")
    with pytest.raises(ValueError, match="no record of its first batch: give the former place"):
        record_run(at(workdir, "else"))


def test_a_config_of_before_dropout_is_the_same_run(workdir):
    older = dict(target="swapped_rows", unaligned_begin=0.0, unaligned_full=1.0, dropout=0.0)
    now = {f"method.{name}": value for name, value in older.items()}
    recorded = to_plain_dict(config(**now))
    for name in older:
        del recorded["method"][name]
    recorded["method"]["target"] = "swapped"
    (workdir / "config.json").write_text(json.dumps(recorded))
    record_run(start_of(workdir, now))
    with pytest.raises(ValueError, match=r"another config \(method.dropout: 0.0 -> 0.1\)"):
        record_run(start_of(workdir, {**now, "method.dropout": 0.1}))


@pytest.mark.parametrize("change", ["dtype", "shape", "name", "value"])
def test_the_digest_of_a_batch(change):
    image = BATCH["image"]
    other = {
        "dtype": {**BATCH, "image": image.astype(np.int8)},
        "shape": {**BATCH, "image": image.reshape(2, 4)},
        "name": {"index": BATCH["index"], "images": image},
        "value": {**BATCH, "image": image * 2},
    }[change]
    assert digest_batch(other) != digest_batch(BATCH)
    assert digest_batch(dict(reversed(BATCH.items()))) == digest_batch(BATCH)


@pytest.mark.long
def test_a_run_goes_on_with_other_settings_that_change_no_number(tmp_path, monkeypatch):
    meshes = [make_mesh(jax.devices()[:devices]) for devices in (1, 8, 4)]
    monkeypatch.setattr(loop, "make_mesh", lambda: meshes[0])
    loop.train(config(), tmp_path / "whole")
    workdir = tmp_path / "parts"
    for mesh, stop, overrides in [
        (meshes[1], 2, {"fsdp": True}),
        (meshes[2], 4, {"micro_batches": 2, "model.remat": "full"}),
        (meshes[0], 6, {}),
    ]:
        monkeypatch.setattr(loop, "make_mesh", lambda mesh=mesh: mesh)
        monkeypatch.setattr(Interrupt, "should_stop", lambda self, now, stop=stop: now == stop)
        loop.train(config(**overrides), workdir)
    whole, parts = (
        [line["loss"] for line in logging.read_metrics(folder)]
        for folder in (tmp_path / "whole", workdir)
    )
    np.testing.assert_allclose(parts, whole, rtol=1e-5)
    loop.train(config(total_steps=8), workdir, extend=True)
    assert len(logging.read_metrics(workdir)) == 8
    assert len(facts_of(workdir)["changes"]) == 3
