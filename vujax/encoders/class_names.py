"""Names of ImageNet's 1,000 classes, and their embeddings by the sentence encoder."""

import contextlib
import csv
import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vujax.encoders.sentences import SentenceEncoder
from vujax.utils.io import write_array
from vujax.utils.system import get_cache_folder

CLASS_TABLE = Path(__file__).parent / "classes" / "imagenet1k.tsv"


class ClassName(NamedTuple):
    """Name of an ImageNet class.

    Attributes:
      wnid: WordNet 3.0 id, such as n01440764.
      name: short English name.
      synonyms: WordNet's synonyms, in its order.
    """

    wnid: str
    name: str
    synonyms: tuple[str, ...]


def read_class_names() -> list[ClassName]:
    """Read the 1,000 classes of ILSVRC 2012; entry k has label k."""
    with CLASS_TABLE.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [ClassName(r["wnid"], r["name"], tuple(r["synonyms"].split(", "))) for r in rows]


def embed_class_names(sentences: SentenceEncoder) -> np.ndarray:
    """Return the embeddings of the class names, float32 `[1000 d]` of unit length.

    Computing them takes longer than all else of opening a text space, so they are kept in the
    cache folder, under a name that tells the encoder's weights and the class names.
    """
    names = [entry.name for entry in read_class_names()]
    key = hashlib.sha256(json.dumps([sentences.digest, names]).encode()).hexdigest()[:16]
    path = get_cache_folder() / "computed" / f"class-names-{key}.npy"
    if (cached := _read_embeddings(path, (len(names), sentences.dim))) is not None:
        return cached
    vectors = sentences(names)
    with contextlib.suppress(OSError):  # in a read-only or full folder nothing is kept
        write_array(path, vectors)
    return vectors


def _read_embeddings(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    """Return cached unit vectors, or None if the file is missing, damaged or of another shape."""
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)  # reads no more than there is
    except (OSError, ValueError, EOFError):
        return None
    if mapped.shape != shape or mapped.dtype != np.float32:
        return None
    vectors = np.array(mapped)
    return vectors if np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3) else None
