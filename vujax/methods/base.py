"""What a method is: a few pure functions of the same shape, so that one train loop serves all.

`embed` works example by example; `objective` sees the whole batch and is the only place where
devices talk. That split is what lets one train step serve plain data parallelism, accumulation that
keeps every negative (GradCache, Gao et al. 2021, arXiv:2101.06983) and sharded parameters.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import flax.linen as nn
import jax
from jax.sharding import Mesh, PartitionSpec
from ml_collections import ConfigDict

from vujax.data.pipeline import TrainBatches

Tree = Any

Batch = dict[str, jax.Array]


class Embeddings(NamedTuple):
    """What `embed` gives to `objective`.

    Attributes:
      rows: arrays `[n ...]`, one entry per example of the batch, in its order.
      shared: arrays that are the same whatever the rows (a learnable temperature), or statistics of
        the rows that may be averaged over parts of a batch (batch norm's).
    """

    rows: dict[str, Tree]
    shared: dict[str, Tree]


def with_statistics(extra: Tree, variables: Tree) -> Tree:
    """`extra` with the batch norms' statistics of `variables`, if it has any."""
    return extra | {name: variables[name] for name in ("batch_stats",) if name in extra}


def in_training(
    model: nn.Module,
    params: Tree,
    extra: Tree,
    inputs: Tree,
    axis_name: str | None,
    **options: Any,
) -> tuple[Tree, dict[str, Tree]]:
    """`(what the model makes of inputs, {'batch_stats': new ones})`; {} where `extra` has none.

    Options are those of `apply`.
    """
    options |= dict(train=True, axis_name=axis_name)
    if "batch_stats" not in extra:
        return model.apply({"params": params}, inputs, **options), {}
    variables = {"params": params, "batch_stats": extra["batch_stats"]}
    outputs, updated = model.apply(variables, inputs, mutable=["batch_stats"], **options)
    return outputs, dict(updated)


def whole(extra: Tree) -> Tree:
    """A layout in which every device has all of it."""
    return jax.tree.map(lambda _: PartitionSpec(), extra)


class Method(Protocol):
    """The functions that `vujax.training.loop` composes into a step; an object of settings, without
    state.

    With `axis_name`, `embed` and `objective` run in shard_map and see one device's rows; with None
    they see the whole batch. `progress` in [0, 1] is the part of the training that is done.
    """

    def init(self, rng: jax.Array, batch: Batch) -> tuple[Tree, Tree]:
        """`(params, extra)`; `extra`: state that no gradient changes (averages, queues, ...).

        `batch` has the global batch's shapes, and nothing in it but zeros.
        """

    def begin(self, extra: Tree, variables: Tree) -> Tree:
        """A new `extra` for a training that starts from `{'params': ..., 'batch_stats': ...}`."""

    def layout(self, extra: Tree) -> Tree:
        """A PartitionSpec for each leaf of `extra`: P() for what every device has whole."""

    def embed(
        self, params: Tree, extra: Tree, batch: Batch, rng: jax.Array, axis_name: str | None
    ) -> Embeddings:
        """Per example; no talk between devices, batch norm's statistics aside.

        Randomness per example comes from `fold_in(rng, batch['index'])`, never from a row's place,
        so that it does not depend on devices or micro-batches.
        """

    def objective(
        self,
        embeddings: Embeddings,
        extra: Tree,
        rng: jax.Array,
        progress: jax.Array,
        axis_name: str | None,
    ) -> tuple[jax.Array, tuple[Tree, dict[str, jax.Array]]]:
        """`(loss, (extra, metrics))`; the only place where devices talk.

        `loss` is this device's share: the sum over devices is the global loss. `extra` lies on the
        devices as `layout` says, and `metrics` (scalars) are equal on all of them. A metric named
        'alarm/...' makes the loop warn when it rises above 0.
        """

    def after_update(self, params: Tree, extra: Tree) -> Tree:
        """The new `extra`, once per optimizer step, never per micro-batch."""


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


@dataclasses.dataclass(frozen=True)
class MethodSpec:
    """Everything that a training method brings, in one place.

    Attributes:
      name: as in `config.method.name`.
      method: dataclass with the functions of `Method`; its fields but `model` are settings.
      build_model: `(config, mesh) -> flax module` that `config.model` describes.
      batch_spec: `(config, rows) -> {name: ShapeDtypeStruct}` of a batch; reads no data.
      open_data: `config -> Data`, the training data that `config.data` describes.
      encoder: name in `vujax.encoders.ENCODERS` that serves the trained model; '' if the model
        makes no embeddings.
    """

    name: str
    method: Callable[..., Method]
    build_model: Callable[[ConfigDict, Mesh], nn.Module]
    batch_spec: Callable[[ConfigDict, int], dict[str, jax.ShapeDtypeStruct]]
    open_data: Callable[[ConfigDict], Data]
    encoder: str = ""
