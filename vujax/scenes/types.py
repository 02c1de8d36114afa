"""Options and results of scene detection, as plain data.

Every time is given in clock ticks (`pts`), seconds, frames and SMPTE timecode.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from vujax.catalog.ids import Id
from vujax.utils.deprecation import deprecated_alias
from vujax.video.frame_rate import EDITOR_RATES
from vujax.video.timecode import TIMECODE, Clock

STRUCTURE, GAP, NO_HEAD = "structure", "gap", "none"
WITHOUT_WEIGHTS = (STRUCTURE, GAP, NO_HEAD)
MIN_SCENE_S = 1.0
"""A scene of a frame or two is a mistake of the shot detector, or a flash."""
PART_TITLES = {"recap": "Recap", "opening": "Intro", "closing": "Credits"}
MAX_REEL = 32
REEL = re.compile(r"[\w.-]{1,32}", re.ASCII)


class Head(Protocol):
    """A scorer of shot boundaries, such as `vujax.scenes.head.load_head` returns.

    Attributes:
      threshold: score above which a shot boundary is a scene boundary; None if the scores are
        probabilities whose sum is the expected number of scene boundaries, which is selected.
    """

    threshold: float | None

    def scores(self, vectors: np.ndarray, seconds: np.ndarray) -> np.ndarray:
        """Score the shot boundaries of one film.

        Args:
          vectors: shot embeddings, float32 `[n d]`.
          seconds: start and end of each shot, float64 `[n 2]`.

        Returns:
          float32 `[n-1]`; higher means that a scene boundary is more likely.
        """


@dataclass(frozen=True)
class ExportOptions:
    """Options of the files that are written for a film.

    Attributes:
      title: title of the film; None for that of the metadata, or the file's name.
      reel: name of the source in EDLs.
      start_timecode: timecode of the first picture, 'HH:MM:SS:FF', or 'HH:MM:SS;FF' in drop-frame;
        None for that of the file, or 00:00:00:00.
      edl_rate: frames per second of the EDL; None for the film's.
    """

    title: str | None = None
    reel: str = "AX"
    start_timecode: str | None = None
    edl_rate: Fraction | None = None

    def __post_init__(self) -> None:
        if not REEL.fullmatch(self.reel):
            raise ValueError(
                f"reel name {self.reel!r} is not valid; use 1 to {MAX_REEL} letters, digits, '_', "
                "'-' or '.'"
            )
        if self.start_timecode is not None and not TIMECODE.fullmatch(self.start_timecode):
            raise ValueError(
                f"start timecode {self.start_timecode!r} is not a timecode; expected HH:MM:SS:FF, "
                "or HH:MM:SS;FF in drop-frame"
            )
        if self.edl_rate is not None and self.edl_rate not in EDITOR_RATES:
            rates = ", ".join(f"{float(rate):.5g}" for rate in EDITOR_RATES)
            raise ValueError(
                f"editors have no rate of {float(self.edl_rate):.5g} frames/s; expected one of: "
                f"{rates}"
            )


@dataclass(frozen=True)
class SceneDetectionOptions:
    """Options that choose the scene boundaries of a film.

    Attributes:
      head: name or path of a boundary head, or a `Head`. Without weights: 'structure' (or 'none'),
        see `vujax.scenes.structure`, or 'gap', the peaks of `compute_gap_scores`.
      threshold: minimum score, exclusive; None for the head's own, or its expected number.
      num_scenes: exact number of scenes; None to let the scores decide.
      min_duration: minimum length of a scene in seconds; None for MIN_SCENE_S, or no minimum with
        an exact number of scenes.
      adapt: train embeddings on the films themselves first, without labels.
      export: options of the files that are written.
    """

    head: str | Head = STRUCTURE
    threshold: float | None = None
    num_scenes: int | None = None
    min_duration: float | None = None
    adapt: bool = False
    export: ExportOptions = ExportOptions()

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold must be in 0..1, got {self.threshold:g}")
        if self.num_scenes is not None and self.num_scenes < 1:
            raise ValueError(f"the number of scenes must be at least 1, got {self.num_scenes}")
        if self.min_duration is not None and not 0 <= self.min_duration < float("inf"):
            raise ValueError(
                f"the minimum duration must be 0 seconds or more, got {self.min_duration:g}"
            )
        others = {"a threshold": self.threshold, "a minimum duration": self.min_duration}
        given = [name for name, value in others.items() if value is not None]
        if self.num_scenes is not None and given:
            raise ValueError(
                f"a number of scenes and {given[0]} exclude each other: remove one of them"
            )

    @property
    def min_scene_s(self) -> float:
        """Minimum length of a scene in seconds."""
        if self.min_duration is None:
            return 0.0 if self.num_scenes is not None else MIN_SCENE_S
        return self.min_duration

    @property
    def head_name(self) -> str:
        """Name of the head in tables and manifests."""
        return self.head if isinstance(self.head, str) else type(self.head).__name__

    def load_head(self) -> Head | None:
        """Load the head, or return None for 'gap'.

        Raises:
          ValueError, OSError: the head is not found, or its file is damaged.
        """
        if not isinstance(self.head, str):
            return self.head
        if self.head == GAP:
            return None
        if self.head in WITHOUT_WEIGHTS:
            from vujax.scenes.structure import StructureHead

            return StructureHead()
        from vujax.scenes.head import load_head

        return load_head(self.head)

    def provenance(self, head: Head | None) -> dict[str, Any]:
        """Return the settings that a result records; keys are those of scenes.json."""
        return dict(
            head=self.head_name,
            head_digest=getattr(head, "digest", None),
            scenes_wished=self.num_scenes,
            min_duration=self.min_scene_s,
            adapted=self.adapt,
        )


@dataclass(frozen=True)
class Scene:
    """One scene. It ends where the next one starts.

    Attributes:
      number: counted from 1; the id counts from 0, as all ids do.
      id: catalog id, such as `film-1a2b3c4d/c003`.
      start_s: seconds since the start of the film.
      end_s: seconds.
      start_pts: timestamp of the first frame, in ticks of the film's time base.
      end_pts: timestamp of the frame after the last one.
      first_frame: index of the first frame, from 0.
      last_frame: index of the last frame, inclusive.
      timeline_start: position on an editor's timeline: nominal frames since the first picture. It
        equals `first_frame` unless the frame rate varies or frames are missing.
      timeline_end: position of the frame after the last one.
      start_timecode: SMPTE timecode, counted from that of the first picture.
      end_timecode: SMPTE timecode of the frame after the last one.
      first_shot: index of the first shot, from 0.
      last_shot: index of the last shot, inclusive.
      score: score of the boundary at which the scene starts; None for the first scene.
    """

    number: int
    id: str
    start_s: float
    end_s: float
    start_pts: int
    end_pts: int
    first_frame: int
    last_frame: int
    timeline_start: int
    timeline_end: int
    start_timecode: str
    end_timecode: str
    first_shot: int
    last_shot: int
    score: float | None

    begin_s = deprecated_alias("begin_s", "start_s")
    begin_pts = deprecated_alias("begin_pts", "start_pts")
    begin_timecode = deprecated_alias("begin_timecode", "start_timecode")
    shots = deprecated_alias("shots", "num_shots")

    @property
    def title(self) -> str:
        """Title in players and editors."""
        return f"Scene {self.number}"

    @property
    def length_s(self) -> float:
        """Duration in seconds."""
        return self.end_s - self.start_s

    @property
    def num_shots(self) -> int:
        """Number of shots."""
        return self.last_shot - self.first_shot + 1

    def to_row(self) -> dict[str, Any]:
        """Return all fields under their names in files, in order: `begin_s` for `start_s`."""
        return {
            "number": self.number,
            "id": self.id,
            "begin_s": self.start_s,
            "end_s": self.end_s,
            "begin_pts": self.start_pts,
            "end_pts": self.end_pts,
            "first_frame": self.first_frame,
            "last_frame": self.last_frame,
            "begin_timecode": self.start_timecode,
            "end_timecode": self.end_timecode,
            "first_shot": self.first_shot,
            "last_shot": self.last_shot,
            "score": self.score,
            "title": self.title,
            "length_s": self.length_s,
            "shots": self.num_shots,
        }


@dataclass(frozen=True)
class BreakCue:
    """A silent or black scene boundary: a candidate for an advertising break.

    Attributes:
      scene: number of the scene that starts here, from 1.
      seconds: seconds since the start of the film.
      timecode: SMPTE timecode.
      level_db: level of the quietest moment nearby, in dB below full scale; None without sound.
      silent: whether the sound is below the silence threshold.
      black: whether the image is black.
    """

    scene: int
    seconds: float
    timecode: str
    level_db: float | None
    silent: bool
    black: bool


@dataclass(frozen=True)
class Part:
    """A part of an episode that recurs in its series, which players offer to skip.

    Attributes:
      kind: 'recap', 'opening' or 'closing'.
      start_s: seconds since the start of the film.
      end_s: seconds.
    """

    kind: str
    start_s: float
    end_s: float

    @property
    def title(self) -> str:
        """Title by which players recognize the part: Recap, Intro or Credits."""
        return PART_TITLES[self.kind]


@dataclass(frozen=True)
class DetectedScenes:
    """The scenes of one film.

    Attributes:
      film: catalog id of the film.
      path: path of the file.
      title: title from the metadata, else the file name.
      clock: time base, start, frame rate and source timecode.
      size: displayed width and height.
      variable_rate: whether the frame rate varies.
      reason: why a part of the film could not be read; '' for a complete film.
      boundaries_s: times of the shot boundaries in seconds, `num_shots - 1` of them.
      scores: scores of the shot boundaries; higher means that a scene boundary is more likely.
      threshold: minimum score of a scene boundary; None when no threshold was used.
      provenance: names, hashes and settings that produced the scenes.
      scenes: in order, without gaps.
      cues: break cues; None when they were not computed.
      notes: warnings for the reader, one sentence each.
      timings_s: seconds spent by this run, by stage.
      export: options of its files.
      parts: recap, intro and credits, in order; None if the film is not an episode of a series.
    """

    film: str
    path: str
    title: str
    clock: Clock
    size: tuple[int, int]
    variable_rate: bool
    reason: str
    boundaries_s: tuple[float, ...]
    scores: tuple[float, ...]
    threshold: float | None
    provenance: Mapping[str, Any]
    scenes: tuple[Scene, ...]
    cues: tuple[BreakCue, ...] | None = None
    notes: tuple[str, ...] = ()
    timings_s: Mapping[str, float] = field(default_factory=dict)
    export: ExportOptions = ExportOptions()
    parts: tuple[Part, ...] | None = None

    begin_s = deprecated_alias("begin_s", "start_s")
    borders_s = deprecated_alias("borders_s", "boundaries_s")
    made = deprecated_alias("made", "provenance")
    shots = deprecated_alias("shots", "num_shots")
    took = deprecated_alias("took", "timings_s")

    @property
    def start_s(self) -> float:
        """Start of the first scene in seconds."""
        return self.scenes[0].start_s

    @property
    def end_s(self) -> float:
        """End of the last scene in seconds."""
        return self.scenes[-1].end_s

    @property
    def num_shots(self) -> int:
        """Number of shots of the film."""
        return self.scenes[-1].last_shot + 1


def build_scenes(
    film: str,
    shots: Sequence[Mapping[str, Any]],
    clock: Clock,
    scores: Sequence[float],
    boundaries: Sequence[int],
    variable_rate: bool = False,
) -> tuple[Scene, ...]:
    """Group shots into scenes.

    Args:
      film: catalog id.
      shots: rows of the film's shot table in the catalog, at least one.
      clock: clock of the film.
      scores: one per shot boundary.
      boundaries: scene boundaries; i means that a scene starts with shot i + 1.
      variable_rate: whether the frame rate varies, so that positions are times.
    """
    timeline = _count_frames(shots, clock, variable_rate)
    firsts = [0, *(int(boundary) + 1 for boundary in sorted(boundaries))]
    lasts = [*(first - 1 for first in firsts[1:]), len(shots) - 1]
    return tuple(
        _build_scene(
            film,
            k,
            (first, last),
            shots,
            timeline=(timeline[first], timeline[last + 1]),
            clock=clock,
            score=float(scores[first - 1]) if k else None,
        )
        for k, (first, last) in enumerate(zip(firsts, lasts, strict=True))
    )


def _count_frames(
    shots: Sequence[Mapping[str, Any]], clock: Clock, variable_rate: bool
) -> list[int]:
    """Return the position at which each shot starts, and at which the last one ends.

    Positions are the catalog's frame numbers. Where times contradict them, because frames are
    missing or come at a variable rate, positions are times, as editors place frames by time.
    """
    edges = [(shot["begin_pts"], shot["first_frame"]) for shot in shots]
    edges.append((shots[-1]["end_pts"], shots[-1]["last_frame"] + 1))
    positions = [clock.frame(pts) for pts, _ in edges]
    numbers = [number for _, number in edges]
    pairs = zip(positions, numbers, strict=True)
    is_regular = not variable_rate and all(abs(a - b) <= 1 for a, b in pairs)
    return numbers if is_regular else positions


def _build_scene(
    film: str,
    index: int,
    span: tuple[int, int],
    shots: Sequence[Mapping[str, Any]],
    *,
    timeline: tuple[int, int],
    clock: Clock,
    score: float | None,
) -> Scene:
    first, last = (shots[number] for number in span)
    return Scene(
        number=index + 1,
        id=str(Id(film, scene=index)),
        start_s=first["begin_s"],
        end_s=last["end_s"],
        start_pts=first["begin_pts"],
        end_pts=last["end_pts"],
        first_frame=first["first_frame"],
        last_frame=last["last_frame"],
        timeline_start=timeline[0],
        timeline_end=timeline[1],
        start_timecode=clock.frame_timecode(timeline[0]),
        end_timecode=clock.frame_timecode(timeline[1]),
        first_shot=span[0],
        last_shot=span[1],
        score=score,
    )
