"""Movies2Scenes: scene representations guided by movie similarity (Chen et al., CVPR 2023).

The positive of a scene is the most similar scene, by the momentum encoder, among the scenes of
movies that are considered similar to its own, or among a few random ones of these (our knob, see
`Movies2Scenes.candidates`); negatives are scenes of other movies. The lists of similar movies come
with the batch (`vujax.data.movies.guide`), so that every control is a matter of data. Key encoder
and queue are those of MoCo (He et al. 2020, arXiv:1911.05722). Every default here is our choice,
not the paper's value.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from vujax.data.movies import guide
from vujax.data.movies.guide import (
    ITSELF,
    GuidedRows,
    Keys,
    Queries,
    is_negative,
    is_positive_candidate,
    select_similar_movies,
)
from vujax.data.movies.holdout import read_held_out_movies, read_withheld_movies
from vujax.data.scenes import Scenes
from vujax.losses.candidates import Positive, find_positive
from vujax.losses.memory_bank import NO_FILM, Bank, ContrastResult, contrast
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
from vujax.models.scene_encoder import build_scene_encoder
from vujax.models.shot_encoder import INPUTS
from vujax.optim import update_ema

ALONE_RULES = ("augment", "skip")
CANDIDATE_STREAM = 2**31  # folded into the step's key; rows fold in their index, which is smaller


@dataclasses.dataclass(frozen=True)
class Movies2Scenes:
    """Contrastive learning of scenes and those of similar movies.

    A batch has rows of scenes, see `vujax.data.movies.guide.GuidedRows`.

    Attributes:
      model: see `vujax.models.projection.ContrastModel`.
      queue: number of keys retained, candidates for positives and negatives alike: a multiple of
        the scenes that fit in a batch, best one that holds an epoch. The batch's own keys join it
        first.
      momentum: of the key encoder, per optimizer step.
      temperature: divides cosines.
      mask_similar: scenes of similar movies are no negatives. Without effect where all are similar.
      candidates: number of permitted scenes that the search for the positive sees, drawn at random
        at each step, by movie, then by scene: 1: a random scene; 0: all, as in the paper.
      alone: what a scene does whose similar movies have no scene in the queue: 'augment': it is its
        own positive, in another view; 'skip': it has no part in the loss, but for scenes that are
        guided by ITSELF.
      drop: probability that a view lacks a shot; one of each scene always stays.
      tile: keys that the search for positives compares at a time.
      min_rank: effective rank below which 'alarm/low_rank' is raised. An encoder retains the
        directions that the guide knows: set it below their number, which `vujax movies worth`
        prints.
      augment: of the shots, see `vujax.methods.augment.ShotAugmentation`.
    """

    model: nn.Module
    queue: int = 65536
    momentum: float = 0.999
    temperature: float = 0.1
    mask_similar: bool = False
    candidates: int = 0
    alone: str = "augment"
    drop: float = 0.2
    tile: int = 4096
    min_rank: float = diagnostics.MIN_RANK
    augment: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.temperature > 0 or not 0 <= self.momentum <= 1 or not 0 <= self.drop < 1:
            raise ValueError(
                f"method.temperature {self.temperature} must be above 0, method.momentum "
                f"{self.momentum} from 0 to 1, and method.drop {self.drop} from 0 to below 1"
            )
        if self.tile < 1 or self.candidates < 0:
            raise ValueError(
                f"method.tile {self.tile} must be 1 or more, and method.candidates "
                f"{self.candidates} 0 or more"
            )
        if self.min_rank < 0:
            raise ValueError(f"method.min_rank must be 0 or more, got {self.min_rank}")
        if self.alone not in ALONE_RULES:
            raise ValueError(
                f"unknown method.alone '{self.alone}'; expected one of: {', '.join(ALONE_RULES)}"
            )
        self._augmentation  # noqa: B018 (raises for an invalid setting)

    @property
    def _augmentation(self) -> ShotAugmentation:
        return ShotAugmentation.from_config(dict(self.augment))

    def init(self, rng: jax.Array, batch: Batch) -> tuple[Tree, Tree]:
        """See `vujax.methods.base.Method`; `aux` has the key encoder and the queue.

        Raises:
          ValueError: the queue does not hold complete batches.
        """
        (_, projected), variables = self.model.init_with_output(rng, batch)
        aux = dict(variables)
        params = aux.pop("params")
        aux["key"] = jax.tree.map(jnp.copy, {"params": params} | aux)
        aux["queue"] = momentum_queue.init_queue(
            self.queue,
            batch["scene"].size,
            projected.shape[-1],
            ids=Keys._fields,
            unit="scenes that fit in a batch (batch_size x data.most)",
        )
        return params, aux

    def init_from_pretrained(self, aux: Tree, variables: Tree) -> Tree:
        """Start the key encoder as the query encoder; the queue stays empty."""
        return replace_batch_stats(aux, variables) | {"key": variables}

    def layout(self, aux: Tree) -> Tree:
        """Shard the queue over the devices; replicate the rest."""
        return replicated_specs(aux) | {"queue": momentum_queue.queue_specs(aux["queue"])}

    def embed(self, params: Tree, aux: Tree, batch: Batch, context: StepContext) -> Embeddings:
        """Compute unit embeddings `[b s p]` of two views, by the query and the key encoder."""
        rng, axis_name = context.rng, context.axis_name
        keys = jax.vmap(lambda i: jax.random.split(jax.random.fold_in(rng, i)))(batch["index"])
        variables = {"params": params} | aux
        query, statistics = self._embed_view(variables, batch, keys[:, 0], axis_name)
        key, key_statistics = self._embed_view(aux["key"], batch, keys[:, 1], axis_name)
        shared = {"batch_stats": statistics, "key_stats": key_statistics} if statistics else {}
        rows = {"query": query, "key": lax.stop_gradient(key)}
        rows |= {"film": batch["movie"], "scene": batch["scene"], "similar": batch["similar"]}
        return Embeddings(rows, shared)

    def _embed_view(
        self, variables: Tree, batch: Batch, keys: jax.Array, axis_name: str | None
    ) -> tuple[jax.Array, Tree]:
        """Return `([b s p], new batch statistics)` of a random view of the scenes."""
        drop_keys, shot_keys = jnp.moveaxis(jax.vmap(jax.random.split)(keys), 1, 0)
        rows = batch | {"segment": drop_shots(batch["segment"], drop_keys, self.drop)}
        rows |= self._augment_inputs(batch, shot_keys)
        (_, projected), updated = apply_in_training(self.model, variables, rows, axis_name)
        return projected, updated.get("batch_stats", {})

    def _augment_inputs(self, batch: Batch, keys: jax.Array) -> dict[str, jax.Array]:
        """Return the shots' inputs `[b w ...]`, augmented at random; keys `[b]`."""
        inputs = {name: batch[name] for name in INPUTS if name in batch}
        b, w = batch["segment"].shape
        flat = jax.tree.map(lambda x: x.reshape((b * w, *x.shape[2:])), inputs)
        shot_keys = jax.vmap(lambda k: jax.random.split(k, w))(keys).ravel()
        views = self._augmentation(flat, shot_keys)
        return jax.tree.map(lambda x: x.reshape((b, w, *x.shape[1:])), views)

    def objective(
        self, embeddings: Embeddings, aux: Tree, context: StepContext
    ) -> tuple[jax.Array, tuple[Tree, Metrics]]:
        """Enqueue this batch's keys; select positives in the queue, and contrast with the rest."""
        rows, shared = embeddings
        axis_name = context.axis_name
        flat = {name: x.reshape((-1, *x.shape[2:])) for name, x in rows.items()}
        aux = dict(aux)
        if shared:
            aux["batch_stats"] = shared["batch_stats"]
            aux["key"] = aux["key"] | {"batch_stats": shared["key_stats"]}
        keys = {"vectors": flat["key"], "film": flat["film"], "scene": flat["scene"]}
        aux["queue"] = momentum_queue.enqueue(aux["queue"], keys)
        ids = Queries(flat["film"], flat["scene"], flat["similar"], flat["scene"])
        bank = build_bank(aux["queue"])
        found = find_positive(
            flat["key"],
            ids,
            bank,
            momentum_queue.compute_positions(aux["queue"], axis_name),
            candidates=self.candidates,
            seed=jax.random.bits(
                jax.random.fold_in(context.rng, CANDIDATE_STREAM), dtype=jnp.uint32
            ),
            permitted=is_positive_candidate,
            tile=self.tile,
            axis_name=axis_name,
        )
        counts = self._select_rows(flat, found)
        result = self._contrast(flat, counts, ids, bank, found, axis_name)
        return result.loss, (aux, self._compute_metrics(flat, counts, result, found, context))

    def _select_rows(self, rows: Tree, found: Positive) -> jax.Array:
        """Return bool `[n]`, True for scenes that have a part in the loss."""
        is_scene = rows["film"] != NO_FILM
        if self.alone == "augment":
            return is_scene
        return is_scene & (found.is_found | (rows["similar"] == ITSELF).any(axis=1))

    def _contrast(
        self,
        rows: Tree,
        counts: jax.Array,
        ids: Queries,
        bank: Bank,
        found: Positive,
        axis_name: str | None,
    ) -> ContrastResult:
        positive = jnp.where(found.is_found[:, None], found.vector, rows["key"])
        ids = ids._replace(
            film=jnp.where(counts, ids.film, NO_FILM),
            positive=jnp.where(found.is_found, found.ids.scene, ids.scene),
        )
        return contrast(
            rows["query"],
            positive,
            ids,
            bank,
            temperature=self.temperature,
            negatives=functools.partial(is_negative, mask_similar=self.mask_similar),
            axis_name=axis_name,
        )

    def _compute_metrics(
        self,
        rows: Tree,
        counts: jax.Array,
        result: ContrastResult,
        found: Positive,
        context: StepContext,
    ) -> Metrics:
        rows, result = lax.stop_gradient((rows, result))
        axis_name = context.axis_name
        valid = rows["film"] != NO_FILM
        rank, std = diagnostics.compute_spread(rows["query"], axis_name, valid)
        stats = {"effective_rank": rank, "embedding_std": std}
        for name, value, mask in (
            ("positive", result.positive, counts),
            ("top1", result.right, counts),
            ("alone", ~found.is_found, valid),
        ):
            stats[name] = diagnostics.mean_of_masked(value, mask, axis_name)
        stats["guided"] = 1 - stats["alone"]
        return stats | self.detect_collapse(stats, context.progress)

    def detect_collapse(
        self, stats: dict[str, jax.Array], progress: jax.Array
    ) -> dict[str, jax.Array]:
        """Return alarms; a rank near the number of guided directions is none, see `min_rank`."""
        return diagnostics.detect_collapse(stats, progress, self.min_rank)

    def after_update(self, params: Tree, aux: Tree) -> Tree:
        """Update the key encoder's average."""
        average = update_ema(aux["key"]["params"], params, self.momentum)
        return aux | {"key": aux["key"] | {"params": average}}


def build_bank(queue: momentum_queue.Queue) -> Bank:
    """Return this device's shard of the queue."""
    keys = momentum_queue.flatten_queue(queue)
    return Bank(keys["vectors"], Keys(keys["film"], keys["scene"]))


def drop_shots(segment: jax.Array, keys: jax.Array, share: float) -> jax.Array:
    """Set segments of shots to 0 (no shot), each with probability `share`.

    The shot of each segment with the greatest draw stays.

    Args:
      segment: int32 `[b w]`.
      keys: typed PRNG keys `[b]`.
      share: in [0, 1).
    """
    if not share:
        return segment
    draw = jax.vmap(lambda key: jax.random.uniform(key, segment.shape[1:]))(keys)
    same = segment[:, :, None] == segment[:, None, :]  # [b w w]
    is_greatest = jnp.where(same, draw[:, None, :], -1.0).max(axis=2) == draw
    return jnp.where((draw < share) & ~is_greatest, 0, segment)


def build_model(config: ConfigDict, mesh: Mesh) -> ContrastModel:
    """Build the encoder, and the projection through which it is trained."""
    del mesh
    return build_contrast_model(config.model.to_dict(), build_scene_encoder)


def batch_spec(config: ConfigDict, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
    """See `vujax.data.movies.guide.batch_spec`."""
    sizes = _row_sizes(config.data)
    slots = guide.count_slots(config.data.guide, config.data.k)
    return guide.batch_spec(config.inputs.to_dict(), rows, k=slots, **sizes)


def open_data(config: ConfigDict) -> GuidedRows:
    """Open the scenes of `config.data.scenes`, without held-out movies, and their guide.

    Raises:
      ValueError: no scene has a similar movie, and such scenes are left out of the loss.
    """
    scenes, selected = open_guided_scenes(config)
    alone = guide.find_alone(scenes.movie, selected.similar)
    skipped = config.method.get("alone", Movies2Scenes.alone) == "skip"
    if alone.all() and skipped:
        raise ValueError(
            f"data.guide '{config.data.guide}' covers none of the {len(scenes.movies)} movies: "
            "choose another guide, or set method.alone to 'augment'"
        )
    if jax.process_index() == 0:
        print(describe_guide(scenes, selected, config.data.guide))
        done = "left out of the loss" if skipped else "their own positives"
        print(f"{alone.sum()} scenes ({alone.mean():.1%}) without a similar movie: {done}")
    settings = config.data.to_dict()
    return GuidedRows(
        scenes,
        config.inputs.to_dict(),
        selected.similar,
        workers=settings["workers"],
        **_row_sizes(config.data),
    )


def open_guided_scenes(config: ConfigDict) -> tuple[Scenes, guide.Guide]:
    """Open the scenes of `config.data.scenes`, without held-out movies, and select their guide."""
    from vujax.data.registry import open_scenes

    settings = config.data.to_dict()
    held_out = read_held_out(settings["held_out"])
    scenes = open_scenes(**settings["scenes"], without=held_out)
    selected = select_similar_movies(
        scenes.movies,
        guide=settings["guide"],
        k=settings["k"],
        channels=settings["channels"],
        tables=build_table_options(settings["tables"], scenes),
        held_out=held_out,
        seed=config.seed,
        truth=guide.collect_labels(scenes),
    )
    return scenes, selected


def describe_guide(scenes: Scenes, selected: guide.Guide, name: str) -> str:
    """Return one line about the scenes and the movies without a guide."""
    reasons = [f"{count} {reason}" for reason, count in selected.counts.items() if count]
    return (
        f"{len(scenes.keys)} scenes of {len(scenes.movies)} movies, guided by {name}; movies "
        f"without a guide: {', '.join(reasons) or 'none'}"
    )


def build_table_options(settings: Mapping[str, Any], scenes: Scenes) -> dict[str, Any]:
    """Return the options of `open_tables`.

    A clip that is trained on must not be described to its movie's neighbors by its own text: the
    synopses of Condensed Movies are made of the other clips (see
    `vujax.data.datasets.condensed_movies`).
    """
    if settings.get("kind") != "condensed_movies":
        return dict(settings)
    return dict(settings) | {"scenes": [key.rpartition("/")[2] for key in scenes.keys]}


def read_held_out(settings: Mapping[str, str]) -> frozenset[str]:
    """Read the movies that are excluded from training.

    Args:
      settings: 'lvu': directory of LVU's lists, see `vujax.data.movies.holdout`, or ''; 'list': a
        file with one IMDb id per line, or ''.

    Raises:
      FileNotFoundError, ValueError: as in `vujax.data.movies.holdout`.
    """
    lvu = read_held_out_movies(settings["lvu"]) if settings["lvu"] else frozenset()
    return lvu | (read_withheld_movies(settings["list"]) if settings["list"] else frozenset())


def _row_sizes(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"width": data["width"], "most": data["most"], "buckets": data["buckets"] or None}


SPEC = MethodSpec(
    name="movies2scenes",
    method=Movies2Scenes,
    build_model=build_model,
    batch_spec=batch_spec,
    open_data=open_data,
    encoder="movies2scenes",
)
