"""Shot detectors by name."""

from typing import Any

from vujax.video.shots.base import ShotDetector
from vujax.video.shots.pyscenedetect import DEFAULTS, ContentDetector
from vujax.video.shots.shot_lists import KnownShots
from vujax.video.shots.transnetv2 import TransNetDetector


def shot_detector(name: str, **options: Any) -> ShotDetector:
    """Makes a detector.

    Args:
      name: 'transnetv2', 'adaptive' or 'content' (PySceneDetect's, extra [scenedetect]), or the
        path of a list of known shots: .txt, .edl, .csv or .tsv.
      options: of `TransNetDetector`, `ContentDetector` or `KnownShots`.

    Raises:
      ValueError: there is no such detector, or an option cannot be.
      ModuleNotFoundError: PySceneDetect is missing.
      OSError: the list cannot be read.
    """
    if name == "transnetv2":
        return TransNetDetector(**options)
    if name in DEFAULTS:
        return ContentDetector(name, **options)
    if "." not in name and "/" not in name:
        raise ValueError(
            f"There is no shot detector {name!r}: choose transnetv2, {', '.join(DEFAULTS)}, or "
            "give the path of a shot list."
        )
    return KnownShots(name, **options)
