"""Methods of psd_features.py and the numbers that are tried for each."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from vujax.methods.base import Batch, Embeddings, StepContext, Tree
from vujax.methods.distill import Distill
from vujax.models.layers import l2_normalize


@dataclasses.dataclass(frozen=True)
class TracedDistill(Distill):
    """`Distill` whose numbers may be traced, so that one program serves all their values.

    Attributes:
      soft: True if rows may have soft targets.
    """

    soft: bool = False

    def __post_init__(self) -> None:
        """Check nothing: a traced number has no value yet."""

    @property
    def has_soft_targets(self) -> bool:
        """See `soft`."""
        return self.soft

    @property
    def has_dropout(self) -> bool:
        """True: a rate of 0 drops nothing."""
        return True


class KnownAlignments(TracedDistill):
    """All captions that truly fit an image are its targets, equally, and the reverse."""

    def embed(self, params: Tree, aux: Tree, batch: Batch, context: StepContext) -> Embeddings:
        """See `Distill.embed`; the teacher is the truth."""
        rows, shared = super().embed(params, aux, batch, context)
        facts = (batch["image_facts"], batch["text_facts"])
        dim = rows["image"].shape[1]  # the loss wants equal dimensions
        return Embeddings(rows | {"teacher": tuple(pad(side, dim) for side in facts)}, shared)


@dataclasses.dataclass(frozen=True)
class NeighborTargets(TracedDistill):
    """Logits of the teacher plus similarities of the frozen features of one side.

    Soft targets are then high where the model and the features agree. Text features alone are the
    targets of SoftCLIP (Gao et al. 2023, arXiv:2303.17561), there of both sides' features.

    Attributes:
      side: 'text' or 'image', whose features are compared.
      neighbor_weight: multiplier of their cosines, the inverse of a temperature.
      model_weight: multiplier of the model's own logits.
    """

    side: str = "text"
    neighbor_weight: float = 0.0
    model_weight: float = 1.0

    def embed(self, params: Tree, aux: Tree, batch: Batch, context: StepContext) -> Embeddings:
        """See `Distill.embed`; the teacher's rows get the features as further dimensions."""
        rows, shared = super().embed(params, aux, batch, context)
        own = l2_normalize(batch["tokens" if self.side == "text" else "image"])
        factor = self.neighbor_weight * self.teacher_temperature / shared["scale"]
        own *= jnp.sqrt(jax.lax.stop_gradient(factor))
        image, text = rows["teacher"]
        teacher = tuple(jnp.concatenate([x, own], 1) for x in (self.model_weight * image, text))
        dim = teacher[0].shape[1]
        padded = {side: pad(rows[side], dim) for side in ("image", "text")}
        return Embeddings(padded | {"teacher": teacher}, shared)


def pad(rows: jax.Array, dim: int) -> jax.Array:
    """Append zeros to rows `[n d]` -> `[n dim]`, which changes no dot product."""
    return jnp.pad(rows, ((0, 0), (0, dim - rows.shape[1])))


@dataclasses.dataclass(frozen=True)
class Setting:
    """A method with the values that were tried.

    Attributes:
      tries: numbers of each try, the same count for every method.
      options: of the method that are not traced.
      kind: its class.
      clean: train on the pairs with right captions only, for as many steps.
    """

    tries: tuple[dict[str, float], ...]
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    kind: type[TracedDistill] = TracedDistill
    clean: bool = False


def grid(name: str, values: tuple[float, ...], **fixed: float) -> tuple[dict[str, float], ...]:
    """Return tries that differ in one number."""
    return tuple({name: value, **fixed} for value in values)


RATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
PSD = dict(
    soft=True,
    target="half_columns",
    teacher_temperature=0.5,
    unaligned_begin=0.1,
    unaligned_full=0.4,
)
ALBEF = dict(soft=True, target="plain", teacher="ema", unaligned_begin=0.0, unaligned_full=0.1)
METHODS = {
    "CLIP": Setting(grid("weight_decay", (0.01, 0.03, 0.1, 0.3, 1.0, 3.0))),
    "CLIP, dropout": Setting(grid("dropout", (0.1, 0.2, 0.3, 0.4, 0.5, 0.6))),
    "SigLIP": Setting(grid("dropout", RATES), dict(loss="sigmoid")),
    "CyCLIP": Setting(grid("dropout", RATES), dict(cyclip=0.25)),
    "label smoothing": Setting(grid("dropout", RATES), dict(label_smoothing=0.1)),
    "ALBEF mixing": Setting(
        grid("dropout", (0.1, 0.3, 0.5), unaligned_end=1.0, soft_weight=0.4)
        + grid("dropout", (0.1, 0.3, 0.5), unaligned_end=1.0, soft_weight=0.8),
        ALBEF,
    ),
    "PSD": Setting(
        grid("dropout", (0.1, 0.2, 0.3), unaligned_end=0.7)
        + grid("dropout", (0.1, 0.2, 0.3), unaligned_end=0.9),
        PSD,
    ),
    "oracle filter": Setting(grid("dropout", RATES), clean=True),
    "multi-positive oracle": Setting(
        grid("dropout", RATES, unaligned_end=1.0),
        dict(soft=True, target="plain", unaligned_begin=0.0, unaligned_full=0.0),
        KnownAlignments,
    ),
}
SOFT = dict(dropout=0.1, unaligned_end=0.9)  # PSD's best on frames
NEIGHBORS = PSD | dict(side="text")
FAULTY = {  # methods against faulty negatives
    "PSD, temperature": Setting(
        grid("teacher_temperature", (0.7, 0.85, 1.0), **SOFT),
        {k: v for k, v in PSD.items() if k != "teacher_temperature"},
    ),
    "PSD, EMA": Setting(
        grid("teacher_decay", (0.9, 0.97, 0.99), **SOFT), PSD | dict(teacher="ema")
    ),
    "text targets": Setting(
        grid("neighbor_weight", (10.0, 20.0, 40.0), **SOFT, model_weight=0.0),
        NEIGHBORS,
        NeighborTargets,
    ),
    "PSD + texts": Setting(
        grid("neighbor_weight", (5.0, 10.0, 20.0), **SOFT), NEIGHBORS, NeighborTargets
    ),
    "PSD + images": Setting(
        grid("neighbor_weight", (5.0, 10.0, 20.0), **SOFT),
        NEIGHBORS | dict(side="image"),
        NeighborTargets,
    ),
}
