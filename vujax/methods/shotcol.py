"""ShotCoL: shot contrastive learning (Chen et al., CVPR 2021), and its controls.

Nearby shots of a film share cast and story, so the positive of a shot is the most similar one among
its neighbours, found with the query encoder; negatives are other shots. The key encoder, a momentum
average, and the queue of earlier keys are those of MoCo (He et al. 2020, arXiv:1911.05722). Values
of the paper are not known to us: every default here is our choice.

Windows of films' shots, for a shot encoder and its projection.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections
from jax import lax
from jax.sharding import Mesh

from vujax.data import shot_windows
from vujax.data.registry import open_sets
from vujax.data.shot_windows import ShotWindows
from vujax.losses.memory_bank import NO_FILM, Bank, ContrastResult, Ids, contrast, mask_negatives
from vujax.methods import diagnostics, momentum_queue
from vujax.methods.augment import Augment
from vujax.methods.base import Batch, Embeddings, MethodSpec, in_training, whole, with_statistics
from vujax.models.projection import ShotContrast
from vujax.models.shot_encoder import INPUTS, Projection, build_shot_encoder
from vujax.optim import update_ema


def build_model(config: ml_collections.ConfigDict, mesh: Mesh) -> ShotContrast:
    """The encoder, and the projection through which it learns."""
    del mesh
    projection = tuple(config.model.get("projection", ()))
    head = Projection(projection) if projection else None
    return ShotContrast(build_shot_encoder(**config.model.encoder.to_dict()), head)


def batch_spec(config: ml_collections.ConfigDict, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
    """See `vujax.data.shot_windows.batch_spec`."""
    cut = dict(neighbours=config.data.neighbours, block=config.data.block)
    return shot_windows.batch_spec(config.inputs.to_dict(), rows, **cut)


def open_data(config: ml_collections.ConfigDict) -> ShotWindows:
    """The films of `config.data.films`, cut into windows."""
    settings = config.data.to_dict()
    return ShotWindows(open_sets(settings.pop("films")), config.inputs.to_dict(), **settings)


Tree = Any

MODES = ("nearest", "random", "instance", "simclr")


@dataclasses.dataclass(frozen=True)
class ShotCoL:
    """Contrast of shots with their neighbours.

    A batch has windows of shots, of which `block` in a row are queries; see
    `vujax.data.shot_windows.ShotWindows`.

    Attributes:
      model: see `vujax.models.projection.ShotContrast`.
      mode: how the positive is chosen: 'nearest' (ShotCoL: the most similar neighbour), 'random'
        (any neighbour), 'instance' (the shot itself, in another view), or 'simclr', BaSSL's variant
        of ShotCoL: the most similar neighbour, both views by the same network and learning,
        negatives from the batch, no momentum and no queue (Mun et al. 2022, arXiv:2201.05277).
      queue: keys to keep as negatives, a multiple of a batch's queries; 0: the batch's own keys.
      momentum: of the key encoder, per optimizer step.
      temperature: divides cosines.
      mask_radius: shots of the same film at most this far away are no negatives; -1: all are.
      augment: see `vujax.methods.augment.Augment`.
    """

    model: nn.Module
    mode: str = "nearest"
    queue: int = 65536
    momentum: float = 0.999
    temperature: float = 0.07
    mask_radius: int = -1
    augment: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"method.mode '{self.mode}' is unknown: use one of {MODES}")
        if self.queue < 0 or (self.queue and self.mode == "simclr"):
            raise ValueError(
                f"method.queue {self.queue}: 'simclr' takes its negatives from the batch, set 0"
                if self.queue > 0
                else f"method.queue {self.queue} must not be negative"
            )
        if not self.temperature > 0 or not 0 <= self.momentum <= 1:
            raise ValueError(
                f"method.temperature {self.temperature} must be above 0 and method.momentum "
                f"{self.momentum} from 0 to 1"
            )
        self._augment  # noqa: B018 (raises for what is wrong)

    @property
    def _augment(self) -> Augment:
        return Augment.of(dict(self.augment))

    @property
    def _has_key_encoder(self) -> bool:
        return self.mode != "simclr"

    def init(self, rng: jax.Array, batch: Batch) -> tuple[Tree, Tree]:
        """See `vujax.methods.base.Method`; `extra` has the key encoder and the queue.

        Raises:
          ValueError: the queue is no multiple of the batch's queries.
        """
        shots = jax.tree.map(lambda x: x[:, 0], inputs_of(batch))
        (_, compared), extra = self.model.init_with_output(rng, shots)
        params = extra.pop("params")
        extra = dict(extra)
        if self._has_key_encoder:
            extra["key"] = jax.tree.map(jnp.copy, {"params": params} | extra)
        if self.queue:
            sizes = (self.queue, batch["query"].size, compared.shape[-1])
            words = "queries of a batch (batch_size x data.block)"
            extra["queue"] = momentum_queue.empty(*sizes, ("film", "shot"), words)
        return params, extra

    def begin(self, extra: Tree, variables: Tree) -> Tree:
        """The key encoder starts as the query encoder; the queue stays empty."""
        extra = with_statistics(extra, variables)
        return extra | ({"key": variables} if self._has_key_encoder else {})

    def layout(self, extra: Tree) -> Tree:
        """The queue is divided among the devices, the rest is whole everywhere."""
        specs = whole(extra)
        if "queue" in extra:
            specs["queue"] = momentum_queue.layout(extra["queue"])
        return specs

    def embed(
        self, params: Tree, extra: Tree, batch: Batch, rng: jax.Array, axis_name: str | None
    ) -> Embeddings:
        """Unit vectors of the queries and of their positives, `[b block p]`, and their places."""
        keys = jax.vmap(lambda i: jax.random.split(jax.random.fold_in(rng, i), 3))(batch["index"])
        place = self._positives(params, extra, batch, keys[:, 2], axis_name)
        query, statistics = self._view(params, extra, batch, batch["query"], keys[:, 0], axis_name)
        shared = {"batch_stats": statistics} if statistics else {}
        if self._has_key_encoder:
            slow = {k: v for k, v in extra["key"].items() if k != "params"}
            key, slow = self._view(
                extra["key"]["params"], slow, batch, place, keys[:, 1], axis_name
            )
            key = lax.stop_gradient(key)
            shared |= {"key_stats": slow} if slow else {}
        else:  # statistics of the batch norm are taken from the first view
            key, _ = self._view(params, extra, batch, place, keys[:, 1], axis_name)
        film = jnp.where(batch["valid"], batch["film"][:, None], NO_FILM)
        rows = {"query": query, "key": key, "film": film, "shot": batch["shot"]}
        # A window's shots follow each other: places differ as shot numbers do.
        rows["key_shot"] = batch["shot"] + place - batch["query"]
        return Embeddings(rows, shared)

    def _positives(
        self, params: Tree, extra: Tree, batch: Batch, keys: jax.Array, axis_name: str | None
    ) -> jax.Array:
        """Places in the window of the queries' positives, int32 `[b block]`."""
        if self.mode == "instance":
            return batch["query"]
        candidate = batch["candidate"]  # [b block w]
        if self.mode == "random":
            likeness = jax.vmap(lambda k, c: jax.random.uniform(k, c.shape))(keys, candidate)
        else:
            likeness = self._likeness(params, extra, batch, axis_name)
        best = jnp.where(candidate, likeness, -jnp.inf).argmax(axis=2).astype(jnp.int32)
        return jnp.where(candidate.any(axis=2), best, batch["query"])

    def _likeness(
        self, params: Tree, extra: Tree, batch: Batch, axis_name: str | None
    ) -> jax.Array:
        """Cosines `[b block w]` of the queries and their windows, by the query encoder."""
        del axis_name  # running statistics: nothing to talk about
        inputs = inputs_of(batch)
        b, w = next(iter(inputs.values())).shape[:2]
        flat = jax.tree.map(lambda x: x.reshape(b * w, *x.shape[2:]), inputs)
        statistics = {k: v for k, v in extra.items() if k == "batch_stats"}
        variables = lax.stop_gradient({"params": params} | statistics)
        outputs: Any = self.model.apply(variables, flat)
        seen = outputs[1].reshape(b, w, -1)
        mine = take(seen, batch["query"])
        return jnp.einsum("bqd,bwd->bqw", mine, seen, precision="highest")

    def _view(
        self,
        params: Tree,
        statistics: Tree,
        batch: Batch,
        place: jax.Array,
        keys: jax.Array,
        axis_name: str | None,
    ) -> tuple[jax.Array, Tree]:
        """`([b block p], new batch statistics)` of a random view of the shots at `place`."""
        b, block = place.shape
        shots = jax.tree.map(lambda x: take(x, place), inputs_of(batch))
        shots = jax.tree.map(lambda x: x.reshape(b * block, *x.shape[2:]), shots)
        views = self._augment(shots, jax.vmap(lambda k: jax.random.split(k, block))(keys).ravel())
        (_, compared), updated = in_training(self.model, params, statistics, views, axis_name)
        return compared.reshape(b, block, -1), updated.get("batch_stats", {})

    def objective(
        self,
        embeddings: Embeddings,
        extra: Tree,
        rng: jax.Array,
        progress: jax.Array,
        axis_name: str | None,
    ) -> tuple[jax.Array, tuple[Tree, dict[str, jax.Array]]]:
        """The loss against the queue or the batch; this batch's keys join the queue."""
        del rng
        rows, shared = embeddings
        flat = {k: v.reshape(-1, *v.shape[2:]) for k, v in rows.items()}
        found = self._contrast(flat, extra, axis_name)
        extra = dict(extra)
        if "batch_stats" in shared:
            extra["batch_stats"] = shared["batch_stats"]
        if "key_stats" in shared:
            extra["key"] = extra["key"] | {"batch_stats": shared["key_stats"]}
        if self.queue:
            keys = {"vectors": flat["key"], "film": flat["film"], "shot": flat["key_shot"]}
            extra["queue"] = momentum_queue.enqueued(extra["queue"], keys)
        return found.loss, (extra, self._watch(flat, found, progress, axis_name))

    def _contrast(self, rows: Tree, extra: Tree, axis_name: str | None) -> ContrastResult:
        n = len(rows["query"])
        row = jnp.arange(n, dtype=jnp.int32)
        if axis_name is not None:
            row += lax.axis_index(axis_name) * n
        ids = Ids(rows["film"], rows["shot"], row)
        theirs = ids._replace(shot=rows["key_shot"])
        query, key = rows["query"], rows["key"]
        bank = Bank(key, theirs)
        if self.queue:
            bank = bank_of(extra["queue"])
        if self.mode == "simclr":  # both views are queries, and all other views negatives
            query, key = jnp.concatenate([query, key]), jnp.concatenate([key, query])
            ids = jax.tree.map(lambda *x: jnp.concatenate(x), ids, theirs)
            bank = Bank(query, ids)
        negatives = functools.partial(mask_negatives, radius=self.mask_radius)
        settings = dict(temperature=self.temperature, negatives=negatives)
        return contrast(query, key, ids, bank, **settings, axis_name=axis_name)

    def _watch(
        self, rows: Tree, found: ContrastResult, progress: jax.Array, axis_name: str | None
    ) -> dict[str, jax.Array]:
        rows, found = lax.stop_gradient((rows, found))
        rank, std = diagnostics.spread(rows["query"], axis_name)
        stats = {"effective_rank": rank, "embedding_std": std}
        means = {
            "positive": found.positive.mean(),
            "top1": found.right.astype(jnp.float32).mean(),
            "shots_to_positive": jnp.abs(rows["key_shot"] - rows["shot"]).mean(dtype=jnp.float32),
        }
        stats |= {name: diagnostics.average(x, axis_name) for name, x in means.items()}
        return stats | diagnostics.alarms(stats, progress)

    def after_update(self, params: Tree, extra: Tree) -> Tree:
        """Moves the key encoder."""
        if not self._has_key_encoder:
            return extra
        moved = update_ema(extra["key"]["params"], params, self.momentum)
        return extra | {"key": extra["key"] | {"params": moved}}


def inputs_of(batch: Batch) -> dict[str, jax.Array]:
    """What the batch has of the shots' pictures, sound and features, `[b w ...]`."""
    return {name: batch[name] for name in INPUTS if name in batch}


def take(x: jax.Array, place: jax.Array) -> jax.Array:
    """`[b w ...]` at places `[b q]` of each row -> `[b q ...]`."""
    return jax.vmap(lambda row, at: row[at])(x, place)


def bank_of(earlier: momentum_queue.Queue) -> Bank:
    """A device's part of the queue as negatives."""
    keys = momentum_queue.flat(earlier)
    return Bank(keys["vectors"], Ids(keys["film"], keys["shot"], jnp.full_like(keys["film"], -1)))


SPEC = MethodSpec(
    name="shotcol",
    method=ShotCoL,
    build_model=build_model,
    batch_spec=batch_spec,
    open_data=open_data,
    encoder="shotcol",
)
