"""Short trainings inside a product or an experiment: one device, no checkpoints, no config file."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from vujax import optim
from vujax.methods.base import Method
from vujax.training.step import State, TrainStep, build_train_step, compute_shardings, init_state
from vujax.utils.mesh import make_mesh

Shapes = tuple[tuple[str, tuple[int, ...], Any], ...]


def get_shapes(batch: Mapping[str, jax.ShapeDtypeStruct]) -> Shapes:
    """Return a batch's names, shapes and dtypes as a hashable argument of `build_program`."""
    return tuple(sorted((name, leaf.shape, leaf.dtype) for name, leaf in batch.items()))


@functools.lru_cache(maxsize=16)
def build_program(
    method: Method, shapes: Shapes, *, steps: int, lr: float, weight_decay: float, warmup: int = 0
) -> tuple[Callable[[jax.Array], State], TrainStep]:
    """Return `(init, step)` of AdamW with cosine decay; compiled once for all seeds and films.

    Args:
      method: hashable.
      shapes: see `get_shapes`.
      steps: number of steps of the complete training.
      lr: maximum learning rate.
      weight_decay: of kernels, multiplied by the learning rate.
      warmup: number of steps from 0 to `lr`.
    """
    batch = {name: np.zeros(shape, dtype) for name, shape, dtype in shapes}
    params, _ = jax.eval_shape(method.init, jax.random.key(0), batch)
    schedule = optim.build_schedule(
        lr=lr, total_steps=steps, warmup_steps=warmup, schedule="cosine"
    )
    optimizer = optim.build_optimizer(params, schedule, weight_decay=weight_decay)
    mesh = make_mesh(jax.devices()[:1])

    def init(key: jax.Array) -> State:
        return init_state(method, optimizer, key, batch, ema=False)

    shardings = compute_shardings(method, jax.eval_shape(init, jax.random.key(0)), mesh, fsdp=False)
    step = build_train_step(
        method,
        optimizer,
        mesh,
        seed=0,
        total_steps=steps,
        trainable_mask=jax.tree.map(lambda _: True, params),
        state_shardings=shardings,
    )
    return jax.jit(init, out_shardings=shardings), step
