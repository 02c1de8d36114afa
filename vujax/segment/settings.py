"""How the borders of scenes are found, and what of it cannot go together."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

NO_HEAD = "none"


class Head(Protocol):
    """What scores borders; `vujax.segment.head.load_head` gives one.

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
        from vujax.segment.head import load_head

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
