"""Part of the evaluations."""

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
from vujax.evals.synthetic_difficulty.histograms import color_histograms
from vujax.video.shots.base import Transition

SIZE = (45, 80)


FPS = Fraction(24)


MAX_GAP = 2


REACHES = (1, 3)


THRESHOLDS = np.geomspace(1e-3, 0.9, 150)


def frame_histograms(edit: Edit, frames: Iterable[int], size: tuple[int, int] = SIZE) -> np.ndarray:
    """Of the colours of some frames: float32 [n bins], each of unit length."""
    screen = Screen(edit, *size)
    return np.concatenate([color_histograms(screen.frame(frame)[None]) for frame in frames])


def frame_distances(edit: Edit) -> np.ndarray:
    """Of each frame but the first to the one before it: float32 [frames - 1]."""
    seen = frame_histograms(edit, range(edit.frames))
    return 1.0 - (seen[1:] * seen[:-1]).sum(axis=1)


def find_spans(distance: np.ndarray, threshold: float) -> list[tuple[int, int]]:
    """(last, first) frames of the transitions found: runs of distances above a threshold."""
    spans: list[tuple[int, int]] = []
    for k in np.flatnonzero(distance > threshold).tolist():
        if spans and k - spans[-1][1] <= MAX_GAP:
            spans[-1] = (spans[-1][0], k + 1)
        else:
            spans.append((k, k + 1))
    return spans


def count_hits(spans: Sequence[tuple[int, int]], truth: Sequence[Transition]) -> Counter[str]:
    """'KIND hit' and 'KIND miss' of the true ones, and 'false' finds; both in order of time."""
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
    """Of the true ones of some kinds, against all false finds."""
    hits = sum(counts[f"{kind} hit"] for kind in kinds)
    wrong = counts["false"] + sum(counts[f"{kind} miss"] for kind in kinds)
    return 2 * hits / max(1, 2 * hits + wrong)


def compute_recall(counts: Counter[str], kinds: Sequence[str]) -> float:
    """The share of the true ones of some kinds that was found."""
    hits, misses = (sum(counts[f"{kind} {end}"] for kind in kinds) for end in ("hit", "miss"))
    return hits / max(1, hits + misses)


@dataclass(frozen=True)
class EditedFilms:
    """What is measured of some films, for all of their frames."""

    edits: list[Edit]
    distances: list[np.ndarray]

    @classmethod
    def from_split(cls, split: str, films: int, minutes: float, seed: int = 0) -> "EditedFilms":
        edits = [make_edit(make_film(seed, split, n), FPS, minutes) for n in range(films)]
        return cls(edits, [frame_distances(edit) for edit in edits])

    def counts(self, threshold: float) -> Counter[str]:
        total: Counter[str] = Counter()
        for edit, distance in zip(self.edits, self.distances, strict=True):
            truth = [clip.into.transition for clip in edit.clips if clip.into]
            total += count_hits(find_spans(distance, threshold), truth)
        return total

    def best_threshold(self, kinds: Sequence[str]) -> float:
        return float(
            max(THRESHOLDS, key=lambda threshold: compute_f1(self.counts(threshold), kinds))
        )


def score_shot_boundaries(
    known: EditedFilms, asked: EditedFilms
) -> list[dict[str, float | str | int]]:
    """F1 and recall by kind of transition, at thresholds chosen here and on known films."""
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
    """Distances at the borders of shots, float32 [borders], and whether a scene begins there.

    The distance is the least one between any of the `reach` shots before and any of as many after.
    """
    scores, begins = [], []
    for edit in edits:
        seen = frame_histograms(edit, [(clip.start + clip.end) // 2 for clip in edit.clips])
        away = 1.0 - seen @ seen.T
        for k, (old, new) in enumerate(pairwise(edit.clips), 1):
            if not isinstance(old.take, Card) and not isinstance(new.take, Card):
                scores.append(away[max(0, k - reach) : k, k : k + reach].min())
                begins.append(old.part != new.part)
    return np.array(scores, np.float32), np.array(begins)


def find_best_f1(scores: np.ndarray, right: np.ndarray) -> float:
    """Of calling all above a threshold right, for the best threshold."""
    hits = np.cumsum(right[np.argsort(-scores, kind="stable")])
    return float((2 * hits / (np.arange(1, len(hits) + 1) + right.sum())).max())


def score_scene_boundaries(edits: Sequence[Edit], reach: int = 1) -> dict[str, float | str | int]:
    """AP and best F1 of scene borders; chance is the share of borders, and F1 of calling all so."""
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
    parser = argparse.ArgumentParser(description="How hard the films are; prints JSON lines.")
    parser.add_argument("--films", type=int, default=12, help="of each split, for shots")
    parser.add_argument("--minutes", type=float, default=1.0, help="of each of them")
    parser.add_argument("--scene-films", type=int, default=100, help="of 3 minutes, for scenes")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(arguments)
    films = range(args.scene_films)
    edits = [make_edit(make_film(args.seed, "validation", n), FPS, 3.0) for n in films]
    for reach in REACHES:
        print(json.dumps(score_scene_boundaries(edits, reach)))
    splits = ("train", "validation")
    known, asked = (EditedFilms.from_split(s, args.films, args.minutes, args.seed) for s in splits)
    for row in score_shot_boundaries(known, asked):
        print(json.dumps(row))
