"""Shared embeddings, target modes and comparisons of the tests of the losses."""

import functools
import re
from collections.abc import Callable
from typing import Any

import chex
import jax
import numpy as np
from jax import lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

# Keyword arguments of soft_alignment; a true teacher stands for a teacher's embeddings.
MODES: dict[str, dict[str, Any]] = {
    "swapped_rows": {},
    "plain": {"target": "plain"},
    "own_columns": {"target": "own_columns"},
    "half_columns_cool": {"target": "half_columns", "teacher_temperature": 0.5},
    "ema": {"teacher": True},
    "ema_plain_cool": {"teacher": True, "target": "plain", "teacher_temperature": 0.7},
    "ema_own_columns_cool": {"teacher": True, "target": "own_columns", "teacher_temperature": 0.7},
    "ema_half_columns": {"teacher": True, "target": "half_columns", "soft_weight": 0.4},
    "albef": {"soft_weight": 0.4},
    "cool": {"teacher_temperature": 0.5},
    "smoothed": {"label_smoothing": 0.1},
}


def unit(x: np.ndarray) -> np.ndarray:
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)


def embeddings(n: int, d: int, noise: float = 0.2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Unit images, and texts that are the images with noise."""
    rng = np.random.default_rng(seed)
    image = unit(rng.normal(size=(n, d)))
    return image, unit(image + noise * rng.normal(size=(n, d)))


def fixed(mode: str, unaligned: np.ndarray, d: int) -> tuple[np.ndarray, Any]:
    """Return the constants: the unaligned rows, and the teacher if the mode has one."""
    taught = "teacher" in MODES[mode]
    return unaligned, embeddings(len(unaligned), d, seed=1) if taught else None


def keywords(mode: str) -> dict[str, Any]:
    """Return the mode's keyword arguments, except the teacher."""
    return {name: value for name, value in MODES[mode].items() if name != "teacher"}


def half(n: int, seed: int = 2) -> np.ndarray:
    """Return the unaligned rows, about half of all."""
    return np.random.default_rng(seed).random(n) < 0.5


def in_float64(
    loss: Callable[..., jax.Array], *arguments: Any, fixed: Any = ()
) -> tuple[float, list[np.ndarray]]:
    """Compute as `in_float32`, with everything but bools in float64."""

    def widen(x: Any) -> np.ndarray:
        x = np.asarray(x)
        return x if x.dtype == bool else x.astype(np.float64)

    with jax.enable_x64(True):
        return in_float32(loss, *jax.tree.map(widen, arguments), fixed=jax.tree.map(widen, fixed))


def in_float32(
    loss: Callable[..., jax.Array], *arguments: Any, fixed: Any = ()
) -> tuple[float, list[np.ndarray]]:
    """Value of `loss(*arguments, *fixed)` and its gradients by the arguments, in their dtypes."""
    value, gradients = _differentiated(loss, len(arguments))(*arguments, *fixed)
    return float(value), [np.asarray(g) for g in gradients]


@functools.cache  # a loss is compiled once for all values of its arguments
def _differentiated(loss: Callable[..., jax.Array], arguments: int) -> Callable[..., Any]:
    return jax.jit(jax.value_and_grad(loss, tuple(range(arguments))))


def on_mesh(
    mesh: Mesh, loss: Callable[..., jax.Array], rows: tuple, shared: tuple, data: Any = ()
) -> tuple[float, list[np.ndarray]]:
    """Global value and raw gradients of a loss whose rows and data are spread over `mesh`.

    `loss(rows, shared, data)` gives a device's share. As in a train step, what is shared becomes
    varying and its gradient is summed once; a gradient by rows is left as the device made it.
    """

    def step(rows: tuple, shared: tuple, data: Any) -> tuple:
        shared = lax.pcast(shared, "data", to="varying")
        share, (by_rows, by_shared) = jax.value_and_grad(loss, (0, 1))(rows, shared, data)
        return lax.psum((share, by_shared), "data"), by_rows

    specs = (P("data"), P(), P("data"))
    sharded = jax.shard_map(
        step, mesh=mesh, in_specs=specs, out_specs=(P(), P("data")), check_vma=True
    )
    (value, by_shared), by_rows = jax.jit(sharded)(rows, shared, data)
    return float(value), [np.asarray(g) for g in (*by_rows, *by_shared)]


def assert_equal(
    ours: tuple[float, list[np.ndarray]], exact: tuple[float, list[np.ndarray]]
) -> None:
    """Compare values and gradients to 1e-5; gradients by scalars, which may cancel, less."""
    chex.assert_trees_all_close(ours[0], exact[0], rtol=1e-5, atol=1e-8)
    assert worst(ours[1][:2], exact[1][:2]) < 1e-5
    chex.assert_trees_all_close(ours[1][2:], exact[1][2:], rtol=1e-4, atol=1e-7)


def worst(gradients: list[np.ndarray], expected: list[np.ndarray]) -> float:
    """Return the largest relative difference among all tensors."""
    pairs = zip(gradients, expected, strict=True)
    return max(float(np.abs(g - e).max() / np.abs(e).max()) for g, e in pairs)


def largest_array(hlo: str) -> int:
    """Return the size of the largest array in a compiled program's text."""
    shapes = re.findall(r"\b(?:f64|f32|bf16|s32|pred)\[([\d,]+)\]", hlo)
    return max(int(np.prod([int(size) for size in shape.split(",")])) for shape in shapes)
