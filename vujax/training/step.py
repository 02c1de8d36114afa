"""The train step: gradients that keep every negative, on replicated or on sharded parameters.

Two layouts serve every method. Data parallel: the whole step is one shard_map over 'data' with
check_vma on, parameters cast to varying, one explicit psum of gradients. FSDP: parameters and
optimizer state are divided among the devices, `embed` runs under automatic partitioning, and only
the objective stays in shard_map.
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from vujax.methods.base import Batch, Embeddings, Method
from vujax.optim import update_ema
from vujax.utils.mesh import AXIS, replicated_sharding, row_sharding

Tree = Any
TrainStep = Callable[["State", Batch], tuple["State", dict[str, jax.Array]]]


class State(flax.struct.PyTreeNode):
    """All that a training run carries from step to step; with the seed, all that resuming needs.

    Attributes:
      step: optimizer steps done, int32 `()`.
      params: f32 parameters.
      opt_state: the optimizer's.
      extra: the method's state that no gradient changes.
      average: exponential moving average of `params`, or None.
    """

    step: jax.Array
    params: Tree
    opt_state: Tree
    extra: Tree
    average: Tree | None


def init_state(
    method: Method, optimizer: optax.GradientTransformation, rng: jax.Array, batch: Batch, ema: bool
) -> State:
    """The state at step 0; pure, so that `jax.eval_shape` gives its shapes."""
    params, extra = method.init(rng, batch)
    average = jax.tree.map(jnp.copy, params) if ema else None
    state = State(jnp.zeros((), jnp.int32), params, optimizer.init(params), extra, average)
    # Weakly typed leaves would turn strong in the first steps, and each turn compiles anew.
    return jax.tree.map(lambda x: lax.convert_element_type(x, x.dtype), state)


def _split(batch: Tree, parts: int) -> Tree:
    """`[n ...] -> [parts n/parts ...]`, part j holding rows j, j + parts, ...

    Interleaved, because rows that are sharded by devices can be split so without moving.
    """
    return jax.tree.map(
        lambda x: x.reshape(x.shape[0] // parts, parts, *x.shape[1:]).swapaxes(0, 1), batch
    )


def _join(parts: Embeddings) -> Embeddings:
    """Embeddings stacked by micro-batch become those of the batch; shared ones are averaged."""
    rows = jax.tree.map(lambda x: x.swapaxes(0, 1).reshape(-1, *x.shape[2:]), parts.rows)
    return Embeddings(rows, jax.tree.map(lambda x: x.mean(0), parts.shared))


def _floats(tree: Tree) -> list[jax.Array]:
    return [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.inexact)]


def gradients(
    embed: Callable[[Tree, Batch], Embeddings],
    objective: Callable[[Embeddings], tuple[jax.Array, Tree]],
    params: Tree,
    batch: Batch,
    micro_batches: int,
) -> tuple[tuple[jax.Array, Tree], Tree]:
    """`((loss, aux), gradients)` of `objective(embed(params, batch))`.

    With `micro_batches > 1`, activations of one micro-batch at a time are held: embed all parts,
    one objective over the whole batch, then embed each part again to pull its cotangents back
    (GradCache, arXiv:2101.06983). The loss and its negatives are those of the whole batch.
    """
    if micro_batches == 1:
        run = lambda params: objective(embed(params, batch))  # noqa: E731
        return jax.value_and_grad(run, has_aux=True)(params)
    parts = _split(batch, micro_batches)
    embedded = lax.map(functools.partial(embed, params), parts)
    loss, pull_back, aux = jax.vjp(lambda e: objective(_join(e)), embedded, has_aux=True)
    cotangents = [g for g in jax.tree.leaves(pull_back(_one_like(loss))) if g.dtype != jax.float0]

    def accumulate(total: Tree, part: tuple[Batch, list[jax.Array]]) -> tuple[Tree, None]:
        rows, cotangent = part
        _, pull_back = jax.vjp(lambda params: _floats(embed(params, rows)), params)
        return jax.tree.map(jnp.add, total, pull_back(cotangent)[0]), None

    zeros = jax.tree.map(jnp.zeros_like, params)
    grads, _ = lax.scan(accumulate, zeros, (parts, cotangents))
    return (loss, aux), grads


def _one_like(loss: jax.Array) -> jax.Array:
    # ones_like would lose the "varies over 'data'" type of a device's share of the loss.
    return loss * 0 + 1


def _finish(
    state: State,
    grads: Tree,
    extra: Tree,
    metrics: dict[str, jax.Array],
    *,
    method: Method,
    optimizer: optax.GradientTransformation,
    ema_decay: float,
) -> tuple[State, dict[str, jax.Array]]:
    """The optimizer's update, averages, and the metrics that every method has."""
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    average = None if state.average is None else update_ema(state.average, params, ema_decay)
    extra = method.after_update(params, extra)
    metrics = metrics | {
        "grad_norm": optax.global_norm(grads),
        "update_norm": optax.global_norm(updates),
    }
    return State(state.step + 1, params, opt_state, extra, average), metrics


def make_train_step(
    method: Method,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    *,
    seed: int,
    total_steps: int,
    learns: Tree,
    micro_batches: int = 1,
    ema_decay: float = 0.0,
    state_shardings: Tree,
    fsdp: bool = False,
) -> TrainStep:
    """A jitted `(state, batch) -> (state, metrics)` that donates the state.

    Args:
      method: see `vujax.methods.base`.
      optimizer: of the same tree as the parameters.
      mesh: one axis, 'data'.
      seed: of everything random in training; step k uses `fold_in(key(seed), k)`.
      total_steps: what `progress` is measured against.
      learns: tree of bool like the parameters; False: no gradient is computed or communicated.
      micro_batches: parts of a batch whose activations are held one at a time.
      ema_decay: of `state.average`, when the state has one.
      state_shardings: where the state lies, see `shardings_of`.
      fsdp: parameters are divided among the devices.
    """
    finish = functools.partial(_finish, method=method, optimizer=optimizer, ema_decay=ema_decay)
    clock = lambda state: (  # noqa: E731
        jax.random.fold_in(jax.random.key(seed), state.step),
        state.step.astype(jnp.float32) / total_steps,
    )

    def data_parallel(state: State, batch: Batch) -> tuple[State, dict[str, jax.Array]]:
        rng, progress = clock(state)

        def embed(params: Tree, rows: Batch) -> Embeddings:
            return method.embed(_freeze(params, learns), state.extra, rows, rng, AXIS)

        def objective(embeddings: Embeddings) -> tuple[jax.Array, Tree]:
            return method.objective(embeddings, state.extra, rng, progress, AXIS)

        varying = lax.pcast(state.params, AXIS, to="varying")
        (loss, (extra, metrics)), grads = gradients(embed, objective, varying, batch, micro_batches)
        grads = _sum_over_devices(grads, learns)
        metrics = metrics | lax.psum({"loss": loss} | _counts(batch), AXIS)
        return finish(state, grads, extra, metrics)

    def sharded(state: State, batch: Batch) -> tuple[State, dict[str, jax.Array]]:
        rng, progress = clock(state)

        def embed(params: Tree, rows: Batch) -> Embeddings:
            return method.embed(_freeze(params, learns), state.extra, rows, rng, None)

        def share(embeddings, extra, rng, progress):
            loss, aux = method.objective(embeddings, extra, rng, progress, AXIS)
            return lax.psum(loss, AXIS), aux

        def objective(embeddings: Embeddings) -> tuple[jax.Array, Tree]:
            specs, layout = Embeddings(P(AXIS), P()), method.layout(state.extra)
            objective = jax.shard_map(
                share,
                mesh=mesh,
                in_specs=(specs, layout, P(), P()),
                out_specs=(P(), (layout, P())),
            )
            return objective(embeddings, state.extra, rng, progress)

        (loss, (extra, metrics)), grads = gradients(
            embed, objective, state.params, batch, micro_batches
        )
        return finish(state, grads, extra, metrics | {"loss": loss} | _counts(batch))

    specs = jax.tree.map(lambda sharding: sharding.spec, state_shardings)
    in_parts = functools.partial(
        jax.shard_map,
        mesh=mesh,
        in_specs=(specs, P(AXIS)),
        out_specs=(specs, P()),
        check_vma=True,
    )
    return jax.jit(
        sharded if fsdp else in_parts(data_parallel),
        donate_argnums=0,
        in_shardings=(state_shardings, row_sharding(mesh)),
        out_shardings=(state_shardings, replicated_sharding(mesh)),
    )


def _counts(batch: Batch) -> dict[str, jax.Array]:
    """Samples that the data pipeline had to replace, so that every host knows of all of them."""
    return {"bad_samples": batch["bad"].sum()} if "bad" in batch else {}


def _freeze(params: Tree, learns: Tree) -> Tree:
    return jax.tree.map(lambda p, keep: p if keep else lax.stop_gradient(p), params, learns)


def _sum_over_devices(grads: Tree, learns: Tree) -> Tree:
    """One psum of all gradients that are not zero by construction."""
    leaves, structure = jax.tree.flatten(grads)
    keep = jax.tree.leaves(learns)
    summed = iter(lax.psum([g for g, k in zip(leaves, keep, strict=True) if k], AXIS))
    zeros = lambda g: jnp.zeros(g.shape, g.dtype)  # noqa: E731
    return jax.tree.unflatten(
        structure, [next(summed) if k else zeros(g) for g, k in zip(leaves, keep, strict=True)]
    )


def shardings_of(method: Method, state: State, mesh: Mesh, *, fsdp: bool) -> State:
    """A sharding for each leaf of an (abstract) state.

    What the method divides is divided as it says. Under `fsdp` any other leaf is, by its longest
    divisible axis; leaves whose axes do not divide by the device count stay whole: they are the
    small ones.
    """

    def place(leaf: jax.ShapeDtypeStruct, spec: P) -> NamedSharding:
        axes = [i for i, size in enumerate(leaf.shape) if size % mesh.size == 0]
        if spec != P() or not fsdp or not axes:
            return NamedSharding(mesh, spec)
        longest = max(axes, key=lambda i: leaf.shape[i])
        return NamedSharding(mesh, P(*[AXIS if i == longest else None for i in range(leaf.ndim)]))

    layout = jax.tree.map(lambda _: P(), state).replace(extra=method.layout(state.extra))
    return jax.tree.map(place, state, layout)
