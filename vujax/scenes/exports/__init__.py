"""Scenes in the formats that editors and players read: one file here for each.

All have `write(scenes, path) -> list of notes`: what the format could not take, a sentence each.
Times are those of the film, which begins at 0, whatever timestamp its file begins with.
"""

import importlib
from collections.abc import Callable
from pathlib import Path

from vujax.scenes.types import DetectedScenes

# The suffix of each; that of the copy with chapters depends on the film. The last two also tell
# what the others could not take.
FORMATS = {
    "csv": ".csv",
    "vtt": ".vtt",
    "ffmetadata": ".ffmetadata",
    "chapters": "",
    "edl": ".edl",
    "otio": ".otio",
    "json": ".json",
    "html": ".html",
}
PAGE = "html"  # needs pictures too: see `vujax.scenes.page`
MODULES = {name: f"{__name__}.{name}" for name in FORMATS if name != PAGE}


def check(names: object) -> tuple[str, ...]:
    """The formats by their names.

    Raises:
      ValueError: there is none so named.
    """
    wanted = tuple(dict.fromkeys(names))
    for name in wanted:
        if name not in FORMATS:
            raise ValueError(f"there is no format {name!r}: there are {', '.join(FORMATS)}")
    return wanted


def writer(name: str) -> Callable[[DetectedScenes, Path], list[str]]:
    """What writes a format, except the page; imported when it is asked for."""
    return importlib.import_module(MODULES[name]).write


def path_of(scenes: DetectedScenes, name: str, folder: Path, stem: str) -> Path:
    """Where a format goes.

    Args:
      scenes: of the film.
      name: of the format.
      folder: of the output.
      stem: of the files' names.
    """
    if name == "chapters":
        from vujax.scenes.exports.chapters import suffix_of

        return folder / f"{stem}{suffix_of(scenes.path)}"
    return folder / f"{stem}{FORMATS[name]}"
