"""The train step: gradients that keep every negative, on replicated or on sharded parameters.

Two layouts serve every method. Data parallel: the whole step is one shard_map over 'data' with
check_vma on, parameters cast to varying, one explicit psum of gradients. FSDP: parameters and
optimizer state are sharded over the devices, `embed` runs under automatic partitioning, and only
the objective stays in shard_map.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable
from typing import Any, Self

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jax.tree_util import GetAttrKey

from vujax.methods.base import Batch, Embeddings, Method, Metrics, StepContext, Tree
from vujax.optim import update_ema
from vujax.utils.mesh import AXIS, replicated_sharding, row_sharding

TrainStep = Callable[["State", Batch], tuple["State", Metrics]]


@jax.tree_util.register_pytree_with_keys_class
@dataclasses.dataclass(frozen=True)
class State:
    """All that a training run carries from step to step; with the seed, all that resuming needs.

    Attributes:
      step: number of optimizer steps done, int32 `()`.
      params: float32 parameters.
      opt_state: state of the optimizer.
      aux: the method's aux state, which no gradient changes.
      average: exponential moving average of `params`, or None.
    """

    step: jax.Array
    params: Tree
    opt_state: Tree
    aux: Tree
    average: Tree | None

    def replace(self, **fields: Any) -> Self:
        """Return a copy with some fields replaced."""
        return dataclasses.replace(self, **fields)

    def tree_flatten_with_keys(self) -> tuple[list[tuple[GetAttrKey, Tree]], None]:
        """Return the fields under their names in checkpoints, where `aux` is 'extra'."""
        names = ("step", "params", "opt_state", "extra", "average")
        values = (self.step, self.params, self.opt_state, self.aux, self.average)
        return [(GetAttrKey(name), x) for name, x in zip(names, values, strict=True)], None

    @classmethod
    def tree_unflatten(cls, _: None, children: Iterable[Tree]) -> Self:
        """Build a state from its fields."""
        step, params, opt_state, aux, average = children
        return cls(step, params, opt_state, aux, average)


def init_state(
    method: Method, optimizer: optax.GradientTransformation, rng: jax.Array, batch: Batch, ema: bool
) -> State:
    """Return the state at step 0; pure, so that `jax.eval_shape` gives its shapes."""
    params, aux = method.init(rng, batch)
    average = jax.tree.map(jnp.copy, params) if ema else None
    state = State(jnp.zeros((), jnp.int32), params, optimizer.init(params), aux, average)
    # Weakly typed leaves would turn strong in the first steps, and each turn compiles again.
    return jax.tree.map(lambda x: lax.convert_element_type(x, x.dtype), state)


def build_train_step(
    method: Method,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    *,
    seed: int,
    total_steps: int,
    trainable_mask: Tree,
    micro_batches: int = 1,
    ema_decay: float = 0.0,
    state_shardings: Tree,
    fsdp: bool = False,
) -> TrainStep:
    """Build a jitted `(state, batch) -> (state, metrics)` that donates the state.

    Args:
      method: see `vujax.methods.base`.
      optimizer: of the same tree as the parameters.
      mesh: one axis, 'data'.
      seed: of everything random in training; step k uses `fold_in(key(seed), k)`.
      total_steps: total that `progress` is relative to.
      trainable_mask: tree of bool like the parameters; False: no gradient is computed or
        communicated.
      micro_batches: parts of a batch whose activations are held one at a time.
      ema_decay: of `state.average`, when the state has one.
      state_shardings: layout of the state, see `compute_shardings`.
      fsdp: shard the parameters over the devices.
    """
    finish = functools.partial(finish_step, method=method, optimizer=optimizer, ema_decay=ema_decay)

    def make_context(state: State, axis_name: str | None) -> StepContext:
        rng = jax.random.fold_in(jax.random.key(seed), state.step)
        return StepContext(rng, state.step.astype(jnp.float32) / total_steps, axis_name)

    def data_parallel(state: State, batch: Batch) -> tuple[State, Metrics]:
        context = make_context(state, AXIS)

        def embed(params: Tree, rows: Batch) -> Embeddings:
            return method.embed(_freeze(params, trainable_mask), state.aux, rows, context)

        def objective(embeddings: Embeddings) -> tuple[jax.Array, Tree]:
            return method.objective(embeddings, state.aux, context)

        varying = lax.pcast(state.params, AXIS, to="varying")
        (loss, (aux, metrics)), grads = compute_gradients(
            embed, objective, varying, batch, micro_batches
        )
        grads = _sum_over_devices(grads, trainable_mask)
        metrics = metrics | lax.psum({"loss": loss} | _count_bad(batch), AXIS)
        return finish(state, grads, aux, metrics)

    def sharded(state: State, batch: Batch) -> tuple[State, Metrics]:
        context = make_context(state, None)

        def embed(params: Tree, rows: Batch) -> Embeddings:
            return method.embed(_freeze(params, trainable_mask), state.aux, rows, context)

        def sum_shares(
            embeddings: Embeddings, aux: Tree, rng: jax.Array, progress: jax.Array
        ) -> tuple[jax.Array, Tree]:
            loss, rest = method.objective(embeddings, aux, StepContext(rng, progress, AXIS))
            return lax.psum(loss, AXIS), rest

        def objective(embeddings: Embeddings) -> tuple[jax.Array, Tree]:
            specs, layout = Embeddings(P(AXIS), P()), method.layout(state.aux)
            objective = jax.shard_map(
                sum_shares,
                mesh=mesh,
                in_specs=(specs, layout, P(), P()),
                out_specs=(P(), (layout, P())),
            )
            return objective(embeddings, state.aux, context.rng, context.progress)

        (loss, (aux, metrics)), grads = compute_gradients(
            embed, objective, state.params, batch, micro_batches
        )
        return finish(state, grads, aux, metrics | {"loss": loss} | _count_bad(batch))

    specs = jax.tree.map(lambda sharding: sharding.spec, state_shardings)
    map_shards = functools.partial(
        jax.shard_map,
        mesh=mesh,
        in_specs=(specs, P(AXIS)),
        out_specs=(specs, P()),
        check_vma=True,
    )
    return jax.jit(
        sharded if fsdp else map_shards(data_parallel),
        donate_argnums=0,
        in_shardings=(state_shardings, row_sharding(mesh)),
        out_shardings=(state_shardings, replicated_sharding(mesh)),
    )


def compute_gradients(
    embed: Callable[[Tree, Batch], Embeddings],
    objective: Callable[[Embeddings], tuple[jax.Array, Tree]],
    params: Tree,
    batch: Batch,
    micro_batches: int,
) -> tuple[tuple[jax.Array, Tree], Tree]:
    """Compute `((loss, rest), gradients)` of `objective(embed(params, batch))`.

    With `micro_batches > 1`, activations of one micro-batch at a time are held: embed all
    micro-batches, one objective over the whole batch, then embed each micro-batch again to pull its
    cotangents back (GradCache, arXiv:2101.06983). The loss and its negatives are those of the whole
    batch.
    """
    if micro_batches == 1:
        run = lambda params: objective(embed(params, batch))  # noqa: E731
        return jax.value_and_grad(run, has_aux=True)(params)
    split = _split(batch, micro_batches)
    embedded = lax.map(functools.partial(embed, params), split)
    loss, pull_back, rest = jax.vjp(lambda e: objective(_join(e)), embedded, has_aux=True)
    cotangents = [g for g in jax.tree.leaves(pull_back(_one_like(loss))) if g.dtype != jax.float0]

    def accumulate(total: Tree, part: tuple[Batch, list[jax.Array]]) -> tuple[Tree, None]:
        rows, cotangent = part
        _, pull_back = jax.vjp(lambda params: _floats(embed(params, rows)), params)
        return jax.tree.map(jnp.add, total, pull_back(cotangent)[0]), None

    zeros = jax.tree.map(jnp.zeros_like, params)
    grads, _ = lax.scan(accumulate, zeros, (split, cotangents))
    return (loss, rest), grads


def compute_shardings(method: Method, state: State, mesh: Mesh, *, fsdp: bool) -> State:
    """Return a sharding for each leaf of an (abstract) state.

    The method's own layout of its aux state takes precedence. Under `fsdp` any other leaf is
    sharded by its longest divisible axis; leaves whose axes do not divide by the device count stay
    replicated: they are the small ones.
    """

    def shard(leaf: jax.ShapeDtypeStruct, spec: P) -> NamedSharding:
        axes = [i for i, size in enumerate(leaf.shape) if size % mesh.size == 0]
        if spec != P() or not fsdp or not axes:
            return NamedSharding(mesh, spec)
        longest = max(axes, key=lambda i: leaf.shape[i])
        return NamedSharding(mesh, P(*[AXIS if i == longest else None for i in range(leaf.ndim)]))

    layout = jax.tree.map(lambda _: P(), state).replace(aux=method.layout(state.aux))
    return jax.tree.map(shard, state, layout)


def finish_step(
    state: State,
    grads: Tree,
    aux: Tree,
    metrics: Metrics,
    *,
    method: Method,
    optimizer: optax.GradientTransformation,
    ema_decay: float,
) -> tuple[State, Metrics]:
    """Apply the optimizer's update, update the averages, and add the metrics common to methods."""
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    average = None if state.average is None else update_ema(state.average, params, ema_decay)
    aux = method.after_update(params, aux)
    metrics = metrics | {
        "grad_norm": optax.global_norm(grads),
        "update_norm": optax.global_norm(updates),
    }
    return State(state.step + 1, params, opt_state, aux, average), metrics


def _split(batch: Tree, parts: int) -> Tree:
    """Split `[n ...]` into `[parts n/parts ...]`, part j holding rows j, j + parts, ...

    Interleaved, because rows that are sharded over devices can be split so without moving.
    """
    return jax.tree.map(
        lambda x: x.reshape((x.shape[0] // parts, parts, *x.shape[1:])).swapaxes(0, 1), batch
    )


def _join(parts: Embeddings) -> Embeddings:
    """Join embeddings stacked by micro-batch into those of the batch; average the shared ones."""
    rows = jax.tree.map(lambda x: x.swapaxes(0, 1).reshape((-1, *x.shape[2:])), parts.rows)
    return Embeddings(rows, jax.tree.map(lambda x: x.mean(0), parts.shared))


def _floats(tree: Tree) -> list[jax.Array]:
    return [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.inexact)]


def _one_like(loss: jax.Array) -> jax.Array:
    # ones_like would lose the "varies over 'data'" type of a device's share of the loss.
    return loss * 0 + 1


def _count_bad(batch: Batch) -> Metrics:
    """Count the samples that the data pipeline had to replace, for all hosts together."""
    return {"bad_samples": batch["bad"].sum()} if "bad" in batch else {}


def _freeze(params: Tree, trainable_mask: Tree) -> Tree:
    return jax.tree.map(lambda p, keep: p if keep else lax.stop_gradient(p), params, trainable_mask)


def _sum_over_devices(grads: Tree, trainable_mask: Tree) -> Tree:
    """Sum all gradients that are not zero by construction, in one psum."""
    leaves, structure = jax.tree.flatten(grads)
    keep = jax.tree.leaves(trainable_mask)
    summed = iter(lax.psum([g for g, k in zip(leaves, keep, strict=True) if k], AXIS))
    zeros = lambda g: jnp.zeros(g.shape, g.dtype)  # noqa: E731
    return jax.tree.unflatten(
        structure, [next(summed) if k else zeros(g) for g, k in zip(leaves, keep, strict=True)]
    )
