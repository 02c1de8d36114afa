"""Share of unaligned rows and teacher temperature of PSD on synthetic frames.

    python -m vujax.training.sweep --sweep experiments/psd_schedule.py --workdir runs/psd_schedule

Final share of unaligned rows x teacher's temperature, with 40% of the captions swapped, 3 seeds;
budget, metrics and control as in psd_ablation.py. Its results are not reported.
"""

import runpy
from pathlib import Path

from vujax.training.sweep import over, product

ablation = runpy.run_path(str(Path(__file__).with_name("psd_ablation.py")))
get_config, METRICS, CONTROL = (ablation[k] for k in ("get_config", "METRICS", "CONTROL"))


def sweep() -> list[dict]:
    """Combine CLIP, and share x temperature, with seeds."""
    shares = over("method.unaligned_end", [0.2, 0.4, 0.8])
    soft = product(shares, over("method.teacher_temperature", [1.0, 0.5, 0.25]))
    methods = [CONTROL | method for method in ({}, *soft)]
    noise = over("data.sources.main.swapped", [0.4])
    return product(methods, noise, over("seed", range(3)))
