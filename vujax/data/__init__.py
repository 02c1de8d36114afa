"""Data sets for training and evaluation, each opened by the name of its kind.

source = vujax.data.open_source("webdataset", path="shards/{00000..00099}.tar")
films = vujax.data.open_films("features", path="boundaries/", key="vgg19")
"""

from vujax.utils.registry import lazy_names

_NAMES = {
    "open_films": "vujax.data.registry:open_films",
    "open_movies": "vujax.data.registry:open_movies",
    "open_scenes": "vujax.data.registry:open_scenes",
    "open_source": "vujax.data.sources:open_source",
    "open_tables": "vujax.data.registry:open_tables",
}
__all__ = list(_NAMES)
__getattr__ = lazy_names(__name__, _NAMES)
