"""Sweeps: many runs of one config, each with its own overrides, in one table and one plot.

A sweep is a Python file. Its `sweep()` returns one dict of dotted overrides per run; it may also
define

- `CONFIG = "configs/distill.py:small"`: the config, as for `vujax.main --config` (default: the file
  itself, which then has `get_config`);
- `METRICS = ("retrieval/recall_at_1", ...)`: the columns `evaluation/metric` (default: all);
- `CONTROL = {"method.unaligned_end": 0.0}`: marks the runs that the others are compared with, seed
  by seed; of several, a run's control is the one whose other overrides (the same noise) it shares.

For example:

    from vujax.training.sweep import over, product

    CONFIG = "configs/distill.py:small"
    CONTROL = {"method.unaligned_end": 0.0}

    def sweep():
        return product(over("method.unaligned_end", [0.0, 0.4, 0.8]), over("seed", range(3)))

`python -m vujax.training.sweep --sweep experiments/psd_fashion.py --workdir DIR` runs what is not
finished there, and writes table.csv, table.md and plot.svg to DIR.
"""

from vujax.training.sweep.plan import chain, over, product, zipped

__all__ = ["chain", "over", "product", "zipped"]
