"""What every evaluator offers."""

from typing import Any, NamedTuple, Protocol

import numpy as np


class Example(NamedTuple):
    """A caption and the pictures that score highest for it, for people to look at.

    Attributes:
      caption: the query.
      images: `[k h w 3]` uint8, best first.
      correct: `[k]` bool: whether the caption is one of the picture's.
      scores: `[k]` float32 dot products.
    """

    caption: str
    images: np.ndarray
    correct: np.ndarray
    scores: np.ndarray


class Evaluator(Protocol):
    """A score for a model's variables.

    Attributes:
      headline: the key of the score that speaks for the evaluation.
      hits: after a call, per-example hits for `intervals.paired_bootstrap`; retrieval has one array
        for each direction.
      baselines: after a call, the scores of chance and of whatever else needs no training, by name.
    """

    headline: str
    hits: np.ndarray | dict[str, np.ndarray] | None
    baselines: dict[str, dict[str, float]]

    def __call__(self, variables: Any) -> dict[str, float]:
        """Scores `variables`: what `model.apply` takes."""

    def examples(self, queries: int) -> list[Example]:
        """After a call, what was found for some queries; empty where nothing is retrieved."""
