"""Scores of captions against references: CIDEr-D, BLEU-4 and ROUGE-L.

The formulas, and the numbers, are those of the COCO caption evaluation (Chen et al. 2015,
arXiv:1504.00325); its tokenizer, a Java program, is replaced by `split_words`, so scores can be
compared with others only where the words are the same. CIDEr-D goes up to 10, the others up to 1.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

Words = tuple[str, ...]
Captions = Sequence[str]

MAX_N = 4  # n-grams of 1 to 4 words
SIGMA = 6.0  # of CIDEr-D's penalty for another length
BETA = 1.2  # of ROUGE-L: how much more recall counts than precision
RUNS = re.compile(r"[^\W\d_]+|\d+")


def split_words(text: str) -> Words:
    """Split a text into runs of letters and runs of digits, in lower case.

    Everything else only separates. Marks and hyphens are no words, so that captions that were
    composed of byte pairs are split like those that people wrote.
    """
    return tuple(RUNS.findall(unicodedata.normalize("NFKC", text).casefold()))


def score_captions(candidates: Captions, references: Sequence[Captions]) -> dict[str, float]:
    """Return `CIDEr`, `BLEU-4` and `ROUGE-L` of one caption for each image.

    Args:
      candidates: a caption of each image.
      references: the true captions of each image, at least one.

    Raises:
      ValueError: nothing to score, or an image without a reference.
    """
    return {
        "CIDEr": float(cider(candidates, references).mean()),
        "BLEU-4": bleu(candidates, references),
        "ROUGE-L": float(rouge(candidates, references).mean()),
    }


def cider(candidates: Captions, references: Sequence[Captions]) -> np.ndarray:
    """Compute CIDEr-D of each image, float64 `[n]` in [0, 10].

    Vedantam et al. 2015 (arXiv:1411.5726). N-grams are weighted by how few images' references have
    them, so a score depends on all images that are scored with it, one image alone has none, and an
    image whose references have fewer than four words cannot reach 10.

    Args: as for `score_captions`.
    """
    captions, references_of = _read(candidates, references)
    seen: Counter[Words] = Counter()
    for refs in references_of:
        seen.update({gram for ref in refs for gram in _grams(ref)})
    weights = _Weights(seen, len(captions))
    return np.array(
        [
            10 * np.mean([weights.similarity(caption, ref) for ref in refs])
            for caption, refs in zip(captions, references_of, strict=True)
        ]
    )


class _Weights:
    """Term frequency times log inverse document frequency; a document is an image."""

    def __init__(self, seen: Mapping[Words, int], images: int) -> None:
        self._seen, self._max = seen, math.log(images)

    def similarity(self, caption: Words, reference: Words) -> float:
        """Return the mean over n of the clipped cosine, less for another length."""
        mine, theirs = self._vector(caption), self._vector(reference)
        dots, mine_2, theirs_2 = np.zeros((3, MAX_N))
        for gram, value in mine.items():
            other = theirs.get(gram, 0.0)
            dots[len(gram) - 1] += min(value, other) * other
            mine_2[len(gram) - 1] += value**2
        for gram, value in theirs.items():
            theirs_2[len(gram) - 1] += value**2
        norms = np.sqrt(mine_2 * theirs_2)
        cosines = np.divide(dots, norms, out=np.zeros(MAX_N), where=norms > 0)
        difference = len(caption) - len(reference)
        return float(cosines.mean() * math.exp(-(difference**2) / (2 * SIGMA**2)))

    def _vector(self, text: Words) -> dict[Words, float]:
        return {
            gram: count * (self._max - math.log(max(1, self._seen.get(gram, 0))))
            for gram, count in _grams(text).items()
        }


def bleu(candidates: Captions, references: Sequence[Captions]) -> float:
    """Compute BLEU-4 of all images together, in [0, 1] (Papineni et al. 2002).

    Counts are summed over images; the brevity penalty takes the reference of the closest length,
    the shorter of two. No smoothing: without a common run of four words it is 0.

    Args: as for `score_captions`.
    """
    captions, references_of = _read(candidates, references)
    right, total, length, closest = np.zeros(MAX_N), np.zeros(MAX_N), 0, 0
    for caption, refs in zip(captions, references_of, strict=True):
        most = _union(refs)
        for gram, count in _grams(caption).items():
            right[len(gram) - 1] += min(count, most[gram])
            total[len(gram) - 1] += count
        length += len(caption)
        closest += min((abs(len(ref) - len(caption)), len(ref)) for ref in refs)[1]
    if not right.all():
        return 0.0
    brevity = min(0.0, 1 - closest / length)
    return float(np.exp(np.log(right / total).mean() + brevity))


def rouge(candidates: Captions, references: Sequence[Captions]) -> np.ndarray:
    """Compute ROUGE-L of each image, float64 `[n]` in [0, 1] (Lin 2004).

    From the longest common subsequence of words: best precision and best recall over the
    references, combined with beta = 1.2.

    Args: as for `score_captions`.
    """
    captions, references_of = _read(candidates, references)
    return np.array(
        [_rouge(caption, refs) for caption, refs in zip(captions, references_of, strict=True)]
    )


def _rouge(caption: Words, refs: Sequence[Words]) -> float:
    common = [_longest_common(caption, ref) for ref in refs]
    if not any(common):
        return 0.0
    precision = max(common) / len(caption)
    recall = max(c / len(ref) for c, ref in zip(common, refs, strict=True) if ref)
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def _longest_common(a: Words, b: Words) -> int:
    best = [0] * (len(b) + 1)
    for word in a:
        before = 0  # of the row above, one column to the left
        for column, other in enumerate(b, 1):
            above = best[column]
            best[column] = before + 1 if word == other else max(above, best[column - 1])
            before = above
    return best[-1]


def _grams(text: Words) -> Counter[Words]:
    """Count each run of 1 to 4 words."""
    return Counter(text[i : i + n] for n in range(1, MAX_N + 1) for i in range(len(text) - n + 1))


def _union(refs: Sequence[Words]) -> Counter[Words]:
    """Return, for each n-gram, the most occurrences in one reference."""
    most: Counter[Words] = Counter()
    for ref in refs:
        most |= _grams(ref)
    return most


def _read(
    candidates: Captions, references: Sequence[Captions]
) -> tuple[list[Words], list[list[Words]]]:
    if len(candidates) != len(references) or not len(candidates):
        raise ValueError(
            f"{len(candidates)} captions and references of {len(references)} images; give one "
            "caption for each image, and at least one image"
        )
    if bare := [number for number, refs in enumerate(references) if not len(refs)]:
        raise ValueError(f"image {bare[0]} has no reference caption; leave it out")
    return [split_words(text) for text in candidates], [
        [split_words(t) for t in refs] for refs in references
    ]
