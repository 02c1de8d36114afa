"""Heads that judge a border between two shots: does a scene begin here?

Three kinds. 'mlp' and 'transformer' read the vectors of the shots around a border and know one
encoder; 'similarity' reads only how alike those shots are (`vujax.data.shot_similarity`), in some
hundred weights, and knows none.
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
    """The vectors of all shots around a border, side by side, through dense layers.

    Attributes:
      before: shots before the border.
      after: shots after it.
      hidden: widths.
      dropout: share of the activations dropped in training, of the input's and of each layer's.
    """

    before: int = 4
    after: int = 4
    hidden: Sequence[int] = (256,)
    dropout: float = 0.5

    @property
    def window(self) -> dict[str, int]:
        """What the head sees, as options of `vujax.data.boundary_windows.BoundaryWindows`."""
        return {"before": self.before, "after": self.after}

    @nn.compact
    def __call__(self, vectors: jax.Array, mask: jax.Array, *, train: bool = False) -> jax.Array:
        """Vectors `[b w d]` and mask bool `[b w]` (False: past the film's end) -> logits `[b]`."""
        x = normalize_shots(vectors, mask).reshape(len(vectors), -1)
        x = jnp.concatenate([x, mask.astype(x.dtype)], axis=1)
        for width in self.hidden:
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
            x = gelu(nn.Dense(width)(x))
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(1, name="out")(x)[:, 0]


class TransformerHead(nn.Module):
    """A small transformer over the shots around a border; the last shot before it gives the answer.

    The sizes are those of BaSSL's contextual relation network (Mun et al. 2022), which sees 8 shots
    on each side of a middle one and asks whether a scene ends with that. Layer norm before each
    part is our choice.

    Attributes:
      before: shots before the border, the middle one counted.
      after: shots after it.
      width: of the residual stream.
      layers: depth.
      heads: of the attention; `width` must be a multiple.
      hidden: width inside the MLPs.
      dropout: share dropped in training of the input, of attention weights and of what each part
        adds.
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
        """What the head sees, as options of `vujax.data.boundary_windows.BoundaryWindows`."""
        return {"before": self.before, "after": self.after}

    @nn.compact
    def __call__(self, vectors: jax.Array, mask: jax.Array, *, train: bool = False) -> jax.Array:
        """Vectors `[b w d]` and mask bool `[b w]` (False: past the film's end) -> logits `[b]`."""
        drop = nn.Dropout(self.dropout, deterministic=not train)
        places = nn.initializers.normal(0.02)
        x = nn.Dense(self.width, name="project")(normalize_shots(vectors, mask))
        x = drop(x + self.param("position", places, (self.before + self.after, self.width)))
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
        centre = layer_norm(jnp.float32, "ln")(x[:, self.before - 1])
        return nn.Dense(1, name="out")(centre)[:, 0]


def compute_block_statistics(similarity: jax.Array, mask: jax.Array) -> jax.Array:
    """How alike the shots are across a border and on either side of it, at every reach up to r.

    Args:
      similarity: `[b 2r 2r]`.
      mask: bool `[b 2r]`, False past the film's end.

    Returns:
      `[b 4r-2]`: for k = 1 ... r the mean and the greatest similarity of the k shots before with
      the k after; for k = 2 ... r the means among the k before and among the k after. 0 where there
      is no pair.
    """
    reach = mask.shape[1] // 2
    known = mask[:, :, None] & mask[:, None, :] & ~np.eye(2 * reach, dtype=bool)
    values = jnp.where(known, similarity, 0)
    low = jnp.where(known, similarity, -jnp.inf)

    def mean(rows: slice, columns: slice) -> jax.Array:
        count = known[:, rows, columns].sum(axis=(1, 2))
        return values[:, rows, columns].sum(axis=(1, 2)) / jnp.maximum(count, 1)

    found = []
    for k in range(1, reach + 1):
        before, after = slice(reach - k, reach), slice(reach, reach + k)
        best = low[:, before, after].max(axis=(1, 2))
        found += [mean(before, after), jnp.where(jnp.isfinite(best), best, 0)]
        if k > 1:
            found += [mean(before, before), mean(after, after)]
    return jnp.stack(found, axis=1)


class SimilarityHead(nn.Module):
    """Dense layers over how alike the shots around a border are, and how long.

    The matrix is read as means and maxima of its blocks, growing outwards from the border: with few
    labels that is learned better than its single cosines. The same film told backwards has its
    scenes at the same borders, so the logit is the mean of those of both directions.

    Attributes:
      reach: shots on each side of the border.
      hidden: widths.
      dropout: share of the input dropped in training.
      scale: how a film's cosines are put on one scale, see `vujax.data.shot_similarity.rescale`.
      gain: what the input is multiplied by; small inputs are learned slowly, so that the head stays
        smooth. This and the other defaults were chosen by leaving out BBC films.
    """

    reach: int = 6
    hidden: Sequence[int] = (16, 16)
    dropout: float = 0.3
    scale: str = "film"
    gain: float = 0.4

    @property
    def window(self) -> dict[str, Any]:
        """What the head sees, as options of `vujax.data.boundary_windows.BoundaryWindows`."""
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
        """The rows of `LocalSimilarity` with w = 2 reach -> logits `[b]`.

        Args:
          similarity: `[b w w]`.
          duration: `[b w]`.
          mask: bool `[b w]`.
          train: whether inputs are dropped.
        """
        forward = jnp.concatenate([compute_block_statistics(similarity, mask), duration], axis=1)
        turned = compute_block_statistics(similarity[:, ::-1, ::-1], mask[:, ::-1])
        backward = jnp.concatenate([turned, duration[:, ::-1]], axis=1)
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
    """A head, and the shot encoder under it if the shots are not vectors already.

    Attributes:
      encoder: see `vujax.models.shot_encoder`, or None: the batch holds vectors, named 'feature'.
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
        """`(logits [b], the encoder's further outputs)` of rows of `BoundaryWindows`."""
        inputs, out = self.encode(batch, train=train, axis_name=axis_name)
        return self.judge(inputs, train=train), out

    def encode(
        self, batch: dict[str, jax.Array], *, train: bool = False, axis_name: str | None = None
    ) -> tuple[dict[str, jax.Array], dict[str, Any]]:
        """The head's arguments, each `[b ...]`, from a batch's; and the encoder's outputs."""
        if isinstance(self.head, SimilarityHead):
            return {name: batch[name] for name in ("similarity", "duration", "mask")}, {}
        if self.encoder is None:
            return {"vectors": batch["feature"], "mask": batch["mask"]}, {}
        rows = {k: v.reshape(-1, *v.shape[2:]) for k, v in batch.items() if k in INPUTS}
        vectors, out = self.encoder(rows, train=train, axis_name=axis_name)
        vectors = vectors.reshape(*batch["mask"].shape, -1)
        return {"vectors": vectors, "mask": batch["mask"]}, out

    def judge(self, inputs: dict[str, jax.Array], *, train: bool = False) -> jax.Array:
        """Logits `[b]` from the head's arguments."""
        return self.head(**inputs, train=train)


def build_boundary_head(*, kind: str = "mlp", **options: Any) -> nn.Module:
    """A head from plain values.

    Args:
      kind: 'mlp', 'transformer' or 'similarity'.
      **options: the attributes of MLPHead, TransformerHead or SimilarityHead.

    Raises:
      ValueError: an unknown kind or option, or sizes that do not fit.
    """
    if kind not in HEADS:
        raise ValueError(f"Unknown model.head.kind {kind!r}: give one of {', '.join(HEADS)}.")
    known = [name for name in HEADS[kind].__dataclass_fields__ if name not in ("parent", "name")]
    if unknown := [name for name in options if name not in known]:
        raise ValueError(
            f"Unknown option model.head.{unknown[0]}: the options of the {kind} head are "
            f"{', '.join(known)}."
        )
    if "hidden" in options and kind != "transformer":
        options["hidden"] = tuple(options["hidden"])
    head = HEADS[kind](**options)
    _check_sizes(head)
    return head


def _check_sizes(head: nn.Module) -> None:
    for name in ("before", "after", "reach"):
        if getattr(head, name, 1) < 1:
            raise ValueError(f"model.head.{name} must be at least 1, not {getattr(head, name)}.")
    if isinstance(head, TransformerHead) and head.width % head.heads:
        raise ValueError(
            f"model.head.width {head.width} must be a multiple of model.head.heads {head.heads}."
        )


def build_boundary_model(
    *,
    head: Mapping[str, Any] | None = None,
    encoder: Mapping[str, Any] | None = None,
    **unknown: Any,
) -> BoundaryModel:
    """A boundary model from plain values.

    Args:
      head: arguments of `build_head`.
      encoder: arguments of `vujax.models.shot_encoder.build_shot_encoder`; None or empty: the
        shots' embeddings come from the data.
      **unknown: anything else, an error.

    Raises:
      ValueError: an unknown option, or an encoder under a head that reads no vectors.
    """
    if unknown:
        raise ValueError(
            f"Unknown option model.{next(iter(unknown))}: the options of model are head, encoder."
        )
    judge = build_boundary_head(**(head or {}))
    if not encoder:
        return BoundaryModel(None, judge)
    if isinstance(judge, SimilarityHead):
        raise ValueError(
            "The similarity head reads cosines, made when the data are read: take model.encoder "
            "away, or choose the mlp or transformer head."
        )
    return BoundaryModel(build_shot_encoder(**encoder), judge)
