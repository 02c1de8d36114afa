"""Which detector a film gets: the same for all, or the film's own list of known shots.

`vujax.video.shots` is imported in the workers only: it brings JAX.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vujax.pipeline.ingest.film import DetectorSelector, share_detector
from vujax.pipeline.ingest.sources import Source
from vujax.video.shots.base import ShotDetector

LIST_SUFFIXES = (".txt", ".edl", ".csv", ".tsv")


def open_shared_detector(name: str, options: Mapping[str, Any]) -> DetectorSelector:
    """One detector for all films, by its name.

    Raises:
      ValueError: there is none so named, or an option of it cannot be.
      ImportError: its package is missing.
    """
    from vujax.video.shots import open_detector

    return share_detector(lambda: _made(open_detector, name, options))


def open_shot_lists(lists: Path, options: Mapping[str, Any]) -> DetectorSelector:
    """Known shots: a list of one film, or a folder that has the list of `a/b.mp4` as `a/b.csv`.

    Raises:
      ValueError, OSError: an option cannot be, or the list cannot be read.
    """
    from vujax.video.shots import open_detector

    if not lists.is_dir():
        return share_detector(lambda: _made(open_detector, str(lists), options))
    return lambda source: _made(open_detector, str(find_shot_list(lists, source)), options)


def find_shot_list(folder: Path, source: Source) -> Path:
    """The film's list of known shots.

    Raises:
      FileNotFoundError: the folder has none for it.
      ValueError: it has several.
    """
    stem = (folder / source.path).with_suffix("")
    found = [
        path for suffix in LIST_SUFFIXES if (path := stem.with_name(stem.name + suffix)).is_file()
    ]
    if len(found) == 1:
        return found[0]
    name = repr(str(stem))
    if found:
        raise ValueError(
            f"{name} has more than one list of shots ({', '.join(LIST_SUFFIXES)}): keep one"
        )
    raise FileNotFoundError(f"{name} has no list of shots ({', '.join(LIST_SUFFIXES)})")


def _made(make: Any, name: str, options: Mapping[str, Any]) -> ShotDetector:
    try:
        return make(name, **options)
    except TypeError as error:  # an option that it does not have
        raise ValueError(f"the detector {name} does not take these options ({error})") from None
