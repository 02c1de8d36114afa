"""The method contract: pure functions of one shape, so that one training loop serves all methods.

`embed` works example by example; `objective` sees the whole batch and is the only place where
devices communicate. That split lets one train step serve plain data parallelism, accumulation that
keeps every negative (GradCache, Gao et al. 2021, arXiv:2101.06983) and sharded parameters.
"""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import flax.linen as nn
import jax
from jax.sharding import Mesh, PartitionSpec
from ml_collections import ConfigDict

if TYPE_CHECKING:  # grain is imported with the data, not with a method
    from vujax.data.pipeline import TrainBatches

Tree = Any
Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]


class Embeddings(NamedTuple):
    """The result of `embed`, which `objective` reads.

    Attributes:
      rows: arrays `[n ...]`, one entry per example of the batch, in its order.
      shared: arrays that do not depend on the rows (a learnable temperature), or statistics of the
        rows that may be averaged over micro-batches (those of batch norm).
    """

    rows: dict[str, Tree]
    shared: dict[str, Tree]


class StepContext(NamedTuple):
    """Everything that a step knows besides parameters, aux state and batch.

    Attributes:
      rng: typed PRNG key of the step, the same on every device.
      progress: float32 `()` in [0, 1], share of the training that is done.
      axis_name: mesh axis inside shard_map, where a function sees one device's rows; None: it sees
        the whole batch.
    """

    rng: jax.Array
    progress: jax.Array | float
    axis_name: str | None = None


class Method(Protocol):
    """Functions that `vujax.training.step` composes into a step; an object of settings, stateless.

    The aux state is all state of a method that no gradient changes: averages, queues, batch-norm
    statistics. A method may also have `review() -> list[str]`: warnings, printed at the start, of
    settings that cannot help; and `freeze(trainable_mask) -> Method`: the method where some
    parameters, False in the mask, are frozen.
    """

    def init(self, rng: jax.Array, batch: Batch) -> tuple[Tree, Tree]:
        """Return `(params, aux)` at step 0.

        Args:
          rng: typed PRNG key.
          batch: zeros in the shapes of the global batch.
        """

    def init_from_pretrained(self, aux: Tree, variables: Tree) -> Tree:
        """Return the aux state of a training that starts from pretrained variables.

        Args:
          aux: as returned by `init`.
          variables: `{'params': ..., 'batch_stats': ...}`, the latter only if `aux` has them.
        """

    def layout(self, aux: Tree) -> Tree:
        """Return a PartitionSpec for each leaf of `aux`: P() for a replicated leaf."""

    def embed(self, params: Tree, aux: Tree, batch: Batch, context: StepContext) -> Embeddings:
        """Embed example by example, without communication except for batch-norm statistics.

        Randomness per example comes from `fold_in(context.rng, batch['index'])`, never from a row's
        position, so that it does not depend on devices or micro-batches.
        """

    def objective(
        self, embeddings: Embeddings, aux: Tree, context: StepContext
    ) -> tuple[jax.Array, tuple[Tree, Metrics]]:
        """Return `(loss, (aux, metrics))`; the only place where devices communicate.

        `loss` is this device's share: the sum over devices is the global loss. `aux` is sharded as
        `layout` says, and `metrics` (scalars) are equal on all devices. A metric named 'alarm/...'
        makes the loop warn when it rises above 0.
        """

    def after_update(self, params: Tree, aux: Tree) -> Tree:
        """Return the new aux state, once per optimizer step, never per micro-batch."""


class TrainingData(Protocol):
    """Opened training data.

    Attributes:
      examples: number of examples in an epoch.
    """

    examples: int

    def train_batches(
        self, *, batch_size: int, seed: int, start_step: int, host: int, hosts: int
    ) -> "TrainBatches":
        """Return this host's rows of the batches of steps `start_step`, `start_step + 1`, ...

        The batch of a step is a pure function of (seed, step), for any number of hosts.
        """


@dataclasses.dataclass(frozen=True)
class MethodSpec:
    """Everything that a training method brings, in one place.

    Attributes:
      name: as in `config.method.name`.
      method: dataclass with the functions of `Method`; its fields but `model` are settings.
      build_model: `(config, mesh) -> flax module` that `config.model` describes.
      batch_spec: `(config, rows) -> {name: ShapeDtypeStruct}` of a batch; reads no data.
      open_data: `config -> TrainingData` that `config.data` describes; imports the data modules.
      encoder: name in `vujax.encoders.ENCODERS` that serves the trained model; '' if the model
        makes no embeddings.
      release_config: `(config, data) -> {key: value}`, further keys of a release's config; None:
        there are none.
    """

    name: str
    method: Callable[..., Method]
    build_model: Callable[[ConfigDict, Mesh], nn.Module]
    batch_spec: Callable[[ConfigDict, int], dict[str, jax.ShapeDtypeStruct]]
    open_data: Callable[[ConfigDict], TrainingData]
    encoder: str = ""
    release_config: Callable[[ConfigDict, Any], dict[str, Any]] | None = None


def apply_in_training(
    model: nn.Module, variables: Tree, inputs: Tree, axis_name: str | None, **options: Any
) -> tuple[Any, dict[str, Tree]]:
    """Apply a module in training mode, updating batch-norm statistics if it has any.

    Args:
      model: module whose `__call__` takes `train` and `axis_name`.
      variables: `{'params': ..., 'batch_stats': ...}`, the latter if there are any; other entries
        are ignored.
      inputs: first argument of the module.
      axis_name: mesh axis over which statistics are shared, or None.
      **options: further arguments of `apply`.

    Returns:
      `(outputs, {'batch_stats': updated})`; the dict is empty without statistics.
    """
    options |= dict(train=True, axis_name=axis_name)
    if "batch_stats" not in variables:
        return model.apply({"params": variables["params"]}, inputs, **options), {}
    variables = {name: variables[name] for name in ("params", "batch_stats")}
    outputs, updated = model.apply(variables, inputs, mutable=["batch_stats"], **options)
    return outputs, dict(updated)


def replace_batch_stats(aux: Tree, variables: Tree) -> Tree:
    """Return `aux` with the batch-norm statistics of `variables`, if `aux` has any."""
    return aux | {name: variables[name] for name in ("batch_stats",) if name in aux}


def replicated_specs(aux: Tree) -> Tree:
    """Return a layout in which every device has every leaf in full."""
    return jax.tree.map(lambda _: PartitionSpec(), aux)
