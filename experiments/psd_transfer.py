"""Transfer from small real data: zero-shot and linear probe on images of other domains.

    VUJAX_DATA=... python -m vujax.training.sweep --sweep experiments/psd_transfer.py --workdir
    runs/transfer

CLIP and PSD from scratch with the same budget, on a mixture of product photographs, drawings and
emoji (14,000 pairs); zero-shot and linear probe on CIFAR-10, Tiny ImageNet and the products' types.
The sets are subsets (2,500 test images of CIFAR-10 as JPEG; 10,000 of Tiny ImageNet's training
images, one fifth of them scored), so no score here is comparable with published ones. Intervals
over seeds are in the table, those over images in each run's evaluations/*.json.
"""

import runpy
from pathlib import Path

from ml_collections import ConfigDict

from vujax.training.sweep import chain, over, product

fashion = runpy.run_path(str(Path(__file__).with_name("psd_fashion.py")))
real, tars, products = (fashion[name] for name in ("real", "tars", "products"))
METHODS, CONTROL = fashion["METHODS"], fashion["CONTROL"]
GRID = (1e-5, 1e-4, 1e-3, 1e-2)  # of the probe's penalty, chosen on a part of its training set
METRICS = tuple(
    f"{name}_{kind}/top1" for name in ("cifar10", "tiny", "type") for kind in ("zero_shot", "probe")
)


def sets() -> dict[str, tuple[dict, dict]]:
    """Return (train, test) of each set with classes; only the probe sees the first."""
    cifar = dict(classes=real("classes/cifar10/classes.json"))
    fifth = dict(field="key", modulo=5, remainder=0)
    tiny = dict(label_field="caption")  # a caption is its class's name
    types = dict(label_field="articleType", min_count=5)
    return {
        "cifar10": tuple(tars(f"classes/cifar10/*{p}*.tar", **cifar) for p in ("train", "test")),
        "tiny": tuple(
            tars("classes/tinyimagenet/*.tar", **tiny, hold_out=dict(**fifth, part=p))
            for p in ("train", "validation")
        ),
        "type": tuple({**products(p), **types} for p in ("train", "validation")),
    }


def get_config() -> ConfigDict:
    """Return the model and budget of psd_fashion.py on the mixture."""
    config = fashion["get_config"]()
    config.data.sources = ConfigDict(
        dict(
            products=dict(**products("train"), weight=3.0),
            drawings=tars("pairs/openclipart-train-*.tar", weight=2.0),
            emoji=tars("pairs/emoji-google-*.tar", weight=1.0),
        )
    )
    config.evals = ConfigDict()
    for name, (train, test) in sets().items():
        config.evals[f"{name}_zero_shot"] = dict(kind="zero_shot", source=test)
        config.evals[f"{name}_probe"] = dict(kind="probe", train=train, source=test, grid=GRID)
    return config


def sweep() -> list[dict]:
    """Combine method and seed."""
    methods = [CONTROL, CONTROL | METHODS[-1]]
    return product(chain(methods), over("seed", range(3)))
