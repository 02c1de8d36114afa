"""Scene boundaries from labels: a head on the shots around each border, learned with few labels.

Borders of scenes are rare (one in ten), so the cross-entropy is averaged over positives and over
negatives separately and each mean has half the weight, as in BaSSL (Mun et al. 2022).

Borders between shots with their labels, for a boundary head and maybe a shot encoder.
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections
import optax
from jax import lax
from jax.sharding import Mesh

from vujax.data import boundary_windows
from vujax.data.boundary_windows import BoundaryWindows
from vujax.data.films import check_inputs
from vujax.data.registry import open_sets
from vujax.methods.base import Batch, Embeddings, MethodSpec, in_training, whole, with_statistics
from vujax.models.boundary import BoundaryModel, build_boundary_head, build_boundary_model


def build_model(config: ml_collections.ConfigDict, mesh: Mesh) -> BoundaryModel:
    """The encoder, if there is one, and the head."""
    del mesh
    return build_boundary_model(**config.model.to_dict())


def batch_spec(config: ml_collections.ConfigDict, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
    """See `vujax.data.boundary_windows.batch_spec`."""
    return boundary_windows.batch_spec(config.inputs.to_dict(), rows, **window(config))


def open_data(config: ml_collections.ConfigDict) -> BoundaryWindows:
    """The labelled films of `config.data.films`."""
    settings = config.data.to_dict()
    films = open_sets(settings.pop("films"))
    for film in films:
        check_inputs(film, config.inputs.to_dict())
    return BoundaryWindows(films, **window(config), seed=config.seed, **settings)


def window(config: ml_collections.ConfigDict) -> dict[str, object]:
    """Which shots around a border the head sees, as arguments of `BoundaryWindows`."""
    return build_boundary_head(**config.model.head.to_dict()).window


Tree = Any


def balanced_cross_entropy(
    logits: jax.Array, labels: jax.Array, axis_name: str | None = None
) -> jax.Array:
    """Half the mean over positives and half the mean over negatives of the cross-entropy.

    Args:
      logits: float `[n]`.
      labels: `[n]`, 1 where a scene begins, else 0.
      axis_name: None: these rows are the whole batch; 'data': one device's rows inside shard_map,
        and the result is its share, the sum of which is the loss of the whole batch.

    Returns:
      float32 `()`. A class that the whole batch has no example of adds nothing.
    """
    labels = labels.astype(jnp.float32)
    counts = jnp.stack([labels.sum(), (1 - labels).sum()])
    counts = counts if axis_name is None else lax.psum(counts, axis_name)
    weights = 0.5 / jnp.maximum(counts, 1)
    losses = optax.sigmoid_binary_cross_entropy(logits.astype(jnp.float32), labels)
    return jnp.sum(losses * jnp.where(labels > 0, weights[0], weights[1]))


@dataclasses.dataclass(frozen=True)
class Boundary:
    """Supervised scene boundaries.

    Attributes:
      model: a `vujax.models.boundary.BoundaryModel`.
      encoder: 'frozen' (no gradient, inference statistics) or 'fine-tuned'. A frozen encoder also
        needs the rule ('encoder/.*', None) in `optimizer.rules`: weight decay would move it.
    """

    model: nn.Module
    encoder: str = "frozen"

    def __post_init__(self) -> None:
        if self.encoder not in ("frozen", "fine-tuned"):
            raise ValueError(
                f"method.encoder '{self.encoder}' is unknown: use one of ('frozen', 'fine-tuned')"
            )

    def init(self, rng: jax.Array, batch: Batch) -> tuple[Tree, Tree]:
        """See `vujax.methods.base.Method`."""
        extra = dict(self.model.init(rng, batch))
        return extra.pop("params"), extra

    def begin(self, extra: Tree, variables: Tree) -> Tree:
        """The batch norms' statistics."""
        return with_statistics(extra, variables)

    def layout(self, extra: Tree) -> Tree:
        """Every device has all of it."""
        return whole(extra)

    def embed(
        self, params: Tree, extra: Tree, batch: Batch, rng: jax.Array, axis_name: str | None
    ) -> Embeddings:
        """Each border's logit beside its label."""
        inputs, statistics = self._encode(params, extra, batch, axis_name)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(rng, batch["index"])

        def judge(row: dict[str, jax.Array], key: jax.Array) -> jax.Array:
            one = {name: value[None] for name, value in row.items()}
            apply = dict(train=True, rngs={"dropout": key}, method="predict")
            return self.model.apply({"params": params}, one, **apply)[0]

        return Embeddings(
            {"logit": jax.vmap(judge)(inputs, keys), "label": batch["label"]}, statistics
        )

    def _encode(
        self, params: Tree, extra: Tree, batch: Batch, axis_name: str | None
    ) -> tuple[dict[str, jax.Array], dict[str, Tree]]:
        """The head's inputs, and new batch statistics if the encoder learns and has any."""
        if self.encoder == "frozen":
            variables = {"params": params} | extra
            inputs, _ = self.model.apply(lax.stop_gradient(variables), batch, method="encode")
            return lax.stop_gradient(inputs), {}
        (inputs, _), updated = in_training(
            self.model, params, extra, batch, axis_name, method="encode"
        )
        return inputs, updated

    def objective(
        self,
        embeddings: Embeddings,
        extra: Tree,
        rng: jax.Array,
        progress: jax.Array,
        axis_name: str | None,
    ) -> tuple[jax.Array, tuple[Tree, dict[str, jax.Array]]]:
        """The class-balanced loss, and how many borders were called against how many there were."""
        del rng, progress
        logits, labels = embeddings.rows["logit"], embeddings.rows["label"]
        loss = balanced_cross_entropy(logits, labels, axis_name)
        return loss, (extra | embeddings.shared, called(logits, labels, axis_name))

    def after_update(self, params: Tree, extra: Tree) -> Tree:
        """Nothing is averaged."""
        del params
        return extra


def called(
    logits: jax.Array, labels: jax.Array, axis_name: str | None = None
) -> dict[str, jax.Array]:
    """Shares of the whole batch, at probability 0.5.

    Returns:
      true_rate (of borders that are scene borders), predicted_rate (called so), recall and
      precision (0 where there is none to find or none called).
    """
    true, found = labels > 0, lax.stop_gradient(logits) > 0
    sums = jnp.stack([x.sum() for x in (jnp.ones_like(true), true, found, true & found)])
    sums = sums if axis_name is None else lax.psum(sums, axis_name)
    n, positive, predicted, both = sums.astype(jnp.float32)
    return {
        "true_rate": positive / n,
        "predicted_rate": predicted / n,
        "recall": both / jnp.maximum(positive, 1),
        "precision": both / jnp.maximum(predicted, 1),
    }


SPEC = MethodSpec(
    name="boundary",
    method=Boundary,
    build_model=build_model,
    batch_spec=batch_spec,
    open_data=open_data,
)
