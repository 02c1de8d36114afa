"""Scores of one task."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np
from jax.sharding import Mesh

from vujax.data.datasets.lvu import LabeledClip, LvuTask
from vujax.evals.folds import split_movie_folds
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
from vujax.evals.lvu.task_metric import TaskMetric
from vujax.evals.lvu.windows import Vectors, Windows
from vujax.utils.mesh import make_mesh

FOLDS = "folds"


@dataclass(frozen=True, eq=False)
class TaskScore:
    """What vectors are worth on the reported list of a task.

    `hits` holds, for each clip of the list, 1 or 0 for a right or wrong class, or the squared error
    of a number. A clip without vectors is answered by the constant: the commonest class of the
    whole train list, or its mean.

    Attributes:
      task: its name.
      metric: 'top1', more is better, or 'mse', less is better.
      clips: ids, in the order of the list `[n]`.
      movies: their movies `[n]`.
      covered: bool `[n]`, which have vectors.
      hits: float64 `[n]`.
      constant: float64 `[n]`, those of answering all clips by the constant.
      answers: float64 `[n]`, numbers of classes or numbers.
      chance: 1 over the number of classes in the train list; NaN where a number is asked for.
      l2: the penalty that was chosen.
      losses: of each penalty, on clips that were not fitted and not reported.
      train: how many clips of the train list have vectors, and how many there are.
      shared: bool `[n]`, whether the clip's movie is in the train list too, with other clips.
      left_out: clips of the train list that were left out, for they are in the reported list.
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
    l2: float
    losses: dict[float, float]
    train: tuple[int, int]
    shared: np.ndarray
    left_out: int

    @property
    def score(self) -> float:
        """The mean of the hits of clips that have vectors; NaN if none has."""
        return float(self.hits[self.covered].mean()) if self.covered.any() else float("nan")

    @property
    def score_on_all(self) -> float:
        """The mean of all hits, of clips without vectors too."""
        return float(self.hits.mean())

    @property
    def score_on_new(self) -> float:
        """As `score`, of clips whose movie is not in the train list; NaN if there is none."""
        there = self.covered & ~self.shared
        return float(self.hits[there].mean()) if there.any() else float("nan")

    @property
    def baselines(self) -> dict[str, dict[str, float]]:
        """'constant' and, of classes, 'chance': on 'covered' clips and on 'all'."""
        there = self.constant[self.covered]
        found = {
            "constant": {
                "covered": float(there.mean()) if len(there) else float("nan"),
                "all": float(self.constant.mean()),
            }
        }
        if self.metric == "top1":
            found["chance"] = {"covered": self.chance, "all": self.chance}
        return found


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
    """Learns linear answers on the train list and scores them on another list.

    All windows of a clip are fitted, with weights that sum to the same for each clip; a clip's
    answer is the mean over its windows: of probabilities, or of numbers.

    Args:
      task: see `vujax.data.datasets.lvu`.
      vectors: of clips, frozen; those of other clips do not matter.
      report: the list that is scored, 'val' or 'test'. It chooses nothing.
      choose: what chooses the penalty: 'folds', parts of the train list that share no movie, or
        'val', if that is not reported. The answers are then fitted on the whole train list.
      folds: how many parts.
      seed: of the parts.
      standardize: whether features get mean 0 and variance 1 over the fitted windows.
      grid: penalties to try.
      mesh: devices; None: one device.

    Raises:
      ValueError: there is no such list, the reported one would choose, no clip of the train list
        has vectors, or vectors differ in width or are not finite.
    """
    _check_lists(task, report, choose)
    reported = task.lists[report]
    known = {one.clip for one in reported}
    train = [one for one in task.lists["train"] if one.clip not in known]
    learned = _with_vectors(train, vectors)
    if not learned:
        raise ValueError(
            f"none of the {len(train)} clips of {task.name}'s train list has vectors: leave the "
            "task out, or make vectors of these clips"
        )
    others = _with_vectors(task.lists["val"], vectors) if choose == "val" else []
    windows = Windows.from_embeddings(vectors, [one.clip for one in learned + others])
    there = np.arange(windows.clips) < len(learned)
    by_movie = choose == FOLDS
    parts = split_movie_folds([one.movie for one in learned], folds, seed) if by_movie else [there]
    judge = TaskMetric.from_task(task, train)
    path = _path(judge, grid, mesh)
    targets = judge.targets(learned + others)
    choice = choose_penalty(windows, targets, parts, path, judge.losses, standardize)
    predictors = fit_path(windows, targets, there, path, standardize)
    predict = next(predict for l2, predict in predictors if l2 == choice.l2)
    answers = _answers(reported, vectors, predict, judge)
    return _score(task, report, train, len(learned), judge, choice, answers)


def _with_vectors(clips: Sequence[LabeledClip], vectors: Vectors) -> list[LabeledClip]:
    return [one for one in clips if one.clip in vectors]


def _path(judge: TaskMetric, grid: Sequence[float], mesh: Mesh | None) -> PenaltyPath:
    if not len(judge.classes):
        return ridge_path(grid)
    return softmax_path(grid, len(judge.classes), mesh or make_mesh(jax.devices()[:1]))


def _answers(
    reported: Sequence[LabeledClip], vectors: Vectors, predict: Predict, judge: TaskMetric
) -> np.ndarray:
    """Of each clip [n]; NaN for one without vectors."""
    covered = np.array([one.clip in vectors for one in reported], bool)
    answers = np.full(len(reported), np.nan)
    if covered.any():
        test = Windows.from_embeddings(
            vectors, [one.clip for one in _with_vectors(reported, vectors)]
        )
        answers[covered] = judge.predict(test.mean(predict(test.vectors)))
    return answers


def _check_lists(task: LvuTask, report: str, choose: str) -> None:
    if report not in task.lists or report == "train":
        there = ", ".join(split for split in task.lists if split != "train")
        raise ValueError(f"{task.name} has no list {report!r} to report: it has {there}")
    if choose not in (FOLDS, "val"):
        raise ValueError(f"choose is {choose!r}: use '{FOLDS}' or 'val'")
    if choose == report:
        raise ValueError(
            f"the list {report!r} is reported, so it may not choose the penalty: choose by "
            f"'{FOLDS}', which are parts of the train list"
        )


def _score(
    task: LvuTask,
    report: str,
    train: Sequence[LabeledClip],
    learned: int,
    judge: TaskMetric,
    choice: PenaltyChoice,
    predictions: np.ndarray,
) -> TaskScore:
    reported = task.lists[report]
    covered = ~np.isnan(predictions)
    predictions = np.where(covered, predictions, judge.constant)
    learned_movies = {one.movie for one in train}
    return TaskScore(
        task=task.name,
        metric="mse" if task.is_number else "top1",
        clips=tuple(one.clip for one in reported),
        movies=tuple(one.movie for one in reported),
        covered=covered,
        hits=judge.hits(predictions, reported),
        constant=judge.hits(np.full(len(reported), judge.constant), reported),
        predictions=predictions,
        chance=1 / len(judge.classes) if len(judge.classes) else float("nan"),
        l2=choice.l2,
        losses=choice.losses,
        train=(learned, len(train)),
        shared=np.array([one.movie in learned_movies for one in reported], bool),
        left_out=len(task.lists["train"]) - len(train),
    )
