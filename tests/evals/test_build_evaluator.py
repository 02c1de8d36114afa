"""Evaluators by config: kinds, data sets, options and their errors."""

import subprocess
import sys

import pytest
from ml_collections import ConfigDict

from tests.evals.fakes import Memory, Oracle, knowing
from vujax.evals import build_evaluator
from vujax.evals.linear_probe import LinearProbe
from vujax.evals.retrieval import Retrieval
from vujax.evals.zero_shot import ZeroShot


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"kind": "zero_shot", "source": {"kind": "nowhere"}}, ZeroShot),
        ({"kind": "retrieval", "source": {"kind": "nowhere"}, "batch_size": 8}, Retrieval),
        ({"kind": "probe", "source": {}, "train": {}, "workers": 2}, LinearProbe),
        ({"kind": "imagenet", "source": {"data_dir": "/nowhere"}}, ZeroShot),
        ({"kind": "objectnet", "source": {"root": "/nowhere"}}, ZeroShot),
        ({"kind": "coco", "source": {"root": "/nowhere"}}, Retrieval),
    ],
)
def test_kinds_open_nothing_yet(mesh1, config, kind):
    assert isinstance(build_evaluator("x", ConfigDict(config), model=Oracle(2), mesh=mesh1), kind)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"kind": "zeroshot"},
            r"evals\.x\.kind: unknown evaluator 'zeroshot'; expected one of: zero_shot, ",
        ),
        ({}, r"evals\.x\.kind: unknown evaluator None"),
        ({"kind": "zero_shot"}, r"evals\.x\.source is missing: ZeroShot needs it"),
        ({"kind": "probe", "source": {}}, r"evals\.x\.train is missing"),
        (
            {"kind": "retrieval", "source": {}, "batchsize": 3},
            r"unknown option evals\.x\.batchsize; expected one of: source, histogram, batch_size",
        ),
    ],
)
def test_wrong_configs(mesh1, config, message):
    with pytest.raises(ValueError, match=message):
        build_evaluator("x", config, model=Oracle(2), mesh=mesh1)


def test_a_source_object_will_do(mesh1):
    config = {
        "kind": "zero_shot",
        "source": Memory([0, 1], classes=("a", "b")),
        "templates": "name",
    }
    evaluator = build_evaluator("x", config, model=Oracle(2), mesh=mesh1)
    assert evaluator(knowing({"a": 0, "b": 1}))["top1"] == 1.0
    assert evaluator.headline == "top1"
    assert evaluator.examples(3) == []


def test_synthetic_images_by_config(mesh8):
    frames = {"kind": "cinema", "split": "validation", "frames": 40, "films": 4, "image_size": 8}
    options = {"model": Oracle(2), "mesh": mesh8}
    zero_shot = build_evaluator("z", {"kind": "zero_shot", "source": frames}, **options)(
        knowing({})
    )
    assert zero_shot["top1"] == pytest.approx(1 / zero_shot["classes"])
    retrieval = build_evaluator(
        "r", {"kind": "retrieval", "source": frames, "histogram": frames}, **options
    )
    scores = retrieval(knowing({}))
    assert scores["images"] == 40
    assert retrieval.baselines["histogram"]["mean_recall"] > scores["mean_recall"]


def test_importing_starts_no_backend_and_robustness_needs_no_reader():
    code = """
import sys, vujax.evals, vujax.evals.robustness
assert "grain" not in sys.modules and "vujax.evals.reader" not in sys.modules
import vujax.evals.zero_shot, vujax.evals.retrieval, vujax.evals.linear_probe
from jax._src import xla_bridge
assert not xla_bridge._backends
assert "tensorflow_datasets" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
