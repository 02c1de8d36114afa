"""PSD: robust image-text training by progressive self-distillation (Andonian et al., CVPR 2022).

Each step a random subset of the batch is "unaligned": its rows learn from soft targets that the
model itself computes, the rest from the pairing. The subset grows during the training. With no
unaligned rows the loss is CLIP's. The shares, the swap of targets between image and text, and every
default here are our choices: the paper's values are not known to us.

Image-text pairs, for a model of two towers.
"""

import dataclasses
import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections
from jax import lax
from jax.sharding import Mesh

from vujax import losses, models
from vujax.data.image_text import ImageTextPairs
from vujax.methods import diagnostics
from vujax.methods.base import Batch, Embeddings, MethodSpec, whole, with_statistics
from vujax.models.clip import CLIP
from vujax.models.inputs import open_preprocessing
from vujax.optim import update_ema
from vujax.utils.mesh import row_sharding


def build_model(config: ml_collections.ConfigDict, mesh: Mesh) -> CLIP:
    """The towers; under FSDP their activations are told to stay divided by rows."""
    settings = config.model.to_dict()
    if not config.fsdp:
        return models.build_clip(**settings)
    shard = functools.partial(jax.lax.with_sharding_constraint, shardings=row_sharding(mesh))
    return models.build_clip(**settings, shard=shard)


def batch_spec(config: ml_collections.ConfigDict, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
    """Pictures, captions as tokens, positions in the stream, and samples that were replaced."""
    size, context = config.model.image.image_size, config.model.text.context
    return {
        "image": jax.ShapeDtypeStruct((rows, size, size, 3), jnp.uint8),
        "tokens": jax.ShapeDtypeStruct((rows, context), jnp.int32),
        "index": jax.ShapeDtypeStruct((rows,), jnp.int32),
        "bad": jax.ShapeDtypeStruct((rows,), jnp.int32),
    }


def open_data(config: ml_collections.ConfigDict) -> ImageTextPairs:
    """Open the sources of `config.data`."""
    model = config.model
    preprocess = open_preprocessing(config.get("init_from"), model.text.context)
    return ImageTextPairs(
        config.data, image_size=model.image.image_size, tokenizer=preprocess.tokenizer
    )


Tree = Any

SAMPLE = 128  # rows whose soft targets are watched


def unaligned_share(progress: jax.Array, start: float, end: float) -> jax.Array:
    """Half a cosine from `start` (progress 0) to `end` (progress 1)."""
    return start + (end - start) * 0.5 * (1.0 - jnp.cos(jnp.pi * jnp.clip(progress, 0.0, 1.0)))


def partition(rng: jax.Array, share: jax.Array, n: int, axis_name: str | None) -> jax.Array:
    """Which rows are unaligned: `[n]` bool, exactly `round(share * N)` True among all N rows.

    Args:
      rng: the step's key, the same on every device, so that all cut the same global partition.
      share: `()` in [0, 1].
      n: rows of this device.
      axis_name: None: these rows are the whole batch (N = n).
    """
    devices = 1 if axis_name is None else lax.axis_size(axis_name)
    place = jax.random.permutation(rng, n * devices)
    mask = place < jnp.round(share * n * devices)
    if axis_name is None:
        return mask
    return lax.dynamic_slice_in_dim(mask, lax.axis_index(axis_name) * n, n)


def alarms(stats: dict[str, jax.Array], n: int, progress: jax.Array) -> dict[str, jax.Array]:
    """1 where a number tells of collapse, else 0; the loop warns when one rises."""
    uniform = {"alarm/uniform_targets": stats["target_entropy"] > 0.98 * jnp.log(n)}
    return diagnostics.alarms(stats, progress) | diagnostics.late(uniform, progress)


@dataclasses.dataclass(frozen=True)
class Distill:
    """Progressive self-distillation of an image-text model, and its controls.

    Attributes:
      model: gives unit vectors and the temperature's multiplier (see `vujax.models.clip`).
      loss: 'softmax' (CLIP and PSD) or 'sigmoid' (SigLIP; takes no soft targets).
      target: 'swapped' (image i takes text i's row) or 'plain'.
      teacher: 'self', or 'ema' for an average of past parameters.
      teacher_decay: of that average, per optimizer step.
      teacher_temperature: divides the teacher's logits.
      soft_weight: of the soft target in an unaligned row; the rest is the pairing (ALBEF: 0.4).
      unaligned_start: share of unaligned rows at the start.
      unaligned_end: share at the end.
      label_smoothing: of the aligned rows.
      cyclip: weight of each of CyCLIP's two consistency terms (0.25 there).
    """

    model: nn.Module
    loss: str = "softmax"
    target: str = "swapped"
    teacher: str = "self"
    teacher_decay: float = 0.99
    teacher_temperature: float = 1.0
    soft_weight: float = 1.0
    unaligned_start: float = 0.0
    unaligned_end: float = 0.8
    label_smoothing: float = 0.0
    cyclip: float = 0.0

    def __post_init__(self) -> None:
        choices = {
            "loss": ("softmax", "sigmoid"),
            "target": ("swapped", "plain"),
            "teacher": ("self", "ema"),
        }
        for field, known in choices.items():
            if getattr(self, field) not in known:
                raise ValueError(
                    f"method.{field} '{getattr(self, field)}' is unknown: use one of {known}"
                )
        if self.loss == "sigmoid" and (self.softens or self.label_smoothing):
            raise ValueError(
                "method.loss 'sigmoid' has no soft targets: set method.unaligned_start, "
                "method.unaligned_end and method.label_smoothing to 0"
            )

    @property
    def softens(self) -> bool:
        """Whether any row ever learns from soft targets."""
        return bool(self.unaligned_start or self.unaligned_end)

    def init(self, rng: jax.Array, batch: Batch) -> tuple[Tree, Tree]:
        """See `vujax.methods.base.Method`."""
        extra = dict(self.model.init(rng, batch["image"], batch["tokens"]))
        params = extra.pop("params")
        if self.loss == "sigmoid":  # SigLIP's start: scale 10, bias -10
            scale, bias = jnp.log(jnp.full((), 10.0)), jnp.full((), -10.0)
            params = params | {"logit_scale": scale, "logit_bias": bias}
        if self.teacher == "ema":
            extra["teacher"] = jax.tree.map(jnp.copy, params)
        return params, extra

    def begin(self, extra: Tree, variables: Tree) -> Tree:
        """The batch norms' statistics, and the teacher as the student, if there is one."""
        extra = with_statistics(extra, variables)
        return extra | ({"teacher": variables["params"]} if "teacher" in extra else {})

    def layout(self, extra: Tree) -> Tree:
        """Everything is whole on every device."""
        return whole(extra)

    def embed(
        self, params: Tree, extra: Tree, batch: Batch, rng: jax.Array, axis_name: str | None
    ) -> Embeddings:
        """Unit vectors of images and texts, the teacher's beside them, and the temperature."""
        del rng  # no dropout
        out, statistics = self._apply(params, extra, batch, axis_name)
        rows = {"image": out["image"], "text": out["text"]}
        shared = {"scale": out["scale"]} | statistics
        if self.loss == "sigmoid":
            shared["bias"] = params["logit_bias"]
        if self.teacher == "ema":
            taught, _ = self._apply(extra["teacher"], extra, batch, axis_name)
            rows["teacher"] = lax.stop_gradient((taught["image"], taught["text"]))
        return Embeddings(rows, shared)

    def _apply(
        self, params: Tree, extra: Tree, batch: Batch, axis_name: str | None
    ) -> tuple[dict[str, jax.Array], dict[str, Tree]]:
        """The model's outputs, and new batch statistics if it has any."""
        inputs = (batch["image"], batch["tokens"])
        if "batch_stats" not in extra:
            out, _ = self.model.apply({"params": params}, *inputs)
            return out, {}
        variables = {"params": params, "batch_stats": extra["batch_stats"]}
        (out, _), updated = self.model.apply(
            variables, *inputs, train=True, axis_name=axis_name, mutable=["batch_stats"]
        )
        return out, dict(updated)

    def objective(
        self,
        embeddings: Embeddings,
        extra: Tree,
        rng: jax.Array,
        progress: jax.Array,
        axis_name: str | None,
    ) -> tuple[jax.Array, tuple[Tree, dict[str, jax.Array]]]:
        """The loss, and scalars that show whether the model still tells examples apart."""
        rows, shared = embeddings
        share = unaligned_share(progress, self.unaligned_start, self.unaligned_end)
        loss = self._loss(rows, shared, rng, share, axis_name)
        if self.cyclip:
            weights = dict(in_modal=self.cyclip, cross_modal=self.cyclip)
            loss += losses.cyclip(rows["image"], rows["text"], axis_name=axis_name, **weights)
        if "batch_stats" in shared:
            extra = extra | {"batch_stats": shared["batch_stats"]}
        metrics = self._watch(rows, shared["scale"], progress, axis_name)
        return loss, (extra, metrics | {"unaligned_share": share})

    def _loss(
        self,
        rows: dict[str, Tree],
        shared: dict[str, Tree],
        rng: jax.Array,
        share: jax.Array,
        axis_name: str | None,
    ) -> jax.Array:
        inputs = (rows["image"], rows["text"], shared["scale"])
        if self.loss == "sigmoid":
            return losses.sigmoid(*inputs, shared["bias"], axis_name=axis_name)
        smoothing = dict(label_smoothing=self.label_smoothing, axis_name=axis_name)
        if not self.softens:
            return losses.info_nce(*inputs, **smoothing)
        unaligned = partition(rng, share, len(rows["image"]), axis_name)
        soft = dict(
            target=self.target,
            teacher=rows.get("teacher"),
            teacher_temperature=self.teacher_temperature,
            soft_weight=self.soft_weight,
        )
        return losses.soft_alignment(*inputs, unaligned, **soft, **smoothing)

    def _watch(
        self,
        rows: dict[str, Tree],
        scale: jax.Array,
        progress: jax.Array,
        axis_name: str | None,
    ) -> dict[str, jax.Array]:
        rows, scale = lax.stop_gradient((rows, scale))
        image, text = rows["image"], rows["text"]
        stats = losses.alignment_stats(
            image,
            text,
            scale,
            teacher=rows.get("teacher"),
            teacher_temperature=self.teacher_temperature,
            rows=SAMPLE,
            axis_name=axis_name,
        )
        rank, std = diagnostics.spread(image, axis_name)
        stats |= {
            "scale": diagnostics.average(scale, axis_name),
            "effective_rank": rank,
            "embedding_std": std,
        }
        devices = 1 if axis_name is None else lax.axis_size(axis_name)
        return stats | alarms(stats, len(image) * devices, progress)

    def after_update(self, params: Tree, extra: Tree) -> Tree:
        """Moves the averaged teacher, if there is one."""
        if self.teacher == "self":
            return extra
        return extra | {"teacher": update_ema(extra["teacher"], params, self.teacher_decay)}


SPEC = MethodSpec(
    name="distill",
    method=Distill,
    build_model=build_model,
    batch_spec=batch_spec,
    open_data=open_data,
    encoder="distill",
)
