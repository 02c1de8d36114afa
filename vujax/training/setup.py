"""From a config to the parts of a training: model, method, optimizer, state and step.

Nothing here reads data or makes arrays, so a described pod (tools/aot.py) is served as well as a
real machine.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections
import optax
from jax.sharding import Mesh

from vujax import optim
from vujax.methods import build_method, spec_of
from vujax.methods.base import Batch, Method
from vujax.training.checkpoint import abstract
from vujax.training.config import duration
from vujax.training.step import State, TrainStep, init_state, make_train_step, shardings_of
from vujax.utils.mesh import row_sharding

Tree = Any
INIT = 2**32 - 1  # folded into the seed for the start; steps fold in their own number


class Parts(NamedTuple):
    """What a training is made of.

    Attributes:
      model: the linen module.
      method: its training method.
      total_steps: optimizer steps of the whole training.
      schedule: learning rate by step.
      state: shapes, dtypes and shardings of the state.
      step: the jitted train step.
      init: jitted, from a typed PRNG key to the state at step 0.
    """

    model: nn.Module
    method: Method
    total_steps: int
    schedule: optax.Schedule
    state: State
    step: TrainStep
    init: Callable[[jax.Array], State]


def total_steps(config: ml_collections.ConfigDict, examples: int | None) -> int:
    """Optimizer steps of the training; `examples` is the data set's length."""
    return duration("total", config, batch_size=config.batch_size, examples=examples)


def make_parts(
    config: ml_collections.ConfigDict, mesh: Mesh, *, examples: int | None = None
) -> Parts:
    """Everything of a training but its data.

    Args:
      config: see `configs/distill.py`.
      mesh: one axis, 'data'.
      examples: length of the training data, for durations in epochs.

    Raises:
      ValueError: the batch does not divide among the devices and micro-batches, or a setting is
        unknown.
    """
    if config.batch_size < 1 or config.batch_size % (mesh.size * config.micro_batches):
        raise ValueError(
            f"batch_size {config.batch_size} does not divide among {mesh.size} devices x "
            f"{config.micro_batches} micro_batches: use a multiple of "
            f"{mesh.size * config.micro_batches}"
        )
    spec = spec_of(config)
    model = spec.build_model(config, mesh)
    method = build_method(model, **config.method)
    steps = total_steps(config, examples)
    schedule = make_schedule(config, steps, examples)
    batch = spec.batch_spec(config, config.batch_size)
    optimizer, learns = _optimizer(config, method, schedule, batch)
    average = config.ema_decay > 0

    def init(rng: jax.Array) -> State:
        rows = {k: jnp.zeros(v.shape, v.dtype) for k, v in batch.items()}
        return init_state(method, optimizer, rng, rows, average)

    shapes = jax.eval_shape(init, jax.random.key(0))
    shardings = shardings_of(method, shapes, mesh, fsdp=config.fsdp)
    step = make_train_step(
        method,
        optimizer,
        mesh,
        seed=config.seed,
        total_steps=steps,
        learns=learns,
        micro_batches=config.micro_batches,
        ema_decay=config.ema_decay,
        state_shardings=shardings,
        fsdp=config.fsdp,
    )
    state, start = abstract(shapes, shardings), jax.jit(init, out_shardings=shardings)
    return Parts(model, method, steps, schedule, state, step, start)


def make_schedule(
    config: ml_collections.ConfigDict, steps: int, examples: int | None
) -> optax.Schedule:
    """The learning rate by step that `config.optimizer` describes."""
    settings = config.optimizer
    warmup = duration(
        "warmup",
        settings,
        batch_size=config.batch_size,
        examples=examples,
        total_steps=steps,
        default=0,
    )
    return optim.build_schedule(
        lr=settings.lr,
        total_steps=steps,
        warmup_steps=warmup,
        schedule=settings.schedule,
        final=settings.final,
    )


def _optimizer(
    config: ml_collections.ConfigDict,
    method: Method,
    schedule: optax.Schedule,
    batch: dict[str, jax.ShapeDtypeStruct],
) -> tuple[optax.GradientTransformation, Tree]:
    """The optimizer, and a tree that says which parameters learn."""
    params, _ = jax.eval_shape(method.init, jax.random.key(0), batch)
    names = ("rules", "b1", "b2", "eps", "weight_decay", "decay", "clip_norm")
    settings = {name: config.optimizer[name] for name in names}
    optimizer = optim.build_optimizer(params, schedule, **settings)
    return optimizer, optim.trainable_mask(params, settings["rules"])


def new_state(parts: Parts, seed: int) -> State:
    """The state at step 0, on its devices."""
    return parts.init(jax.random.fold_in(jax.random.key(seed), INIT))


def abstract_batch(config: ml_collections.ConfigDict, mesh: Mesh) -> Batch:
    """Shapes, dtypes and shardings of the global batch, for compiling without data."""
    return abstract(spec_of(config).batch_spec(config, config.batch_size), row_sharding(mesh))
