"""PSD, CLIP and three controls on real product photographs, with true and with shuffled captions.

    VUJAX_DATA=... python -m vujax.training.sweep --sweep experiments/psd_fashion.py --workdir
    runs/fashion

About 8,300 photographs with product names (26% of the names repeat), a small ViT from scratch, the
same budget for every method, three seeds. One tenth of the products, chosen by sha1(id), is for
validation: retrieval (equal names are all right), zero-shot of article type and of base color.
Every value of a method here is our choice: PSD's share and temperature were the cinema's defaults,
the controls' are their papers' or usual ones, and none was tuned on these pairs.
"""

import os
import runpy
from pathlib import Path

from ml_collections import ConfigDict

from vujax.training.sweep import chain, over, product

CLIP = {"method.unaligned_end": 0.0}
METHODS = [
    CLIP,
    {**CLIP, "method.label_smoothing": 0.1},
    {**CLIP, "method.cyclip": 0.25},
    {
        "method.unaligned_start": 1.0,
        "method.unaligned_end": 1.0,
        "method.teacher": "ema",
        "method.soft_weight": 0.4,
    },
    {"method.unaligned_end": 0.4, "method.teacher_temperature": 0.5},
]
CONTROL = {
    **CLIP,
    "method.label_smoothing": 0.0,
    "method.cyclip": 0.0,
    "method.unaligned_start": 0.0,
    "method.teacher": "self",
    "method.soft_weight": 1.0,
    "method.teacher_temperature": 1.0,
    "method.target": "swapped_rows",
    "method.unaligned_begin": 0.0,
    "method.unaligned_full": 1.0,
    "method.dropout": 0.0,
}
METRICS = (
    "retrieval/text_to_image/R@1",
    "retrieval/image_to_text/R@1",
    "type/top1",
    "colour/top1",
)


def real(path: str) -> str:
    """Return a path in the real data."""
    if not os.environ.get("VUJAX_DATA"):
        raise ValueError("set VUJAX_DATA to the folder that holds the real data")
    return f"{os.environ['VUJAX_DATA']}/{path}"


def tars(pattern: str, **options: object) -> dict:
    """Return a WebDataset source in the real data."""
    return dict(kind="webdataset", path=real(pattern), **options)


def products(part: str) -> dict:
    """Return the photographs of one split."""
    hold_out = dict(field="id", modulo=10, remainder=1, part=part)
    return tars("pairs/fashion-train-*.tar", hold_out=hold_out)


def get_config() -> ConfigDict:
    """Return a small ViT at 64 px in patches of 16, about two minutes of training on one core."""
    config = runpy.run_path(str(Path("configs", "distill.py")))["get_config"]("cinema")
    config.model.image.update(dict(patch=16, width=96, heads=3))
    config.data.sources.main = ConfigDict({**products("train"), "weight": 1.0})
    config.data.sources.main.shuffle_captions = 0.0
    config.data.workers = 0
    config.total_steps = 250
    config.eval_percent = 100.0
    source = products("validation")
    zero_shot = dict(kind="zero_shot", templates=("{}", "a {}"))
    config.evals = ConfigDict(
        dict(
            retrieval=dict(kind="retrieval", source=source, histogram=products("train")),
            type=dict(**zero_shot, source=dict(label_field="articleType", min_count=5, **source)),
            colour=dict(**zero_shot, source=dict(label_field="baseColour", min_count=5, **source)),
        )
    )
    return config


def sweep() -> list[dict]:
    """Combine method, share of shuffled captions and seed."""
    methods = [CONTROL | method for method in METHODS]
    noise = over("data.sources.main.shuffle_captions", [0.0, 0.4])
    return product(chain(methods), noise, over("seed", range(3)))
