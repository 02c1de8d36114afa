"""PSD's ablations on the cinema: target mode, share schedule, teacher, with and without noise.

    python -m vujax.sweep --sweep experiments/psd_ablation.py --workdir runs/psd_ablation

Target mode x caption noise {0, 40% swapped} x 3 seeds on the cinema's config, each run with a third
of its steps. CONTROL is CLIP: no row is ever unaligned.
"""

from vujax.sweep import chain, over, product

CONFIG = "configs/distill.py"
METRICS = (
    "retrieval/text_to_image/R@5",
    "retrieval/image_to_text/R@5",
    "place/top1",
    "colour/top1",
    "character/top1",
)
CONTROL = {
    "method.target": "swapped",
    "method.unaligned_end": 0.0,
    "method.teacher": "self",
    "method.teacher_temperature": 1.0,
    "method.soft_weight": 1.0,
}
MODES = [
    {},  # CLIP
    {"method.unaligned_end": 0.8},  # PSD: swapped targets by the model itself
    {"method.unaligned_end": 0.4},  # a lower share at the end
    {"method.unaligned_end": 0.8, "method.target": "plain", "method.teacher_temperature": 0.5},
    {"method.unaligned_end": 0.8, "method.teacher": "ema"},
    {"method.unaligned_end": 0.8, "method.teacher": "ema", "method.soft_weight": 0.4},
]


def sweep() -> list[dict]:
    """Mode x noise x seed."""
    modes = [CONTROL | mode for mode in MODES]
    noise = over("data.sources.main.swapped", [0.0, 0.4])
    return product(chain(modes), noise, over("seed", range(3)), over("total_steps", [200]))
