"""Model cards say what a run's records say, and `vujax weights export` writes them."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.models import small
from vujax import cli
from vujax.models import build_clip, release
from vujax.training.model_card import build_model_card

TEXT = small.TEXT | {"vocab": 49408, "width": 64, "heads": 1}
CLIP = {
    "image": small.VIT | {"width": 64, "heads": 1},
    "text": TEXT,
    "embed_dim": 24,
    "act": "quick_gelu",
}


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    """A run with a release, its config, facts and one evaluation."""
    folder = tmp_path / "mine"
    weights = small.variables(build_clip(**CLIP), *small.batch(2, CLIP["image"]["image_size"]))
    plain = jax.tree.map(np.asarray, weights)
    release.save(folder, {"model": CLIP, "method": {"name": "distill"}}, plain)
    sources = {"main": {"kind": "webdataset", "path": "shards/\x1b[31m*.tar"}}
    settings = {"data": {"sources": sources}, "batch_size": 8, "init_from": "runs/other"}
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "run.json").write_text(json.dumps({"examples": 12345, "seed": 3}))
    scores = {"step": 4, "name": "retrieval", "metrics": {"R@1": 0.25}, "baselines": {}}
    (folder / "evaluations").mkdir()
    (folder / "evaluations" / "retrieval-4.json").write_text(json.dumps(scores))
    return folder


def test_the_card_has_what_the_records_have(workdir: Path) -> None:
    card = build_model_card(workdir, "hf", license_id="apache-2.0")
    front, _, text = card.removeprefix("---\n").partition("\n---\n")
    assert "license: apache-2.0" in front and "library_name: transformers" in front
    assert text.strip().startswith("# mine")
    for words in (
        "12,345 examples",
        "`runs/other`",
        "- seed: `3`",
        '"batch_size": 8',
        "webdataset",
        "| R@1 | 0.25 |",
    ):
        assert words in text, words
    assert "\x1b" not in card


def test_what_no_record_states_is_not_recorded(workdir: Path) -> None:
    for name in ("config.json", "run.json", "evaluations/retrieval-4.json"):
        (workdir / name).unlink()
    card = build_model_card(workdir, "open_clip")
    assert card.count("not recorded") >= 3 and "license:" not in card


def test_the_command_writes_weights_and_card(workdir: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    words = ["weights", "export", str(workdir), "--format", "open_clip", "--out", str(out)]
    assert cli.main([*words, "--license", "mit"]) == 0
    assert str(out) in capsys.readouterr().out
    assert "license: mit" in (out / "README.md").read_text()
    assert "visual.conv1.weight" in load_file(out / "open_clip_model.safetensors")
    assert cli.main(words) == 1  # the folder exists
    assert "exists already" in capsys.readouterr().err
