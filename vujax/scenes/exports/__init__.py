"""Scenes in the formats that editors and players read, one file each.

An export of another package is an entry point of the group `vujax.scene_exports` that names a
`vujax.scenes.exports.base.SceneExport`.
"""

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING

from vujax.utils.registry import PluginError, Registry

if TYPE_CHECKING:  # the names of formats are listed without numpy
    from vujax.scenes.exports.base import SceneExport

__all__ = ["EXPORTS", "PAGE", "names", "open_export", "select"]

EXPORTS = Registry(
    "scene export",
    {
        "csv": "vujax.scenes.exports.csv:EXPORT",
        "vtt": "vujax.scenes.exports.vtt:EXPORT",
        "ffmetadata": "vujax.scenes.exports.ffmetadata:EXPORT",
        "chapters": "vujax.scenes.exports.chapters:EXPORT",
        "edl": "vujax.scenes.exports.edl:EXPORT",
        "otio": "vujax.scenes.exports.otio:EXPORT",
        "fcpxml": "vujax.scenes.exports.fcpxml:EXPORT",
        "matroska": "vujax.scenes.exports.matroska:EXPORT",
        "youtube": "vujax.scenes.exports.youtube:EXPORT",
        "srt": "vujax.scenes.exports.srt:EXPORT",
        "qpfile": "vujax.scenes.exports.qpfile:EXPORT",
        "keyframes": "vujax.scenes.exports.keyframes:EXPORT",
        "breaks": "vujax.scenes.exports.breaks:EXPORT",
        "split": "vujax.scenes.exports.split:EXPORT",
        "split_exact": "vujax.scenes.exports.split_exact:EXPORT",
        "kodi": "vujax.scenes.exports.kodi:EXPORT",
        "jellyfin": "vujax.scenes.exports.jellyfin:EXPORT",
        "json": "vujax.scenes.exports.json:EXPORT",
    },
    entry_points="vujax.scene_exports",
)
PAGE = "html"
"""The page: it shows keyframes and scores too, so `vujax.scenes.page` writes it."""
ON_REQUEST = (
    "fcpxml",
    "matroska",
    "youtube",
    "srt",
    "qpfile",
    "keyframes",
    "breaks",
    "split",
    "split_exact",
    "kodi",
    "jellyfin",
)
"""Written only if they are named."""
SAME_FILES = {"split", "split_exact"}
LAST = ("json", PAGE)
"""Written last: these carry the notes of the others."""


def names() -> tuple[str, ...]:
    """Return the names of all formats, in the order in which they are written."""
    return (*(name for name in EXPORTS.names() if name not in LAST), *LAST)


def select(wanted: Iterable[str] | None = None) -> tuple[str, ...]:
    """Return the formats to write, in order.

    Args:
      wanted: names; None: all but those ON_REQUEST. A plug-in that cannot be imported is left out
        of all with a warning.

    Raises:
      ValueError: a name is unknown, or two formats have files of the same names.
      PluginError: a wanted plug-in cannot be imported.
    """
    if wanted is None:
        usual = [name for name in names() if name not in ON_REQUEST]
        return tuple(name for name in usual if not EXPORTS.is_plugin(name) or _is_usable(name))
    chosen = set()
    for name in wanted:
        if name != PAGE and name not in EXPORTS:
            expected = ", ".join(names())
            raise ValueError(f"unknown scene export {name!r}; expected one of: {expected}")
        if EXPORTS.is_plugin(name):
            open_export(name)
        chosen.add(name)
    if chosen >= SAME_FILES:
        raise ValueError("split and split_exact have files of the same names; choose one of them")
    return tuple(name for name in names() if name in chosen)


def open_export(name: str) -> "SceneExport":
    """Import an export.

    Raises:
      ValueError: the name is unknown.
      PluginError: it is a plug-in that cannot be imported.
    """
    return EXPORTS.load(name)


def _is_usable(name: str) -> bool:
    try:
        open_export(name)
    except PluginError as error:
        warnings.warn(str(error), RuntimeWarning, stacklevel=3)
        return False
    return True
