"""Scores of one LVU task."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np
from jax.sharding import Mesh

from vujax.data.datasets.lvu import LabeledClip, LvuTask
from vujax.evals.folds import split_movie_folds
from vujax.evals.lvu.clip_embeddings import Vectors, Windows
from vujax.evals.lvu.probe import (
    GRID,
    PenaltyChoice,
    PenaltyPath,
    Predict,
    choose_penalty,
    fit_path,
    ridge_path,
    softmax_path,
)
from vujax.utils.mesh import make_mesh

FOLDS = "folds"


@dataclass(frozen=True, eq=False)
class TaskMetric:
    """Accuracy or squared error of a task, by the train list alone.

    Attributes:
      classes: `[c]`, numbers of the train list's classes, in order; empty for a regression task.
      constant: the commonest class, or the mean.
    """

    classes: np.ndarray
    constant: float

    @classmethod
    def from_task(cls, task: LvuTask, train: Sequence[LabeledClip]) -> "TaskMetric":
        """Take classes and constant from the train list, with embeddings or without."""
        targets = np.array([clip.target for clip in train])
        if task.is_number:
            return cls(np.zeros(0), float(targets.mean()))
        classes, counts = np.unique(targets, return_counts=True)
        return cls(classes, float(classes[counts.argmax()]))

    def targets(self, clips: Sequence[LabeledClip]) -> np.ndarray:
        """Return numbers; or positions in `classes`, -1 for an unknown class."""
        targets = np.array([clip.target for clip in clips])
        if not len(self.classes):
            return targets
        place = np.searchsorted(self.classes, targets).clip(max=len(self.classes) - 1)
        return np.where(self.classes[place] == targets, place, -1)

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Return 1 for a wrong class, else 0; or squared errors."""
        if len(self.classes):
            return (outputs.argmax(1) != targets).astype(np.float64)
        return (outputs[:, 0] - targets) ** 2

    def predict(self, outputs: np.ndarray) -> np.ndarray:
        """Convert outputs `[n k]` to numbers of classes, or to numbers: `[n]`."""
        return self.classes[outputs.argmax(1)] if len(self.classes) else outputs[:, 0]

    def hits(self, predictions: np.ndarray, clips: Sequence[LabeledClip]) -> np.ndarray:
        """Return 1 for a right class, else 0; or squared errors."""
        targets = np.array([clip.target for clip in clips], np.float64)
        if len(self.classes):
            return (predictions == targets).astype(np.float64)
        return (predictions - targets) ** 2


@dataclass(frozen=True, eq=False)
class TaskScore:
    """The score of embeddings on the reported list of a task.

    `hits` holds, for each clip of the list, 1 or 0 for a right or wrong class, or the squared error
    of a number. The prediction for a clip without embeddings is the constant: the commonest class
    of the whole train list, or its mean.

    Attributes:
      task: its name.
      metric: 'top1', more is better, or 'mse', less is better.
      clips: ids, in the order of the list `[n]`.
      movies: their movies `[n]`.
      covered: bool `[n]`, clips with embeddings.
      hits: float64 `[n]`.
      constant: float64 `[n]`, the hits of the constant for all clips.
      predictions: float64 `[n]`, numbers of classes or numbers.
      chance: 1 over the number of classes in the train list; NaN for a regression task.
      targets: float64 `[n]`, numbers of the true classes, or true numbers.
      l2: the chosen penalty.
      losses: of each penalty, on clips that were neither fitted nor reported.
      train: numbers of clips of the train list: with embeddings, and in all.
      shared: bool `[n]`, the clip's movie is in the train list too, with other clips.
      left_out: number of clips of the train list that are left out as members of the reported list.
    """

    task: str
    metric: str
    clips: tuple[str, ...]
    movies: tuple[str, ...]
    covered: np.ndarray
    hits: np.ndarray
    constant: np.ndarray
    predictions: np.ndarray
    chance: float
    targets: np.ndarray
    l2: float
    losses: dict[float, float]
    train: tuple[int, int]
    shared: np.ndarray
    left_out: int

    @property
    def score(self) -> float:
        """The mean of the hits of clips that have embeddings; NaN if none has."""
        return float(self.hits[self.covered].mean()) if self.covered.any() else float("nan")

    @property
    def score_on_all(self) -> float:
        """The mean of all hits, of clips without embeddings too."""
        return float(self.hits.mean())

    @property
    def score_on_new(self) -> float:
        """As `score`, of clips whose movie is not in the train list; NaN if there is none."""
        new = self.covered & ~self.shared
        return float(self.hits[new].mean()) if new.any() else float("nan")

    @property
    def baselines(self) -> dict[str, dict[str, float]]:
        """'constant', 'best constant' and, of classes, 'chance': on 'covered' clips and on 'all'.

        The best constant knows the reported list: its commonest class, or its mean. No constant
        answer is better.
        """
        covered = self.constant[self.covered]
        result = {
            "constant": {
                "covered": float(covered.mean()) if len(covered) else float("nan"),
                "all": float(self.constant.mean()),
            },
            "best constant": {
                "covered": score_best_constant(self.targets[self.covered], self.metric),
                "all": score_best_constant(self.targets, self.metric),
            },
        }
        if self.metric == "top1":
            result["chance"] = {"covered": self.chance, "all": self.chance}
        return result


def score_best_constant(targets: np.ndarray, metric: str) -> float:
    """Return the score of the best constant prediction of `targets` `[n]`; NaN without any.

    Args:
      targets: numbers of classes, or numbers.
      metric: 'top1' or 'mse'.
    """
    if not len(targets):
        return float("nan")
    if metric == "mse":
        return float(np.var(targets))
    return float(np.unique(targets, return_counts=True)[1].max() / len(targets))


def evaluate(
    task: LvuTask,
    vectors: Vectors,
    *,
    report: str = "val",
    choose: str = FOLDS,
    folds: int = 5,
    seed: int = 0,
    standardize: bool = True,
    grid: Sequence[float] = GRID,
    mesh: Mesh | None = None,
) -> TaskScore:
    """Fit a linear probe on the train list and score it on another list.

    All windows of a clip are fitted, with weights that sum to the same for each clip; a clip's
    prediction is the mean over its windows: of probabilities, or of numbers.

    Args:
      task: see `vujax.data.datasets.lvu`.
      vectors: frozen embeddings of clips; those of other clips have no effect.
      report: the list that is scored, 'val' or 'test'. It chooses nothing.
      choose: what chooses the penalty: 'folds' of the train list that share no movie, or
        'val', if that is not reported. The probe is then fitted on the whole train list.
      folds: number of folds.
      seed: of the folds.
      standardize: standardize the features, by the fitted windows.
      grid: penalties to try.
      mesh: devices; None: one device.

    Raises:
      ValueError: there is no such list, the reported one would choose, no clip of the train list
        has embeddings, or embeddings differ in dim or are not finite.
    """
    _check_lists(task, report, choose)
    reported = task.lists[report]
    known = {clip.clip for clip in reported}
    train = [clip for clip in task.lists["train"] if clip.clip not in known]
    learned = _with_vectors(train, vectors)
    if not learned:
        raise ValueError(
            f"none of the {len(train)} clips of {task.name}'s train list has embeddings; leave the "
            "task out, or compute embeddings of these clips"
        )
    others = _with_vectors(task.lists["val"], vectors) if choose == "val" else []
    windows = Windows.from_embeddings(vectors, [clip.clip for clip in learned + others])
    is_train = np.arange(windows.clips) < len(learned)
    by_movie = choose == FOLDS
    fitted = (
        split_movie_folds([clip.movie for clip in learned], folds, seed) if by_movie else [is_train]
    )
    metric = TaskMetric.from_task(task, train)
    path = _path(metric, grid, mesh)
    targets = metric.targets(learned + others)
    choice = choose_penalty(windows, targets, fitted, path, metric.losses, standardize)
    predictors = fit_path(windows, targets, is_train, path, standardize)
    predict = next(predict for l2, predict in predictors if l2 == choice.l2)
    predictions = _predict_clips(reported, vectors, predict, metric)
    return _score(task, report, train, len(learned), metric, choice, predictions)


def _with_vectors(clips: Sequence[LabeledClip], vectors: Vectors) -> list[LabeledClip]:
    return [clip for clip in clips if clip.clip in vectors]


def _path(metric: TaskMetric, grid: Sequence[float], mesh: Mesh | None) -> PenaltyPath:
    if not len(metric.classes):
        return ridge_path(grid)
    return softmax_path(grid, len(metric.classes), mesh or make_mesh(jax.devices()[:1]))


def _predict_clips(
    reported: Sequence[LabeledClip], vectors: Vectors, predict: Predict, metric: TaskMetric
) -> np.ndarray:
    """Return the prediction of each clip [n]; NaN for one without embeddings."""
    covered = np.array([clip.clip in vectors for clip in reported], bool)
    predictions = np.full(len(reported), np.nan)
    if covered.any():
        test = Windows.from_embeddings(
            vectors, [clip.clip for clip in _with_vectors(reported, vectors)]
        )
        predictions[covered] = metric.predict(test.mean(predict(test.vectors)))
    return predictions


def _check_lists(task: LvuTask, report: str, choose: str) -> None:
    if report not in task.lists or report == "train":
        lists = ", ".join(split for split in task.lists if split != "train")
        raise ValueError(f"{task.name} has no list {report!r} to report; expected one of: {lists}")
    if choose not in (FOLDS, "val"):
        raise ValueError(f"unknown choose {choose!r}; expected one of: {FOLDS}, val")
    if choose == report:
        raise ValueError(
            f"the list {report!r} is reported, so it may not choose the penalty; choose by "
            f"'{FOLDS}', which are parts of the train list"
        )


def _score(
    task: LvuTask,
    report: str,
    train: Sequence[LabeledClip],
    learned: int,
    metric: TaskMetric,
    choice: PenaltyChoice,
    predictions: np.ndarray,
) -> TaskScore:
    reported = task.lists[report]
    covered = ~np.isnan(predictions)
    predictions = np.where(covered, predictions, metric.constant)
    learned_movies = {clip.movie for clip in train}
    return TaskScore(
        task=task.name,
        metric="mse" if task.is_number else "top1",
        clips=tuple(clip.clip for clip in reported),
        movies=tuple(clip.movie for clip in reported),
        covered=covered,
        hits=metric.hits(predictions, reported),
        constant=metric.hits(np.full(len(reported), metric.constant), reported),
        predictions=predictions,
        chance=1 / len(metric.classes) if len(metric.classes) else float("nan"),
        targets=np.array([clip.target for clip in reported], np.float64),
        l2=choice.l2,
        losses=choice.losses,
        train=(learned, len(train)),
        shared=np.array([clip.movie in learned_movies for clip in reported], bool),
        left_out=len(task.lists["train"]) - len(train),
    )
