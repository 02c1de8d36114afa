"""Dense layers that compute in bfloat16 and sum their parameters' gradients in float32.

A gradient that is rounded to bfloat16 before the devices' shares are added loses digits that no
later float32 can bring back. Flax's own layers cast the parameter first, so its gradient takes the
compute dtype; here the cast is inside the product, whose gradient is float32 from the start.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jax.typing import DTypeLike


@jax.custom_vjp
def product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """x[... d] times kernel [d e] in x's dtype; the kernel's gradient is in the kernel's."""
    return x @ kernel.astype(x.dtype)


def _forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return product(x, kernel), (x, kernel)


def _backward(saved: tuple[jax.Array, jax.Array], g: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    rows = tuple(range(x.ndim - 1))
    by_kernel = lax.dot_general(x, g, ((rows, rows), ((), ())), preferred_element_type=kernel.dtype)
    return g @ kernel.astype(g.dtype).T, by_kernel


product.defvjp(_forward, _backward)


def offset(x: jax.Array, by: jax.Array) -> jax.Array:
    """The sum x + by in x's dtype, added in `by`'s; so is the gradient of `by`."""
    return (x.astype(by.dtype) + by).astype(x.dtype)


class Dense(nn.Module):
    """x [... d] -> [... width] in `dtype`; float32 parameters: a normal kernel of `std`, bias 0."""

    width: int
    std: float
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        init = nn.initializers.normal(self.std)
        kernel = self.param("kernel", init, (x.shape[-1], self.width))
        bias = self.param("bias", nn.initializers.zeros, (self.width,))
        return offset(product(x.astype(self.dtype), kernel), bias)
