"""Shot detectors by name, and lists of known shots by path."""

from typing import TYPE_CHECKING, Any

from vujax.utils.registry import Registry

if TYPE_CHECKING:  # the names of detectors are listed without numpy or JAX
    from vujax.video.shots.base import ShotDetector

__all__ = ["DETECTORS", "open_detector"]

DETECTORS = Registry(
    "shot detector",
    {
        "transnetv2": "vujax.video.shots.transnetv2:TransNetDetector",
        "adaptive": "vujax.video.shots.pyscenedetect:ADAPTIVE",
        "content": "vujax.video.shots.pyscenedetect:CONTENT",
    },
)


def open_detector(name: str, **options: Any) -> "ShotDetector":
    """Open a shot detector.

    Args:
      name: name in DETECTORS ('adaptive' and 'content' are PySceneDetect's, extra [scenedetect]),
        or the path of a list of known shots: .txt, .edl, .csv or .tsv.
      **options: of the detector, or of `shot_lists.KnownShots`.

    Raises:
      ValueError: the name or an option is unknown.
      ModuleNotFoundError: PySceneDetect is missing.
      OSError: the list cannot be read.
    """
    if name in DETECTORS:
        return DETECTORS.build(name, **options)
    if "." not in name and "/" not in name:
        expected = ", ".join(DETECTORS)
        raise ValueError(
            f"unknown shot detector {name!r}; expected one of: {expected}, or the path of a shot "
            "list"
        )
    from vujax.video.shots.shot_lists import KnownShots

    return KnownShots(name, **options)
