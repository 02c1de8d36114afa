"""Tags of scenes by a model in training: what a linear probe reads from its frozen vectors.

Vectors of all scenes of a set by a model of scenes, in the set's order.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jax.sharding import Mesh

from vujax.data.registry import open_scenes
from vujax.data.scene_batches import SceneRows
from vujax.data.scenes import Scenes, SingleShots
from vujax.evals.base import Example
from vujax.evals.features import Variables, extract_scenes
from vujax.evals.folds import find_learnable_tags, hold_out_groups
from vujax.evals.metrics.multilabel import compute_example_ap, compute_tag_baselines, score_tags
from vujax.evals.movie_retrieval import check_held_out
from vujax.evals.multilabel_probe import TAG_GRID, TaggedFeatures, TagProbe, fit_tag_probe
from vujax.evals.scene_boundaries import untrained_shot_features

SHOTS = "shots"


class TagTask(NamedTuple):
    """One kind of label of scenes: what is learned from and what is scored, without vectors.

    Attributes:
      tags: names of the tags, in order.
      train: truth and what is known `[n t]` of all scenes to learn from.
      validation: of the scenes that are scored.
      out: bool `[n]`, the scenes to learn from that choose penalty and thresholds.
      left_out: tags of either part that cannot be learned: too few have them.
    """

    tags: tuple[str, ...]
    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    out: np.ndarray
    left_out: int


class ScoredScenes(NamedTuple):
    """Scores of the scenes that were evaluated, for `tag_scores.map_interval`.

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


class SceneTags:
    """Evaluator: `(variables) -> {'genre/map': ..., 'genre/f1': ..., 'shots/genre/map': ...}`.

    A scene without any label of a kind is taken as not known, and left out of that kind.

    Attributes:
      headline: the mean average precision of the first kind of label.
      hits: after a call, by kind of label, average precision of each scene that has a tag.
      baselines: chance, each tag's share in training, and the same probe on what is seen of the
        shots: the mean of their features, or of their colour histograms.
      judged: after a call, by kind of label, what `map_interval` takes.
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
        """Names what to read; scenes are opened at the first call.

        Args:
          model: a `vujax.models.projection.SceneContrast`: rows -> (vectors [r s d], ...), of which
            the first is judged.
          mesh: devices to use, along 'data'.
          train: scenes to learn the tags from, `dict(kind=..., **options)`, see
            `vujax.data.registry.open_scenes`.
          validation: scenes to score, of other movies.
          inputs: what the model sees of a shot, see `vujax.data.scene_batches.shapes`.
          labels: kinds of label, such as 'genre', 'event', 'place'.
          rows: options of `SceneRows`: width, most, buckets, workers.
          single_shots: whether each shot is also judged alone, by its scene's labels.
          share: of the movies to learn from, that choose penalty and thresholds.
          grid: penalties to try.
          batch_size: rows at once, of all hosts together; of single shots as many as fill them.
          seed: of the choice of these movies.

        Raises:
          ValueError: there is no kind of label.
        """
        if not labels:
            raise ValueError("labels names no kind of label: name one, such as 'genre'")
        self._mesh, self._sets = mesh, dict(train=train, validation=validation)
        self._inputs = {name: tuple(shape) for name, shape in inputs.items()}
        self._labels, self._rows, self._batch_size = tuple(labels), dict(rows or {}), batch_size
        self._single, self._share, self._grid, self._seed = single_shots, share, tuple(grid), seed
        self._encode = lambda variables, rows: model.apply(variables, rows)[0]
        self.headline = f"{self._labels[0]}/map"
        self.hits: dict[str, np.ndarray] | None = None
        self.baselines: dict[str, dict[str, float]] = {}
        self.judged: dict[str, ScoredScenes] = {}

    @functools.cached_property
    def scenes(self) -> dict[str, Scenes]:
        """The scenes to learn from and to score.

        Raises:
          ValueError: a movie is among both, or has no such labels.
        """
        opened = {name: open_scenes(**options) for name, options in self._sets.items()}
        check_held_out(opened["validation"].movies, opened["train"].movies)
        for name, scenes in opened.items():
            if missing := next((kind for kind in self._labels if kind not in scenes.labels), None):
                known = ", ".join(scenes.labels) or "none"
                raise ValueError(f"the scenes to {name} have no label {missing!r}: {known}")
        return opened

    def __call__(self, variables: Variables) -> dict[str, float]:
        """Learns tags on `variables`' vectors and scores them."""
        found, self.hits = {}, {}
        for level, parts in self._levels.items():
            vectors = {name: self._vectors(variables, scenes) for name, scenes in parts.items()}
            for kind, task in self._tasks[level].items():
                name = _name(level, kind)
                probe, scores = self._probed(task, vectors)
                truth, known = task.validation
                movie = parts["validation"].movie
                self.judged[name] = ScoredScenes(scores, truth, known, movie, task.tags)
                values = compute_example_ap(scores, truth, known=known)
                self.hits[name] = values[~np.isnan(values)]
                counts = dict(examples=float(known.any(1).sum()), left_out=float(task.left_out))
                found |= _named(name, _summary(scores, task, probe) | counts)
        if not self.baselines:
            self.baselines = self._untrained()
        return found

    def examples(self, queries: int) -> list[Example]:
        """None: nothing is retrieved here."""
        del queries
        return []

    @functools.cached_property
    def _levels(self) -> dict[str, dict[str, Scenes]]:
        whole = {"scenes": self.scenes}
        if self._single:
            whole[SHOTS] = {name: SingleShots(scenes) for name, scenes in self.scenes.items()}
        return whole

    @functools.cached_property
    def _tasks(self) -> dict[str, dict[str, TagTask]]:
        return {
            level: {kind: self._task(kind, **parts) for kind in self._labels}
            for level, parts in self._levels.items()
        }

    def _task(self, kind: str, train: Scenes, validation: Scenes) -> TagTask:
        tags = sorted(set().union(*train.labels[kind]))
        truth, known = _table(train.labels[kind], tags)
        movies = np.array(train.movies)[train.movie]
        out = hold_out_groups(movies, truth, known, share=self._share, seed=self._seed)
        kept = find_learnable_tags(truth[out], known[out]) & find_learnable_tags(
            truth[~out], known[~out]
        )
        names = [tag for tag, keep in zip(tags, kept, strict=True) if keep]
        held = set().union(*validation.labels[kind])
        if not held & set(names):
            raise ValueError(
                f"no {kind} can be judged: of {len(tags)} to learn from, {len(names)} are had by "
                "scenes of several movies, and none of these by a scene to score"
            )
        scored = _table(validation.labels[kind], names)
        parts = (truth[:, kept], known[:, kept]), scored, out
        return TagTask(tuple(names), *parts, len((set(tags) | held) - set(names)))

    def _vectors(self, variables: Variables, scenes: Scenes) -> np.ndarray:
        rows, size = SceneRows(scenes, self._inputs, **self._rows), self._batch_size
        if isinstance(scenes, SingleShots):  # rows of one shot: as many shots at once
            shots = rows.shapes(1)["segment"].shape[1]
            workers = self._rows.get("workers", 0)
            rows = SceneRows(scenes, self._inputs, buckets=(1,), workers=workers)
            size *= shots
        options = dict(batch_size=size, mesh=self._mesh)
        return extract_scenes(self._encode, variables, rows, **options)

    def _probed(
        self, task: TagTask, vectors: Mapping[str, np.ndarray]
    ) -> tuple[TagProbe, np.ndarray]:
        """The probe that training vectors give, and its probabilities `[n t]` of the others."""
        data = TaggedFeatures(vectors["train"], *task.train)
        parts = data.take(~task.out), data.take(task.out)
        probe = fit_tag_probe(*parts, mesh=self._mesh, grid=self._grid).probe
        return probe, probe.scores(vectors["validation"])

    def _untrained(self) -> dict[str, dict[str, float]]:
        result: dict[str, dict[str, float]] = {}
        for level, parts in self._levels.items():
            raw = {name: _raw(scenes, self._inputs) for name, scenes in parts.items()}
            for kind, task in self._tasks[level].items():
                name = _name(level, kind)
                shares = TaggedFeatures(task.out[:, None], *task.train).take(~task.out).shares
                truth, known = task.validation
                rows = compute_tag_baselines(truth, shares, known=known)
                for seen in raw["train"]:
                    vectors = {part: found[seen] for part, found in raw.items()}
                    probe, scores = self._probed(task, vectors)
                    rows[seen] = _summary(scores, task, probe)
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
    """Truth and what is known, bool `[n t]` each."""
    truth = np.array([[tag in found for tag in tags] for found in labels], bool)
    known = np.array([bool(found) for found in labels], bool)
    return truth.reshape(len(labels), len(tags)), np.tile(known[:, None], (1, len(tags)))


def _raw(scenes: Scenes, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Means over each scene's shots (and keyframes) of what is seen of them, `[n d]`, by name."""
    rows: dict[str, list[np.ndarray]] = {}
    for scene in range(len(scenes.keys)):
        seen = {name: value for name, value in scenes.inputs(scene).items() if name in inputs}
        for name, values in untrained_shot_features(seen).items():
            rows.setdefault(name, []).append(values.reshape(-1, values.shape[-1]).mean(0))
    return {name: np.stack(values).astype(np.float32) for name, values in rows.items()}
