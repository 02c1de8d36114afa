"""Selection of a film's shot detector: one for all films, or the film's own shot list."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vujax.models import pretrained
from vujax.pipeline.sources import Source
from vujax.video.shots import DETECTORS, open_detector
from vujax.video.shots.base import ShotDetector

LIST_SUFFIXES = (".txt", ".edl", ".csv", ".tsv")

DetectorSelector = Callable[[Source], ShotDetector]
"""Function that gives each film its detector."""


def share_detector(make: Callable[[], ShotDetector]) -> DetectorSelector:
    """Make a detector and return it for all films.

    `functools.partial(share_detector, make)` is the `detectors` of an `IngestJob`.
    """
    detector = make()
    return lambda source: detector


def open_detectors(
    spec: str | Path, options: Mapping[str, Any] | None = None
) -> Callable[[], DetectorSelector]:
    """Return a picklable callable that opens the shot detectors in a worker.

    Args:
      spec: name of a detector, or path of a shot-list file or of a directory of such files.
      options: options of the detector.

    Raises:
      FileNotFoundError: `spec` is neither a detector nor an existing path.
      OSError: the detector's weights are not available.
    """
    options = dict(options or {})
    if spec in DETECTORS:
        if spec == "transnetv2":  # download once, here, and not in each worker
            pretrained.fetch_weights("transnetv2")
        return functools.partial(open_shared_detector, str(spec), options)
    path = Path(spec)
    if not path.exists():
        raise FileNotFoundError(
            f"unknown shot detector {str(spec)!r}; expected one of: {', '.join(DETECTORS)}, or an "
            "existing shot-list file or directory"
        )
    return functools.partial(open_shot_lists, path.resolve(), options)


def open_shared_detector(name: str, options: Mapping[str, Any]) -> DetectorSelector:
    """Open a detector by its name, and return it for all films.

    Raises:
      ValueError: the detector is unknown, or an option is invalid.
      ImportError: the detector's package is not installed.
    """
    return share_detector(lambda: _open(open_detector, name, options))


def open_shot_lists(lists: Path, options: Mapping[str, Any]) -> DetectorSelector:
    """Open shot lists as detectors.

    Args:
      lists: one list for all films, or a folder that has the list of `a/b.mp4` as `a/b.csv`.
      options: options of the detector.

    Raises:
      ValueError, OSError: an option is invalid, or the list is not readable.
    """
    if not lists.is_dir():
        return share_detector(lambda: _open(open_detector, str(lists), options))
    return lambda source: _open(open_detector, str(find_shot_list(lists, source)), options)


def find_shot_list(folder: Path, source: Source) -> Path:
    """Return the path of a film's shot list.

    Raises:
      FileNotFoundError: the folder has no list of the film.
      ValueError: the folder has several.
    """
    stem = (folder / source.path).with_suffix("")
    candidates = [stem.with_name(stem.name + suffix) for suffix in LIST_SUFFIXES]
    found = [path for path in candidates if path.is_file()]
    if len(found) == 1:
        return found[0]
    name, suffixes = repr(str(stem)), ", ".join(LIST_SUFFIXES)
    if found:
        raise ValueError(f"{name} has more than one list of shots ({suffixes}); keep one")
    raise FileNotFoundError(f"{name} has no list of shots ({suffixes})")


def _open(make: Callable[..., ShotDetector], name: str, options: Mapping[str, Any]) -> ShotDetector:
    try:
        return make(name, **options)
    except TypeError as error:  # an option that the detector does not have
        raise ValueError(f"the detector {name} does not take these options ({error})") from None
