"""Batches of vectors and tokens: the batch of step k is a pure function of (seed, k).

Vectors of pictures, by an encoder that stays as it is, beside the pictures' captions.

Kept in one Parquet file: `key`, `captions` (a list) and `vector`; its metadata say whose they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grain
import jax
import numpy as np

from vujax.data.pipeline import (
    INDEX_PERIOD,
    Batch,
    TrainBatches,
    derive_seed,
    iterate,
    shard_for_host,
    shuffle_examples,
)
from vujax.data.records import BadSampleCounter
from vujax.models.tokenizers.words import ShortTokens
from vujax.utils.io import write_parquet

METADATA_PREFIX = "vujax."


@dataclass(frozen=True, eq=False)
class EmbeddingPairs:
    """Pictures as vectors, with captions.

    Attributes:
      vectors: float32 `[n d]`.
      captions: of each picture, any number.
      keys: names of the pictures, for messages.
      encoder: name of what made the vectors; empty: unknown.
      digest: its sha256, in hexadecimal; empty: unknown.
    """

    vectors: np.ndarray
    captions: tuple[tuple[str, ...], ...]
    keys: tuple[str, ...]
    encoder: str = ""
    digest: str = ""

    def __post_init__(self) -> None:
        counts = {len(self.vectors), len(self.captions), len(self.keys)}
        if len(counts) > 1 or self.vectors.ndim != 2:
            raise ValueError(
                f"vectors {self.vectors.shape}, captions of {len(self.captions)} pictures and "
                f"{len(self.keys)} keys do not belong together"
            )
        bad = np.flatnonzero(~np.isfinite(self.vectors).all(axis=1))
        if len(bad):
            raise ValueError(f"the vector of '{self.keys[bad[0]]}' holds NaN or infinity")

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def dim(self) -> int:
        """Numbers of a vector."""
        return self.vectors.shape[1]

    def take(self, rows: Sequence[int] | np.ndarray) -> "EmbeddingPairs":
        """The pairs at these places."""
        captions, keys = ([of[i] for i in rows] for of in (self.captions, self.keys))
        own = self.vectors[np.asarray(rows, np.int64)]
        return EmbeddingPairs(own, tuple(captions), tuple(keys), self.encoder, self.digest)

    def captioned(self) -> "EmbeddingPairs":
        """Those that have a caption that is not blank, with these captions only."""
        kept = tuple(tuple(text for text in texts if text.strip()) for texts in self.captions)
        own = EmbeddingPairs(self.vectors, kept, self.keys, self.encoder, self.digest)
        return own.take([i for i, texts in enumerate(kept) if texts])


def concat_pairs(parts: Sequence[EmbeddingPairs]) -> EmbeddingPairs:
    """All pairs of several sets.

    Raises:
      ValueError: there is none, or they are of different encoders.
    """
    if not parts:
        raise ValueError("no pairs of vectors and captions: name at least one source")
    makers = {(part.encoder, part.digest, part.dim) for part in parts}
    if len(makers) > 1:
        names = ", ".join(f"{name or '?'}-{digest[:8]} [{dim}]" for name, digest, dim in makers)
        raise ValueError(f"vectors of different encoders cannot be mixed: {names}")
    encoder, digest, _ = makers.pop()
    captions = tuple(texts for part in parts for texts in part.captions)
    keys = tuple(key for part in parts for key in part.keys)
    vectors = np.concatenate([part.vectors for part in parts])
    return EmbeddingPairs(vectors, captions, keys, encoder, digest)


def write_embedding_pairs(pairs: EmbeddingPairs, path: Path) -> Path:
    """Writes the file; it appears whole or not at all."""
    import pyarrow as pa

    numbers = pa.array(np.ascontiguousarray(pairs.vectors, np.float32).reshape(-1))
    columns = {
        "key": pa.array(pairs.keys, pa.string()),
        "captions": pa.array([list(own) for own in pairs.captions], pa.list_(pa.string())),
        "vector": pa.FixedSizeListArray.from_arrays(numbers, pairs.dim),
    }
    about = {METADATA_PREFIX + "encoder": pairs.encoder, METADATA_PREFIX + "digest": pairs.digest}
    table = pa.table(columns).replace_schema_metadata(about)
    return write_parquet(path, table)


def read_embedding_pairs(path: str | Path) -> EmbeddingPairs:
    """Reads such a file; its other columns are passed over.

    Raises:
      FileNotFoundError: it is not there.
      ValueError: it is damaged, or its columns are others.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path).read(["key", "captions", "vector"])
        table.validate(full=True)
        return _pairs(table)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist: name a file of vectors") from None
    except (pa.ArrowException, OSError, KeyError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{path} is damaged, or has no columns key, captions (lists of texts) and vector "
            f"(lists of one length): {error}"
        ) from None


def _pairs(table: Any) -> EmbeddingPairs:
    dim = table.schema.field("vector").type.list_size
    if any(table[name].null_count for name in ("key", "captions", "vector")):
        raise ValueError("a row lacks its key, captions or vector")
    chunks = [chunk.flatten().to_numpy() for chunk in table["vector"].chunks]
    vectors = np.concatenate([np.zeros(0, np.float32), *chunks]).reshape(-1, dim)
    about = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
    return EmbeddingPairs(
        vectors.astype(np.float32),
        tuple(tuple(text for text in texts if text) for texts in table["captions"].to_pylist()),
        tuple(table["key"].to_pylist()),
        *(about.get(METADATA_PREFIX + name, "") for name in ("encoder", "digest")),
    )


def shapes(dim: int, context: int, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
    """The arrays of a batch of `rows` examples."""
    return {
        "vector": jax.ShapeDtypeStruct((rows, dim), np.float32),
        "tokens": jax.ShapeDtypeStruct((rows, context), np.int32),
        "index": jax.ShapeDtypeStruct((rows,), np.int32),
    }


class CaptionDataset:
    """Pairs as training examples; an example is a picture, with one of its captions.

    Attributes:
      pairs: the pictures that have captions.
      examples: how many: what an epoch is.
      short: cuts captions into tokens.
    """

    def __init__(self, pairs: EmbeddingPairs, *, vocab: int, context: int) -> None:
        """Cuts all captions into tokens.

        Args:
          pairs: those without a caption are left out.
          vocab: of `ShortTokens`.
          context: tokens of a caption, its end counted.

        Raises:
          ValueError: no picture has a caption.
        """
        self.pairs = pairs.captioned()
        self.examples = len(self.pairs)
        if not self.examples:
            raise ValueError("no picture has a caption to learn from: name other data.sources")
        texts = [text for own in self.pairs.captions for text in own]
        self.short = ShortTokens(vocab)
        self._tokens = self.short.encode(texts, context)
        self._counts = np.array([len(own) for own in self.pairs.captions])
        self._first = np.cumsum(self._counts) - self._counts

    def train_batches(
        self, *, batch_size: int, seed: int, start_step: int = 0, host: int = 0, hosts: int = 1
    ) -> TrainBatches:
        """This host's rows of the batches of steps `start_step`, `start_step + 1`, ...

        Args:
          batch_size: rows of one batch on all hosts together.
          seed: of the order and of which caption of a picture is taken.
          start_step: first step.
          host: this host's number.
          hosts: how many there are; host h has the h-th part of each batch.

        Returns:
          An endless iterator, with `close()`, of dicts as `shapes` says, b = batch_size / hosts.

        Raises:
          ValueError: batch_size does not divide among the hosts.
        """
        rows, mine = shard_for_host(batch_size, host, hosts, start_step)
        places: grain.MapDataset = shuffle_examples(
            self.examples, derive_seed(seed, "order of captions")
        )
        chosen = derive_seed(seed, "choice of captions")
        batches = places.batch(rows)[mine].map(lambda which: self._load(*which, seed=chosen))
        return TrainBatches(iterate(batches, workers=0), BadSampleCounter(0.0), alone=hosts == 1)

    def _load(self, positions: np.ndarray, examples: np.ndarray, seed: int) -> Batch:
        # One generator a position, so that batch sizes and hosts change nothing.
        dice = [np.random.default_rng([seed, int(position)]).random() for position in positions]
        which = (np.array(dice) * self._counts[examples]).astype(np.int64)
        return {
            "vector": self.pairs.vectors[examples],
            "tokens": self._tokens[self._first[examples] + which],
            "index": (positions % INDEX_PERIOD).astype(np.int32),
        }
