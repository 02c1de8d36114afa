"""Scene boundaries found against true ones: AP, AUC, F1, precision, recall, Recall@3s, mIoU.

    films = [FilmScores("tt1", scores, starts, frames, seconds, fps), ...]
    evaluate(films)                       # corrected mode
    evaluate(films, mode="compatible")    # as SceneSeg (LGSS) and SCRL compute them
    film_table(films)                     # a row for each film
    interval([films], "ap")               # mean over films and its bootstrap interval
    interval([ours], "ap", against=[theirs])
    baselines(films)                      # what durations and chance reach

Two protocols, never to be set beside each other: 'micro/' pools the borders of all films (BaSSL);
'macro/' scores each film and takes the mean (SCRL). Two modes, which differ in two of the metrics:

  corrected: the scene after the last boundary counts, and time is the film's own;
  compatible: what comes after the last boundary is dropped, on both sides; frames are counted, 24 a
    second whatever the film's rate, and a scene is as long as its last frame's number less its
    first's. Its two metrics are named 'compatible/recall@3s' and 'compatible/miou'.

A boundary is predicted where the score is above the threshold. A film without a true boundary has
no AP, AUC, recall or F1: it is left out of their means, and of that of precision, and counted in
'macro/films_without_positives'.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple, Self

import numpy as np

from vujax.data.films import Film
from vujax.evals.metrics.bootstrap import Interval, bootstrap, paired_bootstrap
from vujax.evals.metrics.classification import average_precision, precision_recall_f1, roc_auc
from vujax.evals.metrics.shots import Extent, match_extents

Mode = Literal["corrected", "compatible"]
MODES = ("corrected", "compatible")
REACH = 5  # shots on either side of a true boundary that Recall@3s looks at
NEAR_S = 3.0
ROUNDING_S = 1e-6  # of seconds: what is 3 s apart is not near
COMPATIBLE_FPS = 24
ROWS = 256  # true scenes that are compared at once


class FilmScores(NamedTuple):
    """The borders between the n shots of a film: predicted and true.

    Attributes:
      film: its id.
      scores: float `[n-1]`: higher, more likely a scene begins with the shot after the border.
      starts: bool `[n-1]`: whether one does.
      frames: int64 `[n 2]`, first and last frame of each shot, inclusive; None: not known, and
        then there is no compatible mode.
      seconds: float64 `[n 2]`, begin and end of each shot.
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
        """Scores `[n-1]` of a labelled film."""
        at = film.frames, film.seconds, film.fps
        return cls(film.film, np.asarray(scores), film.starts, *at)


def evaluate(
    films: Sequence[FilmScores], *, threshold: float = 0.5, mode: Mode = "corrected"
) -> dict[str, float]:
    """Scores of a set of films under both protocols.

    Args:
      films: at least one.
      threshold: above it a score is a predicted boundary.
      mode: 'corrected' or 'compatible', for Recall@3s and mIoU.

    Returns:
      'micro/' ap, auc, f1, precision, recall, true_rate and predicted_rate (shares of the borders);
      'macro/' ap, auc, f1, precision, recall, recall@3s and miou (or compatible/recall@3s and
      compatible/miou) and films_without_positives; 'films'. A metric that no film has is NaN.

    Raises:
      ValueError: there is no film, one comes twice, or the arrays of one do not fit together.
    """
    table = score_films(films, threshold=threshold, mode=mode)
    scores = np.concatenate([np.asarray(f.scores, np.float64) for f in films])
    starts = np.concatenate([np.asarray(f.starts, bool) for f in films])
    result = {f"micro/{key}": value for key, value in _borders(scores, starts, threshold).items()}
    result["micro/true_rate"] = _mean(starts)
    result["micro/predicted_rate"] = _mean(scores > threshold)
    for metric in next(iter(table.values())):
        result[f"macro/{metric}"] = _mean([row[metric] for row in table.values()])
    without = sum(not np.any(f.starts) for f in films)
    return result | {"macro/films_without_positives": float(without), "films": float(len(films))}


def score_films(
    films: Sequence[FilmScores], *, threshold: float = 0.5, mode: Mode = "corrected"
) -> dict[str, dict[str, float]]:
    """`per_film` of each film, by its id; raises like `evaluate`."""
    if not films:
        raise ValueError("there is no film to score: give at least one")
    rows = {f.film: score_film(f, threshold=threshold, mode=mode) for f in films}
    if len(rows) < len(films):
        raise ValueError("a film is scored twice: give each id once")
    return rows


def score_film(
    f: FilmScores, *, threshold: float = 0.5, mode: Mode = "corrected"
) -> dict[str, float]:
    """Scores of one film: ap, auc, f1, precision, recall, recall@3s and miou.

    Args:
      f: the film.
      threshold: above it a score is a predicted boundary.
      mode: in 'compatible' the last two are named compatible/recall@3s and compatible/miou.

    Returns:
      NaN for what is not defined for a film with this truth, see above.

    Raises:
      ValueError: the arrays do not fit together, a score is NaN, or the mode is unknown or needs
        frames that the film has not.
    """
    _check(f, mode)
    starts, scores = np.asarray(f.starts, bool), np.asarray(f.scores, np.float64)
    called, result = scores > threshold, _borders(scores, starts, threshold)
    if not starts.any():
        result["precision"] = float("nan")
    prefix = "" if mode == "corrected" else "compatible/"
    result[f"{prefix}recall@3s"] = compute_recall_at_3s(f, called, mode)
    result[f"{prefix}miou"] = compute_mean_iou(f, called, mode)
    return result


def _borders(scores: np.ndarray, starts: np.ndarray, threshold: float) -> dict[str, float]:
    precision, recall, f1 = precision_recall_f1(scores > threshold, starts)
    return {
        "ap": average_precision(scores, starts),
        "auc": roc_auc(scores, starts),
        "f1": f1,
        "precision": precision,
        "recall": recall,
    }


def compute_recall_at_3s(f: FilmScores, called: np.ndarray, mode: Mode) -> float:
    """Recall@3s: the share of true boundaries with a predicted one near by.

    Near: at most 5 shots away, and less than 3 s between the ends of the shots before the two.

    Args:
      f: the film.
      called: bool `[n-1]`.
      mode: 'compatible': seconds are frames / 24.

    Returns:
      NaN for a film without a true boundary.
    """
    true = np.flatnonzero(f.starts)
    if not len(true):
        return float("nan")
    if mode == "corrected":
        ends, limit = f.seconds[:, 1], NEAR_S - ROUNDING_S
    else:
        ends, limit = f.frames[:, 1], NEAR_S * COMPATIBLE_FPS
    around = true[:, None] + np.arange(-REACH, REACH + 1)
    at = np.clip(around, 0, len(called) - 1)
    near = (around == at) & called[at] & (np.abs(ends[true][:, None] - ends[at]) < limit)
    return float(near.any(axis=1).mean())


def compute_mean_iou(f: FilmScores, called: np.ndarray, mode: Mode) -> float:
    """mIoU: how well true and predicted scenes cover each other.

    The mean of two means: over the true scenes of the best intersection over union with a predicted
    one, and over the predicted scenes of the best with a true one.

    Args:
      f: the film.
      called: bool `[n-1]`.
      mode: 'compatible': without the last scenes, and 0 where no boundary is predicted; NaN for a
        film without a true one.
    """
    extent = f.seconds if mode == "corrected" else f.frames
    true, found = (_scenes(extent, borders, mode) for borders in (f.starts, called))
    if not len(true):
        return float("nan")
    if not len(found):
        return 0.0
    of_true, of_found = np.zeros(len(true)), np.zeros(len(found))
    reached = np.maximum.accumulate(found[:, 1])
    for at in range(0, len(true), ROWS):  # no table of all scenes with all
        rows = slice(at, at + ROWS)
        first = np.searchsorted(reached, true[rows, 0].min())
        last = np.searchsorted(found[:, 0], true[rows, 1].max(), side="right")
        if first < last:
            iou = _iou(true[rows], found[first:last])
            of_true[rows] = iou.max(axis=1)
            of_found[first:last] = np.maximum(of_found[first:last], iou.max(axis=0))
    return float((of_true.mean() + of_found.mean()) / 2)


def _iou(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of spans `[a 2]` and `[b 2]`, float64 `[a b]`."""
    ends = np.minimum(some[:, None, 1], others[:, 1])
    shared = np.maximum(ends - np.maximum(some[:, None, 0], others[:, 0]), 0)
    both = np.diff(some) + np.diff(others)[:, 0]
    return shared / np.maximum(both - shared, np.finfo(float).tiny)


def _scenes(extent: np.ndarray, borders: np.ndarray, mode: Mode) -> np.ndarray:
    """Begin and end of the scenes, float64 [scenes 2], of the shots' extents."""
    last = np.flatnonzero(borders)  # shots that end a scene
    if mode == "corrected":
        last = np.append(last, len(extent) - 1)
    first = np.concatenate([[0], last[:-1] + 1])[: len(last)]
    return np.stack([extent[first, 0], extent[last, 1]], axis=1).astype(np.float64)


def compute_interval(
    runs: Sequence[Sequence[FilmScores]],
    metric: str,
    *,
    against: Sequence[Sequence[FilmScores]] | None = None,
    threshold: float = 0.5,
    mode: Mode = "corrected",
    **options: float,
) -> Interval:
    """Mean over films (and runs) of a metric of `per_film`, with its bootstrap interval.

    Films that have no such metric, for want of a true boundary, are left out.

    Args:
      runs: the same films scored by one run or several (seeds).
      metric: such as 'ap'.
      against: as many runs of another system on the same films; then it is the interval of the
        paired difference, `runs` less `against`.
      threshold: above it a score is a predicted boundary.
      mode: 'corrected' or 'compatible'.
      **options: of `intervals.bootstrap`: level, resamples, seed.

    Raises:
      ValueError: the runs are of different films, or no film has the metric.
    """
    order = [f.film for f in runs[0]]
    ours = _values(runs, metric, order, threshold, mode)
    theirs = None if against is None else _values(against, metric, order, threshold, mode)
    there = ~np.isnan(ours[0])
    if not there.any():
        raise ValueError(f"no film has {metric}: none has a true boundary")
    if theirs is None:
        return bootstrap(ours[:, there], **options)
    return paired_bootstrap(ours[:, there], theirs[:, there], **options)


def _values(
    runs: Sequence[Sequence[FilmScores]],
    metric: str,
    order: Sequence[str],
    threshold: float,
    mode: Mode,
) -> np.ndarray:
    """[runs films], the films in one order."""
    tables = [score_films(run, threshold=threshold, mode=mode) for run in runs]
    for table in tables:
        if set(table) != set(order):
            odd = sorted(set(table) ^ set(order))[0]
            raise ValueError(f"the runs are of different films, such as {odd}: score the same ones")
    return np.array([[table[film][metric] for film in order] for table in tables])


def duration_scores(seconds: np.ndarray, kind: str = "sum") -> np.ndarray:
    """Scores that see no picture: how long the shots around a border are, float64 `[n-1]`.

    Args:
      seconds: `[n 2]`.
      kind: 'before', 'after' or their 'sum'.
    """
    lasting = np.diff(np.asarray(seconds, np.float64), axis=1)[:, 0]
    before, after = lasting[:-1], lasting[1:]
    kinds = {"before": before, "after": after, "sum": before + after}
    if kind not in kinds:
        raise ValueError(f"durations of kind {kind!r} are unknown: use one of {', '.join(kinds)}")
    return kinds[kind]


def random_scores(film: str, borders: int, seed: int = 0) -> np.ndarray:
    """Uniform scores `[borders]`, the same for a film in whatever set it is."""
    return np.random.default_rng([seed, *film.encode()]).random(borders)


def compute_baselines(films: Sequence[FilmScores], *, seed: int = 0) -> dict[str, dict[str, float]]:
    """What needs no picture: by name, micro and macro AP and AUC.

    Names: 'random', 'duration before', 'duration after', 'duration sum'. They have no threshold,
    so that there is no F1 of theirs.
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
    """Precision and recall of moments, each paired at most once with one within the tolerance.

    Args:
      predicted_s: `[p]` seconds.
      true_s: `[t]` seconds.
      tolerance_s: what is exactly as far still counts.

    Returns:
      Precision (1 where nothing is predicted) and recall (1 where nothing is true), as
      `evals.shots.scores` has them.
    """
    found, true = (
        [Extent(float(s), float(s), "scene") for s in moments] for moments in (predicted_s, true_s)
    )
    pairs = len(match_extents(found, true, tolerance_s))
    return pairs / len(found) if found else 1.0, pairs / len(true) if true else 1.0


def _mean(values: Sequence[float] | np.ndarray) -> float:
    """Of those that are numbers; NaN if none is."""
    numbers = np.asarray(values, np.float64)
    numbers = numbers[~np.isnan(numbers)]
    return float(numbers.mean()) if len(numbers) else float("nan")


def _check(f: FilmScores, mode: str) -> None:
    if mode not in MODES:
        raise ValueError(f"mode {mode!r} is unknown: use one of {', '.join(MODES)}")
    borders = len(f.seconds) - 1
    for name, array in (("scores", f.scores), ("labels", f.starts)):
        if np.shape(array) != (borders,):
            raise ValueError(
                f"{f.film} has {list(np.shape(array))} {name} for {borders + 1} shots: it needs "
                f"one for each border, {borders}"
            )
    if np.isnan(f.scores).any():
        border = int(np.flatnonzero(np.isnan(f.scores))[0])
        raise ValueError(f"the score of {f.film} after shot {border} is NaN: its features may be")
    if mode == "compatible" and f.frames is None:
        raise ValueError(f"{f.film} has no frame numbers: the compatible mode counts frames")
