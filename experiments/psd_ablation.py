"""Sources of PSD's soft targets on synthetic frames, with true and with swapped captions.

    python -m vujax.training.sweep --sweep experiments/psd_ablation.py --workdir runs/psd_ablation

Target mode x share of swapped captions {0, 40%} x 3 seeds on the cinema's config, each run with
fewer steps and frames. CONTROL is CLIP: no row is ever unaligned. Every value is our choice; the
share and temperature were selected on films that are neither trained nor scored here.
"""

import runpy

from ml_collections import ConfigDict

from vujax.training.sweep import chain, over, product

METRICS = (
    "retrieval/text_to_image/R@5",
    "retrieval/image_to_text/R@5",
    "place/top1",
    "colour/top1",
    "character/top1",
)
CONTROL = {
    "method.unaligned_end": 0.0,
    "method.target": "swapped_rows",
    "method.teacher": "self",
    "method.teacher_temperature": 1.0,
    "method.soft_weight": 1.0,
    "method.unaligned_begin": 0.0,
    "method.unaligned_full": 1.0,
    "method.dropout": 0.0,
}
PSD = {"method.unaligned_end": 0.4, "method.teacher_temperature": 0.5}
MODES = [
    {},  # CLIP
    PSD,  # swapped rows by the model itself
    PSD | {"method.target": "plain"},
    PSD | {"method.teacher": "ema"},
]


def get_config() -> ConfigDict:
    """Return the cinema config with a fifth of the steps and a third of the frames."""
    config = runpy.run_path("configs/distill.py")["get_config"]()
    config.total_steps = 300
    config.eval_percent = 100.0
    config.data.sources.main.frames = 10_000
    config.data.workers = 0  # several runs share the cores
    for evaluation in config.evals.values():  # the same for every run: the README has it
        del evaluation["histogram"]
    return config


def sweep() -> list[dict]:
    """Combine target mode, noise and seed."""
    modes = [CONTROL | mode for mode in MODES]
    noise = over("data.sources.main.swapped", [0.0, 0.4])
    return product(chain(modes), noise, over("seed", range(3)))
