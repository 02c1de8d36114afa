"""How hard the cinema is: retrieval by chance, by colour-histogram neighbours, and by the truth.

Run `python -m vujax.evals.synthetic_difficulty`. A caption counts as right for a frame if the frame
has that very caption (duplicates are positives). The three scores of image i for caption j are

  chance: random;
  histogram: the words of j against the captions of the 32 training frames whose colour histograms
    lie nearest to i's: what can be had from colours alone;
  ceiling: 1 / (number of frames that j fits), or 0 if j does not fit i: what can be had by one
    who sees everything in a frame but not which frame a caption was written for.

How hard the films are for who sees colours alone.

Run `python -m vujax.evals.synthetic_difficulty`. The distance of two pictures is 1 minus the
Bhattacharyya coefficient of their colour histograms.

  shots: frames whose distance to the frame before is above a threshold, those at most JOINED
    frames apart taken together, are one transition found. It is right if it touches the true one,
    which then counts as found once. F1 by kind sets the true ones of that kind against all that
    was found wrongly. The threshold is the best one on these films, or the best on others (the
    training split). False finds have no kind, so they weigh more against a rare one: recall
    is printed beside.
  scenes: the distance between the middle frames of adjacent shots says whether a scene begins
    there; or the least distance between any of the three shots before and the three after, which
    sees that shots come back. Borders of cards do not count.

Frames are drawn small and not encoded: noise of H.264 is not what makes the films hard.

What colours and sounds alone tell of scenes, in the protocol that models are scored by.

Run `python -m vujax.evals.synthetic_difficulty`. The score of a border between two shots is the
least distance between any of the REACH shots before it and any of as many after it. AP is that of
each film's borders, cards included, and then the mean of the films (macro).

  colours: 1 minus the Bhattacharyya coefficient of the histograms of all of a shot's keyframes;
  sounds: how far the loudness (dB) of bands of the spectrum differ, the lower quartile over the
    shot's time, which leaves music and clicks mostly out;
  both: the sum of the two, each divided by its standard deviation within the film.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from vujax.data.synthetic.captions import CLASSES, class_of
from vujax.data.synthetic.dataset_images import CinemaSource, Truth
from vujax.data.synthetic.dataset_shots import CinemaFilm, open_cinema
from vujax.data.synthetic.editing import KINDS, Card, Edit, make_edit
from vujax.data.synthetic.screen import Screen
from vujax.data.synthetic.world import make_film
from vujax.evals.metrics.classification import average_precision
from vujax.video.shots.base import Transition

SIZE = (45, 80)

FPS = Fraction(24)

JOINED = 2

REACHES = (1, 3)

THRESHOLDS = np.geomspace(1e-3, 0.9, 150)


def histograms(edit: Edit, frames: Iterable[int], size: tuple[int, int] = SIZE) -> np.ndarray:
    """Of the colours of some frames: float32 [n bins], each of unit length."""
    screen = Screen(edit, *size)
    return np.concatenate([colour_histograms(screen.frame(frame)[None]) for frame in frames])


def frame_distances(edit: Edit) -> np.ndarray:
    """Of each frame but the first to the one before it: float32 [frames - 1]."""
    seen = histograms(edit, range(edit.frames))
    return 1.0 - (seen[1:] * seen[:-1]).sum(axis=1)


def found_spans(distance: np.ndarray, threshold: float) -> list[tuple[int, int]]:
    """(last, first) frames of the transitions found: runs of distances above a threshold."""
    spans: list[tuple[int, int]] = []
    for k in np.flatnonzero(distance > threshold).tolist():
        if spans and k - spans[-1][1] <= JOINED:
            spans[-1] = (spans[-1][0], k + 1)
        else:
            spans.append((k, k + 1))
    return spans


def count(spans: Sequence[tuple[int, int]], truth: Sequence[Transition]) -> Counter[str]:
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


def f1(counts: Counter[str], kinds: Sequence[str]) -> float:
    """Of the true ones of some kinds, against all false finds."""
    hits = sum(counts[f"{kind} hit"] for kind in kinds)
    wrong = counts["false"] + sum(counts[f"{kind} miss"] for kind in kinds)
    return 2 * hits / max(1, 2 * hits + wrong)


def recall(counts: Counter[str], kinds: Sequence[str]) -> float:
    """The share of the true ones of some kinds that was found."""
    hits, misses = (sum(counts[f"{kind} {end}"] for kind in kinds) for end in ("hit", "miss"))
    return hits / max(1, hits + misses)


@dataclass(frozen=True)
class Films:
    """What is measured of some films, for all of their frames."""

    edits: list[Edit]
    distances: list[np.ndarray]

    @classmethod
    def of(cls, split: str, films: int, minutes: float, seed: int = 0) -> "Films":
        edits = [make_edit(make_film(seed, split, n), FPS, minutes) for n in range(films)]
        return cls(edits, [frame_distances(edit) for edit in edits])

    def counts(self, threshold: float) -> Counter[str]:
        total: Counter[str] = Counter()
        for edit, distance in zip(self.edits, self.distances, strict=True):
            truth = [clip.into.transition for clip in edit.clips if clip.into]
            total += count(found_spans(distance, threshold), truth)
        return total

    def best_threshold(self, kinds: Sequence[str]) -> float:
        return float(max(THRESHOLDS, key=lambda threshold: f1(self.counts(threshold), kinds)))


def shot_scores(known: Films, asked: Films) -> list[dict[str, float | str | int]]:
    """F1 and recall by kind of transition, at thresholds chosen here and on known films."""
    truth = Counter(clip.into.kind for edit in asked.edits for clip in edit.clips if clip.into)
    rows = []
    for name, kinds in (("all", KINDS), *((kind, (kind,)) for kind in KINDS)):
        best, chosen = asked.best_threshold(kinds), known.best_threshold(KINDS)
        rows.append(
            {
                "shots": name,
                "true": sum(truth[kind] for kind in kinds),
                "best F1": round(f1(asked.counts(best), kinds), 3),
                "F1 at a threshold of other films": round(f1(asked.counts(chosen), kinds), 3),
                "recall there": round(recall(asked.counts(chosen), kinds), 3),
            }
        )
    return rows


def scene_pairs(edits: Iterable[Edit], reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Distances at the borders of shots, float32 [borders], and whether a scene begins there.

    The distance is the least one between any of the `reach` shots before and any of as many after.
    """
    scores, begins = [], []
    for edit in edits:
        seen = histograms(edit, [(clip.begin + clip.end) // 2 for clip in edit.clips])
        away = 1.0 - seen @ seen.T
        for k, (old, new) in enumerate(pairwise(edit.clips), 1):
            if not isinstance(old.take, Card) and not isinstance(new.take, Card):
                scores.append(away[max(0, k - reach) : k, k : k + reach].min())
                begins.append(old.part != new.part)
    return np.array(scores, np.float32), np.array(begins)


def best_f1(scores: np.ndarray, right: np.ndarray) -> float:
    """Of calling all above a threshold right, for the best threshold."""
    hits = np.cumsum(right[np.argsort(-scores, kind="stable")])
    return float((2 * hits / (np.arange(1, len(hits) + 1) + right.sum())).max())


def scene_scores(edits: Sequence[Edit], reach: int = 1) -> dict[str, float | str | int]:
    """AP and best F1 of scene borders; chance is the share of borders, and F1 of calling all so."""
    scores, right = scene_pairs(edits, reach)
    share = float(right.mean())
    return {
        "scenes": f"{reach} shots before and after",
        "borders of shots": len(right),
        "AP": round(average_precision(scores, right), 3),
        "AP of chance": round(share, 3),
        "best F1": round(best_f1(scores, right), 3),
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
        print(json.dumps(scene_scores(edits, reach)))
    splits = ("train", "validation")
    known, asked = (Films.of(s, args.films, args.minutes, args.seed) for s in splits)
    for row in shot_scores(known, asked):
        print(json.dumps(row))


def colour_histograms(images: np.ndarray, bins: int = 6) -> np.ndarray:
    """Joint RGB histograms of uint8 [n h w 3]: float32 [n bins**3], each of unit length.

    Square roots of shares, so that a dot product is the Bhattacharyya coefficient.
    """
    code = (images.astype(np.int32) * bins) >> 8
    code = (code[..., 0] * bins + code[..., 1]) * bins + code[..., 2]
    counts = [np.bincount(c.ravel(), minlength=bins**3) for c in code]
    return np.sqrt(np.stack(counts) / code[0].size).astype(np.float32)


def neighbours(queries: np.ndarray, keys: np.ndarray, k: int) -> np.ndarray:
    """Indices [n k] of the k keys with the largest dot product, best first."""
    return np.argsort(-(queries @ keys.T), axis=1, kind="stable")[:, :k]


def word_vectors(texts: list[str], vocabulary: dict[str, int]) -> np.ndarray:
    """Words of each text, float32 [n words]; words outside the vocabulary are dropped."""
    vectors = np.zeros((len(texts), len(vocabulary)), np.float32)
    for row, text in zip(vectors, texts, strict=True):
        for word in _words(text):
            if word in vocabulary:
                row[vocabulary[word]] = 1.0
    return vectors


@dataclass(frozen=True)
class Frames:
    """What the colour neighbours see of a whole source: histograms [n bins], captions, truth."""

    histograms: np.ndarray
    texts: list[str]
    truths: list[Truth]

    @classmethod
    def of(cls, source: CinemaSource) -> "Frames":
        records = [source[i] for i in range(len(source))]
        histograms = colour_histograms(np.stack([record["image"] for record in records]))
        texts = [record["captions"][0] for record in records]
        return cls(histograms, texts, [source.truth(i) for i in range(len(source))])


def histogram_scores(known: Frames, asked: Frames, k: int = 32) -> np.ndarray:
    """Scores [images captions] of the frames asked about, from their colours alone."""
    nearest = neighbours(asked.histograms, known.histograms, k)
    counts = Counter(word for text in known.texts for word in set(_words(text)))
    vocabulary = {word: i for i, word in enumerate(sorted(counts))}
    share = np.array([counts[word] for word in vocabulary], np.float32) / len(known.texts)
    rarity = -np.log(share)
    expected = word_vectors(known.texts, vocabulary)[nearest].mean(axis=1)
    words = _unit(word_vectors(asked.texts, vocabulary) * rarity)
    return ((expected - share) * rarity) @ words.T


def ceiling_scores(truths: list[Truth], seed: int = 0) -> np.ndarray:
    """Scores [images captions] of one who knows every fact; ties broken at random."""
    fits = np.array([[t.captions[0].fits(image.facts) for t in truths] for image in truths])
    noise = np.random.default_rng(seed).uniform(0, 1e-6, fits.shape)
    return fits / np.maximum(fits.sum(axis=0), 1) + noise


def recalls(scores: np.ndarray, texts: list[str]) -> dict[str, float]:
    """R@1/5/10, shares of 1, text to image and image to text, for scores [images captions]."""
    ids = np.unique(texts, return_inverse=True)[1]
    right = ids[:, None] == ids[None, :]
    result = {}
    for way, table, truth in (
        ("text_to_image", scores.T, right.T),
        ("image_to_text", scores, right),
    ):
        order = np.argsort(-table, axis=1, kind="stable")[:, :10]
        hits = np.take_along_axis(truth, order, axis=1)
        for k in (1, 5, 10):
            result[f"{way}/R@{k}"] = round(float(hits[:, :k].any(axis=1).mean()), 4)
    return result


def retrieval(known: Frames, asked: Frames) -> dict[str, dict[str, float]]:
    """Recalls of chance, histogram neighbours and the ceiling."""
    n = len(asked.texts)
    scores = {
        "chance": np.random.default_rng(0).uniform(size=(n, n)),
        "histogram": histogram_scores(known, asked),
        "ceiling": ceiling_scores(asked.truths),
    }
    return {name: recalls(table, asked.texts) for name, table in scores.items()}


def zero_shot(known: Frames, asked: Frames, label: str, k: int = 32) -> dict[str, float]:
    """Top-1, a share of 1, of chance and of the vote of the k histogram neighbours' true labels."""
    classes = list(CLASSES[label])
    of_known, of_asked = (
        np.array([classes.index(class_of(truth.facts, label)) for truth in frames.truths])
        for frames in (known, asked)
    )
    nearest = neighbours(asked.histograms, known.histograms, k)
    votes = np.eye(len(classes))[of_known][nearest].sum(axis=1)
    hits = votes.argmax(axis=1) == of_asked
    return {"chance": round(1 / len(classes), 4), "histogram": round(float(hits.mean()), 4)}


def measure_frames(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description="How hard the cinema is; prints JSON lines.")
    parser.add_argument("--train", type=int, default=5000, help="training frames to look among")
    parser.add_argument("--held-out", type=int, default=1024, help="validation frames")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(arguments)
    known = Frames.of(CinemaSource("train", frames=args.train, seed=args.seed))
    asked = Frames.of(CinemaSource("validation", frames=args.held_out, seed=args.seed))
    print(json.dumps({"retrieval": retrieval(known, asked)}))
    for label in CLASSES:
        print(json.dumps({"zero_shot": label} | zero_shot(known, asked, label)))


def _words(text: str) -> list[str]:
    return text.lower().replace(",", " ").replace(":", " ").split()


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)


REACH = 4

WINDOW = 1024  # samples

BANDS = 40


def colour_distances(film: CinemaFilm) -> np.ndarray:
    """Between all shots of a film, float32 `[n n]`."""
    images = film.inputs(np.arange(len(film)))["image"]
    seen = np.stack([colour_histograms(shot.reshape(1, -1, 1, 3))[0] for shot in images])
    return 1.0 - seen @ seen.T


def sound_distances(film: CinemaFilm) -> np.ndarray:
    """Likewise; the mean difference in decibels."""
    heard = np.stack([_loudness(film.sound(shot)) for shot in range(len(film))])
    return np.abs(heard[:, None] - heard[None]).mean(axis=-1)


def _loudness(sound: np.ndarray) -> np.ndarray:
    """Decibels in each band, float32 `[BANDS]`."""
    padded = np.pad(sound, (0, -len(sound) % WINDOW)).reshape(-1, WINDOW) * np.hanning(WINDOW)
    power = np.quantile(np.abs(np.fft.rfft(padded)) ** 2, 0.25, axis=0)
    edges = np.unique(np.geomspace(2, WINDOW // 2, BANDS + 1).astype(int))[:-1]
    return 10 * np.log10(np.add.reduceat(power, edges) + 1e-3).astype(np.float32)


def gaps(away: np.ndarray, reach: int = REACH) -> np.ndarray:
    """Scores of the borders, `[n-1]`, of distances `[n n]`."""
    borders = range(1, len(away))
    return np.array([away[max(0, k - reach) : k, k : k + reach].min() for k in borders])


def scores(film: CinemaFilm) -> dict[str, float]:
    """AP of one film, by what is seen or heard."""
    away = {"colours": colour_distances(film), "sounds": sound_distances(film)}
    away["both"] = sum(one / one.std() for one in away.values())
    found = {what: average_precision(gaps(one), film.starts) for what, one in away.items()}
    return found | {"chance": float(film.starts.mean())}


def table(films: Iterable[CinemaFilm]) -> dict[str, float]:
    """Macro AP over films."""
    rows = [scores(film) for film in films]
    return {what: round(float(np.mean([row[what] for row in rows])), 3) for what in rows[0]}


def measure_scenes(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description="What colours and sounds tell; prints JSON.")
    parser.add_argument("--films", type=int, default=40, help="of the validation split")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(arguments)
    films = open_cinema(seed=args.seed, split="validation", films=args.films, keep=False)
    print(json.dumps({"macro AP of scene borders": table(films), "films": args.films}))


PARTS = {"frames": measure_frames, "films": measure_films, "scenes": measure_scenes}


def main(arguments: Sequence[str]) -> None:
    """Measure a part; the first argument names it, the others are its options."""
    parser = argparse.ArgumentParser(prog="python -m vujax.evals.synthetic_difficulty")
    parser.add_argument("part", choices=PARTS)
    chosen = parser.parse_args(arguments[:1]).part
    PARTS[chosen](arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
