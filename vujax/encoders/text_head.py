"""Affine head that maps features of the encoder `lite` into MiniLM's space, and its files."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file
from safetensors.numpy import save as to_bytes

from vujax.models import efficientnet, minilm
from vujax.models.layers import l2_normalize
from vujax.utils.io import write_bytes, write_json

HEADS = Path(__file__).parent / "heads"
DEFAULT = "lite"
CONFIG, WEIGHTS = "config.json", "weights.safetensors"
SHAPES = {"kernel": (efficientnet.FEATURES, minilm.WIDTH), "bias": (minilm.WIDTH,)}


@jax.jit
def apply_head(kernel: jax.Array, bias: jax.Array, features: jax.Array) -> jax.Array:
    """Map features `[n 1280]` to float32 `[n 384]` of unit length: an affine map, normalized."""
    return l2_normalize(
        jnp.matmul(features, kernel.astype(jnp.float32), precision="highest") + bias
    )


@dataclass(frozen=True)
class TextHead:
    """Affine map and the record of its training.

    Attributes:
      kernel: `[1280 384]`, of any float dtype.
      bias: `[384]` float32.
      config: JSON-serializable: `about` describes the training, `share` is the weight beside ConSE,
        in [0, 1].
    """

    kernel: np.ndarray
    bias: np.ndarray
    config: dict[str, Any]

    @property
    def tensors(self) -> dict[str, np.ndarray]:
        """Weights by name."""
        return {"kernel": self.kernel, "bias": self.bias}

    def __call__(self, features: jax.Array) -> jax.Array:
        """Map features; see `apply_head`."""
        return apply_head(self.kernel, self.bias, features)


def save_head(folder: Path, head: TextHead) -> Path:
    """Write a head's two files into `folder`."""
    data = to_bytes({name: np.asarray(x, order="C") for name, x in head.tensors.items()})
    write_bytes(folder / WEIGHTS, data)
    write_json(folder / CONFIG, head.config)
    return folder


def load_head(folder: Path = HEADS / DEFAULT) -> TextHead:
    """Load a head of the package, or one that `save_head` wrote.

    Raises:
      FileNotFoundError: the folder lacks a file.
      ValueError: a file is damaged, or holds something else.
    """
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} is not a text head: {name} is missing")
    try:
        config = json.loads((folder / CONFIG).read_text("utf-8"))
        tensors = load_file(folder / WEIGHTS)
    except (ValueError, SafetensorError) as error:
        raise ValueError(f"{folder} is damaged ({error}); copy the head again") from error
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    share = config.get("share") if isinstance(config, dict) else None
    if shapes != SHAPES or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise ValueError(
            f"{folder} is not a text head: it needs a share in [0, 1] in {CONFIG} and tensors of "
            f"shapes {SHAPES} in {WEIGHTS}, which holds {shapes}; copy the head again"
        )
    return TextHead(**tensors, config=config)
