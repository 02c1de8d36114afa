"""Consistent JSON lines of tools/bench_loss.py."""

import importlib.util
import json

import chex
import pytest

from tools import bench_loss


def test_prints_json_lines_whose_losses_agree(capsys: pytest.CaptureFixture[str]):
    sizes = ["--n", "64", "--d", "8", "--repeat", "1"]
    bench_loss.main([*sizes, "--modes", "clip", "swapped_rows", "sigmoid"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (machine,) = [line for line in lines if "machine" in line]
    assert machine["matmul_gflops"] > 0
    timed = {(r["implementation"], r["mode"]): r for r in lines if "mode" in r}
    for mode in ("clip", "swapped_rows", "sigmoid"):
        tiled, dense = timed["tiled", mode], timed["dense", mode]
        chex.assert_trees_all_close(tiled["loss"], dense["loss"], rtol=1e-4)
        assert min(tiled["seconds"], tiled["floor_s"], tiled["temporary_gib"]) >= 0
    if importlib.util.find_spec("torch"):
        assert timed["torch", "clip"]["loss"] == pytest.approx(timed["tiled", "clip"]["loss"], 1e-4)
        assert ("torch", "sigmoid") not in timed


def test_says_what_is_left_out(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    bench_loss.main(["--n", "8", "--d", "4", "--repeat", "1", "--modes", "clip"])
    first, *rest = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert first == {"left_out": "torch", "why": "not installed: pip install 'vujax[parity]'"}
    assert {r.get("implementation") for r in rest} == {None, "tiled", "dense"}


def test_errors_against_float64(capsys: pytest.CaptureFixture[str]):
    bench_loss.main(["--n", "64", "--d", "16", "--errors", "--modes", "swapped_rows"])
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [r["scale"] for r in records] == [14.3, 20.0, 100.0]
    assert all(0 < r["gradient_error"] < 1e-5 and r["value_error"] < 1e-5 for r in records)
