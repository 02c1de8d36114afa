"""PySceneDetect's content detectors, fed from the same decoding pass: the light alternative.

They find cuts only, compare colors of neighboring frames, and need no network. The package is
scenedetect-headless (extra [scenedetect]); results equal its own on the same frames.
"""

import functools
from typing import Any

import numpy as np

from vujax.video.decode import Chunk
from vujax.video.probe import VideoStream
from vujax.video.shots.base import Transition

SIZE = (144, 256)  # PySceneDetect compares frames that are 256 pixels wide too
DEFAULTS = {"adaptive": 3.0, "content": 27.0}  # PySceneDetect's own thresholds
_OPTIONS = {"adaptive": "adaptive_threshold", "content": "threshold"}


class ContentDetector:
    """`ShotDetector` with PySceneDetect's 'adaptive' or 'content' rule.

    Attributes:
      name: name with PySceneDetect's version and the settings.
      size: height and width of the frames that it compares.
    """

    size = SIZE

    def __init__(
        self, rule: str = "adaptive", *, threshold: float | None = None, min_shot_s: float = 0.6
    ) -> None:
        """Check the options; needs the extra [scenedetect].

        Args:
          rule: 'content' compares neighboring frames with a fixed threshold; 'adaptive' compares
            that difference with those of the two frames before and after.
          threshold: threshold of the rule; None for PySceneDetect's default.
          min_shot_s: minimum seconds of a shot, PySceneDetect's default; cuts that would leave less
            are merged by 'content' and skipped by 'adaptive'.

        Raises:
          ModuleNotFoundError: the package is not installed.
          ValueError: the rule is unknown, or a value is out of range.
        """
        if rule not in DEFAULTS:
            raise ValueError(f"unknown rule {rule!r}; expected one of: {', '.join(DEFAULTS)}")
        threshold = DEFAULTS[rule] if threshold is None else threshold
        if threshold <= 0:
            raise ValueError(f"threshold must be positive, got {threshold}")
        if min_shot_s < 0:
            raise ValueError(f"min_shot_s must not be negative, got {min_shot_s}")
        self._rule = rule
        self._options = {_OPTIONS[rule]: threshold, "min_scene_len": float(min_shot_s)}
        version = _import_scenedetect().__version__
        self.name = f"{rule}-scenedetect-{version}-t{threshold:g}-m{min_shot_s:g}"

    def start(self, video: VideoStream) -> "ContentDetection":
        """Start the detection of one film."""
        detectors = _import_scenedetect().detectors
        kind = dict(adaptive=detectors.AdaptiveDetector, content=detectors.ContentDetector)
        return ContentDetection(kind[self._rule](**self._options), video)


class ContentDetection:
    """`Detection` that passes every frame, in BGR, to PySceneDetect's detector.

    Attributes:
      decided: see `Detection`.
    """

    def __init__(self, detector: Any, video: VideoStream) -> None:
        """Start with a detector of PySceneDetect and the film's headers."""
        self.decided = 0
        self._detector = detector
        self._rate = video.clock.rate
        self._frames = 0

    def add(self, chunk: Chunk) -> list[Transition]:
        """Take the next frames; return the cuts that became final."""
        found: list[Transition] = []
        for frame in chunk.small:
            image = np.ascontiguousarray(frame[..., ::-1])
            found += _build_cuts(self._detector.process_frame(self._time(), image))
            self._frames += 1
        self.decided = max(self.decided, self._frames - self._detector.event_buffer_length)
        return found

    def finish(self) -> list[Transition]:
        """Return the cuts that were still open after the last chunk."""
        found = _build_cuts(self._detector.post_process(self._time())) if self._frames else []
        self.decided = self._frames
        return found

    def _time(self) -> Any:
        """Return the next frame's number as PySceneDetect's time."""
        return _import_scenedetect().FrameTimecode(self._frames, self._rate)


def _build_cuts(times: list[Any]) -> list[Transition]:
    return [Transition(time.frame_num - 1, time.frame_num) for time in times]


def _import_scenedetect() -> Any:
    """Import the package, which takes a second and may be missing."""
    try:
        import scenedetect
        import scenedetect.detectors
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the shot detectors 'adaptive' and 'content' need PySceneDetect: "
            "pip install 'vujax[scenedetect]'"
        ) from error
    return scenedetect


ADAPTIVE = functools.partial(ContentDetector, "adaptive")
CONTENT = functools.partial(ContentDetector, "content")
