"""Caption banks: existing captions, of which the best is chosen for each frame, shot or scene.

A bank of captions is compared in a text space (`vujax.search.text_space`), into which the catalog's
embeddings are mapped. A bank of image-caption pairs is compared by its images, in the encoder's own
space. The score is the cosine similarity.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import jax
import numpy as np

from vujax.data import captions as embedding_pairs
from vujax.data.captions import EmbeddingPairs, normalize_caption
from vujax.data.sources import open_source
from vujax.encoders.pairs import TABLES, source_options
from vujax.evals.metrics.ranking import find_nearest
from vujax.search.captions.calibration import Calibration
from vujax.utils.arrays import l2_normalize
from vujax.utils.mesh import make_mesh

if TYPE_CHECKING:
    from vujax.search.text_space import TextSpace

MAX_CANDIDATES = 50  # captions per item from which repeats are avoided
CHUNK = 1024  # texts encoded at once


class BankMatches(NamedTuple):
    """Best captions of each item, best first.

    Attributes:
      indices: positions in the bank, int64 `[n k]`.
      scores: cosine similarities, float32 `[n k]`.
    """

    indices: np.ndarray
    scores: np.ndarray


class Bank(Protocol):
    """Captions to choose from.

    Attributes:
      captions: distinct captions, compared without case, spacing and Unicode form.
    """

    captions: list[str]

    def best(self, vectors: np.ndarray, k: int = 1) -> BankMatches:
        """Return the best captions of embeddings, float32 `[n d]`."""


class CaptionBank:
    """A `Bank` of captions without images."""

    def __init__(self, captions: Sequence[str], space: "TextSpace") -> None:
        """Encode the captions on all local devices.

        Raises:
          ValueError: there is no caption.
        """
        self.captions = deduplicate(captions)
        if not self.captions:
            raise ValueError("the caption bank is empty; give one caption per line")
        self._space = space
        parts = [
            space.encode_texts(self.captions[first : first + CHUNK])
            for first in range(0, len(self.captions), CHUNK)
        ]
        self._vectors = np.concatenate(parts)
        self._mesh = make_mesh(jax.local_devices())

    def best(self, vectors: np.ndarray, k: int = 1) -> BankMatches:
        """Return the captions of highest cosine similarity; ties in the order of the bank.

        Args:
          vectors: embeddings of the catalog, float32 `[n d]`.
          k: captions per item; may exceed the number of captions.
        """
        if not len(vectors):
            return _no_matches()
        queries = self._space.map_embeddings(vectors)
        scores, indices = find_nearest(queries, self._vectors, k, mesh=self._mesh)
        return BankMatches(indices, scores)


class ImageBank:
    """A `Bank` of image-caption pairs: the first caption of the nearest image."""

    def __init__(self, pairs: EmbeddingPairs) -> None:
        """Keep the images that have a caption.

        Raises:
          ValueError: no image has a caption.
        """
        pairs = pairs.captioned()
        firsts = [own[0] for own in pairs.captions]
        self.captions = deduplicate(firsts)
        if not self.captions:
            raise ValueError("no image of the pairs has a caption; give pairs with captions")
        index = {normalize_caption(text): i for i, text in enumerate(self.captions)}
        self._caption_indices = np.array([index[normalize_caption(text)] for text in firsts])
        self._vectors, self._mesh = l2_normalize(pairs.embeddings), make_mesh(jax.local_devices())

    def best(self, vectors: np.ndarray, k: int = 1) -> BankMatches:
        """Return the captions of the `k` nearest images; a caption may occur several times.

        Raises:
          ValueError: embeddings of the pairs have another width.
        """
        dim = self._vectors.shape[1]
        if vectors.shape[1] != dim:
            raise ValueError(
                f"the pairs have embeddings of dim {dim}, the catalog of dim {vectors.shape[1]}; "
                "give pairs of the same encoder"
            )
        if not len(vectors):
            return _no_matches()
        scores, images = find_nearest(l2_normalize(vectors), self._vectors, k, mesh=self._mesh)
        return BankMatches(self._caption_indices[images], scores)


def build_bank(pairs: EmbeddingPairs, space: "TextSpace") -> CaptionBank:
    """Build a bank of all captions of pairs, which can be right on them; see `fit_calibration`."""
    return CaptionBank([text for own in pairs.captions for text in own], space)


def deduplicate(captions: Sequence[str]) -> list[str]:
    """Return the distinct captions that are not blank, in order, with single spaces."""
    distinct: dict[str, str] = {}
    for caption in captions:
        if key := normalize_caption(caption):
            distinct.setdefault(key, " ".join(caption.split()))
    return list(distinct.values())


def read_bank(path: Path) -> list[str]:
    """Read the captions of a file.

    Args:
      path: a UTF-8 text file with one caption per line; or pairs, of which the captions are read: a
        WebDataset shard (.tar), a table with a column `caption` (.csv, .tsv), or a file of
        embeddings and captions (.parquet).

    Raises:
      FileNotFoundError: the file does not exist.
      ValueError: the file cannot be read, or holds no caption.
    """
    path = Path(path)
    if path.suffix == ".parquet":
        pairs = embedding_pairs.read_embedding_pairs(path)
        captions = [text for own in pairs.captions for text in own]
    elif path.suffix == ".tar" or path.suffix in TABLES:
        source = open_source(**source_options(path))
        captions = [text for i in range(len(source)) for text in source[i]["captions"]]
    else:
        captions = _read_lines(path)
    if not deduplicate(captions):
        raise ValueError(f"{path} holds no caption; give one caption per line")
    return captions


def evaluate_bank(bank: Bank, pairs: EmbeddingPairs) -> tuple[np.ndarray, np.ndarray]:
    """Compare the best captions of a bank with the captions of pairs.

    A caption is right for an image if it equals one of the image's own, without case, spacing and
    Unicode form.

    Returns:
      Scores of the best captions, float32 `[n]`, and whether they are right, bool `[n]`, without
      the images that have no caption.
    """
    pairs = pairs.captioned()
    matches = bank.best(pairs.embeddings)
    best = [normalize_caption(bank.captions[index]) for index in matches.indices[:, 0]]
    right = [
        text in {normalize_caption(caption) for caption in own}
        for text, own in zip(best, pairs.captions, strict=True)
    ]
    return matches.scores[:, 0], np.array(right, bool)


def fit_calibration(bank: Bank, pairs: EmbeddingPairs) -> Calibration:
    """Fit the probability, by score, that the best caption is right as in `evaluate_bank`.

    It is valid for banks of similar size and films that are similarly close to the captions. An
    `ImageBank` must not hold the images of the pairs.

    Raises:
      ValueError: there are too few pairs.
    """
    scores, right = evaluate_bank(bank, pairs)
    return Calibration.fit(scores, right)


def limit_repeats(matches: BankMatches, repeats: int) -> np.ndarray:
    """Choose captions so that none is used more than `repeats` times.

    Items choose in order of their best score, each the best caption that is still available.

    Returns:
      Columns of `matches`, int `[n]`; -1 where no caption is left.
    """
    uses: dict[int, int] = {}
    columns = np.full(len(matches.indices), -1)
    for item in np.argsort(-matches.scores[:, 0], kind="stable"):
        for column, index in enumerate(matches.indices[item].tolist()):
            if uses.get(index, 0) < repeats:
                uses[index] = uses.get(index, 0) + 1
                columns[item] = column
                break
    return columns


def _no_matches() -> BankMatches:
    return BankMatches(np.zeros((0, 1), np.int64), np.zeros((0, 1), np.float32))


def _read_lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist; name a file of captions") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error}); save it as UTF-8") from None
