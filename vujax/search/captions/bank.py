"""Captions that are there already: the best of a bank for each picture, shot or scene.

A bank of captions is compared in a text space (`vujax.search.text_space`): its captions' vectors
with what the stored vectors become there. A bank of pairs is compared by its pictures, in the
encoder's own space. The score is the cosine.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import jax
import numpy as np

from vujax.data import captions as vector_pairs
from vujax.data.captions import EmbeddingPairs
from vujax.data.sources import open_source
from vujax.evals.metrics.ranking import find_nearest
from vujax.evals.retrieval import normalize_caption
from vujax.search.captions.calibration import Calibration
from vujax.utils.arrays import l2_normalize
from vujax.utils.mesh import make_mesh

if TYPE_CHECKING:
    from vujax.search.text_space import TextSpace

DEPTH = 50  # captions of an item that are looked at, where none may be repeated too often
CHUNK = 1024  # texts at once
TABLES = (".csv", ".tsv", ".tab")


class Best(NamedTuple):
    """Of each item the best captions, best first: places in the bank and cosines, `[n k]`."""

    places: np.ndarray
    scores: np.ndarray


class Bank(Protocol):
    """Captions to choose from.

    Attributes:
      captions: the different ones, equal but for case, spacing and Unicode form kept once.
    """

    captions: list[str]

    def best(self, vectors: np.ndarray, k: int = 1) -> Best:
        """The captions of greatest score for what an encoder stored, float32 `[n d]`."""


class CaptionBank:
    """A `Bank` of captions alone."""

    def __init__(self, captions: Sequence[str], space: "TextSpace") -> None:
        """Encodes the captions, on all devices of the process.

        Raises:
          ValueError: there is none.
        """
        self.captions = distinct(captions)
        if not self.captions:
            raise ValueError("the caption bank is empty: give a caption a line")
        self._space = space
        parts = [
            space.texts(self.captions[first : first + CHUNK])
            for first in range(0, len(self.captions), CHUNK)
        ]
        self._vectors = np.concatenate(parts)
        self._mesh = make_mesh(jax.local_devices())

    def best(self, vectors: np.ndarray, k: int = 1) -> Best:
        """The captions of greatest cosine for what an encoder stored, float32 `[n d]`.

        Of equal ones the bank's first. k may be more than there are captions.
        """
        if not len(vectors):
            return Best(np.zeros((0, 1), np.int64), np.zeros((0, 1), np.float32))
        scores, places = find_nearest(
            self._space.images(vectors), self._vectors, k, mesh=self._mesh
        )
        return Best(places, scores)


class PictureBank:
    """A `Bank` of pairs: what is said of an item is the first caption of the picture nearest it."""

    def __init__(self, pairs: EmbeddingPairs) -> None:
        """Takes the pictures that have a caption.

        Raises:
          ValueError: there is none.
        """
        pairs = pairs.captioned()
        firsts = [own[0] for own in pairs.captions]
        self.captions = distinct(firsts)
        if not self.captions:
            raise ValueError("no picture of the pairs has a caption: give pairs with captions")
        place = {normalize_caption(text): i for i, text in enumerate(self.captions)}
        self._said = np.array([place[normalize_caption(text)] for text in firsts])
        self._vectors, self._mesh = l2_normalize(pairs.embeddings), make_mesh(jax.local_devices())

    def best(self, vectors: np.ndarray, k: int = 1) -> Best:
        """The captions of the `k` nearest pictures, among which one caption may come repeatedly.

        Raises:
          ValueError: the pairs' vectors have another width.
        """
        width = self._vectors.shape[1]
        if vectors.shape[1] != width:
            raise ValueError(
                f"the pairs have vectors of {width} numbers, the catalogue of {vectors.shape[1]}: "
                "give pairs of the same encoder"
            )
        if not len(vectors):
            return Best(np.zeros((0, 1), np.int64), np.zeros((0, 1), np.float32))
        scores, pictures = find_nearest(l2_normalize(vectors), self._vectors, k, mesh=self._mesh)
        return Best(self._said[pictures], scores)


def distinct(captions: Sequence[str]) -> list[str]:
    """Captions that are not blank, in order, the first of those that are alike."""
    found: dict[str, str] = {}
    for caption in captions:
        if key := normalize_caption(caption):
            found.setdefault(key, " ".join(caption.split()))
    return list(found.values())


def read_bank(path: Path) -> list[str]:
    """Captions of a file.

    Args:
      path: of a text file with a caption a line, UTF-8; or of pairs, whose captions are taken: a
        WebDataset shard (.tar), a table with a column `caption` (.csv, .tsv), or a file of vectors
        and captions (.parquet).

    Raises:
      FileNotFoundError: it is not there.
      ValueError: it cannot be read, or holds no caption.
    """
    path = Path(path)
    if path.suffix == ".parquet":
        found = [text for own in vector_pairs.read_embedding_pairs(path).captions for text in own]
    elif path.suffix == ".tar" or path.suffix in TABLES:
        source = open_source(**source_of(path))
        found = [text for i in range(len(source)) for text in source[i]["captions"]]
    else:
        found = _lines(path)
    if not distinct(found):
        raise ValueError(f"{path} holds no caption: give a caption a line")
    return found


def source_of(path: Path) -> dict[str, str]:
    """Options of `vujax.encoders.pairs.open_pairs` for a file of pairs, by its name's end.

    Raises:
      ValueError: it has none that is known.
    """
    kinds = {".parquet": "vectors", ".tar": "webdataset"} | dict.fromkeys(TABLES, "table")
    if path.suffix not in kinds:
        raise ValueError(f"{path} is no file of pairs: give one of {', '.join(kinds)}")
    return dict(kind=kinds[path.suffix], path=str(path))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist: name a file of captions") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no UTF-8 text ({error}): save it as UTF-8") from None


def judged(bank: Bank, pairs: EmbeddingPairs) -> tuple[np.ndarray, np.ndarray]:
    """How often a bank is right on pairs whose captions are known.

    It is right for a picture if the best caption is one of the picture's own, or equal to it but
    for case, spacing and Unicode form.

    Returns:
      The best captions' scores, float32 `[n]`, and whether they are right, bool `[n]`; pictures
      without a caption are left out.
    """
    pairs = pairs.captioned()
    best = bank.best(pairs.embeddings)
    said = [normalize_caption(bank.captions[place]) for place in best.places[:, 0]]
    right = [
        text in {normalize_caption(caption) for caption in own}
        for text, own in zip(said, pairs.captions, strict=True)
    ]
    return best.scores[:, 0], np.array(right, bool)


def bank_of(pairs: EmbeddingPairs, space: "TextSpace") -> CaptionBank:
    """A bank of all captions of pairs: one that can be right on them, for `calibrated`."""
    return CaptionBank([text for own in pairs.captions for text in own], space)


def calibrated(bank: Bank, pairs: EmbeddingPairs) -> Calibration:
    """The chance, by score, that the best caption is right in the sense of `judged`.

    It holds for banks that are about as large, and films that are about as near to the captions,
    as these are; a bank of pictures must not hold those of the pairs.

    Raises:
      ValueError: there are too few pairs.
    """
    return Calibration.fit(*judged(bank, pairs))


def without_repeats(best: Best, repeats: int) -> np.ndarray:
    """Which of each item's captions to take, so that none is taken more than `repeats` times.

    The items choose in order of their best score, each the best caption that is still free.

    Returns:
      Columns of `best` `[n]`, -1 where no caption is left.
    """
    taken: dict[int, int] = {}
    columns = np.full(len(best.places), -1)
    for item in np.argsort(-best.scores[:, 0], kind="stable"):
        for column, place in enumerate(best.places[item].tolist()):
            if taken.get(place, 0) < repeats:
                taken[place] = taken.get(place, 0) + 1
                columns[item] = column
                break
    return columns
