"""The base class of evaluators, and the retrieved examples that they may show."""

import abc
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np


class Example(NamedTuple):
    """A caption and the images that score highest for it, for people to look at.

    Attributes:
      caption: the query.
      images: `[k h w 3]` uint8, best first.
      correct: `[k]` bool: whether the caption is one of the image's.
      scores: `[k]` float32 dot products.
    """

    caption: str
    images: np.ndarray
    correct: np.ndarray
    scores: np.ndarray


class Evaluator(abc.ABC):
    """A score for a model's variables; subclasses define `headline` and `__call__`.

    Attributes:
      hits: after a call, per-example hits for `metrics.bootstrap.paired_bootstrap`; retrieval has
        one array for each direction. None: the evaluation has none.
      baselines: after a call, the scores of a random baseline and of other systems that need no
        training, by name.
    """

    hits: np.ndarray | dict[str, np.ndarray] | None = None
    baselines: Mapping[str, dict[str, float]] = MappingProxyType({})

    @property
    @abc.abstractmethod
    def headline(self) -> str:
        """The key of the score that stands for the evaluation; usually a class attribute."""

    @abc.abstractmethod
    def __call__(self, variables: Any) -> dict[str, float]:
        """Score `variables`, the argument of `model.apply`."""

    def examples(self, queries: int) -> list[Example]:
        """Return retrieved examples of the last call; empty where nothing is retrieved."""
        del queries
        return []
