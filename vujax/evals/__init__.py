"""Evaluations by config: zero-shot, retrieval, probes, scene boundaries and tags.

    config = dict(kind="imagenet", source=dict(data_dir=...))
    evaluator = build_evaluator("imagenet", config, model=model, mesh=mesh)
    scores = evaluator(variables)          # {'top1': ..., 'mean_class': ..., 'top5': ...}
    evaluator.baselines["chance"]          # what to print beside it

`variables` is what `model.apply` takes: `{'params': ..., 'batch_stats': ...}`. Scores are fractions
of 1, equal for any number of devices and hosts.
"""

import inspect
from collections.abc import Mapping
from typing import Any

from jax.sharding import Mesh
from ml_collections import ConfigDict

from vujax.evals.base import Evaluator, Example
from vujax.utils.registry import Registry
from vujax.utils.validation import check_known

__all__ = ["EVALUATORS", "Evaluator", "Example", "build_evaluator"]

EVALUATORS = Registry(
    "evaluator",
    {
        "zero_shot": "vujax.evals.zero_shot:ZeroShot",
        "retrieval": "vujax.evals.retrieval:Retrieval",
        "feature_retrieval": "vujax.evals.feature_retrieval:FeatureRetrieval",
        "probe": "vujax.evals.linear_probe:LinearProbe",
        "gap": "vujax.evals.scene_boundaries:GapBoundaries",
        "borders": "vujax.evals.scene_boundaries:HeadBoundaries",
        "scene_tags": "vujax.evals.scene_tags:SceneTags",
        "captions": "vujax.evals.captioning:Captioning",
    },
)


def build_evaluator(
    name: str,
    cfg: ConfigDict | Mapping[str, Any],
    *,
    model: Any,
    mesh: Mesh,
    parent: str | None = None,
) -> Evaluator:
    """Build an evaluator from its config entry; open no file yet.

    Args:
      name: the entry's name, for error messages.
      cfg: `kind` is a name of `EVALUATORS` ('gap' is for shot encoders, 'borders' for boundary
        models, 'scene_tags' for scene models, 'captions' for caption decoders), or a data set of
        `datasets.DATASETS` or `dataset_layouts.LAYOUTS` (then: zero-shot on it, retrieval for the
        sets of captions); the rest are options of the evaluator's class.
      model: a module of `vujax.models`.
      mesh: devices to use, along 'data'.
      parent: release whose preprocessing of images and texts the model uses; None or '': CLIP's.
        An option `parent` in `cfg` takes precedence.

    Raises:
      ValueError: an unknown kind or option, or a missing one.
    """
    options = cfg.to_dict() if isinstance(cfg, ConfigDict) else dict(cfg)
    kind = options.pop("kind", None)
    if kind not in EVALUATORS:
        options["source"] = {"kind": kind, **options.get("source", {})}
        kind = _kind_of_dataset(name, kind)
    if parent and kind in ("zero_shot", "retrieval", "probe"):
        options.setdefault("parent", parent)
    evaluator = EVALUATORS.load(kind)
    _check(name, evaluator, options)
    return evaluator(model, mesh, **options)


def _kind_of_dataset(name: str, dataset: object) -> str:
    """Return the evaluator of a data set that can be named in place of one."""
    from vujax.evals.dataset_layouts import LAYOUTS
    from vujax.evals.datasets import DATASETS

    if dataset not in DATASETS and dataset not in LAYOUTS:
        expected = ", ".join([*EVALUATORS, *DATASETS, *LAYOUTS])
        raise ValueError(
            f"evals.{name}.kind: unknown evaluator {dataset!r}; expected one of: {expected}"
        )
    return "retrieval" if dataset in LAYOUTS and dataset != "objectnet" else "zero_shot"


def _check(name: str, evaluator: type, options: Mapping[str, Any]) -> None:
    from vujax.evals.reader import Reader

    parameters = inspect.signature(evaluator).parameters
    known = {k: v for k, v in parameters.items() if v.kind is v.KEYWORD_ONLY}
    reading = inspect.signature(Reader).parameters
    names = [*known, *(k for k, v in reading.items() if v.kind is v.KEYWORD_ONLY)]
    check_known(f"evals.{name}", options, names)
    for option, parameter in known.items():
        if parameter.default is parameter.empty and option not in options:
            raise ValueError(f"evals.{name}.{option} is missing: {evaluator.__name__} needs it")
