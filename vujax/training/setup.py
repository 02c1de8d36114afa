"""The parts of a training, built from its config: model, method, optimizer, state and step.

Nothing here reads data or allocates arrays, so a described pod (tools/aot.py) is served as well as
a real machine.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from vujax import optim
from vujax.methods import build_method, load_spec
from vujax.methods.base import Batch, Method, Tree
from vujax.training.checkpoint import to_abstract
from vujax.training.config import resolve_duration
from vujax.training.step import State, TrainStep, build_train_step, compute_shardings, init_state
from vujax.utils.mesh import row_sharding

INIT_STREAM = 2**32 - 1  # folded into the seed for the start; steps fold in their own number


class TrainingParts(NamedTuple):
    """The parts of a training.

    Attributes:
      model: the linen module.
      method: its training method.
      total_steps: number of optimizer steps of the complete training.
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


def build_parts(config: ConfigDict, mesh: Mesh, *, examples: int | None = None) -> TrainingParts:
    """Build everything of a training but its data.

    Args:
      config: see `configs/distill.py`.
      mesh: one axis, 'data'.
      examples: number of training examples, for durations in epochs.

    Raises:
      ValueError: the batch does not divide among the devices and micro-batches, or a setting is
        unknown.
    """
    _check_batch_size(config, mesh)
    spec = load_spec(config)
    model = spec.build_model(config, mesh)
    method = build_method(model, **config.method)
    steps = compute_total_steps(config, examples)
    schedule = build_schedule(config, steps, examples)
    batch = spec.batch_spec(config, config.batch_size)
    optimizer, trainable_mask = _build_optimizer(config, method, schedule, batch)
    freeze = getattr(method, "freeze", None)  # few methods have one
    method = method if freeze is None else freeze(trainable_mask)
    has_average = config.ema_decay > 0

    def init(rng: jax.Array) -> State:
        zeros = {k: jnp.zeros(v.shape, v.dtype) for k, v in batch.items()}
        return init_state(method, optimizer, rng, zeros, has_average)

    shapes = jax.eval_shape(init, jax.random.key(0))
    shardings = compute_shardings(method, shapes, mesh, fsdp=config.fsdp)
    step = build_train_step(
        method,
        optimizer,
        mesh,
        seed=config.seed,
        total_steps=steps,
        trainable_mask=trainable_mask,
        micro_batches=config.micro_batches,
        ema_decay=config.ema_decay,
        state_shardings=shardings,
        fsdp=config.fsdp,
    )
    return TrainingParts(
        model,
        method,
        total_steps=steps,
        schedule=schedule,
        state=to_abstract(shapes, shardings),
        step=step,
        init=jax.jit(init, out_shardings=shardings),
    )


def compute_total_steps(config: ConfigDict, examples: int | None) -> int:
    """Return the optimizer steps of the training on a data set of `examples` examples."""
    return resolve_duration("total", config, batch_size=config.batch_size, examples=examples)


def build_schedule(config: ConfigDict, steps: int, examples: int | None) -> optax.Schedule:
    """Build the learning rate by step that `config.optimizer` describes."""
    settings = config.optimizer
    resolve = partial(
        resolve_duration,
        config=settings,
        batch_size=config.batch_size,
        examples=examples,
        total_steps=steps,
        default=0,
    )
    return optim.build_schedule(
        lr=settings.lr,
        total_steps=steps,
        warmup_steps=resolve("warmup"),
        cooldown_steps=resolve("cooldown"),
        schedule=settings.schedule,
        final=settings.final,
    )


def create_state(parts: TrainingParts, seed: int) -> State:
    """Return the state at step 0, on its devices."""
    return parts.init(jax.random.fold_in(jax.random.key(seed), INIT_STREAM))


def build_abstract_batch(config: ConfigDict, mesh: Mesh) -> Batch:
    """Return shapes, dtypes and shardings of the global batch, for compiling without data."""
    return to_abstract(load_spec(config).batch_spec(config, config.batch_size), row_sharding(mesh))


def _check_batch_size(config: ConfigDict, mesh: Mesh) -> None:
    unit = mesh.size * config.micro_batches
    if config.batch_size < 1 or config.batch_size % unit:
        raise ValueError(
            f"batch_size {config.batch_size} does not divide among {mesh.size} devices x "
            f"{config.micro_batches} micro_batches: use a multiple of {unit}"
        )


def _build_optimizer(
    config: ConfigDict,
    method: Method,
    schedule: optax.Schedule,
    batch: dict[str, jax.ShapeDtypeStruct],
) -> tuple[optax.GradientTransformation, Tree]:
    """Return the optimizer and the trainable mask."""
    params, _ = jax.eval_shape(method.init, jax.random.key(0), batch)
    names = ("rules", "b1", "b2", "eps", "weight_decay", "decay", "clip_norm")
    settings = {name: config.optimizer[name] for name in names}
    added = ("name", "layer_decay")  # that configs of 0.1.0 lack
    settings |= {name: config.optimizer[name] for name in added if name in config.optimizer}
    optimizer = optim.build_optimizer(params, schedule, **settings)
    return optimizer, optim.build_trainable_mask(params, settings["rules"])
