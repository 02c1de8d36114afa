"""PSD: robust image-text training by progressive self-distillation (Andonian et al., CVPR 2022).

Each step a random subset of the batch is "unaligned": its rows learn from soft targets that the
model itself computes, the rest from the pairing. The subset grows during training. Without
unaligned rows the loss is CLIP's.

The targets, the shares, the dropout of the student and every value are our choices, not the
paper's. Those of configs/distill.py did best on frozen features with 40% wrong captions; the
reasons are in docs/explanation/psd.md. The defaults of the fields below are what a config of an
earlier version means.
"""

import dataclasses
import functools
from typing import TYPE_CHECKING

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from vujax import losses, models
from vujax.losses.soft_alignment import DEPRECATED_TARGETS, TARGETS
from vujax.methods import diagnostics
from vujax.methods.base import (
    Batch,
    Embeddings,
    MethodSpec,
    Metrics,
    StepContext,
    Tree,
    replace_batch_stats,
    replicated_specs,
)
from vujax.methods.distill_checks import review_settings
from vujax.models.clip import CLIP
from vujax.models.dropout import Dropout
from vujax.models.image_spec import ImageSpec
from vujax.models.inputs import open_preprocessing
from vujax.optim import update_ema
from vujax.utils.deprecation import replace_deprecated
from vujax.utils.mesh import row_sharding

if TYPE_CHECKING:
    from vujax.data.image_text import ImageTextPairs

DROPOUT_STREAM = 0x0D0  # folded into the step's key for the masks
SHARES = (
    *("soft_weight", "unaligned_start", "unaligned_end", "unaligned_begin", "unaligned_full"),
    *("label_smoothing", "dropout"),
)
STATS_ROWS = 128  # rows whose soft targets are summarized in metrics


@dataclasses.dataclass(frozen=True)
class Distill:
    """Progressive self-distillation of an image-text model, and its controls.

    Attributes:
      model: gives unit embeddings and the temperature's multiplier (see `vujax.models.clip`).
      loss: 'softmax' (CLIP and PSD) or 'sigmoid' (SigLIP; takes no soft targets).
      target: soft targets of unaligned rows, 'plain', 'swapped_rows', 'own_columns' or
        'half_columns' (see `vujax.losses.soft_alignment`); 'swapped' is a deprecated alias of
        'swapped_rows'.
      teacher: 'self', or 'ema' for an average of past parameters.
      teacher_decay: of that average, per optimizer step.
      teacher_temperature: divides the teacher's logits.
      soft_weight: of the soft target in an unaligned row; the rest is the pairing (ALBEF: 0.4).
      unaligned_start: share of unaligned rows until `unaligned_begin`.
      unaligned_end: share from `unaligned_full` on; half a cosine leads to it.
      unaligned_begin: fraction of training, in [0, 1], at which the share begins to change.
      unaligned_full: fraction of training, in [0, 1], from which the share is constant.
      dropout: rate in the student's towers, in [0, 1). A teacher 'self' then has a forward of its
        own, without dropout; 0: it is the student.
      label_smoothing: of the aligned rows.
      cyclip: weight of each of CyCLIP's two consistency terms (0.25 there).
    """

    model: nn.Module
    loss: str = "softmax"
    target: str = "swapped_rows"
    teacher: str = "self"
    teacher_decay: float = 0.99
    teacher_temperature: float = 1.0
    soft_weight: float = 1.0
    unaligned_start: float = 0.0
    unaligned_end: float = 0.8
    unaligned_begin: float = 0.0
    unaligned_full: float = 1.0
    dropout: float = 0.0
    label_smoothing: float = 0.0
    cyclip: float = 0.0

    def __post_init__(self) -> None:
        target = replace_deprecated("method.target", self.target, DEPRECATED_TARGETS)
        object.__setattr__(self, "target", target)  # the class is frozen
        choices = {
            "loss": ("softmax", "sigmoid"),
            "target": TARGETS,
            "teacher": ("self", "ema"),
        }
        for field, known in choices.items():
            if getattr(self, field) not in known:
                raise ValueError(
                    f"unknown method.{field} '{getattr(self, field)}'; "
                    f"expected one of: {', '.join(known)}"
                )
        self._check_shares()
        if self.loss == "sigmoid" and (self.has_soft_targets or self.label_smoothing):
            raise ValueError(
                "method.loss 'sigmoid' has no soft targets: set method.unaligned_start, "
                "method.unaligned_end and method.label_smoothing to 0"
            )

    def _check_shares(self) -> None:
        for field in SHARES:
            value = getattr(self, field)
            if not 0 <= value <= 1:
                raise ValueError(f"method.{field} must be a share from 0 to 1, got {value}")
        if self.dropout == 1:
            raise ValueError("method.dropout must be below 1, got 1: nothing would be left")
        if self.unaligned_begin > self.unaligned_full:
            raise ValueError(
                f"method.unaligned_begin {self.unaligned_begin} is after method.unaligned_full "
                f"{self.unaligned_full}: the share cannot be full before it begins to grow"
            )

    def review(self) -> list[str]:
        """Return a sentence for each setting that adds nothing; the training prints them."""
        return review_settings(self)

    def freeze(self, trainable_mask: Tree) -> "Distill":
        """Return the method for parameters of which some are frozen; see `TwoTowers.frozen`."""
        frozen = [
            side for side in ("image", "text") if not any(jax.tree.leaves(trainable_mask[side]))
        ]
        if not frozen:
            return self
        return dataclasses.replace(self, model=self.model.clone(frozen=tuple(frozen)))

    @property
    def has_soft_targets(self) -> bool:
        """True if any row ever learns from soft targets."""
        return bool(self.unaligned_start or self.unaligned_end)

    @property
    def has_dropout(self) -> bool:
        """True if the student has dropout."""
        return bool(self.dropout)

    def init(self, rng: jax.Array, batch: Batch) -> tuple[Tree, Tree]:
        """See `vujax.methods.base.Method`; `aux` has the averaged teacher, if there is one."""
        aux = dict(self.model.init(rng, batch["image"], batch["tokens"]))
        params = aux.pop("params")
        if self.loss == "sigmoid":  # SigLIP starts at scale 10, bias -10
            scale, bias = jnp.log(jnp.full((), 10.0)), jnp.full((), -10.0)
            params = params | {"logit_scale": scale, "logit_bias": bias}
        if self.teacher == "ema":
            aux["teacher"] = jax.tree.map(jnp.copy, params)
        return params, aux

    def init_from_pretrained(self, aux: Tree, variables: Tree) -> Tree:
        """Take over the batch-norm statistics; start an averaged teacher as the student."""
        aux = replace_batch_stats(aux, variables)
        return aux | ({"teacher": variables["params"]} if "teacher" in aux else {})

    def layout(self, aux: Tree) -> Tree:
        """Replicate everything."""
        return replicated_specs(aux)

    def embed(self, params: Tree, aux: Tree, batch: Batch, context: StepContext) -> Embeddings:
        """Compute unit embeddings of images and texts, the teacher's too, and the temperature."""
        dropout = None
        if self.has_dropout:
            rng = jax.random.fold_in(context.rng, DROPOUT_STREAM)
            dropout = Dropout.from_examples(rng, batch["index"], self.dropout)
        outputs, statistics = self._apply(params, aux, batch, context.axis_name, dropout)
        rows = {"image": outputs["image"], "text": outputs["text"]}
        shared = {"scale": outputs["scale"]} | statistics
        if self.loss == "sigmoid":
            shared["bias"] = params["logit_bias"]
        if self.teacher == "ema" or (self.has_dropout and self.has_soft_targets):
            source = aux["teacher"] if self.teacher == "ema" else lax.stop_gradient(params)
            teacher, _ = self._apply(source, aux, batch, context.axis_name)
            # A frozen tower has no dropout: its second forward is not used, so it is not compiled.
            frozen = getattr(self.model, "frozen", ())
            sides = [(rows if side in frozen else teacher)[side] for side in ("image", "text")]
            rows["teacher"] = lax.stop_gradient(tuple(sides))
        return Embeddings(rows, shared)

    def _apply(
        self,
        params: Tree,
        aux: Tree,
        batch: Batch,
        axis_name: str | None,
        dropout: Dropout | None = None,
    ) -> tuple[dict[str, jax.Array], dict[str, Tree]]:
        """Return the model's outputs, and new batch statistics if it has any."""
        image, tokens = batch["image"], batch["tokens"]
        options = {} if dropout is None else dict(dropout=dropout)
        if "batch_stats" not in aux:
            outputs, _ = self.model.apply({"params": params}, image, tokens, **options)
            return outputs, {}
        variables = {"params": params, "batch_stats": aux["batch_stats"]}
        options |= dict(train=True, axis_name=axis_name, mutable=["batch_stats"])
        (outputs, _), updated = self.model.apply(variables, image, tokens, **options)
        return outputs, dict(updated)

    def objective(
        self, embeddings: Embeddings, aux: Tree, context: StepContext
    ) -> tuple[jax.Array, tuple[Tree, Metrics]]:
        """Compute the loss, and metrics that show whether the model still tells examples apart."""
        rows, shared = embeddings
        check_batch(len(rows["image"]), context.axis_name)
        share = compute_unaligned_share(
            context.progress,
            self.unaligned_start,
            self.unaligned_end,
            begin=self.unaligned_begin,
            full=self.unaligned_full,
        )
        loss = self._compute_loss(rows, shared, share, context)
        if self.cyclip:
            loss += losses.cyclip(
                rows["image"],
                rows["text"],
                in_modal=self.cyclip,
                cross_modal=self.cyclip,
                axis_name=context.axis_name,
            )
        if "batch_stats" in shared:
            aux = aux | {"batch_stats": shared["batch_stats"]}
        metrics = self._compute_metrics(rows, shared["scale"], context)
        return loss, (aux, metrics | {"unaligned_share": share})

    def _compute_loss(
        self,
        rows: dict[str, Tree],
        shared: dict[str, Tree],
        share: jax.Array,
        context: StepContext,
    ) -> jax.Array:
        image, text, scale = rows["image"], rows["text"], shared["scale"]
        axis_name = context.axis_name
        if self.loss == "sigmoid":
            return losses.sigmoid(image, text, scale, shared["bias"], axis_name=axis_name)
        options = dict(label_smoothing=self.label_smoothing, axis_name=axis_name)
        if not self.has_soft_targets:
            return losses.info_nce(image, text, scale, **options)
        return losses.soft_alignment(
            image,
            text,
            scale,
            partition_rows(context.rng, share, len(image), axis_name),
            target=self.target,
            teacher=rows.get("teacher"),
            teacher_temperature=self.teacher_temperature,
            soft_weight=self.soft_weight,
            **options,
        )

    def _compute_metrics(
        self, rows: dict[str, Tree], scale: jax.Array, context: StepContext
    ) -> Metrics:
        rows, scale = lax.stop_gradient((rows, scale))
        image, axis_name = rows["image"], context.axis_name
        stats = losses.alignment_stats(
            image,
            rows["text"],
            scale,
            teacher=rows.get("teacher"),
            teacher_temperature=self.teacher_temperature,
            rows=STATS_ROWS,
            axis_name=axis_name,
        )
        rank, std = diagnostics.compute_spread(image, axis_name)
        stats |= {
            "scale": diagnostics.mean_over_devices(scale, axis_name),
            "effective_rank": rank,
            "embedding_std": std,
        }
        devices = 1 if axis_name is None else lax.axis_size(axis_name)
        return stats | detect_collapse(stats, len(image) * devices, context.progress)

    def after_update(self, params: Tree, aux: Tree) -> Tree:
        """Update the averaged teacher, if there is one."""
        if self.teacher == "self":
            return aux
        return aux | {"teacher": update_ema(aux["teacher"], params, self.teacher_decay)}


def compute_unaligned_share(
    progress: jax.Array, start: float, end: float, *, begin: float = 0.0, full: float = 1.0
) -> jax.Array:
    """Compute the scheduled share: half a cosine from `start` to `end`, constant outside.

    Args:
      progress: `()` in [0, 1], fraction of the training that is done.
      start: share until `begin`.
      end: share from `full` on.
      begin: fraction of the training, at most `full`; equal to it, the share jumps.
      full: likewise.
    """
    done = jnp.clip((progress - begin) / max(full - begin, 1e-9), 0.0, 1.0)
    return start + (end - start) * 0.5 * (1.0 - jnp.cos(jnp.pi * done))


def check_batch(n: int, axis_name: str | None) -> None:
    """Check that the global batch has negatives; `n` is the number of rows of this device.

    Raises:
      ValueError: it is a single pair.
    """
    if n * (1 if axis_name is None else lax.axis_size(axis_name)) < 2:
        raise ValueError("a batch of 1 pair has no negatives: set batch_size to 2 or more")


def partition_rows(rng: jax.Array, share: jax.Array, n: int, axis_name: str | None) -> jax.Array:
    """Draw the unaligned rows: `[n]` bool, exactly `round(share * N)` True among all N rows.

    Args:
      rng: the step's key, the same on every device, so that all cut the same global partition.
      share: `()` in [0, 1].
      n: number of rows of this device.
      axis_name: None: these rows are the whole batch (N = n).
    """
    devices = 1 if axis_name is None else lax.axis_size(axis_name)
    rank = jax.random.permutation(rng, n * devices)
    mask = rank < jnp.round(share * n * devices)
    if axis_name is None:
        return mask
    return lax.dynamic_slice_in_dim(mask, lax.axis_index(axis_name) * n, n)


def detect_collapse(stats: Metrics, n: int, progress: jax.Array) -> Metrics:
    """Return 'alarm/...' metrics: 1 where rank, variance or soft targets show a collapse, else 0.

    Args:
      stats: with 'target_entropy', 'effective_rank' and 'embedding_std'.
      n: number of rows of the global batch.
      progress: share of the training that is done.
    """
    uniform = {"alarm/uniform_targets": stats["target_entropy"] > 0.98 * jnp.log(n)}
    alarms = diagnostics.detect_collapse(stats, progress)
    return alarms | diagnostics.suppress_early(uniform, progress)


def build_model(config: ConfigDict, mesh: Mesh) -> CLIP:
    """Build the towers; under FSDP their activations are constrained to stay sharded by rows."""
    settings = config.model.to_dict()
    if not config.fsdp:
        return models.build_clip(**settings)
    shard = functools.partial(jax.lax.with_sharding_constraint, shardings=row_sharding(mesh))
    return models.build_clip(**settings, shard=shard)


def batch_spec(config: ConfigDict, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
    """Return shapes of images, tokens, positions in the stream, and counts of bad samples."""
    spec = ImageSpec.from_size(config.model.image.image_size)
    return {
        "image": jax.ShapeDtypeStruct((rows, *spec.shape), jnp.uint8),
        "tokens": jax.ShapeDtypeStruct((rows, config.model.text.context), jnp.int32),
        "index": jax.ShapeDtypeStruct((rows,), jnp.int32),
        "bad": jax.ShapeDtypeStruct((rows,), jnp.int32),
    }


def open_data(config: ConfigDict) -> "ImageTextPairs":
    """Open the image-text pairs of `config.data`."""
    from vujax.data.image_text import ImageTextPairs

    model = config.model
    preprocessing = open_preprocessing(config.get("init_from"), model.text.context)
    spec = ImageSpec.from_size(model.image.image_size)
    return ImageTextPairs(config.data, image_spec=spec, tokenizer=preprocessing.tokenizer)


SPEC = MethodSpec(
    name="distill",
    method=Distill,
    build_model=build_model,
    batch_spec=batch_spec,
    open_data=open_data,
    encoder="distill",
)
