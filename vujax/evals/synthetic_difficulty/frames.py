"""Retrieval and zero-shot classification of synthetic frames without a model.

A caption is right for a frame if the frame has that very caption (duplicates are right). The three
scores of image i for caption j are

  chance: random;
  histogram: the words of j against the captions of the 32 training frames whose color histograms
    are nearest to i's: the part that colors alone explain;
  ceiling: 1 / (number of frames that j fits), or 0 if j does not fit i: the score of an oracle
    that sees everything in a frame but not the frame that a caption was written for.
"""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vujax.data.synthetic.captions import CLASSES, find_class
from vujax.data.synthetic.dataset_images import ImageTruth, SyntheticImages
from vujax.utils.arrays import l2_normalize


def find_neighbors(queries: np.ndarray, keys: np.ndarray, k: int) -> np.ndarray:
    """Return indices [n k] of the k keys with the largest dot product, best first."""
    return np.argsort(-(queries @ keys.T), axis=1, kind="stable")[:, :k]


def bags_of_words(texts: list[str], vocabulary: dict[str, int]) -> np.ndarray:
    """Return the words of each text, float32 [n words]; unknown words are dropped."""
    vectors = np.zeros((len(texts), len(vocabulary)), np.float32)
    for row, text in zip(vectors, texts, strict=True):
        for word in _words(text):
            if word in vocabulary:
                row[vocabulary[word]] = 1.0
    return vectors


@dataclass(frozen=True)
class Frames:
    """A whole source in memory: histograms [n bins], captions, truth."""

    histograms: np.ndarray
    texts: list[str]
    truths: list[ImageTruth]

    @classmethod
    def from_source(cls, source: SyntheticImages) -> "Frames":
        """Draw all frames of a source."""
        records = [source[i] for i in range(len(source))]
        histograms = color_histograms(np.stack([record["image"] for record in records]))
        texts = [record["captions"][0] for record in records]
        return cls(histograms, texts, [source.truth(i) for i in range(len(source))])


def score_by_histogram(known: Frames, asked: Frames, k: int = 32) -> np.ndarray:
    """Score [images captions] of the frames in `asked` by their colors alone.

    Args:
      known: training frames with captions.
      asked: frames to score.
      k: neighbors.
    """
    nearest = find_neighbors(asked.histograms, known.histograms, k)
    counts = Counter(word for text in known.texts for word in set(_words(text)))
    vocabulary = {word: i for i, word in enumerate(sorted(counts))}
    share = np.array([counts[word] for word in vocabulary], np.float32) / len(known.texts)
    rarity = -np.log(share)
    expected = bags_of_words(known.texts, vocabulary)[nearest].mean(axis=1)
    words = l2_normalize(bags_of_words(asked.texts, vocabulary) * rarity)
    return ((expected - share) * rarity) @ words.T


def score_by_facts(truths: list[ImageTruth], seed: int = 0) -> np.ndarray:
    """Score [images captions] by all facts; ties are broken at random."""
    fits = np.array([[t.captions[0].fits(image.facts) for t in truths] for image in truths])
    noise = np.random.default_rng(seed).uniform(0, 1e-6, fits.shape)
    return fits / np.maximum(fits.sum(axis=0), 1) + noise


def compute_recalls(scores: np.ndarray, texts: list[str]) -> dict[str, float]:
    """Compute R@1/5/10 of scores [images captions], in both directions."""
    ids = np.unique(texts, return_inverse=True)[1]
    right = ids[:, None] == ids[None, :]
    result = {}
    for direction, table, truth in (
        ("text_to_image", scores.T, right.T),
        ("image_to_text", scores, right),
    ):
        order = np.argsort(-table, axis=1, kind="stable")[:, :10]
        hits = np.take_along_axis(truth, order, axis=1)
        for k in (1, 5, 10):
            result[f"{direction}/R@{k}"] = round(float(hits[:, :k].any(axis=1).mean()), 4)
    return result


def measure_retrieval(known: Frames, asked: Frames) -> dict[str, dict[str, float]]:
    """Return recalls of the random baseline, histogram neighbors and the ceiling."""
    n = len(asked.texts)
    scores = {
        "chance": np.random.default_rng(0).uniform(size=(n, n)),
        "histogram": score_by_histogram(known, asked),
        "ceiling": score_by_facts(asked.truths),
    }
    return {name: compute_recalls(table, asked.texts) for name, table in scores.items()}


def measure_zero_shot(known: Frames, asked: Frames, label: str, k: int = 32) -> dict[str, float]:
    """Return top-1 of the random baseline and of the vote of the histogram neighbors."""
    classes = list(CLASSES[label])
    of_known, of_asked = (
        np.array([classes.index(find_class(truth.facts, label)) for truth in frames.truths])
        for frames in (known, asked)
    )
    nearest = find_neighbors(asked.histograms, known.histograms, k)
    votes = np.eye(len(classes))[of_known][nearest].sum(axis=1)
    hits = votes.argmax(axis=1) == of_asked
    return {"chance": round(1 / len(classes), 4), "histogram": round(float(hits.mean()), 4)}


def measure_frames(arguments: Sequence[str]) -> None:
    """Print the scores as JSON lines."""
    parser = argparse.ArgumentParser(
        description="Retrieval and classification of frames without a model, as JSON lines."
    )
    parser.add_argument("--train", type=int, default=5000, help="training frames (default: 5000)")
    parser.add_argument(
        "--held-out", type=int, default=1024, help="validation frames (default: 1024)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the films (default: 0)")
    args = parser.parse_args(arguments)
    known = Frames.from_source(SyntheticImages("train", frames=args.train, seed=args.seed))
    asked = Frames.from_source(SyntheticImages("validation", frames=args.held_out, seed=args.seed))
    print(json.dumps({"retrieval": measure_retrieval(known, asked)}))
    for label in CLASSES:
        print(json.dumps({"zero_shot": label} | measure_zero_shot(known, asked, label)))


def _words(text: str) -> list[str]:
    return text.lower().replace(",", " ").replace(":", " ").split()


def color_histograms(images: np.ndarray, bins: int = 6) -> np.ndarray:
    """Compute joint RGB histograms of uint8 [n h w 3]: float32 unit [n bins**3].

    Square roots of shares, so that a dot product is the Bhattacharyya coefficient.
    """
    bin_of = (images.astype(np.int32) * bins) >> 8
    bin_of = (bin_of[..., 0] * bins + bin_of[..., 1]) * bins + bin_of[..., 2]
    counts = [np.bincount(c.ravel(), minlength=bins**3) for c in bin_of]
    return np.sqrt(np.stack(counts) / bin_of[0].size).astype(np.float32)
