"""Keyframes of a shot to one embedding, through an image encoder."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from vujax.models import clip, efficientnet, resnet
from vujax.models.clip import normalize_image
from vujax.models.efficientnet import EfficientNetLite0
from vujax.models.image_spec import ImageSpec
from vujax.models.layers import ACTIVATIONS, layer_norm
from vujax.models.resnet import NORMS, ResNet, get_resnet_sizes
from vujax.models.transformer import POOLS
from vujax.models.vit import ViT, check_patches, get_vit_sizes
from vujax.utils.validation import check_choice, check_divides, check_heads, check_known

Tree = dict[str, Any]
Out = dict[str, jax.Array]

ENCODERS = ("resnet", "vit", "lite")
KEYFRAME_POOLS = ("stack", "mean", "attention")
OPTIONS = ("encoder", "pool", "frames", "image_size", "mean", "std")
ENCODER_OPTIONS = {
    "resnet": ("variant", "width", "blocks", "norm"),
    "vit": ("variant", "width", "layers", "heads", "patch", "token_pool", "act", "scan", "dim"),
    "lite": (),
}
# Means and standard deviations of the RGB channels, as in the training of the published encoders.
CHANNEL_STATISTICS = {
    "resnet": (resnet.MEAN, resnet.STD),
    "vit": (clip.MEAN, clip.STD),
    "lite": (efficientnet.MEAN, efficientnet.STD),
}


class AttentionPool(nn.Module):
    """Attention pooling with a learned query: [n k d] -> [n d] float32; initially the mean."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        query = self.param("query", nn.initializers.zeros, (x.shape[-1],))
        scores = layer_norm(jnp.float32, "ln")(x) @ query * x.shape[-1] ** -0.5
        return jnp.einsum("nk,nkd->nd", jax.nn.softmax(scores), x)


class KeyframeEncoder(nn.Module):
    """Keyframes [n k h w 3] -> (embeddings [n dim] float32, out).

    Pixels are uint8, normalized on the device, or floats normalized already.
    `out` holds the image encoder's intermediates with one row per keyframe [n*k ...], and
    'keyframes', its features [n k dim]; with 'stack' there is one row per shot, without features
    of single keyframes.

    Attributes:
      encoder: of images.
      dim: of its features.
      image_spec: shape and channel statistics of a keyframe.
      frames: k with 'stack', where the first convolution has 3k channels (ShotCoL); a keyframe's
        channels are adjacent, in order. The other pools take any k.
      pool: 'stack', 'mean' (BaSSL) or 'attention', a learned query over their features.
    """

    encoder: nn.Module
    dim: int
    image_spec: ImageSpec
    frames: int = 3
    pool: str = "mean"

    @nn.compact
    def __call__(
        self, image: jax.Array, *, train: bool = False, axis_name: str | None = None
    ) -> tuple[jax.Array, Out]:
        """Encode keyframes.

        Raises:
          ValueError: their size or number does not fit.
        """
        self._check(image)
        n, k, h, w, _ = image.shape
        x = normalize_image(image, self.image_spec.mean, self.image_spec.std)
        if self.pool == "stack":
            return self._encode(jnp.moveaxis(x, 1, 3).reshape(n, h, w, 3 * k), train, axis_name)
        features, out = self._encode(x.reshape(n * k, h, w, 3), train, axis_name)
        keyframes = features.reshape(n, k, -1)
        if self.pool == "attention":
            pooled = AttentionPool(name="attention")(keyframes)
        else:
            pooled = keyframes.mean(1)
        return pooled, out | dict(keyframes=keyframes)

    def _encode(self, x: jax.Array, train: bool, axis_name: str | None) -> tuple[jax.Array, Out]:
        if isinstance(self.encoder, EfficientNetLite0):  # uses its running statistics only
            return self.encoder(x)
        return self.encoder(x, train=train, axis_name=axis_name)

    def _check(self, image: jax.Array) -> None:
        spec, stacked = self.image_spec, self.pool == "stack"
        fits = image.ndim == 5 and image.shape[2:] == spec.shape and image.shape[1] > 0
        rows = f"n {self.frames if stacked else 'k'}"
        if not fits or (stacked and image.shape[1] != self.frames):
            raise ValueError(
                f"keyframes of shape {image.shape} do not fit this encoder, which takes "
                f"{spec.describe(rows)}: check image.frames and image.image_size"
            )


def replace_image_encoder(variables: Tree, weights: Tree) -> Tree:
    """Replace the image encoder's variables of a shot encoder by `weights`.

    Args:
      variables: of a `vujax.models.shot_encoder.ShotEncoder` with keyframes.
      weights: of its image encoder alone, as returned by `efficientnet.from_released` or
        `resnet.from_torchvision`.

    Raises:
      ValueError: the weights are those of another encoder.
    """
    result = dict(variables)
    for collection, new in weights.items():
        image = variables.get(collection, {}).get("image", {})
        if _shapes(image.get("encoder")) != _shapes(new):
            raise ValueError(
                f"{collection!r} of the weights does not fit the image encoder of these variables: "
                "build the shot encoder with the encoder and variant of the weights"
            )
        result[collection] = variables[collection] | {"image": image | {"encoder": new}}
    return result


def _shapes(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.shape, tree)


def build_keyframe_encoder(
    options: Mapping[str, Any], where: str, common: Mapping[str, Any]
) -> KeyframeEncoder:
    """Build a keyframe encoder from plain values.

    Args:
      options: `image` of `vujax.models.shot_encoder.build_shot_encoder`.
      where: name of the options, for messages.
      common: dtype, remat and shard.

    Raises:
      ValueError: an option or variant is unknown, or sizes do not fit.
    """
    options = dict(options)
    kind, pool = options.pop("encoder", "resnet"), options.pop("pool", "mean")
    check_choice(f"{where}.encoder", kind, ENCODERS)
    check_known(where, options, OPTIONS + ENCODER_OPTIONS[kind])
    check_choice(f"{where}.pool", pool, KEYFRAME_POOLS)
    if pool == "stack" and kind != "resnet":
        raise ValueError(f"{where}.pool 'stack' needs {where}.encoder 'resnet', not {kind!r}")
    mean, std = CHANNEL_STATISTICS[kind]
    mean, std = tuple(options.pop("mean", mean)), tuple(options.pop("std", std))
    size, frames = options.pop("image_size", 224), options.pop("frames", 3)
    spec = ImageSpec.from_size(size, f"{where}.image_size", mean=mean, std=std)
    check_divides(f"{where}.frames", frames, "frames", 1)
    encoder, dim = _build_image_encoder(kind, options, where, spec, common)
    return KeyframeEncoder(encoder=encoder, dim=dim, image_spec=spec, frames=frames, pool=pool)


def _build_image_encoder(
    kind: str, options: dict[str, Any], where: str, spec: ImageSpec, common: Mapping[str, Any]
) -> tuple[nn.Module, int]:
    """Build the encoder of single images; return it with the dimension of its features."""
    if kind == "lite":
        return EfficientNetLite0(), efficientnet.FEATURES
    if kind == "resnet":
        sizes = get_resnet_sizes(options.pop("variant", "RN50")) | options
        sizes["blocks"] = tuple(sizes["blocks"])
        if len(sizes["blocks"]) != 4:
            raise ValueError(f"{where}.blocks {sizes['blocks']} must be those of four stages")
        for depth in sizes["blocks"]:
            check_divides(f"{where}.blocks", depth, "blocks", 1)
        check_choice(f"{where}.norm", sizes.get("norm", "sync"), NORMS)
        net = ResNet(**common, **sizes)
        return net, net.dim
    sizes = get_vit_sizes(options.pop("variant", "B/32")) | options
    check_patches(where, spec, sizes["patch"])
    check_heads(where, sizes["width"], sizes["heads"])
    sizes["pool"] = sizes.pop("token_pool", "token")
    check_choice(f"{where}.token_pool", sizes["pool"], POOLS)
    check_choice(f"{where}.act", sizes.get("act", "gelu"), ACTIVATIONS)
    dim = sizes.pop("dim", sizes["width"])
    return ViT(embed_dim=dim, **common, **sizes), dim
