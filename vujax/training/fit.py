"""Short trainings inside a product or an experiment: one device, no checkpoints, no config file."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from vujax import optim
from vujax.methods.base import Method
from vujax.training.step import State, TrainStep, init_state, make_train_step, shardings_of
from vujax.utils.mesh import make_mesh

Shapes = tuple[tuple[str, tuple[int, ...], Any], ...]


def shapes_of(batch: Mapping[str, jax.ShapeDtypeStruct]) -> Shapes:
    """A batch's shapes as an argument of `program`."""
    return tuple(sorted((name, leaf.shape, leaf.dtype) for name, leaf in batch.items()))


@functools.lru_cache(maxsize=16)
def program(
    method: Method, shapes: Shapes, *, steps: int, lr: float, weight_decay: float, warmup: int = 0
) -> tuple[Callable[[jax.Array], State], TrainStep]:
    """`(init, step)` of AdamW with a cosine from `lr` to 0; compiled once for all seeds and films.

    Args:
      method: hashable.
      shapes: see `shapes_of`.
      steps: of the whole training.
      lr: greatest learning rate.
      weight_decay: of kernels, multiplied by the learning rate.
      warmup: steps from 0 to `lr`.
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

    shardings = shardings_of(method, jax.eval_shape(init, jax.random.key(0)), mesh, fsdp=False)
    step = make_train_step(
        method,
        optimizer,
        mesh,
        seed=0,
        total_steps=steps,
        learns=jax.tree.map(lambda _: True, params),
        state_shardings=shardings,
    )
    return jax.jit(init, out_shardings=shardings), step
