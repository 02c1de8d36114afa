"""Shot and scene boundaries of synthetic films from colors alone.

The distance of two images is 1 minus the Bhattacharyya coefficient of their color histograms.

  shots: runs of frames whose distance to the frame before is above a threshold, runs at most
    MAX_GAP frames apart taken together, are predicted transitions. One is right if it touches the
    true one, which then counts as found once. F1 by kind compares the true ones of that kind with
    all false predictions. The threshold is the best one on these films, or the best on others (the
    training split). False predictions have no kind, so they weigh more against a rare one: recall
    is printed beside.
  scenes: the score of a shot boundary is the distance between the middle frames of the adjacent
    shots; or the least distance between any of the three shots before and the three after, which
    sees that shots recur. Boundaries of cards do not count.

Frames are drawn small and not encoded: noise of H.264 is not what makes the films hard.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from vujax.data.synthetic.editing import KINDS, Card, Edit, make_edit
from vujax.data.synthetic.screen import Screen
from vujax.data.synthetic.world import make_film
from vujax.evals.metrics.classification import average_precision
from vujax.evals.synthetic_difficulty.frames import color_histograms
from vujax.video.shots.base import Transition

SIZE = (45, 80)


FPS = Fraction(24)


MAX_GAP = 2


REACHES = (1, 3)


THRESHOLDS = np.geomspace(1e-3, 0.9, 150)


def frame_histograms(edit: Edit, frames: Iterable[int], size: tuple[int, int] = SIZE) -> np.ndarray:
    """Compute color histograms of some frames: float32 [n bins], unit length."""
    height, width = size
    screen = Screen(edit, height, width)
    return np.concatenate([color_histograms(screen.frame(frame)[None]) for frame in frames])


def frame_distances(edit: Edit) -> np.ndarray:
    """Compute the distance of each frame to the one before it: float32 [frames - 1]."""
    histograms = frame_histograms(edit, range(edit.frames))
    return 1.0 - (histograms[1:] * histograms[:-1]).sum(axis=1)


def find_spans(distance: np.ndarray, threshold: float) -> list[tuple[int, int]]:
    """Return (last, first) frames of the predicted transitions.

    They are runs of distances above a threshold.
    """
    spans: list[tuple[int, int]] = []
    for k in np.flatnonzero(distance > threshold).tolist():
        if spans and k - spans[-1][1] <= MAX_GAP:
            spans[-1] = (spans[-1][0], k + 1)
        else:
            spans.append((k, k + 1))
    return spans


def count_hits(spans: Sequence[tuple[int, int]], truth: Sequence[Transition]) -> Counter[str]:
    """Count 'KIND hit' and 'KIND miss' of true transitions, and 'false' predictions.

    Both are in order of time.
    """
    result, k = Counter(), 0
    for true in truth:
        while k < len(spans) and spans[k][1] <= true.last:
            result["false"] += 1
            k += 1
        hit = k < len(spans) and spans[k][0] < true.first
        result[f"{true.kind} {'hit' if hit else 'miss'}"] += 1
        k += hit
    result["false"] += len(spans) - k
    return result


def compute_f1(counts: Counter[str], kinds: Sequence[str]) -> float:
    """Compute F1 of the true transitions of some kinds, against all false predictions."""
    hits = sum(counts[f"{kind} hit"] for kind in kinds)
    wrong = counts["false"] + sum(counts[f"{kind} miss"] for kind in kinds)
    return 2 * hits / max(1, 2 * hits + wrong)


def compute_recall(counts: Counter[str], kinds: Sequence[str]) -> float:
    """Return the share of the true transitions of some kinds that was predicted."""
    hits, misses = (sum(counts[f"{kind} {end}"] for kind in kinds) for end in ("hit", "miss"))
    return hits / max(1, hits + misses)


@dataclass(frozen=True)
class EditedFilms:
    """Films and the distances between all of their frames."""

    edits: list[Edit]
    distances: list[np.ndarray]

    @classmethod
    def from_split(cls, split: str, films: int, minutes: float, seed: int = 0) -> "EditedFilms":
        """Edit `films` films of a split and measure their frames."""
        edits = [make_edit(make_film(seed, split, n), FPS, minutes) for n in range(films)]
        return cls(edits, [frame_distances(edit) for edit in edits])

    def counts(self, threshold: float) -> Counter[str]:
        """Count hits and misses of all films at a threshold."""
        total: Counter[str] = Counter()
        for edit, distance in zip(self.edits, self.distances, strict=True):
            truth = [clip.into.transition for clip in edit.clips if clip.into]
            total += count_hits(find_spans(distance, threshold), truth)
        return total

    def best_threshold(self, kinds: Sequence[str]) -> float:
        """Return the threshold of the best F1 of some kinds."""
        return float(
            max(THRESHOLDS, key=lambda threshold: compute_f1(self.counts(threshold), kinds))
        )


def score_shot_boundaries(
    known: EditedFilms, asked: EditedFilms
) -> list[dict[str, float | str | int]]:
    """Return F1 and recall by kind of transition.

    Args:
      known: films that choose one threshold.
      asked: films to score, at that threshold and at the best one of their own.
    """
    truth = Counter(clip.into.kind for edit in asked.edits for clip in edit.clips if clip.into)
    rows = []
    for name, kinds in (("all", KINDS), *((kind, (kind,)) for kind in KINDS)):
        best, chosen = asked.best_threshold(kinds), known.best_threshold(KINDS)
        rows.append(
            {
                "shots": name,
                "true": sum(truth[kind] for kind in kinds),
                "best F1": round(compute_f1(asked.counts(best), kinds), 3),
                "F1 at a threshold of other films": round(
                    compute_f1(asked.counts(chosen), kinds), 3
                ),
                "recall there": round(compute_recall(asked.counts(chosen), kinds), 3),
            }
        )
    return rows


def gap_distances(edits: Iterable[Edit], reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Return distances at shot boundaries, float32 [n], and scene starts, bool [n].

    The distance is the least one between any of the `reach` shots before and any of as many after.
    """
    scores, is_start = [], []
    for edit in edits:
        histograms = frame_histograms(edit, [(clip.start + clip.end) // 2 for clip in edit.clips])
        distances = 1.0 - histograms @ histograms.T
        for k, (old, new) in enumerate(pairwise(edit.clips), 1):
            if not isinstance(old.take, Card) and not isinstance(new.take, Card):
                scores.append(distances[max(0, k - reach) : k, k : k + reach].min())
                is_start.append(old.part != new.part)
    return np.array(scores, np.float32), np.array(is_start)


def find_best_f1(scores: np.ndarray, right: np.ndarray) -> float:
    """Return F1 of predicting all above a threshold, for the best threshold."""
    hits = np.cumsum(right[np.argsort(-scores, kind="stable")])
    return float((2 * hits / (np.arange(1, len(hits) + 1) + right.sum())).max())


def score_scene_boundaries(edits: Sequence[Edit], reach: int = 1) -> dict[str, float | str | int]:
    """Return AP and best F1 of scene boundaries.

    The random baseline is the share of scene boundaries, and F1 of predicting all of them.
    """
    scores, right = gap_distances(edits, reach)
    share = float(right.mean())
    return {
        "scenes": f"{reach} shots before and after",
        "borders of shots": len(right),
        "AP": round(average_precision(scores, right), 3),
        "AP of chance": round(share, 3),
        "best F1": round(find_best_f1(scores, right), 3),
        "F1 of chance": round(2 * share / (1 + share), 3),
    }


def measure_films(arguments: Sequence[str]) -> None:
    """Print the scores of shots and scenes as JSON lines."""
    parser = argparse.ArgumentParser(
        description="Shot and scene boundaries from colors, as JSON lines."
    )
    parser.add_argument(
        "--films", type=int, default=12, help="films of each split, for shots (default: 12)"
    )
    parser.add_argument(
        "--minutes", type=float, default=1.0, help="minutes of each of them (default: 1)"
    )
    parser.add_argument(
        "--scene-films", type=int, default=100, help="films of 3 minutes, for scenes (default: 100)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the films (default: 0)")
    args = parser.parse_args(arguments)
    films = range(args.scene_films)
    edits = [make_edit(make_film(args.seed, "validation", n), FPS, 3.0) for n in films]
    for reach in REACHES:
        print(json.dumps(score_scene_boundaries(edits, reach)))
    splits = ("train", "validation")
    known, asked = (EditedFilms.from_split(s, args.films, args.minutes, args.seed) for s in splits)
    for row in score_shot_boundaries(known, asked):
        print(json.dumps(row))
