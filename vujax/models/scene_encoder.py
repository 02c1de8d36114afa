"""Transformer over the shots of scenes: one embedding for a single shot or a scene of any length.

    model = build_scene_encoder(variant="small", pool="cls")
    variables = model.init(jax.random.key(0), rows)     # rows: see `vujax.data.scene_batches`
    embeddings, out = model.apply(variables, rows)      # float32 [r s dim], one per scene

A shot is a token: of a feature that was computed before, of the embedding of a shot encoder, or of
the tokens of its keyframes, which attend to each other first. A token knows its shot's position in
the scene and the time gap to the previous shot. A row holds several scenes; each is processed as if
it were alone.

The plan, one vision transformer over single shots and over the shots of a scene, is that of Chen et
al., "Movies2Scenes: Using Movie Metadata to Learn Scene Representation" (2023), arXiv:2202.10650.
Sizes, positions and gaps are our choice.
"""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from vujax.models.clip import DTYPES
from vujax.models.layers import (
    ACTIVATIONS,
    Dense,
    ProjectionHead,
    Shard,
    identity,
    l2_normalize,
    layer_norm,
)
from vujax.models.shot_encoder import INPUTS, ShotEncoder, build_shot_encoder
from vujax.models.transformer import REMAT_POLICIES, Transformer, TransformerConfig
from vujax.models.vit import SIZES
from vujax.utils.validation import check_choice, check_divides, check_heads, check_known

Out = dict[str, Any]

POOLS = ("cls", "mean")
VARIANTS = {"tiny": SIZES["Mu"], "small": SIZES["S"], "base": SIZES["B"], "large": SIZES["L"]}
OPTIONS = (
    *("variant", "width", "layers", "heads", "dim", "encoder", "frame_layers", "frames"),
    *("pool", "max_shots", "gaps", "act", "dtype", "remat", "scan", "shard"),
)


def get_scene_sizes(variant: str) -> dict[str, int]:
    """Return width, layers and heads of a variant: those of `vit.SIZES`.

    Raises:
      ValueError: the variant is unknown.
    """
    check_choice("model.variant", variant, VARIANTS)
    return dict(VARIANTS[variant])


def bucket_gaps(time: jax.Array, place: jax.Array, buckets: int) -> jax.Array:
    """Bucket the time since the start of the previous shot, on a logarithmic scale.

    Args:
      time: float `[r w]`, start of each shot in any unit: seconds, or numbers of shots.
      place: int `[r w]`, position of the shot in its scene; the first has no gap.
      buckets: number of buckets.

    Returns:
      int32 `[r w]`: round(2 log2(1 + gap)), at most buckets - 1: 0 for no gap, 2 for 1, 7 for 10.
    """
    since = jnp.where(place > 0, time - jnp.roll(time, 1, axis=1), 0)
    bucket = jnp.round(2 * jnp.log2(1 + jnp.maximum(since, 0)))
    return jnp.minimum(bucket, buckets - 1).astype(jnp.int32)


def compute_segment_means(x: jax.Array, segment: jax.Array, scenes: int) -> jax.Array:
    """Average x [r w d] over the shots of segments 1, 2, ... -> [r scenes d]; 0 for absent ones."""
    mine = (segment[:, None] == jnp.arange(1, scenes + 1)[:, None]).astype(jnp.float32)
    count = jnp.maximum(mine.sum(axis=-1, keepdims=True), 1)
    return jnp.einsum("rsw,rwd->rsd", mine / count, x.astype(jnp.float32), precision="highest")


class ShotTokens(nn.Module):
    """Inputs of shots -> (tokens [r w width] float32, out); see `SceneViT` for attributes.

    Embeddings are scaled to root mean square 1 first, since encoders differ in length by orders of
    magnitude.
    """

    width: int
    heads: int
    encoder: ShotEncoder | None = None
    frame_layers: int = 0
    frames: int = 3
    act: str = "gelu"
    dtype: DTypeLike = jnp.float32
    remat: str = "none"
    shard: Shard = identity

    @nn.compact
    def __call__(
        self, rows: Mapping[str, jax.Array], *, train: bool, axis_name: str | None
    ) -> tuple[jax.Array, Out]:
        """Compute the tokens.

        Raises:
          ValueError: an input is missing, or its shape does not fit.
        """
        x, out = self._embed_shots(rows, train, axis_name)
        x = l2_normalize(x) * math.sqrt(x.shape[-1])
        x = Dense(self.width, x.shape[-1] ** -0.5, self.dtype, name="input")(x)
        if self.frame_layers:
            x = self._join_keyframes(x)
        return x.astype(jnp.float32), out

    def _embed_shots(
        self, rows: Mapping[str, jax.Array], train: bool, axis_name: str | None
    ) -> tuple[jax.Array, Out]:
        """Return embeddings [r w f], or of keyframes [r w k f]."""
        lead = rows["segment"].shape
        if self.encoder is None:
            _check_features(rows, bool(self.frame_layers))
            return rows["feature"], {}
        flat = {
            name: rows[name].reshape((-1, *rows[name].shape[2:])) for name in INPUTS if name in rows
        }
        x, out = self.encoder(flat, train=train, axis_name=axis_name)
        x = out["image/keyframes"] if self.frame_layers else x
        return x.reshape((*lead, *x.shape[1:])), out

    def _join_keyframes(self, x: jax.Array) -> jax.Array:
        """Join the tokens of a shot's keyframes, [r w k width] -> [r w width]."""
        r, w, k, width = x.shape
        if k > self.frames:
            raise ValueError(
                f"shots have {k} keyframes, but this model has {self.frames} keyframe positions: "
                "set model.frames"
            )
        init = nn.initializers.normal(width**-0.5)
        place = self.param("frame", init, (self.frames, width))
        x = (x.astype(jnp.float32) + place[:k]).astype(self.dtype).reshape(r * w, k, width)
        config = TransformerConfig.from_module(self, layers=self.frame_layers)
        x, _ = Transformer(config, name="frames")(x)
        return x.astype(jnp.float32).mean(axis=1).reshape(r, w, width)


def _check_features(rows: Mapping[str, jax.Array], of_frames: bool) -> None:
    if "feature" not in rows:
        raise ValueError(
            "rows have no 'feature', and this model has no shot encoder: give model.encoder, or "
            "features of the shots"
        )
    shape, wanted = rows["feature"].shape, "[r w k f]" if of_frames else "[r w f]"
    if len(shape) != (4 if of_frames else 3):
        raise ValueError(
            f"features of shape {shape} do not fit this model, which takes {wanted}: features of "
            "single keyframes need model.frame_layers of at least 1, those of shots 0"
        )


class SceneViT(nn.Module):
    """Rows of shots -> (embeddings [r s dim] float32, out); not normalized, 0 in empty slots.

    A scene's embedding does not depend on its row, slot or neighbors, and neither does its
    gradient. (A shot encoder whose norms use the batch's own statistics in training is the
    exception: there, padding is part of the batch.) A shot past `max_shots` makes its row NaN.

    `out` holds the shot encoder's outputs under 'shot/...', 'tokens' [r w width] that enter the
    blocks, the blocks' streams as `Transformer` names them (with 'cls' their first s tokens are the
    scenes'), 'shots' [r w width] of the last one, and 'pooled' [r s width], the input of the last
    layer.

    Attributes:
      width: of the residual stream.
      layers: depth.
      heads: of the attention.
      dim: of the embeddings.
      encoder: of shots, or None: the rows hold 'feature' [r w f].
      frame_layers: blocks in which the keyframes of a shot attend to each other, before their mean
        becomes the shot's token; features are then [r w k f]. 0: the shot encoder's embedding is
        the token.
      frames: maximum keyframes of a shot, with frame_layers.
      pool: 'cls', a class token for each scene, or 'mean', of its shots.
      max_shots: of a scene.
      gaps: buckets of the time between shots, see `bucket_gaps`; 0: time is not an input.
      act: a key of `layers.ACTIVATIONS`.
      dtype: compute dtype; parameters and embeddings stay float32.
      remat: a key of `transformer.REMAT_POLICIES`.
      scan: see `TransformerConfig`.
      shard: see `TransformerConfig`.
    """

    width: int
    layers: int
    heads: int
    dim: int
    encoder: ShotEncoder | None = None
    frame_layers: int = 0
    frames: int = 3
    pool: str = "cls"
    max_shots: int = 64
    gaps: int = 16
    act: str = "gelu"
    dtype: DTypeLike = jnp.float32
    remat: str = "none"
    scan: bool = False
    shard: Shard = identity

    @nn.compact
    def __call__(
        self,
        rows: Mapping[str, jax.Array],
        *,
        train: bool = False,
        axis_name: str | None = None,
    ) -> tuple[jax.Array, Out]:
        """Compute one embedding per segment.

        Args:
          rows: the shots' inputs [r w ...], segment and place int32 [r w], time [r w], and scene
            [r s], of which only s matters: the maximum of segments in a row.
          train: True trains the norms of the shot encoder.
          axis_name: mesh axis of the devices, for those norms.

        Raises:
          ValueError: an input is missing, or its shape does not fit.
        """
        segment, scenes = rows["segment"], rows["scene"].shape[1]
        slots = jnp.broadcast_to(jnp.arange(1, scenes + 1), (len(segment), scenes))
        tokens, encoder_out = self._tokens(rows, train, axis_name)
        out = {f"shot/{name}": value for name, value in encoder_out.items()} | dict(tokens=tokens)
        has_cls = self.pool == "cls"
        x = self._prepend_class_tokens(tokens, scenes) if has_cls else tokens
        place = jnp.concatenate([slots, segment], axis=1) if has_cls else segment
        x, streams = self._blocks(x, place)
        shots = x[:, scenes:] if has_cls else x
        x = x[:, :scenes] if has_cls else compute_segment_means(shots, segment, scenes)
        pooled, embeddings = ProjectionHead(self.dim, name="head")(x)
        is_used = (segment[:, None] == slots[..., None]).any(axis=-1, keepdims=True)
        return jnp.where(is_used, embeddings, 0), out | streams | dict(shots=shots, pooled=pooled)

    def _tokens(
        self, rows: Mapping[str, jax.Array], train: bool, axis_name: str | None
    ) -> tuple[jax.Array, Out]:
        embed = ShotTokens(
            width=self.width,
            heads=self.heads,
            encoder=self.encoder,
            frame_layers=self.frame_layers,
            frames=self.frames,
            act=self.act,
            dtype=self.dtype,
            remat=self.remat,
            shard=self.shard,
            name="shot",
        )
        x, out = embed(rows, train=train, axis_name=axis_name)
        return self._add_positions(x, rows), out

    def _add_positions(self, x: jax.Array, rows: Mapping[str, jax.Array]) -> jax.Array:
        """Add the positions and the gaps of the shots to their tokens."""
        init = nn.initializers.normal(self.width**-0.5)
        position = self.param("position", init, (self.max_shots, self.width))
        x = x + jnp.take(position, rows["place"], axis=0)  # NaN for a place past the end
        if self.gaps:
            gap = self.param("gap", init, (self.gaps, self.width))
            x = x + jnp.take(gap, bucket_gaps(rows["time"], rows["place"], self.gaps), axis=0)
        return x

    def _prepend_class_tokens(self, x: jax.Array, scenes: int) -> jax.Array:
        """Prepend a class token per scene, [r w width] -> [r scenes+w width]."""
        token = self.param("class_token", nn.initializers.normal(self.width**-0.5), (self.width,))
        return jnp.concatenate([jnp.broadcast_to(token, (len(x), scenes, self.width)), x], axis=1)

    def _blocks(self, x: jax.Array, segment: jax.Array) -> tuple[jax.Array, Out]:
        """Apply the blocks; a token attends to its segment, and padding is a segment as well."""
        mask = (segment[:, :, None] == segment[:, None, :])[:, None]
        stack = Transformer(TransformerConfig.from_module(self), name="transformer")
        return stack(layer_norm(self.dtype, "ln_pre")(x), mask)


def build_scene_encoder(
    *,
    variant: str = "small",
    encoder: Mapping[str, Any] | None = None,
    dtype: str = "float32",
    shard: Shard = identity,
    remat: str = "none",
    dim: int | None = None,
    **options: Any,
) -> SceneViT:
    """Build a scene encoder from plain configuration values.

    Args:
      variant: 'tiny', 'small', 'base' or 'large'; `width`, `layers` and `heads` override it.
      encoder: arguments of `vujax.models.shot_encoder.build_shot_encoder`; None or empty: shots
        come as features.
      dtype: compute dtype, 'float32' or 'bfloat16'; the encoder's default too.
      shard: see `TransformerConfig`; the encoder's too.
      remat: a key of `transformer.REMAT_POLICIES`; the encoder's default too.
      dim: of the embeddings; None: the width.
      **options: other attributes of `SceneViT`.

    Raises:
      ValueError: an option or variant is unknown, or sizes do not fit.
    """
    check_known("model", options, OPTIONS)
    sizes = get_scene_sizes(variant) | options
    for name, value, known in (
        ("dtype", dtype, DTYPES),
        ("remat", remat, REMAT_POLICIES),
        ("pool", sizes.get("pool", "cls"), POOLS),
        ("act", sizes.get("act", "gelu"), ACTIVATIONS),
    ):
        check_choice(f"model.{name}", value, known)
    check_heads("model", sizes["width"], sizes["heads"])
    dim = sizes["width"] if dim is None else dim
    for name, value in (("dim", dim), *((n, sizes.get(n, 1)) for n in ("max_shots", "frames"))):
        check_divides(f"model.{name}", value, "units", 1)
    common = dict(dtype=dtype, remat=remat, shard=shard)
    shots = build_shot_encoder(**(common | dict(encoder.items()))) if encoder else None
    if sizes.get("frame_layers", 0) and shots is not None:
        _check_keyframes(shots)
    return SceneViT(
        **sizes, dim=dim, encoder=shots, dtype=jnp.dtype(dtype), remat=remat, shard=shard
    )


def _check_keyframes(encoder: ShotEncoder) -> None:
    if encoder.inputs != ("image",) or encoder.image.pool != "mean" or encoder.projection.widths:
        raise ValueError(
            "model.frame_layers joins the embeddings of single keyframes: give model.encoder an "
            "image with pool 'mean' and nothing else, or set model.frame_layers to 0"
        )
