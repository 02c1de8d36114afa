"""Scene tags by a model in training: a linear probe on its frozen embeddings."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jax.sharding import Mesh

from vujax.data.registry import open_scenes
from vujax.data.scene_batches import SceneRows
from vujax.data.scenes import Scenes, SingleShotScenes
from vujax.evals.base import Evaluator
from vujax.evals.features import Variables, extract_scenes
from vujax.evals.folds import find_learnable_tags, hold_out_groups
from vujax.evals.metrics.multilabel import compute_example_ap, compute_tag_baselines, score_tags
from vujax.evals.movie_retrieval import check_held_out
from vujax.evals.multilabel_probe import TAG_GRID, TaggedFeatures, TagProbe, fit_tag_probe
from vujax.evals.scene_boundaries import untrained_shot_features

SHOTS = "shots"


class TagTask(NamedTuple):
    """One kind of scene label: truth of both splits, without embeddings.

    Attributes:
      tags: names of the tags, in order.
      train: truth and known `[n t]` of all training scenes.
      validation: truth and known `[n t]` of the scored scenes.
      out: bool `[n]`, the training scenes that choose penalty and thresholds.
      left_out: number of tags of either split that cannot be learned: too few scenes have them.
    """

    tags: tuple[str, ...]
    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    out: np.ndarray
    left_out: int


class ScoredScenes(NamedTuple):
    """Scores of the evaluated scenes, for `metrics.multilabel.map_interval`.

    Attributes:
      scores: `[n t]` probabilities.
      truth: bool `[n t]`.
      known: bool `[n t]`.
      movie: int `[n]`.
      tags: names.
    """

    scores: np.ndarray
    truth: np.ndarray
    known: np.ndarray
    movie: np.ndarray
    tags: tuple[str, ...]


class SceneTags(Evaluator):
    """Evaluator: `(variables) -> {'genre/map': ..., 'shots/genre/map': ...}`.

    A scene without any label of a kind counts as not known, and is left out of that kind.

    Attributes:
      hits: after a call, by kind of label, average precision of each scene that has a tag.
      baselines: a random ranking ('chance'), each tag's share in training ('prior'), and the same
        probe on untrained features of the shots: their mean features or color histograms.
      judged: after a call, by kind of label, the arguments of `map_interval`.
    """

    def __init__(
        self,
        model: Any,
        mesh: Mesh,
        *,
        train: Mapping[str, Any],
        validation: Mapping[str, Any],
        inputs: Mapping[str, Sequence[int]],
        labels: Sequence[str] = ("genre", "event"),
        rows: Mapping[str, Any] | None = None,
        single_shots: bool = False,
        share: float = 0.25,
        grid: Sequence[float] = TAG_GRID,
        batch_size: int = 8,
        seed: int = 0,
    ) -> None:
        """Store the options; scenes are opened at the first call.

        Args:
          model: a `vujax.models.projection.ContrastModel`: rows -> (embeddings [r s d], ...), of
            which the first is scored.
          mesh: devices to use, along 'data'.
          train: scenes to learn the tags from, `dict(kind=..., **options)`, see
            `vujax.data.registry.open_scenes`.
          validation: scenes to score, of other movies.
          inputs: the model's inputs of a shot, see `vujax.data.scene_batches.batch_spec`.
          labels: kinds of label, such as 'genre', 'event', 'place'.
          rows: options of `SceneRows`: width, most, buckets, workers.
          single_shots: also score each shot alone, by its scene's labels.
          share: of the training movies, that choose penalty and thresholds.
          grid: penalties to try.
          batch_size: rows at once, of all hosts together; of single shots as many as fill them.
          seed: of the choice of these movies.

        Raises:
          ValueError: there is no kind of label.
        """
        if not labels:
            raise ValueError("labels is empty; give a kind of label, such as 'genre'")
        self._mesh, self._sets = mesh, dict(train=train, validation=validation)
        self._inputs = {name: tuple(shape) for name, shape in inputs.items()}
        self._labels, self._rows, self._batch_size = tuple(labels), dict(rows or {}), batch_size
        self._single, self._share, self._grid, self._seed = single_shots, share, tuple(grid), seed
        self._encode = lambda variables, rows: model.apply(variables, rows)[0]
        self.judged: dict[str, ScoredScenes] = {}

    @property
    def headline(self) -> str:
        """The mean average precision of the first kind of label."""
        return f"{self._labels[0]}/map"

    @functools.cached_property
    def scenes(self) -> dict[str, Scenes]:
        """The training and the scored scenes.

        Raises:
          ValueError: a movie is among both, or a set has no such labels.
        """
        opened = {name: open_scenes(**options) for name, options in self._sets.items()}
        check_held_out(opened["validation"].movies, opened["train"].movies)
        for name, scenes in opened.items():
            if missing := next((kind for kind in self._labels if kind not in scenes.labels), None):
                known = ", ".join(scenes.labels) or "none"
                raise ValueError(f"the scenes to {name} have no label {missing!r}: {known}")
        return opened

    def __call__(self, variables: Variables) -> dict[str, float]:
        """Learn tags on `variables`' embeddings and score them."""
        result: dict[str, float] = {}
        hits: dict[str, np.ndarray] = {}
        for level, parts in self._levels.items():
            embeddings = {name: self._embed(variables, scenes) for name, scenes in parts.items()}
            for kind, task in self._tasks[level].items():
                name = _name(level, kind)
                probe, scores = self._probe(task, embeddings)
                truth, known = task.validation
                movie = parts["validation"].movie
                self.judged[name] = ScoredScenes(scores, truth, known, movie, task.tags)
                values = compute_example_ap(scores, truth, known=known)
                hits[name] = values[~np.isnan(values)]
                counts = dict(examples=float(known.any(1).sum()), left_out=float(task.left_out))
                result |= _named(name, _summary(scores, task, probe) | counts)
        self.hits = hits
        if not self.baselines:
            self.baselines = self._untrained_baselines()
        return result

    @functools.cached_property
    def _levels(self) -> dict[str, dict[str, Scenes]]:
        levels = {"scenes": self.scenes}
        if self._single:
            levels[SHOTS] = {name: SingleShotScenes(scenes) for name, scenes in self.scenes.items()}
        return levels

    @functools.cached_property
    def _tasks(self) -> dict[str, dict[str, TagTask]]:
        return {
            level: {kind: self._task(kind, **parts) for kind in self._labels}
            for level, parts in self._levels.items()
        }

    def _task(self, kind: str, train: Scenes, validation: Scenes) -> TagTask:
        tags = sorted({tag for own in train.labels[kind] for tag in own})
        truth, known = _table(train.labels[kind], tags)
        movies = np.array(train.movies)[train.movie]
        out = hold_out_groups(movies, truth, known, share=self._share, seed=self._seed)
        learnable = find_learnable_tags(truth[out], known[out])
        learnable &= find_learnable_tags(truth[~out], known[~out])
        names = [tag for tag, chosen in zip(tags, learnable, strict=True) if chosen]
        scored = {tag for own in validation.labels[kind] for tag in own}
        if not scored & set(names):
            raise ValueError(
                f"no {kind} can be scored: of {len(tags)} tags to learn, {len(names)} occur in "
                "scenes of several movies, and none of these in a scene to score"
            )
        return TagTask(
            tags=tuple(names),
            train=(truth[:, learnable], known[:, learnable]),
            validation=_table(validation.labels[kind], names),
            out=out,
            left_out=len((set(tags) | scored) - set(names)),
        )

    def _embed(self, variables: Variables, scenes: Scenes) -> np.ndarray:
        rows, size = SceneRows(scenes, self._inputs, **self._rows), self._batch_size
        if isinstance(scenes, SingleShotScenes):  # rows of one shot: as many shots at once
            shots = rows.batch_spec(1)["segment"].shape[1]
            workers = self._rows.get("workers", 0)
            rows = SceneRows(scenes, self._inputs, buckets=(1,), workers=workers)
            size *= shots
        options = dict(batch_size=size, mesh=self._mesh)
        return extract_scenes(self._encode, variables, rows, **options)

    def _probe(
        self, task: TagTask, embeddings: Mapping[str, np.ndarray]
    ) -> tuple[TagProbe, np.ndarray]:
        """Fit the probe to training embeddings; return it and validation scores `[n t]`."""
        truth, known = task.train
        data = TaggedFeatures(embeddings["train"], truth, known)
        fitted, held_out = data.take(~task.out), data.take(task.out)
        probe = fit_tag_probe(fitted, held_out, mesh=self._mesh, grid=self._grid).probe
        return probe, probe.scores(embeddings["validation"])

    def _untrained_baselines(self) -> dict[str, dict[str, float]]:
        result: dict[str, dict[str, float]] = {}
        for level, parts in self._levels.items():
            raw = {
                name: _untrained_features(scenes, self._inputs) for name, scenes in parts.items()
            }
            for kind, task in self._tasks[level].items():
                name = _name(level, kind)
                train, train_known = task.train
                data = TaggedFeatures(task.out[:, None], train, train_known)
                truth, known = task.validation
                rows = compute_tag_baselines(truth, data.take(~task.out).shares, known=known)
                for feature in raw["train"]:
                    split_features = {split: own[feature] for split, own in raw.items()}
                    probe, scores = self._probe(task, split_features)
                    rows[feature] = _summary(scores, task, probe)
                for row, scored in rows.items():
                    result.setdefault(row, {}).update(_named(name, scored))
        return result


def _summary(scores: np.ndarray, task: TagTask, probe: TagProbe) -> dict[str, float]:
    truth, known = task.validation
    return score_tags(scores, truth, known=known, thresholds=probe.thresholds).summary()


def _name(level: str, kind: str) -> str:
    return f"{SHOTS}/{kind}" if level == SHOTS else kind


def _named(name: str, scores: Mapping[str, float]) -> dict[str, float]:
    return {f"{name}/{key}": value for key, value in scores.items()}


def _table(labels: Sequence[frozenset[str]], tags: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return truth and known, bool `[n t]` each."""
    truth = np.array([[tag in own for tag in tags] for own in labels], bool)
    known = np.array([bool(own) for own in labels], bool)
    return truth.reshape(len(labels), len(tags)), np.tile(known[:, None], (1, len(tags)))


def _untrained_features(scenes: Scenes, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return each scene's mean untrained features `[n d]`, by name."""
    rows: dict[str, list[np.ndarray]] = {}
    for scene in range(len(scenes.keys)):
        seen = {name: value for name, value in scenes.inputs(scene).items() if name in inputs}
        for name, values in untrained_shot_features(seen).items():
            rows.setdefault(name, []).append(values.reshape(-1, values.shape[-1]).mean(0))
    return {name: np.stack(values).astype(np.float32) for name, values in rows.items()}
