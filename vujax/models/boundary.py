"""Heads that predict a scene boundary from the shots on both sides of a shot boundary.

Three kinds: 'mlp' and 'transformer' read the embeddings of the surrounding shots and are bound to
one encoder; 'similarity' reads only the similarities of those shots (`vujax.data.shot_similarity`),
has some hundred weights, and works with any encoder.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from vujax.models.layers import gelu, layer_norm, rms_normalize
from vujax.models.shot_encoder import build_shot_encoder

INPUTS = ("feature", "image", "audio")  # what a shot encoder may read


def normalize_shots(embeddings: jax.Array, mask: jax.Array) -> jax.Array:
    """Return embeddings `[b w d]` of root mean square 1, zeros where `mask` `[b w]` is False."""
    return jnp.where(mask[..., None], rms_normalize(embeddings), 0)


class MLPHead(nn.Module):
    """Dense layers over the concatenated embeddings of the shots around a shot boundary.

    Attributes:
      before: shots before the boundary.
      after: shots after it.
      hidden: widths.
      dropout: rate in training, for the input and each layer.
    """

    before: int = 4
    after: int = 4
    hidden: Sequence[int] = (256,)
    dropout: float = 0.5

    @property
    def window(self) -> dict[str, int]:
        """The head's input as options of `vujax.data.boundary_windows.BoundaryWindows`."""
        return {"before": self.before, "after": self.after}

    @nn.compact
    def __call__(self, vectors: jax.Array, mask: jax.Array, *, train: bool = False) -> jax.Array:
        """Compute logits `[b]`.

        Args:
          vectors: embeddings `[b w d]`.
          mask: bool `[b w]`, False past the film's end.
          train: True applies dropout.
        """
        x = normalize_shots(vectors, mask).reshape(len(vectors), -1)
        x = jnp.concatenate([x, mask.astype(x.dtype)], axis=1)
        for width in self.hidden:
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
            x = gelu(nn.Dense(width)(x))
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(1, name="out")(x)[:, 0]


class TransformerHead(nn.Module):
    """Small transformer over the shots around a boundary, read at the last shot before it.

    The sizes are those of BaSSL's contextual relation network (Mun et al. 2022), which sees 8 shots
    on each side of a middle one and predicts a scene boundary after it. Pre-layer-norm is our
    choice.

    Attributes:
      before: shots before the boundary, the middle one included.
      after: shots after it.
      width: of the residual stream.
      layers: depth.
      heads: of the attention; `width` must be a multiple.
      hidden: width inside the MLPs.
      dropout: rate in training, for the input, attention weights and residual updates.
    """

    before: int = 9
    after: int = 8
    width: int = 768
    layers: int = 2
    heads: int = 8
    hidden: int = 3072
    dropout: float = 0.1

    @property
    def window(self) -> dict[str, int]:
        """The head's input as options of `vujax.data.boundary_windows.BoundaryWindows`."""
        return {"before": self.before, "after": self.after}

    @nn.compact
    def __call__(self, vectors: jax.Array, mask: jax.Array, *, train: bool = False) -> jax.Array:
        """Compute logits `[b]`.

        Args:
          vectors: embeddings `[b w d]`.
          mask: bool `[b w]`, False past the film's end.
          train: True applies dropout.
        """
        drop = nn.Dropout(self.dropout, deterministic=not train)
        init = nn.initializers.normal(0.02)
        x = nn.Dense(self.width, name="project")(normalize_shots(vectors, mask))
        x = drop(x + self.param("position", init, (self.before + self.after, self.width)))
        seen = mask[:, None, None, :]
        for i in range(self.layers):
            attend = nn.MultiHeadDotProductAttention(
                self.heads, dropout_rate=self.dropout, deterministic=not train, name=f"attn{i}"
            )
            x = x + drop(attend(layer_norm(jnp.float32, f"ln{i}_1")(x), mask=seen))
            hidden = gelu(
                nn.Dense(self.hidden, name=f"fc{i}_1")(layer_norm(jnp.float32, f"ln{i}_2")(x))
            )
            x = x + drop(nn.Dense(self.width, name=f"fc{i}_2")(hidden))
        center = layer_norm(jnp.float32, "ln")(x[:, self.before - 1])
        return nn.Dense(1, name="out")(center)[:, 0]


def compute_block_statistics(similarity: jax.Array, mask: jax.Array) -> jax.Array:
    """Compute similarity statistics across a boundary and on either side, at every reach up to r.

    Args:
      similarity: `[b 2r 2r]`.
      mask: bool `[b 2r]`, False past the film's end.

    Returns:
      `[b 4r-2]`: for k = 1 ... r the mean and maximum similarity of the k shots before with the k
      after; for k = 2 ... r the means among the k before and among the k after. 0 without pairs.
    """
    reach = mask.shape[1] // 2
    known = mask[:, :, None] & mask[:, None, :] & ~np.eye(2 * reach, dtype=bool)
    values = jnp.where(known, similarity, 0)
    low = jnp.where(known, similarity, -jnp.inf)

    def mean(rows: slice, columns: slice) -> jax.Array:
        count = known[:, rows, columns].sum(axis=(1, 2))
        return values[:, rows, columns].sum(axis=(1, 2)) / jnp.maximum(count, 1)

    statistics = []
    for k in range(1, reach + 1):
        before, after = slice(reach - k, reach), slice(reach, reach + k)
        best = low[:, before, after].max(axis=(1, 2))
        statistics += [mean(before, after), jnp.where(jnp.isfinite(best), best, 0)]
        if k > 1:
            statistics += [mean(before, before), mean(after, after)]
    return jnp.stack(statistics, axis=1)


class SimilarityHead(nn.Module):
    """Dense layers over the similarities and durations of the shots around a boundary.

    The matrix is read as means and maxima of its blocks, growing outwards from the boundary: with
    few labels that generalizes better than single cosines. A film in reverse has the same scene
    boundaries, so the logit is the mean over both directions.

    Attributes:
      reach: shots on each side of the boundary.
      hidden: widths.
      dropout: rate in training, for the input.
      scale: rescaling of a film's cosines, see `vujax.data.shot_similarity`.
      gain: factor on the input; small inputs are learned slowly, so that the head stays smooth.
        This and the other defaults were chosen by leave-one-out over BBC films.
    """

    reach: int = 6
    hidden: Sequence[int] = (16, 16)
    dropout: float = 0.3
    scale: str = "film"
    gain: float = 0.4

    @property
    def window(self) -> dict[str, Any]:
        """The head's input as options of `vujax.data.boundary_windows.BoundaryWindows`."""
        return {"similarity": self.reach, "scale": self.scale}

    @nn.compact
    def __call__(
        self,
        similarity: jax.Array,
        duration: jax.Array,
        mask: jax.Array,
        *,
        train: bool = False,
    ) -> jax.Array:
        """Compute logits `[b]` from the arrays of `LocalSimilarity`, w = 2 reach.

        Args:
          similarity: `[b w w]`.
          duration: `[b w]`.
          mask: bool `[b w]`.
          train: True applies dropout.
        """
        forward = jnp.concatenate([compute_block_statistics(similarity, mask), duration], axis=1)
        reversed_statistics = compute_block_statistics(similarity[:, ::-1, ::-1], mask[:, ::-1])
        backward = jnp.concatenate([reversed_statistics, duration[:, ::-1]], axis=1)
        x = self.gain * jnp.stack([forward, backward], axis=1)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        for width in self.hidden:
            x = gelu(nn.Dense(width)(x))
        return nn.Dense(1, name="out")(x).mean(axis=(1, 2))


HEADS: dict[str, type[nn.Module]] = {
    "mlp": MLPHead,
    "transformer": TransformerHead,
    "similarity": SimilarityHead,
}


class BoundaryModel(nn.Module):
    """Boundary head with an optional shot encoder.

    Attributes:
      encoder: see `vujax.models.shot_encoder`; None: the batch holds embeddings under 'feature'.
      head: one of HEADS.
    """

    encoder: nn.Module | None
    head: nn.Module

    @property
    def window(self) -> dict[str, Any]:
        """Options of `vujax.data.boundary_windows.BoundaryWindows` for the head's rows."""
        return self.head.window

    def __call__(
        self, batch: dict[str, jax.Array], *, train: bool = False, axis_name: str | None = None
    ) -> tuple[jax.Array, dict[str, Any]]:
        """Compute `(logits [b], encoder outputs)` of rows of `BoundaryWindows`."""
        inputs, out = self.encode(batch, train=train, axis_name=axis_name)
        return self.predict(inputs, train=train), out

    def encode(
        self, batch: dict[str, jax.Array], *, train: bool = False, axis_name: str | None = None
    ) -> tuple[dict[str, jax.Array], dict[str, Any]]:
        """Compute the head's arguments, each `[b ...]`, from a batch; and the encoder's outputs."""
        if isinstance(self.head, SimilarityHead):
            return {name: batch[name] for name in ("similarity", "duration", "mask")}, {}
        if self.encoder is None:
            return {"vectors": batch["feature"], "mask": batch["mask"]}, {}
        rows = {k: v.reshape((-1, *v.shape[2:])) for k, v in batch.items() if k in INPUTS}
        vectors, out = self.encoder(rows, train=train, axis_name=axis_name)
        vectors = vectors.reshape((*batch["mask"].shape, -1))
        return {"vectors": vectors, "mask": batch["mask"]}, out

    def predict(self, inputs: dict[str, jax.Array], *, train: bool = False) -> jax.Array:
        """Compute logits `[b]` from the head's arguments."""
        return self.head(**inputs, train=train)


def build_boundary_head(*, kind: str = "mlp", **options: Any) -> nn.Module:
    """Build a head from plain values.

    Args:
      kind: 'mlp', 'transformer' or 'similarity'.
      **options: the attributes of MLPHead, TransformerHead or SimilarityHead.

    Raises:
      ValueError: the kind or an option is unknown, or sizes do not fit.
    """
    if kind not in HEADS:
        raise ValueError(f"unknown model.head.kind {kind!r}; expected one of: {', '.join(HEADS)}")
    known = [name for name in HEADS[kind].__dataclass_fields__ if name not in ("parent", "name")]
    if unknown := [name for name in options if name not in known]:
        raise ValueError(
            f"unknown option model.head.{unknown[0]} of the {kind} head; expected one of: "
            f"{', '.join(known)}"
        )
    if "hidden" in options and kind != "transformer":
        options["hidden"] = tuple(options["hidden"])
    head = HEADS[kind](**options)
    _check_sizes(head)
    return head


def _check_sizes(head: nn.Module) -> None:
    for name in ("before", "after", "reach"):
        if getattr(head, name, 1) < 1:
            raise ValueError(f"model.head.{name} must be at least 1, got {getattr(head, name)}")
    if isinstance(head, TransformerHead) and head.width % head.heads:
        raise ValueError(
            f"model.head.width {head.width} must be a multiple of model.head.heads {head.heads}"
        )


def build_boundary_model(
    *,
    head: Mapping[str, Any] | None = None,
    encoder: Mapping[str, Any] | None = None,
    **unknown: Any,
) -> BoundaryModel:
    """Build a boundary model from plain values.

    Args:
      head: arguments of `build_head`.
      encoder: arguments of `vujax.models.shot_encoder.build_shot_encoder`; None or empty: the
        shots' embeddings come from the data.
      **unknown: other options, rejected.

    Raises:
      ValueError: an option is unknown, or an encoder is given for the similarity head.
    """
    if unknown:
        raise ValueError(
            f"unknown option model.{next(iter(unknown))}; expected one of: head, encoder"
        )
    boundary_head = build_boundary_head(**(head or {}))
    if not encoder:
        return BoundaryModel(None, boundary_head)
    if isinstance(boundary_head, SimilarityHead):
        raise ValueError(
            "the similarity head reads cosines, computed by the data pipeline: remove "
            "model.encoder, or choose the mlp or transformer head"
        )
    return BoundaryModel(build_shot_encoder(**encoder), boundary_head)
