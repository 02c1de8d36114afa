"""Contrastive losses of embeddings: pure functions, exact at any batch size, on many devices.

`vujax.losses.reference` holds the same losses as their formulas read, with full similarity
matrices.
"""

from vujax.losses.alignment_stats import alignment_stats
from vujax.losses.cyclip import cyclip
from vujax.losses.memory_bank import Bank, Ids, contrast
from vujax.losses.sigmoid import sigmoid
from vujax.losses.soft_alignment import info_nce, soft_alignment

__all__ = [
    "Bank",
    "Ids",
    "alignment_stats",
    "contrast",
    "cyclip",
    "info_nce",
    "sigmoid",
    "soft_alignment",
]
