"""PySceneDetect's content detectors, fed from our decoding pass: the light alternative.

They know cuts only, compare colours of neighbouring frames, and need no network. The optional
package is scenedetect-headless (extra [scenedetect]); the same numbers come out as when it reads
the same pictures itself.
"""

import functools
from typing import Any

import numpy as np

from vujax.video.decode import Chunk
from vujax.video.probe import VideoStream
from vujax.video.shots.base import Transition

SIZE = (144, 256)  # PySceneDetect too compares pictures that are 256 pixels wide
DEFAULTS = {"adaptive": 3.0, "content": 27.0}  # PySceneDetect's own thresholds
_OPTIONS = {"adaptive": "adaptive_threshold", "content": "threshold"}


class ContentDetector:
    """A `ShotDetector` with PySceneDetect's 'adaptive' or 'content' rule.

    Attributes:
      name: with PySceneDetect's version and the settings.
      size: height and width of the frames that it compares.
    """

    size = SIZE

    def __init__(
        self, rule: str = "adaptive", *, threshold: float | None = None, min_shot_s: float = 0.6
    ) -> None:
        """Needs the extra [scenedetect].

        Args:
          rule: 'content' compares neighbouring frames with a fixed threshold; 'adaptive' compares
            that difference with those of the two frames before and after.
          threshold: PySceneDetect's own by default.
          min_shot_s: seconds of a shot, by PySceneDetect's own default; cuts that would leave less
            are merged by 'content' and passed over by 'adaptive'.

        Raises:
          ModuleNotFoundError: the package is missing.
          ValueError: there is no such rule, or a value is out of range.
        """
        if rule not in DEFAULTS:
            raise ValueError(f"unknown rule {rule!r}; expected one of: {', '.join(DEFAULTS)}")
        threshold = DEFAULTS[rule] if threshold is None else threshold
        if threshold <= 0 or min_shot_s < 0:
            raise ValueError(
                f"threshold={threshold}, min_shot_s={min_shot_s} cannot be: the first must be "
                "above 0, the second not below."
            )
        self._rule = rule
        self._options = {_OPTIONS[rule]: threshold, "min_scene_len": float(min_shot_s)}
        version = _scenedetect().__version__
        self.name = f"{rule}-scenedetect-{version}-t{threshold:g}-m{min_shot_s:g}"

    def start(self, picture: VideoStream) -> "ContentDetection":
        """Begins with a film."""
        detectors = _scenedetect().detectors
        kind = dict(adaptive=detectors.AdaptiveDetector, content=detectors.ContentDetector)
        return ContentDetection(kind[self._rule](**self._options), picture)


class ContentDetection:
    """A `Detection`: every frame, in BGR, through PySceneDetect's detector.

    Attributes:
      decided: see `Detection`.
    """

    def __init__(self, detector: Any, picture: VideoStream) -> None:
        """Begins with a film."""
        self.decided = 0
        self._detector = detector
        self._rate = picture.clock.rate
        self._frames = 0

    def add(self, chunk: Chunk) -> list[Transition]:
        """Takes the next frames; the cuts that became sure by them."""
        found: list[Transition] = []
        for frame in chunk.small:
            image = np.ascontiguousarray(frame[..., ::-1])
            found += _cuts(self._detector.process_frame(self._time(), image))
            self._frames += 1
        self.decided = max(self.decided, self._frames - self._detector.event_buffer_length)
        return found

    def finish(self) -> list[Transition]:
        """After the last chunk: the cuts that were still open."""
        found = _cuts(self._detector.post_process(self._time())) if self._frames else []
        self.decided = self._frames
        return found

    def _time(self) -> Any:
        """The next frame's number as PySceneDetect's time."""
        return _scenedetect().FrameTimecode(self._frames, self._rate)


def _cuts(times: list[Any]) -> list[Transition]:
    return [Transition(time.frame_num - 1, time.frame_num) for time in times]


def _scenedetect() -> Any:
    """The package, which takes a second to import and may be missing."""
    try:
        import scenedetect
        import scenedetect.detectors
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "The shot detectors 'adaptive' and 'content' need PySceneDetect: "
            "pip install 'vujax[scenedetect]'."
        ) from error
    return scenedetect


ADAPTIVE = functools.partial(ContentDetector, "adaptive")
CONTENT = functools.partial(ContentDetector, "content")
