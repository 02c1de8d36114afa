"""Ingest settings, as recorded in each film's manifest."""

from dataclasses import asdict, dataclass
from typing import Any

from vujax.video.decode import STILL_SIDE


@dataclass(frozen=True)
class IngestSettings:
    """Settings that a film's keyframes and sound depend on.

    Attributes:
      positions: positions of the keyframes in their shot, 0 for its start and 1 for its end.
      every_s: seconds between the frames from which keyframes are chosen.
      side: shorter side of a keyframe in pixels; smaller films are not enlarged.
      quality: JPEG quality of keyframes, 1 to 95.
      audio_rate: sampling rate in Hz of the sound stored per shot; None to store none.
    """

    positions: tuple[float, ...] = (0.25, 0.5, 0.75)
    every_s: float = 0.5
    side: int = STILL_SIDE
    quality: int = 90
    audio_rate: int | None = None

    def __post_init__(self) -> None:
        positions = self.positions
        if not positions or sorted(set(positions)) != list(positions):
            raise ValueError(f"positions must increase, such as 0.25 0.5 0.75, got {positions}")
        if not 0 <= positions[0] <= positions[-1] <= 1:
            raise ValueError(f"positions must lie between 0 and 1, got {positions}")
        if not 0 < self.every_s <= 60 or not 8 <= self.side <= 4096 or not 1 <= self.quality <= 95:
            raise ValueError(
                "every_s must be in (0, 60], side in 8..4096 and quality in 1..95, got "
                f"{self.every_s}, {self.side}, {self.quality}"
            )
        if self.audio_rate is not None and not 1000 <= self.audio_rate <= 192000:
            raise ValueError(f"audio_rate must be in 1000..192000 Hz, got {self.audio_rate}")

    def to_manifest(self, detector: str) -> dict[str, Any]:
        """Return the settings for a manifest: a film is read again when any of them differs.

        Args:
          detector: name of the film's detector.
        """
        return asdict(self) | {"positions": list(self.positions), "detector": detector}
