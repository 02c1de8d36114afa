"""What the train loop asks of a task."""

from typing import Protocol

import flax.linen as nn
import jax
import ml_collections
from jax.sharding import Mesh

from vujax.data.stream import TrainBatches


class Data(Protocol):
    """Opened training data.

    Attributes:
      examples: what an epoch is.
    """

    examples: int

    def train_batches(
        self, *, batch_size: int, seed: int, start_step: int, host: int, hosts: int
    ) -> TrainBatches:
        """This host's rows of the batches of steps `start_step`, `start_step + 1`, ...

        The batch of a step is a pure function of (seed, step), whatever the hosts.
        """


class Task(Protocol):
    """A module of three functions."""

    def model(self, config: ml_collections.ConfigDict, mesh: Mesh) -> nn.Module:
        """What `config.model` describes."""

    def shapes(
        self, config: ml_collections.ConfigDict, rows: int
    ) -> dict[str, jax.ShapeDtypeStruct]:
        """The arrays of a batch of `rows` examples; reads no data."""

    def data(self, config: ml_collections.ConfigDict) -> Data:
        """Opens the training data that `config.data` describes."""
