"""Embeddings of images with the images' captions, and the training batches of a captioner.

The embeddings come from a frozen encoder. They are stored in a Parquet file with the columns `key`,
`captions` (a list) and `vector`; the metadata of the file name the encoder.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from vujax.data.pipeline import Batch, StreamDataset, derive_seed
from vujax.models.tokenizers.words import ShortTokens
from vujax.utils.io import write_parquet

if TYPE_CHECKING:
    import pyarrow as pa

METADATA_PREFIX = "vujax."


def normalize_caption(caption: str) -> str:
    """Return the form in which captions are compared: NFKC, folded, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", caption).casefold().split())


@dataclass(frozen=True, eq=False)
class EmbeddingPairs:
    """Embeddings of images, with captions.

    Attributes:
      embeddings: float32 `[n d]`.
      captions: captions of each image, any number.
      keys: names of the images, for messages.
      encoder: name of the encoder; empty: unknown.
      digest: its sha256, in hexadecimal; empty: unknown.
    """

    embeddings: np.ndarray
    captions: tuple[tuple[str, ...], ...]
    keys: tuple[str, ...]
    encoder: str = ""
    digest: str = ""

    def __post_init__(self) -> None:
        counts = {len(self.embeddings), len(self.captions), len(self.keys)}
        if len(counts) > 1 or self.embeddings.ndim != 2:
            raise ValueError(
                f"embeddings {self.embeddings.shape}, captions of {len(self.captions)} images and "
                f"{len(self.keys)} keys do not belong together"
            )
        bad = np.flatnonzero(~np.isfinite(self.embeddings).all(axis=1))
        if len(bad):
            raise ValueError(f"the embedding of '{self.keys[bad[0]]}' contains NaN or infinity")

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def dim(self) -> int:
        """Dimension of the embeddings."""
        return self.embeddings.shape[1]

    def take(self, rows: Sequence[int] | np.ndarray) -> "EmbeddingPairs":
        """Return the pairs with these numbers."""
        return EmbeddingPairs(
            self.embeddings[np.asarray(rows, np.int64)],
            tuple(self.captions[i] for i in rows),
            tuple(self.keys[i] for i in rows),
            self.encoder,
            self.digest,
        )

    def captioned(self) -> "EmbeddingPairs":
        """Return the pairs that have a caption, without blank captions."""
        captions = tuple(tuple(text for text in texts if text.strip()) for texts in self.captions)
        pairs = EmbeddingPairs(self.embeddings, captions, self.keys, self.encoder, self.digest)
        return pairs.take([i for i, texts in enumerate(captions) if texts])


def concat_pairs(parts: Sequence[EmbeddingPairs]) -> EmbeddingPairs:
    """Concatenate several sets of pairs.

    Raises:
      ValueError: there is none, or their encoders differ.
    """
    if not parts:
        raise ValueError("no pairs of embeddings and captions: name at least one source")
    encoders = {(part.encoder, part.digest, part.dim) for part in parts}
    if len(encoders) > 1:
        names = ", ".join(f"{name or '?'}-{digest[:8]} [{dim}]" for name, digest, dim in encoders)
        raise ValueError(f"embeddings of different encoders cannot be mixed: {names}")
    encoder, digest, _ = encoders.pop()
    captions = tuple(texts for part in parts for texts in part.captions)
    keys = tuple(key for part in parts for key in part.keys)
    embeddings = np.concatenate([part.embeddings for part in parts])
    return EmbeddingPairs(embeddings, captions, keys, encoder, digest)


def write_embedding_pairs(pairs: EmbeddingPairs, path: Path) -> Path:
    """Write a file of pairs atomically."""
    return write_parquet(path, build_table(pairs))


def build_table(pairs: EmbeddingPairs) -> "pa.Table":
    """Return the table of a file of pairs, with the encoder in its metadata."""
    import pyarrow as pa

    values = pa.array(np.ascontiguousarray(pairs.embeddings, np.float32).reshape(-1))
    columns = {
        "key": pa.array(pairs.keys, pa.string()),
        "captions": pa.array([list(texts) for texts in pairs.captions], pa.list_(pa.string())),
        "vector": pa.FixedSizeListArray.from_arrays(values, pairs.dim),
    }
    metadata = {
        METADATA_PREFIX + "encoder": pairs.encoder,
        METADATA_PREFIX + "digest": pairs.digest,
    }
    return pa.table(columns).replace_schema_metadata(metadata)


def read_embedding_pairs(path: str | Path) -> EmbeddingPairs:
    """Read a file of pairs; other columns are ignored.

    Raises:
      FileNotFoundError: the file does not exist.
      ValueError: it is damaged, or lacks a column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path).read(["key", "captions", "vector"])
        table.validate(full=True)
        return _parse_table(table)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist: name a file of embeddings") from None
    except (pa.ArrowException, OSError, KeyError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{path} is damaged, or has no columns key, captions (lists of texts) and vector "
            f"(lists of one length): {error}"
        ) from None


def _parse_table(table: Any) -> EmbeddingPairs:
    dim = table.schema.field("vector").type.list_size
    if any(table[name].null_count for name in ("key", "captions", "vector")):
        raise ValueError("a row lacks its key, captions or vector")
    chunks = [chunk.flatten().to_numpy() for chunk in table["vector"].chunks]
    embeddings = np.concatenate([np.zeros(0, np.float32), *chunks]).reshape(-1, dim)
    metadata = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
    return EmbeddingPairs(
        embeddings.astype(np.float32),
        tuple(tuple(text for text in texts if text) for texts in table["captions"].to_pylist()),
        tuple(table["key"].to_pylist()),
        encoder=metadata.get(METADATA_PREFIX + "encoder", ""),
        digest=metadata.get(METADATA_PREFIX + "digest", ""),
    )


def batch_spec(dim: int, context: int, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
    """Return the shapes and dtypes of a batch of `rows` examples."""
    return {
        "vector": jax.ShapeDtypeStruct((rows, dim), np.float32),
        "tokens": jax.ShapeDtypeStruct((rows, context), np.int32),
        "index": jax.ShapeDtypeStruct((rows,), np.int32),
    }


class CaptionDataset(StreamDataset):
    """Pairs as training examples: an example is an image with one of its captions.

    Attributes:
      pairs: the images that have captions.
      examples: number of these images.
      tokenizer: tokenizer of the captions.
    """

    ORDER = "order of captions"

    def __init__(self, pairs: EmbeddingPairs, *, vocab: int, context: int) -> None:
        """Tokenize all captions.

        Args:
          pairs: images; those without a caption are left out.
          vocab: size of the vocabulary of `ShortTokens`.
          context: tokens of a caption, the end token included.

        Raises:
          ValueError: no image has a caption.
        """
        self.pairs = pairs.captioned()
        self.examples = len(self.pairs)
        if not self.examples:
            raise ValueError("no image has a caption to learn from: name other data.sources")
        texts = [text for texts in self.pairs.captions for text in texts]
        self.tokenizer = ShortTokens(vocab)
        self._tokens = self.tokenizer.encode(texts, context)
        self._counts = np.array([len(texts) for texts in self.pairs.captions])
        self._first = np.cumsum(self._counts) - self._counts

    def load_batch(self, positions: np.ndarray, examples: np.ndarray, seed: int) -> Batch:
        """Return the examples, each with a random caption; see `StreamDataset.load_batch`."""
        choice = draw_captions(positions, self._counts[examples], seed)
        return {
            "vector": self.pairs.embeddings[examples],
            "tokens": self._tokens[self._first[examples] + choice],
        }


def draw_captions(positions: np.ndarray, counts: np.ndarray, seed: int) -> np.ndarray:
    """Draw a caption for each example, int64 `[b]`, each from 0 to below its count.

    Args:
      positions: int64 `[b]`, positions in the stream.
      counts: int64 `[b]`, number of captions of each example.
      seed: seed of the run.
    """
    seed = derive_seed(seed, "choice of captions")
    # A generator for each position, so that neither batch size nor hosts matter.
    uniform = [np.random.default_rng([seed, int(position)]).random() for position in positions]
    return (np.array(uniform) * counts).astype(np.int64)
