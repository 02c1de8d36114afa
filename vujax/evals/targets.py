"""Labels of scenes that a linear head learns: a class, tags, or a number."""

from dataclasses import dataclass
from functools import cached_property

import jax
import numpy as np
import optax

KINDS = ("class", "tags", "number")


@dataclass(frozen=True, eq=False)
class Targets:
    """What is to be said of each scene.

    Attributes:
      kind: 'class', one of several; 'tags', any of several; 'number'.
      values: int `[n]` from 0; bool `[n c]`; float `[n]`.

    Raises:
      ValueError: the kind is unknown, or the values have another shape.
    """

    kind: str
    values: np.ndarray

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"targets of kind {self.kind!r}: use one of {', '.join(KINDS)}")
        if self.values.ndim != 1 + (self.kind == "tags"):
            raise ValueError(f"targets of kind '{self.kind}' are of shape {self.values.shape}")

    def only(self, index: np.ndarray) -> "Targets":
        """Those of some scenes."""
        return Targets(self.kind, self.values[index])

    @property
    def width(self) -> int:
        """Outputs that a head needs: one for each class or tag, or one."""
        if self.kind == "class":
            return 1 + int(self.values.max())
        return self.values.shape[1] if self.kind == "tags" else 1

    @cached_property
    def unit(self) -> tuple[float, float]:
        """Mean and deviation of numbers, which are learned as if these were 0 and 1."""
        return float(self.values.mean()), float(self.values.std()) or 1.0

    def losses(self, outputs: jax.Array, values: jax.Array) -> jax.Array:
        """Cross-entropy, its mean over the tags, or squared error in `unit`: `[... k] -> [...]`."""
        if self.kind == "class":
            return optax.softmax_cross_entropy_with_integer_labels(outputs, values)
        if self.kind == "tags":
            return optax.sigmoid_binary_cross_entropy(outputs, values).mean(-1)
        mean, deviation = self.unit
        return (outputs[..., 0] - (values - mean) / deviation) ** 2

    def answers(self, outputs: np.ndarray) -> np.ndarray:
        """Probabilities of classes, of each tag, or numbers: `[n k]`, of outputs `[n k]`."""
        if self.kind == "number":
            return outputs * self.unit[1] + self.unit[0]
        return np.asarray((jax.nn.softmax if self.kind == "class" else jax.nn.sigmoid)(outputs))
