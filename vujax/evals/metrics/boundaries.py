"""Metrics of scene boundaries: AP, AUC, F1, precision, recall, Recall@3s, mIoU.

    films = [FilmScores("tt1", scores, starts, frames, seconds, fps), ...]
    evaluate(films)                       # corrected mode
    evaluate(films, mode="compatible")    # as SceneSeg (LGSS) and SCRL compute them
    score_films(films)                    # a row for each film
    compute_interval([films], "ap")       # mean over films and its t interval
    compute_interval([ours], "ap", against=[theirs])
    compute_baselines(films)              # the scores of shot durations and of random scores

Every shot boundary of a film is a candidate. Two protocols, never to be compared with each other:
'micro/' pools the candidates of all films (BaSSL); 'macro/' scores each film and takes the mean
(SCRL). Two modes, which differ in two of the metrics:

  corrected: the scene after the last boundary counts, and time is the film's own;
  compatible: the scene after the last boundary is dropped, on both sides; frames are counted, 24 a
    second whatever the film's rate, and a scene is as long as its last frame's number less its
    first's. Its two metrics are named 'compatible/recall@3s' and 'compatible/miou'.

A boundary is predicted where the score is above the threshold, and not where it equals it. A film
without a true boundary has no AP, AUC, recall or F1: it is left out of their means, and of that of
precision, and counted in 'macro/films_without_positives'.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple, Self

import numpy as np

from vujax.data.films import Film
from vujax.evals.metrics.bootstrap import student_interval
from vujax.evals.metrics.classification import average_precision, precision_recall_f1, roc_auc
from vujax.evals.metrics.shots import Extent, match_extents

Mode = Literal["corrected", "compatible"]
MODES = ("corrected", "compatible")
MAX_SHOTS = 5  # on either side of a true boundary that Recall@3s considers
MAX_DISTANCE_S = 3.0
ROUNDING_S = 1e-6  # of seconds: boundaries that are 3 s apart are not near
COMPATIBLE_FPS = 24
ROWS = 256  # true scenes that are compared at once


class FilmScores(NamedTuple):
    """The candidates between the n shots of a film: scores and truth.

    Attributes:
      film: its id.
      scores: float `[n-1]`: higher, more likely a scene starts with the next shot.
      starts: bool `[n-1]`: a scene starts with the next shot.
      frames: int64 `[n 2]`, first and last frame of each shot, inclusive; None: not known, and
        then there is no compatible mode.
      seconds: float64 `[n 2]`, start and end of each shot.
      fps: frames per second, where known.
    """

    film: str
    scores: np.ndarray
    starts: np.ndarray
    frames: np.ndarray | None
    seconds: np.ndarray
    fps: float | None = None

    @classmethod
    def from_film(cls, film: Film, scores: Sequence[float] | np.ndarray) -> Self:
        """Build the scores of a labeled film.

        Args:
          film: with `starts`.
          scores: `[n-1]`.
        """
        return cls(
            film=film.film,
            scores=np.asarray(scores),
            starts=film.starts,
            frames=film.frames,
            seconds=film.seconds,
            fps=film.fps,
        )


def evaluate(
    films: Sequence[FilmScores], *, threshold: float = 0.5, mode: Mode = "corrected"
) -> dict[str, float]:
    """Score a set of films under both protocols.

    Args:
      films: at least one.
      threshold: above it a score is a predicted boundary.
      mode: 'corrected' or 'compatible', for Recall@3s and mIoU.

    Returns:
      'micro/' ap, auc, f1, precision, recall, true_rate and predicted_rate (shares of the
      candidates); 'macro/' ap, auc, f1, precision, recall, recall@3s and miou (or
      compatible/recall@3s and compatible/miou) and films_without_positives; 'films'. A metric that
      no film has is NaN.

    Raises:
      ValueError: there is no film, one comes twice, or the arrays of one do not fit together.
    """
    table = score_films(films, threshold=threshold, mode=mode)
    scores = np.concatenate([np.asarray(f.scores, np.float64) for f in films])
    starts = np.concatenate([np.asarray(f.starts, bool) for f in films])
    result = {
        f"micro/{key}": value for key, value in _score_candidates(scores, starts, threshold).items()
    }
    result["micro/true_rate"] = _mean(starts)
    result["micro/predicted_rate"] = _mean(scores > threshold)
    for metric in next(iter(table.values())):
        result[f"macro/{metric}"] = _mean([row[metric] for row in table.values()])
    without = sum(not np.any(f.starts) for f in films)
    return result | {"macro/films_without_positives": float(without), "films": float(len(films))}


def score_films(
    films: Sequence[FilmScores], *, threshold: float = 0.5, mode: Mode = "corrected"
) -> dict[str, dict[str, float]]:
    """Return `score_film` of each film, by its id; raises like `evaluate`."""
    if not films:
        raise ValueError("there is no film to score; give at least one")
    rows = {f.film: score_film(f, threshold=threshold, mode=mode) for f in films}
    if len(rows) < len(films):
        raise ValueError("a film is scored twice; give each id once")
    return rows


def score_film(
    f: FilmScores, *, threshold: float = 0.5, mode: Mode = "corrected"
) -> dict[str, float]:
    """Score one film: ap, auc, f1, precision, recall, recall@3s and miou.

    Args:
      f: the film.
      threshold: above it a score is a predicted boundary.
      mode: in 'compatible' the last two are named compatible/recall@3s and compatible/miou.

    Returns:
      NaN for a metric that is not defined for a film with this truth, see above.

    Raises:
      ValueError: the arrays do not fit together, a score is NaN, or the mode is unknown or needs
        frames that the film lacks.
    """
    _check(f, mode)
    starts, scores = np.asarray(f.starts, bool), np.asarray(f.scores, np.float64)
    predicted, result = scores > threshold, _score_candidates(scores, starts, threshold)
    if not starts.any():
        result["precision"] = float("nan")
    prefix = "" if mode == "corrected" else "compatible/"
    result[f"{prefix}recall@3s"] = compute_recall_at_3s(f, predicted, mode)
    result[f"{prefix}miou"] = compute_mean_iou(f, predicted, mode)
    return result


def _score_candidates(scores: np.ndarray, starts: np.ndarray, threshold: float) -> dict[str, float]:
    precision, recall, f1 = precision_recall_f1(scores > threshold, starts)
    return {
        "ap": average_precision(scores, starts),
        "auc": roc_auc(scores, starts),
        "f1": f1,
        "precision": precision,
        "recall": recall,
    }


def compute_recall_at_3s(f: FilmScores, predicted: np.ndarray, mode: Mode) -> float:
    """Compute Recall@3s: the share of true boundaries with a predicted one near.

    Near: at most 5 shots away, and less than 3 s between the ends of the shots before the two.

    Args:
      f: the film.
      predicted: bool `[n-1]`.
      mode: 'compatible': seconds are frames / 24.

    Returns:
      NaN for a film without a true boundary.
    """
    true = np.flatnonzero(f.starts)
    if not len(true):
        return float("nan")
    if mode == "corrected":
        ends, limit = f.seconds[:, 1], MAX_DISTANCE_S - ROUNDING_S
    else:
        ends, limit = f.frames[:, 1], MAX_DISTANCE_S * COMPATIBLE_FPS
    around = true[:, None] + np.arange(-MAX_SHOTS, MAX_SHOTS + 1)
    index = np.clip(around, 0, len(predicted) - 1)
    near = (
        (around == index) & predicted[index] & (np.abs(ends[true][:, None] - ends[index]) < limit)
    )
    return float(near.any(axis=1).mean())


def compute_mean_iou(f: FilmScores, predicted: np.ndarray, mode: Mode) -> float:
    """Compute mIoU: the overlap of true and predicted scenes.

    The mean of two means: over the true scenes of the best intersection over union with a predicted
    one, and over the predicted scenes of the best with a true one.

    Args:
      f: the film.
      predicted: bool `[n-1]`.
      mode: 'compatible': without the last scenes, and 0 where no boundary is predicted; NaN for a
        film without a true one.
    """
    extent = f.seconds if mode == "corrected" else f.frames
    true, scenes = (_scenes(extent, ends, mode) for ends in (f.starts, predicted))
    if not len(true):
        return float("nan")
    if not len(scenes):
        return 0.0
    of_true, of_scenes = np.zeros(len(true)), np.zeros(len(scenes))
    reached = np.maximum.accumulate(scenes[:, 1])
    for start in range(0, len(true), ROWS):  # no table of all pairs of scenes
        rows = slice(start, start + ROWS)
        first = np.searchsorted(reached, true[rows, 0].min())
        last = np.searchsorted(scenes[:, 0], true[rows, 1].max(), side="right")
        if first < last:
            iou = _iou(true[rows], scenes[first:last])
            of_true[rows] = iou.max(axis=1)
            of_scenes[first:last] = np.maximum(of_scenes[first:last], iou.max(axis=0))
    return float((of_true.mean() + of_scenes.mean()) / 2)


def _iou(spans: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Compute intersection over union of spans `[a 2]` and `[b 2]`, float64 `[a b]`."""
    ends = np.minimum(spans[:, None, 1], others[:, 1])
    shared = np.maximum(ends - np.maximum(spans[:, None, 0], others[:, 0]), 0)
    both = np.diff(spans) + np.diff(others)[:, 0]
    return shared / np.maximum(both - shared, np.finfo(float).tiny)


def _scenes(extent: np.ndarray, ends: np.ndarray, mode: Mode) -> np.ndarray:
    """Return start and end of the scenes, float64 [scenes 2], of the shots' extents."""
    last = np.flatnonzero(ends)  # shots that end a scene
    if mode == "corrected":
        last = np.append(last, len(extent) - 1)
    first = np.concatenate([[0], last[:-1] + 1])[: len(last)]
    return np.stack([extent[first, 0], extent[last, 1]], axis=1).astype(np.float64)


class FilmInterval(NamedTuple):
    """A mean over films with its interval.

    Attributes:
      estimate: mean over films and runs.
      low: lower bound.
      high: upper bound.
      films: number of films that have the metric.
      positive: number of these whose value, or difference, is above 0.
    """

    estimate: float
    low: float
    high: float
    films: int
    positive: int

    @property
    def signs(self) -> str:
        """Sign count, such as '9 of 11'."""
        return f"{self.positive} of {self.films}"


def compute_interval(
    runs: Sequence[Sequence[FilmScores]],
    metric: str,
    *,
    against: Sequence[Sequence[FilmScores]] | None = None,
    threshold: float = 0.5,
    mode: Mode = "corrected",
    level: float = 0.95,
) -> FilmInterval:
    """Return the mean over films (and runs) of a metric, with Student's t interval over films.

    A film's value is its mean over runs. The percentile bootstrap over so few films is too narrow:
    at 95% it covers 88% with 7 films and 91% with 11. Films that lack the metric, for want of a
    true boundary, are left out; of a single film the bounds are infinite.

    Args:
      runs: the same films scored by one run or several (seeds).
      metric: of `score_film`, such as 'ap'.
      against: as many runs of another system on the same films; then it is the interval of the
        paired difference, `runs` less `against`.
      threshold: above it a score is a predicted boundary.
      mode: 'corrected' or 'compatible'.
      level: of confidence.

    Raises:
      ValueError: the runs are of different films or numbers, or no film has the metric.
    """
    order = [f.film for f in runs[0]]
    values = _values(runs, metric, order, threshold, mode)
    if against is not None:
        theirs = _values(against, metric, order, threshold, mode)
        if theirs.shape != values.shape:
            raise ValueError(f"{len(values)} runs need as many others, got {len(theirs)}")
        values = values - theirs
    values = values[:, ~np.isnan(values[0])].mean(axis=0)
    if not len(values):
        raise ValueError(f"no film has {metric}; none has a true boundary")
    found = student_interval(values, level=level)
    return FilmInterval(*found, films=len(values), positive=int((values > 0).sum()))


def _values(
    runs: Sequence[Sequence[FilmScores]],
    metric: str,
    order: Sequence[str],
    threshold: float,
    mode: Mode,
) -> np.ndarray:
    """Return a metric, [runs films], the films in one order."""
    tables = [score_films(run, threshold=threshold, mode=mode) for run in runs]
    for table in tables:
        if set(table) != set(order):
            odd = sorted(set(table) ^ set(order))[0]
            raise ValueError(f"the runs are of different films, such as {odd}; score the same ones")
    return np.array([[table[film][metric] for film in order] for table in tables])


def duration_scores(seconds: np.ndarray, kind: str = "sum") -> np.ndarray:
    """Return scores by the duration of the adjacent shots, float64 `[n-1]`.

    Args:
      seconds: `[n 2]`.
      kind: 'before', 'after' or their 'sum'.
    """
    durations = np.diff(np.asarray(seconds, np.float64), axis=1)[:, 0]
    before, after = durations[:-1], durations[1:]
    kinds = {"before": before, "after": after, "sum": before + after}
    if kind not in kinds:
        raise ValueError(f"unknown kind of durations {kind!r}; expected one of: {', '.join(kinds)}")
    return kinds[kind]


def random_scores(film: str, candidates: int, seed: int = 0) -> np.ndarray:
    """Return uniform scores `[candidates]`, a function of the film's id and the seed."""
    return np.random.default_rng([seed, *film.encode()]).random(candidates)


def compute_baselines(films: Sequence[FilmScores], *, seed: int = 0) -> dict[str, dict[str, float]]:
    """Return micro and macro AP and AUC of scores that need no image, by name.

    Names: 'random', 'duration before', 'duration after', 'duration sum'. They have no threshold,
    and so no F1.
    """
    scorers: Mapping[str, Callable[[FilmScores], np.ndarray]] = {
        "random": lambda f: random_scores(f.film, len(f.starts), seed),
        "duration before": lambda f: duration_scores(f.seconds, "before"),
        "duration after": lambda f: duration_scores(f.seconds, "after"),
        "duration sum": lambda f: duration_scores(f.seconds, "sum"),
    }
    result = {}
    for name, scorer in scorers.items():
        scores = evaluate([f._replace(scores=scorer(f)) for f in films])
        result[name] = {k: scores[k] for k in ("micro/ap", "micro/auc", "macro/ap", "macro/auc")}
    return result


def match_within_seconds(
    predicted_s: np.ndarray, true_s: np.ndarray, tolerance_s: float
) -> tuple[float, float]:
    """Return precision and recall of times, each paired at most once.

    Args:
      predicted_s: `[p]` seconds.
      true_s: `[t]` seconds.
      tolerance_s: of a pair, inclusive.

    Returns:
      Precision (1 where nothing is predicted) and recall (1 where nothing is true), as
      `metrics.shots.score_counts` has them.
    """
    predicted, true = (
        [Extent(float(s), float(s), "scene") for s in times] for times in (predicted_s, true_s)
    )
    pairs = len(match_extents(predicted, true, tolerance_s))
    return pairs / len(predicted) if predicted else 1.0, pairs / len(true) if true else 1.0


def _mean(values: Sequence[float] | np.ndarray) -> float:
    """Return the mean without NaN; NaN if there is no number."""
    numbers = np.asarray(values, np.float64)
    numbers = numbers[~np.isnan(numbers)]
    return float(numbers.mean()) if len(numbers) else float("nan")


def _check(f: FilmScores, mode: str) -> None:
    if mode not in MODES:
        raise ValueError(f"unknown mode {mode!r}; expected one of: {', '.join(MODES)}")
    candidates = len(f.seconds) - 1
    for name, array in (("scores", f.scores), ("labels", f.starts)):
        if np.shape(array) != (candidates,):
            raise ValueError(
                f"{f.film} has {list(np.shape(array))} {name} for {candidates + 1} shots; it needs "
                f"one for each shot boundary, {candidates}"
            )
    if np.isnan(f.scores).any():
        shot = int(np.flatnonzero(np.isnan(f.scores))[0])
        raise ValueError(f"the score of {f.film} after shot {shot} is NaN; check its features")
    if mode == "compatible" and f.frames is None:
        raise ValueError(f"{f.film} has no frame numbers; the compatible mode needs them")
