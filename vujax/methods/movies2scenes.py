"""Movies2Scenes: scene representations guided by movie similarity (Chen et al., CVPR 2023).

The positive of a scene is the most similar scene, by the momentum encoder, among the scenes of
movies that are considered similar to its own; negatives are scenes of other movies. Which movies
are similar comes with the batch (`vujax.data.movies.guide`), so that every control is a matter of
data. Key encoder and queue are those of MoCo (He et al. 2020, arXiv:1911.05722). Values of the
paper are not known to us: every default here is our choice.

Scenes of movies, in rows of shots, for a multi-shot encoder that movie similarity guides.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections
from absl import logging
from jax import lax
from jax.sharding import Mesh

from vujax.data.movies import guide
from vujax.data.movies.guide import (
    GuidedRows,
    Keys,
    Queries,
    is_negative,
    is_positive_candidate,
    select_similar_movies,
)
from vujax.data.movies.holdout import read_held_out_movies, read_withheld_movies
from vujax.data.registry import open_scenes
from vujax.data.scenes import Scenes
from vujax.losses.memory_bank import NO_FILM, Bank, ContrastResult, Nearest, contrast, find_nearest
from vujax.methods import diagnostics, momentum_queue
from vujax.methods.augment import Augment
from vujax.methods.base import Batch, Embeddings, MethodSpec, in_training, whole, with_statistics
from vujax.models.projection import SceneContrast
from vujax.models.scene_encoder import build_scene_encoder
from vujax.models.shot_encoder import INPUTS, Projection
from vujax.optim import update_ema


def build_model(config: ml_collections.ConfigDict, mesh: Mesh) -> SceneContrast:
    """The encoder, and the projection through which it learns."""
    del mesh
    projection = tuple(config.model.get("projection", ()))
    head = Projection(projection) if projection else None
    return SceneContrast(build_scene_encoder(**config.model.encoder.to_dict()), head)


def batch_spec(config: ml_collections.ConfigDict, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
    """See `vujax.data.movies.guide.batch_spec`."""
    return guide.batch_spec(config.inputs.to_dict(), rows, k=config.data.k, **_sizes(config.data))


def open_data(config: ml_collections.ConfigDict) -> GuidedRows:
    """The scenes of `config.data.scenes` but for held out movies, and what guides them."""
    settings = config.data.to_dict()
    held_out = held_out_of(settings["held_out"])
    scenes = open_scenes(**settings["scenes"], without=held_out)
    names = ("guide", "k", "channels")
    found = select_similar_movies(
        scenes.movies,
        **{name: settings[name] for name in names},
        tables=tables_of(settings["tables"], scenes),
        held_out=held_out,
        seed=config.seed,
    )
    reasons = ", ".join(f"{count} {reason}" for reason, count in found.counts.items() if count)
    logging.info(
        "%d scenes of %d movies, guided by %s; movies without what guides them: %s",
        *(len(scenes.keys), len(scenes.movies), settings["guide"], reasons or "none"),
    )
    inputs = config.inputs.to_dict()
    sizes = _sizes(config.data)
    return GuidedRows(scenes, inputs, found.similar, workers=settings["workers"], **sizes)


def tables_of(settings: Mapping[str, Any], scenes: Scenes) -> dict[str, Any]:
    """The arguments of `open_tables`.

    No clip that is trained on is described to its movie's neighbours by its own words: of Condensed
    Movies, synopses are made of the other clips (see `vujax.data.datasets.condensed_movies`).
    """
    if settings.get("kind") != "condensed_movies":
        return dict(settings)
    return dict(settings) | {"scenes": [key.rpartition("/")[2] for key in scenes.keys]}


def _sizes(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"width": data["width"], "most": data["most"], "buckets": data["buckets"] or None}


def held_out_of(settings: Mapping[str, str]) -> frozenset[str]:
    """Movies that must not enter.

    Args:
      settings: 'lvu': folder of LVU's lists, see `vujax.data.movies.holdout`, or ''; 'list': a file
        with an
        IMDb id a line, or ''.

    Raises:
      FileNotFoundError, ValueError: see there.
    """
    lvu = read_held_out_movies(settings["lvu"]) if settings["lvu"] else frozenset()
    return lvu | (read_withheld_movies(settings["list"]) if settings["list"] else frozenset())


Tree = Any


@dataclasses.dataclass(frozen=True)
class Movies2Scenes:
    """Contrast of scenes with those of similar movies.

    A batch has rows of scenes, see `vujax.data.movies.guide.GuidedRows`. A scene whose similar
    movies have no scene in the queue is its own positive, in another view.

    Attributes:
      model: see `vujax.models.projection.SceneContrast`.
      queue: keys to keep, candidates for positives and negatives alike: a multiple of the scenes
        that a batch has place for, best one that holds a whole pass. The batch's own keys are in it
        first.
      momentum: of the key encoder, per optimizer step.
      temperature: divides cosines.
      mask_similar: scenes of similar movies are no negatives. Without effect where all are similar.
      drop: probability that a view lacks a shot; one of each scene always stays.
      tile: keys that the search for positives looks at at once.
      augment: of the shots, see `vujax.methods.augment.Augment`.
    """

    model: nn.Module
    queue: int = 65536
    momentum: float = 0.999
    temperature: float = 0.1
    mask_similar: bool = False
    drop: float = 0.2
    tile: int = 4096
    augment: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.temperature > 0 or not 0 <= self.momentum <= 1 or not 0 <= self.drop < 1:
            raise ValueError(
                f"method.temperature {self.temperature} must be above 0, method.momentum "
                f"{self.momentum} from 0 to 1, and method.drop {self.drop} from 0 to below 1"
            )
        if self.tile < 1:
            raise ValueError(f"method.tile {self.tile} must be 1 or more")
        self._augment  # noqa: B018 (raises for what is wrong)

    @property
    def _augment(self) -> Augment:
        return Augment.of(dict(self.augment))

    def init(self, rng: jax.Array, batch: Batch) -> tuple[Tree, Tree]:
        """See `vujax.methods.base.Method`; `extra` has the key encoder and the queue.

        Raises:
          ValueError: the queue does not hold whole batches.
        """
        (_, compared), extra = self.model.init_with_output(rng, batch)
        params, extra = extra.pop("params"), dict(extra)
        extra["key"] = jax.tree.map(jnp.copy, {"params": params} | extra)
        sizes = (self.queue, batch["scene"].size, compared.shape[-1])
        words = "scenes that a batch has place for (batch_size x data.most)"
        extra["queue"] = momentum_queue.empty(*sizes, Keys._fields, words)
        return params, extra

    def begin(self, extra: Tree, variables: Tree) -> Tree:
        """The key encoder starts as the query encoder; the queue stays empty."""
        return with_statistics(extra, variables) | {"key": variables}

    def layout(self, extra: Tree) -> Tree:
        """The queue is divided among the devices, the rest is whole everywhere."""
        return whole(extra) | {"queue": momentum_queue.layout(extra["queue"])}

    def embed(
        self, params: Tree, extra: Tree, batch: Batch, rng: jax.Array, axis_name: str | None
    ) -> Embeddings:
        """Unit vectors `[b s p]` of two views of the scenes, by the query and the key encoder."""
        keys = jax.vmap(lambda i: jax.random.split(jax.random.fold_in(rng, i)))(batch["index"])
        query, statistics = self._view(params, extra, batch, keys[:, 0], axis_name)
        theirs = extra["key"]
        key, slow = self._view(theirs["params"], theirs, batch, keys[:, 1], axis_name)
        shared = {"batch_stats": statistics, "key_stats": slow} if statistics else {}
        rows = {"query": query, "key": lax.stop_gradient(key)}
        rows |= {"film": batch["movie"], "scene": batch["scene"], "similar": batch["similar"]}
        return Embeddings(rows, shared)

    def _view(
        self,
        params: Tree,
        statistics: Tree,
        batch: Batch,
        keys: jax.Array,
        axis_name: str | None,
    ) -> tuple[jax.Array, Tree]:
        """`([b s p], new batch statistics)` of a random view of the scenes."""
        drop, change = jnp.moveaxis(jax.vmap(jax.random.split)(keys), 1, 0)
        rows = batch | {"segment": dropped(batch["segment"], drop, self.drop)}
        rows |= self._changed(batch, change)
        (_, compared), updated = in_training(self.model, params, statistics, rows, axis_name)
        return compared, updated.get("batch_stats", {})

    def _changed(self, batch: Batch, keys: jax.Array) -> dict[str, jax.Array]:
        """The shots' inputs `[b w ...]`, changed at random; keys `[b]`."""
        inputs = {name: batch[name] for name in INPUTS if name in batch}
        b, w = batch["segment"].shape
        flat = jax.tree.map(lambda x: x.reshape(b * w, *x.shape[2:]), inputs)
        each = jax.vmap(lambda k: jax.random.split(k, w))(keys).ravel()
        return jax.tree.map(lambda x: x.reshape(b, w, *x.shape[1:]), self._augment(flat, each))

    def objective(
        self,
        embeddings: Embeddings,
        extra: Tree,
        rng: jax.Array,
        progress: jax.Array,
        axis_name: str | None,
    ) -> tuple[jax.Array, tuple[Tree, dict[str, jax.Array]]]:
        """This batch's keys join the queue; positives are found there, and all else contrasts."""
        del rng
        rows, shared = embeddings
        flat = {name: x.reshape(-1, *x.shape[2:]) for name, x in rows.items()}
        extra = dict(extra)
        if shared:
            extra["batch_stats"] = shared["batch_stats"]
            extra["key"] = extra["key"] | {"batch_stats": shared["key_stats"]}
        keys = {"vectors": flat["key"], "film": flat["film"], "scene": flat["scene"]}
        extra["queue"] = momentum_queue.enqueued(extra["queue"], keys)
        ids = Queries(flat["film"], flat["scene"], flat["similar"], flat["scene"])
        bank, place = bank_of(extra["queue"]), momentum_queue.positions(extra["queue"], axis_name)
        chosen = find_nearest(
            *(flat["key"], ids, bank, place),
            **dict(permitted=is_positive_candidate, tile=self.tile, axis_name=axis_name),
        )
        found = self._contrast(flat, ids, bank, chosen, axis_name)
        return found.loss, (extra, self._watch(flat, found, chosen, progress, axis_name))

    def _contrast(
        self, rows: Tree, ids: Queries, bank: Bank, chosen: Nearest, axis_name: str | None
    ) -> ContrastResult:
        positive = jnp.where(chosen.is_found[:, None], chosen.vector, rows["key"])
        ids = ids._replace(positive=jnp.where(chosen.is_found, chosen.ids.scene, ids.scene))
        negatives = functools.partial(is_negative, mask_similar=self.mask_similar)
        settings = dict(temperature=self.temperature, negatives=negatives, axis_name=axis_name)
        return contrast(rows["query"], positive, ids, bank, **settings)

    def _watch(
        self,
        rows: Tree,
        found: ContrastResult,
        chosen: Nearest,
        progress: jax.Array,
        axis_name: str | None,
    ) -> dict[str, jax.Array]:
        rows, found = lax.stop_gradient((rows, found))
        there = rows["film"] != NO_FILM
        rank, std = diagnostics.spread(rows["query"], axis_name, there)
        stats = {"effective_rank": rank, "embedding_std": std}
        scenes = diagnostics.average(there.mean(dtype=jnp.float32), axis_name)
        shares = {"positive": found.positive, "top1": found.right, "guided": chosen.is_found}
        for name, value in shares.items():
            kept = jnp.where(there, value, 0).mean(dtype=jnp.float32)
            stats[name] = diagnostics.average(kept, axis_name) / jnp.maximum(scenes, 1e-9)
        return stats | diagnostics.alarms(stats, progress)

    def after_update(self, params: Tree, extra: Tree) -> Tree:
        """Moves the key encoder."""
        moved = update_ema(extra["key"]["params"], params, self.momentum)
        return extra | {"key": extra["key"] | {"params": moved}}


def bank_of(earlier: momentum_queue.Queue) -> Bank:
    """A device's part of the queue."""
    keys = momentum_queue.flat(earlier)
    return Bank(keys["vectors"], Keys(keys["film"], keys["scene"]))


def dropped(segment: jax.Array, keys: jax.Array, share: float) -> jax.Array:
    """Segments of shots `[b w]`, of which each becomes 0, no shot, with probability `share`.

    The luckiest shot of each segment stays. Keys `[b]`.
    """
    if not share:
        return segment
    luck = jax.vmap(lambda key: jax.random.uniform(key, segment.shape[1:]))(keys)
    mine = segment[:, :, None] == segment[:, None, :]  # [b w w]
    luckiest = jnp.where(mine, luck[:, None, :], -1.0).max(axis=2) == luck
    return jnp.where((luck < share) & ~luckiest, 0, segment)


SPEC = MethodSpec(
    name="movies2scenes",
    method=Movies2Scenes,
    build_model=build_model,
    batch_spec=batch_spec,
    open_data=open_data,
    encoder="movies2scenes",
)
