"""ShotCoL: shot contrastive learning (Chen et al., CVPR 2021), and its controls.

Nearby shots of a film share cast and story, so the positive of a shot is its most similar neighbor,
selected with the query encoder; negatives are other shots. The key encoder, a momentum average, and
the queue of earlier keys are those of MoCo (He et al. 2020, arXiv:1911.05722). Every default here
is our choice, not the paper's value.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from vujax.losses.memory_bank import NO_FILM, Bank, ContrastResult, Ids, contrast, mask_negatives
from vujax.methods import diagnostics, momentum_queue
from vujax.methods.augment import ShotAugmentation
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
from vujax.models.projection import ContrastModel, build_contrast_model
from vujax.models.shot_encoder import INPUTS, build_shot_encoder
from vujax.optim import update_ema

if TYPE_CHECKING:
    from vujax.data.shot_windows import ShotWindows

MODES = ("nearest", "soft", "random", "instance", "simclr")
NEAR_COPY = 0.9  # cosine of a positive that teaches little


@dataclasses.dataclass(frozen=True)
class ShotCoL:
    """Contrastive learning of shots and their neighbors.

    A batch has windows of shots, of which `block` consecutive ones are queries; see
    `vujax.data.shot_windows.ShotWindows`.

    Attributes:
      model: see `vujax.models.projection.ContrastModel`.
      mode: selection of the positive: 'nearest' (ShotCoL: the most similar neighbor), 'soft' (a
        neighbor, drawn in proportion to exp(cosine / `soft_temperature`)), 'random' (any
        neighbor), 'instance' (the shot itself, in another view), or 'simclr', BaSSL's variant
        of ShotCoL: the most similar neighbor, both views by the same trained network, negatives
        from the batch, no momentum and no queue (Mun et al. 2022, arXiv:2201.05277).
      queue: number of keys retained as negatives, a multiple of a batch's queries; 0: the batch's
        own keys.
      momentum: of the key encoder, per optimizer step.
      temperature: divides cosines.
      mask_radius: shots of the same film at most this far away are no negatives; -1: all are.
      soft_temperature: of the draw of 'soft'; towards 0 it is 'nearest', towards infinity 'random'.
      augment: see `vujax.methods.augment.ShotAugmentation`.
    """

    model: nn.Module
    mode: str = "nearest"
    queue: int = 65536
    momentum: float = 0.999
    temperature: float = 0.07
    mask_radius: int = -1
    soft_temperature: float = 0.1
    augment: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(
                f"unknown method.mode '{self.mode}'; expected one of: {', '.join(MODES)}"
            )
        if self.queue < 0:
            raise ValueError(f"method.queue must not be negative, got {self.queue}")
        if self.queue and self.mode == "simclr":
            raise ValueError(
                f"method.mode 'simclr' takes its negatives from the batch: set method.queue to 0, "
                f"got {self.queue}"
            )
        if not self.temperature > 0 or not 0 <= self.momentum <= 1:
            raise ValueError(
                f"method.temperature {self.temperature} must be above 0 and method.momentum "
                f"{self.momentum} from 0 to 1"
            )
        if not self.soft_temperature > 0:
            raise ValueError(
                f"method.soft_temperature must be above 0, got {self.soft_temperature}"
            )
        self._augmentation  # noqa: B018 (raises for an invalid setting)

    @property
    def _augmentation(self) -> ShotAugmentation:
        return ShotAugmentation.from_config(dict(self.augment))

    @property
    def _has_key_encoder(self) -> bool:
        return self.mode != "simclr"

    def init(self, rng: jax.Array, batch: Batch) -> tuple[Tree, Tree]:
        """See `vujax.methods.base.Method`; `aux` has the key encoder and the queue.

        Raises:
          ValueError: the queue is no multiple of the batch's queries.
        """
        shots = jax.tree.map(lambda x: x[:, 0], select_inputs(batch))
        (_, projected), variables = self.model.init_with_output(rng, shots)
        aux = dict(variables)
        params = aux.pop("params")
        if self._has_key_encoder:
            aux["key"] = jax.tree.map(jnp.copy, {"params": params} | aux)
        if self.queue:
            aux["queue"] = momentum_queue.init_queue(
                self.queue,
                batch["query"].size,
                projected.shape[-1],
                ids=("film", "shot"),
                unit="queries of a batch (batch_size x data.block)",
            )
        return params, aux

    def init_from_pretrained(self, aux: Tree, variables: Tree) -> Tree:
        """Start the key encoder as the query encoder; the queue stays empty."""
        aux = replace_batch_stats(aux, variables)
        return aux | ({"key": variables} if self._has_key_encoder else {})

    def layout(self, aux: Tree) -> Tree:
        """Shard the queue over the devices; replicate the rest."""
        specs = replicated_specs(aux)
        if "queue" in aux:
            specs["queue"] = momentum_queue.queue_specs(aux["queue"])
        return specs

    def embed(self, params: Tree, aux: Tree, batch: Batch, context: StepContext) -> Embeddings:
        """Compute unit embeddings of queries and positives, `[b block p]`, and their shots."""
        rng, axis_name = context.rng, context.axis_name
        keys = jax.vmap(lambda i: jax.random.split(jax.random.fold_in(rng, i), 3))(batch["index"])
        position = self._select_positives(params, aux, batch, keys[:, 2])
        variables = {"params": params} | aux
        query, statistics = self._embed_view(
            variables, batch, batch["query"], keys[:, 0], axis_name
        )
        shared = {"batch_stats": statistics} if statistics else {}
        if self._has_key_encoder:
            key, statistics = self._embed_view(aux["key"], batch, position, keys[:, 1], axis_name)
            key = lax.stop_gradient(key)
            shared |= {"key_stats": statistics} if statistics else {}
        else:  # batch-norm statistics are those of the first view
            key, _ = self._embed_view(variables, batch, position, keys[:, 1], axis_name)
        film = jnp.where(batch["valid"], batch["film"][:, None], NO_FILM)
        rows = {"query": query, "key": key, "film": film, "shot": batch["shot"]}
        # The shots of a window are consecutive: positions differ as shot numbers do.
        rows["key_shot"] = batch["shot"] + position - batch["query"]
        return Embeddings(rows, shared)

    def _select_positives(
        self, params: Tree, aux: Tree, batch: Batch, keys: jax.Array
    ) -> jax.Array:
        """Return the window positions of the queries' positives, int32 `[b block]`."""
        if self.mode == "instance":
            return batch["query"]
        candidate = batch["candidate"]  # [b block w]
        if self.mode == "random":
            score = jax.vmap(lambda k, c: jax.random.uniform(k, c.shape))(keys, candidate)
        else:
            score = self._compute_similarity(params, aux, batch)
        if self.mode == "soft":  # the maximum of scores with Gumbel noise is such a draw
            noise = jax.vmap(lambda k, c: jax.random.gumbel(k, c.shape))(keys, candidate)
            score = score / self.soft_temperature + noise
        best = jnp.where(candidate, score, -jnp.inf).argmax(axis=2).astype(jnp.int32)
        return jnp.where(candidate.any(axis=2), best, batch["query"])

    def _compute_similarity(self, params: Tree, aux: Tree, batch: Batch) -> jax.Array:
        """Return cosines `[b block w]` of queries and window, by the query encoder.

        Batch norm uses its running statistics, so devices do not communicate.
        """
        inputs = select_inputs(batch)
        b, w = next(iter(inputs.values())).shape[:2]
        flat = jax.tree.map(lambda x: x.reshape((b * w, *x.shape[2:])), inputs)
        statistics = {k: v for k, v in aux.items() if k == "batch_stats"}
        variables = lax.stop_gradient({"params": params} | statistics)
        outputs: Any = self.model.apply(variables, flat)
        window = outputs[1].reshape(b, w, -1)
        query = take_positions(window, batch["query"])
        return jnp.einsum("bqd,bwd->bqw", query, window, precision="highest")

    def _embed_view(
        self,
        variables: Tree,
        batch: Batch,
        position: jax.Array,
        keys: jax.Array,
        axis_name: str | None,
    ) -> tuple[jax.Array, Tree]:
        """Return `([b block p], new batch statistics)` of a random view of the shots."""
        b, block = position.shape
        shots = jax.tree.map(lambda x: take_positions(x, position), select_inputs(batch))
        shots = jax.tree.map(lambda x: x.reshape((b * block, *x.shape[2:])), shots)
        shot_keys = jax.vmap(lambda k: jax.random.split(k, block))(keys).ravel()
        views = self._augmentation(shots, shot_keys)
        (_, projected), updated = apply_in_training(self.model, variables, views, axis_name)
        return projected.reshape(b, block, -1), updated.get("batch_stats", {})

    def objective(
        self, embeddings: Embeddings, aux: Tree, context: StepContext
    ) -> tuple[jax.Array, tuple[Tree, Metrics]]:
        """Compute the loss against queue or batch; this batch's keys join the queue."""
        rows, shared = embeddings
        flat = {k: v.reshape((-1, *v.shape[2:])) for k, v in rows.items()}
        result = self._contrast(flat, aux, context.axis_name)
        aux = dict(aux)
        if "batch_stats" in shared:
            aux["batch_stats"] = shared["batch_stats"]
        if "key_stats" in shared:
            aux["key"] = aux["key"] | {"batch_stats": shared["key_stats"]}
        if self.queue:
            keys = {"vectors": flat["key"], "film": flat["film"], "shot": flat["key_shot"]}
            aux["queue"] = momentum_queue.enqueue(aux["queue"], keys)
        return result.loss, (aux, self._compute_metrics(flat, result, context))

    def _contrast(self, rows: Tree, aux: Tree, axis_name: str | None) -> ContrastResult:
        n = len(rows["query"])
        row = jnp.arange(n, dtype=jnp.int32)
        if axis_name is not None:
            row += lax.axis_index(axis_name) * n
        ids = Ids(rows["film"], rows["shot"], row)
        key_ids = ids._replace(shot=rows["key_shot"])
        query, key = rows["query"], rows["key"]
        bank = build_bank(aux["queue"]) if self.queue else Bank(key, key_ids)
        if self.mode == "simclr":  # both views are queries, and all other views negatives
            query, key = jnp.concatenate([query, key]), jnp.concatenate([key, query])
            ids = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), ids, key_ids)
            bank = Bank(query, ids)
        return contrast(
            query,
            key,
            ids,
            bank,
            temperature=self.temperature,
            negatives=functools.partial(mask_negatives, radius=self.mask_radius),
            axis_name=axis_name,
        )

    def _compute_metrics(self, rows: Tree, result: ContrastResult, context: StepContext) -> Metrics:
        rows, result = lax.stop_gradient((rows, result))
        axis_name = context.axis_name
        rank, std = diagnostics.compute_spread(rows["query"], axis_name)
        stats = {"effective_rank": rank, "embedding_std": std}
        lag = jnp.abs(rows["key_shot"] - rows["shot"])
        means = {
            "positive": result.positive.mean(),
            "positive_near_copies": (result.positive > NEAR_COPY).mean(dtype=jnp.float32),
            "positive_even_lags": ((lag > 0) & (lag % 2 == 0)).mean(dtype=jnp.float32),
            "top1": result.right.astype(jnp.float32).mean(),
            "shots_to_positive": lag.mean(dtype=jnp.float32),
        }
        stats |= {name: diagnostics.mean_over_devices(x, axis_name) for name, x in means.items()}
        return stats | diagnostics.detect_collapse(stats, context.progress)

    def after_update(self, params: Tree, aux: Tree) -> Tree:
        """Update the key encoder's average."""
        if not self._has_key_encoder:
            return aux
        average = update_ema(aux["key"]["params"], params, self.momentum)
        return aux | {"key": aux["key"] | {"params": average}}


def select_inputs(batch: Batch) -> dict[str, jax.Array]:
    """Return the batch's images, audio and features of shots, `[b w ...]`."""
    return {name: batch[name] for name in INPUTS if name in batch}


def take_positions(x: jax.Array, position: jax.Array) -> jax.Array:
    """Return the entries of `[b w ...]` at positions `[b q]` of each row, `[b q ...]`."""
    return jax.vmap(lambda row, i: row[i])(x, position)


def build_bank(queue: momentum_queue.Queue) -> Bank:
    """Return this device's shard of the queue as negatives."""
    keys = momentum_queue.flatten_queue(queue)
    return Bank(keys["vectors"], Ids(keys["film"], keys["shot"], jnp.full_like(keys["film"], -1)))


def build_model(config: ConfigDict, mesh: Mesh) -> ContrastModel:
    """Build the encoder, and the projection through which it is trained."""
    del mesh
    return build_contrast_model(config.model.to_dict(), build_shot_encoder)


def batch_spec(config: ConfigDict, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
    """See `vujax.data.shot_windows.batch_spec`."""
    from vujax.data import shot_windows

    window = dict(neighbours=config.data.neighbours, block=config.data.block)
    return shot_windows.batch_spec(config.inputs.to_dict(), rows, **window)


def open_data(config: ConfigDict) -> "ShotWindows":
    """Open the films of `config.data.films` as windows of shots."""
    from vujax.data.registry import open_sets
    from vujax.data.shot_windows import ShotWindows

    settings = config.data.to_dict()
    return ShotWindows(open_sets(settings.pop("films")), config.inputs.to_dict(), **settings)


SPEC = MethodSpec(
    name="shotcol",
    method=ShotCoL,
    build_model=build_model,
    batch_spec=batch_spec,
    open_data=open_data,
    encoder="shotcol",
)
