"""Evaluations by config: zero-shot, retrieval, linear probe; films' scene boundaries and tags.

    config = dict(kind="imagenet", source=dict(data_dir=...))
    evaluator = make("imagenet", config, model=model, mesh=mesh)
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

__all__ = ["Evaluator", "Example", "make"]


def make(
    name: str,
    cfg: ConfigDict | Mapping[str, Any],
    *,
    model: Any,
    mesh: Mesh,
    parent: str | None = None,
) -> Evaluator:
    """Builds an evaluator from its config entry; opens no file yet.

    Args:
      name: the entry's name, for error messages.
      cfg: `kind` is 'zero_shot', 'retrieval', 'probe', of a shot encoder 'gap', of a boundary
        model 'borders' (see `scenes`), of a scene model 'scene_tags' (see there), of a caption
        decoder 'captions', or a data set of `datasets.DATASETS` or `layouts.LAYOUTS` (then:
        zero-shot on it, retrieval for the sets of captions); the rest are options of `ZeroShot`,
        `Retrieval`, `Probe` and so on.
      model: a module of `vujax.models`.
      mesh: devices to use, along 'data'.
      parent: release that the model is or comes from: its evaluations of pictures and texts read
        these as it says; None or '': as CLIP does. An option `parent` in `cfg` goes before.

    Raises:
      ValueError: an unknown kind or option, or a missing one.
    """
    # Imported here, so that the modules without a model (robustness, intervals) load at once.
    from vujax.evals.captioning import Captioning
    from vujax.evals.dataset_layouts import LAYOUTS
    from vujax.evals.datasets import DATASETS
    from vujax.evals.linear_probe import LinearProbe
    from vujax.evals.retrieval import Retrieval
    from vujax.evals.scene_boundaries import GapBoundaries, HeadBoundaries
    from vujax.evals.scene_tags import SceneTags
    from vujax.evals.zero_shot import ZeroShot

    kinds = {
        "zero_shot": ZeroShot,
        "retrieval": Retrieval,
        "probe": LinearProbe,
        "gap": GapBoundaries,
        "borders": HeadBoundaries,
        "scene_tags": SceneTags,
        "captions": Captioning,
    }
    options = cfg.to_dict() if isinstance(cfg, ConfigDict) else dict(cfg)
    kind = options.pop("kind", None)
    if kind in DATASETS or kind in LAYOUTS:
        options["source"] = {"kind": kind, **options.get("source", {})}
        captioned = kind in LAYOUTS and kind != "objectnet"
        kind = "retrieval" if captioned else "zero_shot"
    if kind not in kinds:
        known = [*kinds, *DATASETS, *LAYOUTS]
        raise ValueError(f"evals.{name}.kind is {kind!r}: choose one of {', '.join(known)}")
    if parent and kind in ("zero_shot", "retrieval", "probe"):
        options.setdefault("parent", parent)
    _check(name, kinds[kind], options)
    return kinds[kind](model, mesh, **options)


def _check(name: str, evaluator: type, options: Mapping[str, Any]) -> None:
    from vujax.evals.reader import Reader

    parameters = inspect.signature(evaluator).parameters
    known = {k: v for k, v in parameters.items() if v.kind is v.KEYWORD_ONLY}
    reading = inspect.signature(Reader).parameters
    names = [*known, *(k for k, v in reading.items() if v.kind is v.KEYWORD_ONLY)]
    for option in options:
        if option not in names:
            raise ValueError(f"evals.{name}.{option} is unknown: choose from {', '.join(names)}")
    for option, parameter in known.items():
        if parameter.default is parameter.empty and option not in options:
            raise ValueError(f"evals.{name}.{option} is missing: {evaluator.__name__} needs it")
