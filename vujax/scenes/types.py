"""How the borders of scenes are found, and what of it cannot go together.

What a film was divided into: plain data, with every time in ticks, seconds, frames and SMPTE.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from vujax.catalog.ids import Id
from vujax.video.timecode import Clock

NO_HEAD = "none"


class Head(Protocol):
    """What scores borders; `vujax.scenes.head.load_head` gives one.

    Attributes:
      threshold: of its scores, from which on a scene begins.
    """

    threshold: float

    def scores(self, vectors: np.ndarray, seconds: np.ndarray) -> np.ndarray:
        """Shots float32 `[n d]` and their begins and ends `[n 2]` -> float32 `[n-1]`."""


@dataclass(frozen=True)
class How:
    """How scenes are found.

    Attributes:
      head: name or path of the head, or 'none': then a border scores by how little the shots on its
        two sides are alike, and peaks are chosen.
      threshold: of the scores; None: the head's own.
      scenes: how many; None: as many as there are.
      min_duration: seconds of the shortest scene.
      adapt: first train vectors on the films themselves, without labels.
    """

    head: str | Head = "default"
    threshold: float | None = None
    scenes: int | None = None
    min_duration: float | None = None
    adapt: bool = False

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ValueError(f"the threshold lies in 0..1, not {self.threshold:g}")
        if self.scenes is not None and self.scenes < 1:
            raise ValueError(f"a film has at least 1 scene, not {self.scenes}")
        if self.min_duration is not None and not 0 <= self.min_duration < float("inf"):
            raise ValueError(
                f"the shortest scene lasts 0 seconds or more, not {self.min_duration:g}"
            )
        others = {"a threshold": self.threshold, "a shortest scene": self.min_duration}
        given = [name for name, value in others.items() if value is not None]
        if self.scenes is not None and given:
            raise ValueError(
                f"a number of scenes and {given[0]} cannot both be wished for: leave one out"
            )

    @property
    def head_name(self) -> str:
        """For tables and manifests."""
        return self.head if isinstance(self.head, str) else type(self.head).__name__

    def load(self) -> Head | None:
        """The head; None where there is to be none.

        Raises:
          ValueError, OSError: there is no such head, or its file is damaged.
        """
        if not isinstance(self.head, str):
            return self.head
        if self.head == NO_HEAD:
            return None
        from vujax.scenes.head import load_head

        return load_head(self.head)

    def facts(self, head: Head | None) -> dict[str, Any]:
        """What a result keeps of it."""
        return dict(
            head=self.head_name,
            head_digest=getattr(head, "digest", None),
            scenes_wished=self.scenes,
            min_duration=self.min_duration or 0.0,
            adapted=self.adapt,
        )


@dataclass(frozen=True)
class Scene:
    """One scene. It ends where the next one begins.

    Attributes:
      number: from 1, as people count; the id counts from 0, as all ids do.
      id: in the catalogue, such as `film-1a2b3c4d/c003`.
      begin_s: seconds since the film's start.
      end_s: seconds.
      begin_pts: of its first frame, in ticks of the film's time base.
      end_pts: of the frame after its last one.
      first_frame: counted from 0.
      last_frame: still in it.
      begin_timecode: SMPTE, 00:00:00:00 at the film's start.
      end_timecode: SMPTE of the frame after its last one.
      first_shot: number of its first shot, from 0.
      last_shot: still in it.
      score: that a scene begins here, higher is surer; None for the first scene.
    """

    number: int
    id: str
    begin_s: float
    end_s: float
    begin_pts: int
    end_pts: int
    first_frame: int
    last_frame: int
    begin_timecode: str
    end_timecode: str
    first_shot: int
    last_shot: int
    score: float | None

    @property
    def title(self) -> str:
        """What players and editors show."""
        return f"Scene {self.number}"

    @property
    def length_s(self) -> float:
        """Seconds."""
        return self.end_s - self.begin_s

    @property
    def shots(self) -> int:
        """How many."""
        return self.last_shot - self.first_shot + 1


@dataclass(frozen=True)
class Cue:
    """The border of two scenes at which nothing is heard or seen: a place for a break.

    Attributes:
      scene: number of the scene that begins here, from 1.
      seconds: since the film's start.
      timecode: SMPTE.
      level_db: of the quietest moment around it, in dB below full scale; None without sound.
      silent: nothing is heard.
      black: nothing is seen.
    """

    scene: int
    seconds: float
    timecode: str
    level_db: float | None
    silent: bool
    black: bool


@dataclass(frozen=True)
class Scenes:
    """The scenes of one film.

    Attributes:
      film: its id in the catalogue.
      path: of the file.
      title: from the metadata, else the file's name.
      clock: how it counts time.
      size: width and height as shown.
      variable_rate: its frames come at uneven times.
      reason: why not all of the film could be read; '' for a whole one.
      borders_s: seconds at which shots begin, without the first one.
      scores: of these borders: higher, more likely that a scene begins there.
      threshold: of the scores; None when it was not by one that the borders were chosen.
      made: what made the scenes: names, hashes, settings.
      scenes: in order, without gaps.
      cues: places for breaks; None when they were not looked for.
      notes: what is not as one may expect it, a sentence each.
      took: seconds that this run spent, by what on.
    """

    film: str
    path: str
    title: str
    clock: Clock
    size: tuple[int, int]
    variable_rate: bool
    reason: str
    borders_s: tuple[float, ...]
    scores: tuple[float, ...]
    threshold: float | None
    made: Mapping[str, Any]
    scenes: tuple[Scene, ...]
    cues: tuple[Cue, ...] | None = None
    notes: tuple[str, ...] = ()
    took: Mapping[str, float] = field(default_factory=dict)

    @property
    def begin_s(self) -> float:
        """Of the first scene."""
        return self.scenes[0].begin_s

    @property
    def end_s(self) -> float:
        """Of the last scene."""
        return self.scenes[-1].end_s

    @property
    def shots(self) -> int:
        """Of the whole film."""
        return self.scenes[-1].last_shot + 1


def divided(
    film: str,
    shots: Sequence[Mapping[str, Any]],
    clock: Clock,
    scores: Sequence[float],
    borders: Sequence[int],
) -> tuple[Scene, ...]:
    """Shots to scenes.

    Args:
      film: its id.
      shots: rows of its table in the catalogue, at least one.
      clock: of the film.
      scores: one a border of two shots.
      borders: i says that a scene begins with shot i + 1.
    """
    firsts = [0, *(int(border) + 1 for border in sorted(borders))]
    lasts = [*(first - 1 for first in firsts[1:]), len(shots) - 1]
    return tuple(
        _scene(film, k, (first, last), shots, clock, float(scores[first - 1]) if k else None)
        for k, (first, last) in enumerate(zip(firsts, lasts, strict=True))
    )


def _scene(
    film: str,
    index: int,
    span: tuple[int, int],
    shots: Sequence[Mapping[str, Any]],
    clock: Clock,
    score: float | None,
) -> Scene:
    first, last = (shots[number] for number in span)
    return Scene(
        number=index + 1,
        id=str(Id(film, scene=index)),
        begin_s=first["begin_s"],
        end_s=last["end_s"],
        begin_pts=first["begin_pts"],
        end_pts=last["end_pts"],
        first_frame=first["first_frame"],
        last_frame=last["last_frame"],
        begin_timecode=clock.timecode(first["begin_pts"]),
        end_timecode=clock.timecode(last["end_pts"]),
        first_shot=span[0],
        last_shot=span[1],
        score=score,
    )
