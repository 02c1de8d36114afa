"""Layers that the models share: dense layers, norms, activations, normalized embeddings.

Dense layers compute in bfloat16 where a model asks for it, and sum the gradients of their
parameters in float32: a gradient that is rounded to bfloat16 before the devices' shares are added
loses digits that no later float32 can bring back. Flax's own layers cast the parameter first, so
its gradient takes the compute dtype; here the cast is inside the product.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jax.typing import DTypeLike

from vujax.models.dropout import Dropout, drop_units

Shard = Callable[[jax.Array], jax.Array]
"""Constraint on the sharding of activations."""

EPSILON = 1e-5  # of CLIP's layer norms


def identity(x: jax.Array) -> jax.Array:
    """Return `x`: the sharding constraint of a model that is not sharded."""
    return x


def l2_normalize(x: jax.Array) -> jax.Array:
    """Return x `[... d]` scaled to unit length along the last axis, float32.

    A zero vector stays zero, with a finite gradient. The numpy counterpart is
    `vujax.utils.arrays.l2_normalize`.
    """
    x = x.astype(jnp.float32)
    return x * lax.rsqrt(jnp.sum(x * x, axis=-1, keepdims=True) + 1e-12)


def rms_normalize(x: jax.Array) -> jax.Array:
    """Return x `[... d]` scaled to root mean square 1 along the last axis, float32.

    Encoders differ in the length of their embeddings by orders of magnitude; only the direction is
    compared by cosines.
    """
    x = x.astype(jnp.float32)
    return x * lax.rsqrt(jnp.mean(x**2, axis=-1, keepdims=True) + 1e-12)


def quick_gelu(x: jax.Array) -> jax.Array:
    """Apply the sigmoid approximation of GELU of OpenAI's CLIP: x * sigmoid(1.702 x)."""
    return x * jax.nn.sigmoid(1.702 * x)


@jax.custom_jvp
def gelu(x: jax.Array) -> jax.Array:
    """Apply the exact (erf) GELU of open_clip's weights."""
    return jax.nn.gelu(x, approximate=False)


@gelu.defjvp
def _gelu_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    # GELU'(x) = Phi(x) + x phi(x): jax 0.12 cannot differentiate erf in a checked shard_map.
    (x,), (t,) = primals, tangents
    cdf = 0.5 * lax.erfc(-x * math.sqrt(0.5))
    density = jnp.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    return gelu(x), t * (cdf + x * density)


def gelu_tanh(x: jax.Array) -> jax.Array:
    """Apply the tanh approximation of GELU of SigLIP."""
    return jax.nn.gelu(x, approximate=True)


ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "gelu": gelu,
    "quick_gelu": quick_gelu,
    "gelu_tanh": gelu_tanh,
}


def layer_norm(dtype: DTypeLike, name: str | None, epsilon: float = EPSILON) -> nn.LayerNorm:
    """Build a layer norm with CLIP's epsilon and float32 statistics in any compute dtype."""
    # The one-pass variance loses digits where a stream's mean is large, as in trained CLIPs.
    return nn.LayerNorm(epsilon=epsilon, dtype=dtype, use_fast_variance=False, name=name)


@jax.custom_vjp
def multiply(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Multiply x `[... d]` by kernel `[d e]` in x's dtype; the kernel's gradient keeps its own."""
    return x @ kernel.astype(x.dtype)


def _multiply_forward(
    x: jax.Array, kernel: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return multiply(x, kernel), (x, kernel)


def _multiply_backward(
    saved: tuple[jax.Array, jax.Array], g: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    rows = tuple(range(x.ndim - 1))
    by_kernel = lax.dot_general(x, g, ((rows, rows), ((), ())), preferred_element_type=kernel.dtype)
    return g @ kernel.astype(g.dtype).T, by_kernel


multiply.defvjp(_multiply_forward, _multiply_backward)


def add_bias(x: jax.Array, bias: jax.Array) -> jax.Array:
    """Return x + bias in x's dtype; the sum and the bias's gradient are in the bias's dtype."""
    return (x.astype(bias.dtype) + bias).astype(x.dtype)


class Dense(nn.Module):
    """Dense layer x `[... d]` -> `[... width]` in `dtype`, with float32 parameters.

    Attributes:
      width: output width.
      std: standard deviation of the initial kernel; the bias starts at 0.
      dtype: compute dtype.
    """

    width: int
    std: float
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        init = nn.initializers.normal(self.std)
        kernel = self.param("kernel", init, (x.shape[-1], self.width))
        bias = self.param("bias", nn.initializers.zeros, (self.width,))
        return add_bias(multiply(x.astype(self.dtype), kernel), bias)


class ProjectionHead(nn.Module):
    """Layer norm and projection of pooled features: `[b d]` -> (`[b d]`, `[b embed_dim]`).

    Both results are float32: the embeddings decide the loss, and this costs nothing beside the
    blocks. Dropout falls between the two.

    Attributes:
      embed_dim: dimension of the embedding.
      epsilon: of the layer norm.
      bias: True adds a bias to the projection.
    """

    embed_dim: int
    epsilon: float = EPSILON
    bias: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, dropout: Dropout | None = None) -> tuple[jax.Array, jax.Array]:
        pooled = layer_norm(jnp.float32, "ln", self.epsilon)(x)
        init = nn.initializers.normal(x.shape[-1] ** -0.5)
        project = nn.Dense(self.embed_dim, use_bias=self.bias, kernel_init=init, name="projection")
        return pooled, project(drop_units(pooled, dropout))
