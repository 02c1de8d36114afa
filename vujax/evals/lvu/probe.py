"""Linear answers from windows: softmax regression for classes, ridge regression for numbers.

A path is an iterator of (penalty, predict), from the strongest penalty on. The penalty is that of
the least loss on clips that were not fitted.

Frozen vectors of clips: one for each window of a clip, such as 60 s or a scene.

Right and wrong answers of a task.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jax.sharding import Mesh

from vujax.data.datasets.features import read_npz, read_table
from vujax.data.datasets.lvu import LabeledClip, LvuTask
from vujax.data.tables import PARQUET
from vujax.evals.linear_probe import Standardizer, fit

Vectors = Mapping[str, np.ndarray]

"""By clip, `[w d]` of its windows, or `[d]`."""


class Windows(NamedTuple):
    """Windows of several clips, one after the other.

    Attributes:
      vectors: float32 `[w d]`.
      clip: int64 `[w]`, which clip each is of.
      clips: how many there are.
    """

    vectors: np.ndarray
    clip: np.ndarray
    clips: int

    @classmethod
    def of(cls, vectors: Vectors, clips: Sequence[str]) -> "Windows":
        """The windows of some clips, in their order.

        Raises:
          ValueError: a clip has no window, one of another width, or one that is not finite.
        """
        arrays = [np.atleast_2d(np.asarray(vectors[clip], np.float32)) for clip in clips]
        width = arrays[0].shape[-1] if arrays else 0
        for clip, array in zip(clips, arrays, strict=True):
            if array.ndim != 2 or array.shape[1] != width or not array.size:
                raise ValueError(
                    f"the clip {clip} has vectors of shape {list(array.shape)}: it needs one or "
                    f"more, {width} numbers wide as those of {clips[0]}"
                )
            if not np.isfinite(array).all():
                raise ValueError(f"the vectors of the clip {clip} are not finite: make them again")
        clip = np.repeat(np.arange(len(arrays)), [len(array) for array in arrays])
        whole = np.concatenate(arrays) if arrays else np.zeros((0, 0), np.float32)
        return cls(whole, clip, len(arrays))

    def shares(self) -> np.ndarray:
        """`[w]`: 1 over the number of windows of the clip, so that clips count alike."""
        return 1 / np.bincount(self.clip, minlength=self.clips)[self.clip]

    def mean(self, values: np.ndarray) -> np.ndarray:
        """The mean over each clip's windows: `[w k] -> [clips k]`."""
        result = np.zeros((self.clips, values.shape[1]))
        np.add.at(result, self.clip, values * self.shares()[:, None])
        return result


def by_clip(keys: Sequence[str], vectors: np.ndarray, depth: int = 1) -> dict[str, np.ndarray]:
    """Vectors of scenes, by clip, for scenes that are clips or windows of clips.

    Args:
      keys: `[n]`, of the scenes (`vujax.data.scenes`).
      vectors: `[n d]`.
      depth: which part of a key names the clip: 1 of 'MOVIE/CLIP', 0 of 'CLIP/c003'.
    """
    rows: dict[str, list[int]] = {}
    for place, key in enumerate(keys):
        rows.setdefault(key.split("/")[depth], []).append(place)
    return {clip: vectors[places] for clip, places in rows.items()}


def read_vectors(path: str | Path) -> dict[str, np.ndarray]:
    """Vectors of clips from a file.

    Args:
      path: .npz with an array for each clip, named by its id, `[d]` or `[w d]`; or .parquet with
        the columns clip and vector (a list), a row for each window.

    Raises:
      FileNotFoundError: there is none.
      ValueError: it is damaged, lacks a column, or holds no clip.
    """
    path = Path(path)
    found = _of_table(path) if path.suffix.lower() in PARQUET else read_npz(path)
    if not found:
        raise ValueError(f"{path} holds no clip: write one array for each, named by its id")
    return found


def _of_table(path: Path) -> dict[str, np.ndarray]:
    table = read_table(path, ("clip", "vector"))
    rows: dict[str, list[Iterable[float]]] = {}
    for clip, vector in zip(table["clip"].to_pylist(), table["vector"].to_pylist(), strict=True):
        if clip is None or vector is None:
            raise ValueError(f"{path} has a row without a clip or a vector: leave it out")
        rows.setdefault(str(clip), []).append(vector)
    if len({len(vector) for found in rows.values() for vector in found}) > 1:
        raise ValueError(f"{path} has vectors of different widths: take those of one encoder")
    return {clip: np.array(found, np.float32) for clip, found in rows.items()}


Predict = Callable[[np.ndarray], np.ndarray]

"""`[w d] -> [w k]`: probabilities of k classes, or with k = 1 numbers."""

PenaltyPath = Callable[[np.ndarray, np.ndarray, np.ndarray], Iterator[tuple[float, Predict]]]

"""(features `[w d]`, targets `[w]`, weights `[w]`) -> predictors by penalty."""

GRID = tuple(float(l2) for l2 in np.logspace(-5, 3, 17))

"""Penalties per clip, for features of about unit length or unit variance; strongest last."""


class Choice(NamedTuple):
    """The penalty that was chosen, and the loss of each on clips that were not fitted."""

    l2: float
    losses: dict[float, float]


def softmax_path(grid: Sequence[float], classes: int, mesh: Mesh) -> PenaltyPath:
    """Softmax regression, see `vujax.evals.linear_probe.fit`: each penalty starts from the one
    before.
    """

    def path(features, targets, weights):
        linear = None
        for l2 in sorted(grid, reverse=True):
            options = dict(classes=classes, l2=l2, mesh=mesh, weights=weights, start=linear)
            linear = fit(features, targets, **options)
            yield l2, lambda x, linear=linear: softmax(linear.logits(x))

    return path


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def ridge_path(grid: Sequence[float]) -> PenaltyPath:
    """Ridge regression: minimises `mean (y - x b - a)^2 + l2 |b|^2`, the mean weighted, exactly.

    scikit-learn's Ridge has `alpha = l2 n`. One decomposition, of the smaller of the two matrices
    of products, serves all penalties.
    """

    def path(features, targets, weights):
        there = weights > 0
        x, y, w = (a[there].astype(np.float64) for a in (features, targets, weights))
        w = w / w.sum()
        centre, mean = w @ x, w @ y
        x, y = np.sqrt(w)[:, None] * (x - centre), np.sqrt(w) * (y - mean)
        wide = x.shape[0] < x.shape[1]
        sizes, axes = np.linalg.eigh(x @ x.T if wide else x.T @ x)
        seen = axes.T @ (y if wide else x.T @ y)
        for l2 in sorted(grid, reverse=True):
            slope = axes @ (seen / (sizes + l2))
            slope = x.T @ slope if wide else slope
            yield l2, lambda x, slope=slope: ((x - centre) @ slope + mean)[:, None]

    return path


def fitted(
    windows: Windows, targets: np.ndarray, there: np.ndarray, path: PenaltyPath, standardize: bool
) -> Iterator[tuple[float, Predict]]:
    """The path over the clips that are `there`, bool `[clips]`; others have no part in it."""
    used = there[windows.clip]
    weights = np.where(used, windows.shares(), 0)
    if not standardize:
        yield from path(windows.vectors, targets[windows.clip], weights)
        return
    scale = Standardizer.fit(windows.vectors[used])
    for l2, predict in path(scale(windows.vectors), targets[windows.clip], weights):
        yield l2, lambda x, predict=predict: predict(scale(x))


def choose_penalty(
    windows: Windows,
    targets: np.ndarray,
    parts: Sequence[np.ndarray],
    path: PenaltyPath,
    loss: Callable[[np.ndarray, np.ndarray], np.ndarray],
    standardize: bool,
) -> Choice:
    """The penalty of least mean loss; of equal ones the stronger.

    Args:
      windows: of clips.
      targets: `[clips]`.
      parts: bool `[clips]` each, the clips to fit; the loss is that of all the others.
      path: see above.
      loss: (answers `[c k]`, targets `[c]`) -> `[c]`.
      standardize: whether features get mean 0 and variance 1, over the fitted ones.
    """
    totals: dict[float, float] = {}
    for there in parts:
        out = np.flatnonzero(~there)
        for l2, predict in fitted(windows, targets, there, path, standardize):
            answers = windows.mean(predict(windows.vectors))[out]
            totals[l2] = totals.get(l2, 0.0) + float(loss(answers, targets[out]).sum())
    tested = sum(int((~there).sum()) for there in parts)
    losses = {l2: total / tested for l2, total in totals.items()}
    return Choice(min(losses, key=lambda l2: (losses[l2], -l2)), losses)


@dataclass(frozen=True, eq=False)
class Judge:
    """What right answers are, and the constant one, from the train list alone.

    Attributes:
      classes: `[c]`, numbers of the train list's classes, in order; empty where a number is asked
        for.
      constant: the commonest class, or the mean.
    """

    classes: np.ndarray
    constant: float

    @classmethod
    def of(cls, task: LvuTask, train: Sequence[LabeledClip]) -> "Judge":
        """From the clips of the train list, with vectors or without."""
        targets = np.array([one.target for one in train])
        if task.is_number:
            return cls(np.zeros(0), float(targets.mean()))
        classes, counts = np.unique(targets, return_counts=True)
        return cls(classes, float(classes[counts.argmax()]))

    def targets(self, clips: Sequence[LabeledClip]) -> np.ndarray:
        """Numbers; or places of the classes, -1 for one that the train list lacks."""
        targets = np.array([one.target for one in clips])
        if not len(self.classes):
            return targets
        place = np.searchsorted(self.classes, targets).clip(max=len(self.classes) - 1)
        return np.where(self.classes[place] == targets, place, -1)

    def losses(self, answers: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """1 for a wrong class; squared errors."""
        if len(self.classes):
            return (answers.argmax(1) != targets).astype(np.float64)
        return (answers[:, 0] - targets) ** 2

    def answers(self, found: np.ndarray) -> np.ndarray:
        """Numbers of classes, or numbers."""
        return self.classes[found.argmax(1)] if len(self.classes) else found[:, 0]

    def hits(self, answers: np.ndarray, clips: Sequence[LabeledClip]) -> np.ndarray:
        """1 for a right class, else 0; squared errors."""
        targets = np.array([one.target for one in clips], np.float64)
        if len(self.classes):
            return (answers == targets).astype(np.float64)
        return (answers - targets) ** 2
