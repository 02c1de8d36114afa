"""Film understanding with few labels, in JAX.

    import vujax

    for film in vujax.detect_scenes("film.mp4"):
        for scene in film.scenes:
            print(scene.number, scene.start_timecode, scene.end_timecode)

`import vujax` imports nothing else: each name below is loaded when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from vujax.utils.deprecation import install_moved_modules, read_moved_modules

if TYPE_CHECKING:
    from vujax import data, evals, losses, methods, models, video
    from vujax.catalog import Catalog
    from vujax.encoders.image_text_model import load_model
    from vujax.pipeline.jobs import embed, ingest
    from vujax.scenes.detect import detect_scenes
    from vujax.search.run import search
    from vujax.search.similar import find_similar
    from vujax.training.loop import train

install_moved_modules()

__version__ = "0.1.0"

__all__ = [
    "Catalog",
    "data",
    "detect_scenes",
    "embed",
    "evals",
    "find_similar",
    "ingest",
    "load_model",
    "losses",
    "methods",
    "models",
    "search",
    "train",
    "video",
]

_FUNCTIONS = {
    "Catalog": "vujax.catalog:Catalog",
    "detect_scenes": "vujax.scenes.detect:detect_scenes",
    "embed": "vujax.pipeline.jobs:embed",
    "find_similar": "vujax.search.similar:find_similar",
    "ingest": "vujax.pipeline.jobs:ingest",
    "load_model": "vujax.encoders.image_text_model:load_model",
    "train": "vujax.training.loop:train",
}


def __getattr__(name: str) -> Any:
    """Load a public name (PEP 562)."""
    if name in _FUNCTIONS:
        module, _, attribute = _FUNCTIONS[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
    if name in __all__:  # a room; `vujax.search` is callable, see there
        return importlib.import_module(f"vujax.{name}")
    if new := read_moved_modules().get(f"vujax.{name}"):
        raise AttributeError(f"vujax.{name} moved to {new}; import it from there")
    raise AttributeError(f"module 'vujax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
