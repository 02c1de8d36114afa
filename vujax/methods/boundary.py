"""Supervised scene boundaries: a head on the shots around each shot boundary, from few labels.

Scene boundaries are rare (one shot boundary in ten), so the cross-entropy is averaged over
positives and over negatives separately and each mean has half the weight, as in BaSSL (Mun et al.
2022, arXiv:2201.05277).
"""

import dataclasses
from typing import TYPE_CHECKING

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax import lax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from vujax.methods.base import (
    Batch,
    Embeddings,
    MethodSpec,
    Metrics,
    StepContext,
    Tree,
    apply_in_training,
    replace_batch_stats,
    replicated_specs,
)
from vujax.models.boundary import BoundaryModel, build_boundary_head, build_boundary_model

if TYPE_CHECKING:
    from vujax.data.boundary_windows import BoundaryWindows

ENCODERS = ("frozen", "fine-tuned")


@dataclasses.dataclass(frozen=True)
class Boundary:
    """Supervised scene boundary detection.

    Attributes:
      model: a `vujax.models.boundary.BoundaryModel`.
      encoder: 'frozen' (no gradient, inference statistics) or 'fine-tuned'. A frozen encoder also
        needs the rule ('encoder/.*', None) in `optimizer.rules`: weight decay would move it.
    """

    model: nn.Module
    encoder: str = "frozen"

    def __post_init__(self) -> None:
        if self.encoder not in ENCODERS:
            raise ValueError(
                f"unknown method.encoder '{self.encoder}'; expected one of: {', '.join(ENCODERS)}"
            )

    def init(self, rng: jax.Array, batch: Batch) -> tuple[Tree, Tree]:
        """See `vujax.methods.base.Method`."""
        aux = dict(self.model.init(rng, batch))
        return aux.pop("params"), aux

    def init_from_pretrained(self, aux: Tree, variables: Tree) -> Tree:
        """Take over the batch-norm statistics."""
        return replace_batch_stats(aux, variables)

    def layout(self, aux: Tree) -> Tree:
        """Replicate everything."""
        return replicated_specs(aux)

    def embed(self, params: Tree, aux: Tree, batch: Batch, context: StepContext) -> Embeddings:
        """Compute each shot boundary's logit, beside its label."""
        inputs, statistics = self._encode(params, aux, batch, context.axis_name)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(context.rng, batch["index"])

        def compute_logit(row: dict[str, jax.Array], key: jax.Array) -> jax.Array:
            batch_of_one = {name: value[None] for name, value in row.items()}
            options = dict(train=True, rngs={"dropout": key}, method="predict")
            return self.model.apply({"params": params}, batch_of_one, **options)[0]

        logits = jax.vmap(compute_logit)(inputs, keys)
        return Embeddings({"logit": logits, "label": batch["label"]}, statistics)

    def _encode(
        self, params: Tree, aux: Tree, batch: Batch, axis_name: str | None
    ) -> tuple[dict[str, jax.Array], dict[str, Tree]]:
        """Return the head's inputs, and new batch statistics if the encoder trains and has any."""
        variables = {"params": params} | aux
        if self.encoder == "frozen":
            inputs, _ = self.model.apply(lax.stop_gradient(variables), batch, method="encode")
            return lax.stop_gradient(inputs), {}
        (inputs, _), updated = apply_in_training(
            self.model, variables, batch, axis_name, method="encode"
        )
        return inputs, updated

    def objective(
        self, embeddings: Embeddings, aux: Tree, context: StepContext
    ) -> tuple[jax.Array, tuple[Tree, Metrics]]:
        """Compute the class-balanced loss and the rates of predicted and true boundaries."""
        logits, labels = embeddings.rows["logit"], embeddings.rows["label"]
        loss = balanced_cross_entropy(logits, labels, context.axis_name)
        metrics = boundary_metrics(logits, labels, context.axis_name)
        return loss, (aux | embeddings.shared, metrics)

    def after_update(self, params: Tree, aux: Tree) -> Tree:
        """Return `aux` as it is: nothing is averaged."""
        del params
        return aux


def balanced_cross_entropy(
    logits: jax.Array, labels: jax.Array, axis_name: str | None = None
) -> jax.Array:
    """Compute the mean of the cross-entropy's mean over positives and its mean over negatives.

    Args:
      logits: float `[n]`.
      labels: `[n]`, 1 where a scene starts, else 0.
      axis_name: None: these rows are the whole batch; 'data': one device's rows inside shard_map,
        and the result is its share, the sum of which is the loss of the whole batch.

    Returns:
      float32 `()`. A class without an example in the whole batch adds nothing.
    """
    labels = labels.astype(jnp.float32)
    counts = jnp.stack([labels.sum(), (1 - labels).sum()])
    counts = counts if axis_name is None else lax.psum(counts, axis_name)
    weights = 0.5 / jnp.maximum(counts, 1)
    losses = optax.sigmoid_binary_cross_entropy(logits.astype(jnp.float32), labels)
    return jnp.sum(losses * jnp.where(labels > 0, weights[0], weights[1]))


def boundary_metrics(logits: jax.Array, labels: jax.Array, axis_name: str | None = None) -> Metrics:
    """Compute rates over the whole batch at probability 0.5.

    Args:
      logits: float `[n]`.
      labels: `[n]`, 1 where a scene starts, else 0.
      axis_name: mesh axis inside shard_map; None: these rows are the whole batch.

    Returns:
      true_rate (share of shot boundaries that are scene boundaries), predicted_rate (share
      predicted so), recall and precision (0 without a true or predicted boundary).
    """
    true, predicted = labels > 0, lax.stop_gradient(logits) > 0
    masks = (jnp.ones_like(true), true, predicted, true & predicted)
    counts = jnp.stack([mask.sum() for mask in masks])
    counts = counts if axis_name is None else lax.psum(counts, axis_name)
    num_rows, num_true, num_predicted, num_hits = counts.astype(jnp.float32)
    return {
        "true_rate": num_true / num_rows,
        "predicted_rate": num_predicted / num_rows,
        "recall": num_hits / jnp.maximum(num_true, 1),
        "precision": num_hits / jnp.maximum(num_predicted, 1),
    }


def build_model(config: ConfigDict, mesh: Mesh) -> BoundaryModel:
    """Build the encoder, if the config has one, and the head."""
    del mesh
    return build_boundary_model(**config.model.to_dict())


def build_window(config: ConfigDict) -> dict[str, object]:
    """Return the window of shots that the head sees, as options of `BoundaryWindows`."""
    return build_boundary_head(**config.model.head.to_dict()).window


def batch_spec(config: ConfigDict, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
    """See `vujax.data.boundary_windows.batch_spec`."""
    from vujax.data import boundary_windows

    return boundary_windows.batch_spec(config.inputs.to_dict(), rows, **build_window(config))


def open_data(config: ConfigDict) -> "BoundaryWindows":
    """Open the labeled films of `config.data.films`."""
    from vujax.data.boundary_windows import BoundaryWindows
    from vujax.data.films import check_inputs
    from vujax.data.registry import open_sets

    settings = config.data.to_dict()
    films = open_sets(settings.pop("films"))
    for film in films:
        check_inputs(film, config.inputs.to_dict())
    return BoundaryWindows(films, **build_window(config), seed=config.seed, **settings)


SPEC = MethodSpec(
    name="boundary",
    method=Boundary,
    build_model=build_model,
    batch_spec=batch_spec,
    open_data=open_data,
)
