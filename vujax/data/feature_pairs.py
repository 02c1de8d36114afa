"""Embeddings of images and of their captions, both from frozen encoders: data for small towers.

A Parquet file has the columns of `vujax.data.captions`, so that it serves captioners too, and the
column `text`, the embeddings of each row's captions; the column `shuffled` is optional. An .npz
file of any origin has the arrays `image` `[n d1]`, `text` `[n d2]` and `captions` `[n]`, and
optionally `key` `[n]`, `shuffled` `[n]`, `encoder`, `digest`, `text_encoder` and `text_digest`.
"""

import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vujax.data.captions import (
    EmbeddingPairs,
    build_table,
    concat_pairs,
    draw_captions,
    normalize_caption,
    read_embedding_pairs,
)
from vujax.data.pipeline import Batch, StreamDataset
from vujax.data.sources.split import HoldOut
from vujax.utils.io import write_parquet

TEXT_PREFIX = "vujax.text_"
HOLD_OUT_FIELDS = ("key", "caption")


@dataclass(frozen=True, eq=False)
class FeaturePairs:
    """Images with their captions, both as embeddings.

    Attributes:
      images: embeddings, captions (at least one each) and keys of n images.
      texts: float32 `[m d]`, the embedding of every caption, image by image.
      text_encoder: name of the encoder of the captions; empty: unknown.
      text_digest: its sha256, in hexadecimal; empty: unknown.
      shuffled: bool `[n]`, the images that are known to have wrong captions; None: unknown.
    """

    images: EmbeddingPairs
    texts: np.ndarray
    text_encoder: str = ""
    text_digest: str = ""
    shuffled: np.ndarray | None = None

    def __post_init__(self) -> None:
        count = sum(map(len, self.images.captions))
        if self.texts.ndim != 2 or len(self.texts) != count:
            raise ValueError(
                f"{len(self.images)} images have {count} captions, but the embeddings of texts are "
                f"{list(self.texts.shape)}: give one for each caption"
            )
        if self.shuffled is not None and self.shuffled.shape != (len(self.images),):
            raise ValueError(
                f"'shuffled' has the shape {list(self.shuffled.shape)}: give one value for each of "
                f"{len(self.images)} images"
            )
        bad = np.flatnonzero(~np.isfinite(self.texts).all(axis=1))
        if len(bad):
            key = self.images.keys[self.owner[bad[0]]]
            raise ValueError(f"the embedding of a caption of '{key}' contains NaN or infinity")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def captions(self) -> tuple[tuple[str, ...], ...]:
        """Captions of each image."""
        return self.images.captions

    @property
    def counts(self) -> np.ndarray:
        """Number of captions of each image, int64 `[n]`."""
        return np.array([len(own) for own in self.captions], np.int64)

    @property
    def owner(self) -> np.ndarray:
        """Image of each row of `texts`, int64 `[m]`."""
        return np.repeat(np.arange(len(self)), self.counts)

    def take(self, rows: Sequence[int] | np.ndarray) -> "FeaturePairs":
        """Return the images with these numbers, with their captions."""
        rows = np.asarray(rows, np.int64)
        counts = self.counts
        first = np.cumsum(counts) - counts
        texts = [np.arange(first[row], first[row] + counts[row]) for row in rows]
        return replace(
            self,
            images=self.images.take(rows),
            texts=self.texts[np.concatenate([np.zeros(0, np.int64), *texts])],
            shuffled=None if self.shuffled is None else self.shuffled[rows],
        )


def concat_feature_pairs(parts: Sequence[FeaturePairs]) -> FeaturePairs:
    """Concatenate several sets of pairs.

    Raises:
      ValueError: there is none, or their encoders differ.
    """
    images = concat_pairs([part.images for part in parts])
    encoders = {(part.text_encoder, part.text_digest, part.texts.shape[1]) for part in parts}
    if len(encoders) > 1:
        names = ", ".join(sorted(f"{name or '?'} [{dim}]" for name, _, dim in encoders))
        raise ValueError(f"embeddings of different text encoders cannot be mixed: {names}")
    known = [part.shuffled for part in parts if part.shuffled is not None]
    return replace(
        parts[0],
        images=images,
        texts=np.concatenate([part.texts for part in parts]),
        shuffled=np.concatenate(known) if len(known) == len(parts) else None,
    )


def write_feature_pairs(pairs: FeaturePairs, path: Path) -> Path:
    """Write a Parquet file of pairs atomically."""
    import pyarrow as pa

    dim = pairs.texts.shape[1]
    flat = pa.array(np.ascontiguousarray(pairs.texts, np.float32).reshape(-1))
    offsets = pa.array(np.concatenate([[0], np.cumsum(pairs.counts)]).astype(np.int32))
    table = build_table(pairs.images)
    metadata = dict(table.schema.metadata)
    for name, value in (("encoder", pairs.text_encoder), ("digest", pairs.text_digest)):
        metadata[(TEXT_PREFIX + name).encode()] = value.encode()
    texts = pa.ListArray.from_arrays(offsets, pa.FixedSizeListArray.from_arrays(flat, dim))
    table = table.append_column("text", texts)
    if pairs.shuffled is not None:
        table = table.append_column("shuffled", pa.array(pairs.shuffled, pa.bool_()))
    return write_parquet(path, table.replace_schema_metadata(metadata))


def read_feature_pairs(path: str | Path) -> FeaturePairs:
    """Read a .parquet or .npz file of pairs.

    Raises:
      FileNotFoundError: the file does not exist.
      ValueError: it is damaged, lacks an array, or its arrays do not belong together.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: name a file of features")
    readers = {".parquet": _read_parquet, ".npz": _read_npz}
    if path.suffix not in readers:
        raise ValueError(f"{path} is not a file of features; expected one of: {', '.join(readers)}")
    return readers[path.suffix](path)


def has_texts(path: Path) -> bool:
    """Return True if a Parquet file has embeddings of captions; False if it cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return "text" in pq.read_schema(path).names
    except (pa.ArrowException, OSError):
        return False


def _read_parquet(path: Path) -> FeaturePairs:
    import pyarrow as pa
    import pyarrow.parquet as pq

    images = read_embedding_pairs(path)
    try:
        file = pq.ParquetFile(path)
        names = [name for name in ("text", "shuffled") if name in file.schema_arrow.names]
        table = file.read(names)
        dim = table.schema.field("text").type.value_type.list_size
        chunks = [chunk.flatten().flatten().to_numpy() for chunk in table["text"].chunks]
    except (pa.ArrowException, OSError, KeyError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{path} has no column text (the embeddings of each row's captions): {error}; write it "
            "with `vujax pairs features`"
        ) from None
    texts = np.concatenate([np.zeros(0, np.float32), *chunks]).reshape(-1, dim)
    metadata = {k.decode(): v.decode() for k, v in (file.schema_arrow.metadata or {}).items()}
    return _build(
        path,
        images,
        texts=texts.astype(np.float32),
        text_encoder=metadata.get(TEXT_PREFIX + "encoder", ""),
        text_digest=metadata.get(TEXT_PREFIX + "digest", ""),
        shuffled=table["shuffled"].to_numpy().astype(bool) if "shuffled" in names else None,
    )


def _read_npz(path: Path) -> FeaturePairs:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        image, text, captions = arrays["image"], arrays["text"], arrays["captions"]
    except (OSError, ValueError, KeyError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is damaged, or has no arrays image [n d1], text [n d2] and captions [n] "
            f"({error})"
        ) from None
    if not image.ndim == text.ndim == 2 or not len(image) == len(text) == len(captions):
        raise ValueError(
            f"{path} has image {list(image.shape)}, text {list(text.shape)} and captions "
            f"{list(captions.shape)}: give arrays [n d1], [n d2] and [n] of one length"
        )
    names = ("encoder", "digest", "text_encoder", "text_digest")
    encoder, digest, text_encoder, text_digest = (str(arrays.get(name, "")) for name in names)
    shuffled = arrays.get("shuffled")
    try:
        images = EmbeddingPairs(
            image.astype(np.float32),
            tuple((str(caption),) for caption in captions),
            tuple(map(str, arrays.get("key", np.arange(len(image))))),
            encoder,
            digest,
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return _build(
        path,
        images,
        texts=text.astype(np.float32),
        text_encoder=text_encoder,
        text_digest=text_digest,
        shuffled=None if shuffled is None else shuffled.astype(bool),
    )


def _build(path: Path, images: EmbeddingPairs, **fields: Any) -> FeaturePairs:
    """Build the pairs of a file, without the images that have no caption."""
    try:
        pairs = FeaturePairs(images, **fields)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return pairs.take([i for i, own in enumerate(pairs.captions) if own and own[0].strip()])


def split_pairs(
    pairs: FeaturePairs, hold_out: Mapping[str, Any] | None, split: str
) -> FeaturePairs:
    """Return the training or the held-out pairs; a pair's side depends on its own record only.

    Images with equal embeddings stay together: all go with the one of the smallest key.

    Args:
      pairs: all pairs.
      hold_out: options of `HoldOut`, of which `field` is 'key' or 'caption', the first; None or a
        `modulo` of 0: all pairs are on both sides.
      split: 'train' or 'validation', the held-out pairs.

    Raises:
      ValueError: an option is invalid, or a side is empty.
    """
    if hold_out is None or hold_out.get("modulo") == 0:
        return pairs
    rule = HoldOut.from_config({**hold_out, "part": split})
    if rule.field not in HOLD_OUT_FIELDS:
        raise ValueError(
            f"unknown hold_out.field '{rule.field}'; expected one of: {', '.join(HOLD_OUT_FIELDS)}"
        )
    values = [own[0] if rule.field == "caption" else key for key, own in _identities(pairs)]
    held_out = np.array([rule.is_held_out(value) for value in values], bool)
    if held_out.all() or not held_out.any():
        raise ValueError(
            f"{len(pairs)} pairs cannot be split: {held_out.sum()} of them are held out by "
            f"{dict(hold_out)}; give more pairs, or set hold_out.modulo"
        )
    return pairs.take(np.flatnonzero(held_out == (split == "validation")))


def _identities(pairs: FeaturePairs) -> list[tuple[str, tuple[str, ...]]]:
    """Return `(key, captions)` of each image, or of its copy with the smallest key."""
    digests = [hashlib.sha1(row.tobytes()).digest() for row in pairs.images.embeddings]
    smallest: dict[bytes, tuple[str, tuple[str, ...]]] = {}
    for digest, key, own in zip(digests, pairs.images.keys, pairs.captions, strict=True):
        own = tuple(map(normalize_caption, own))
        smallest[digest] = min(smallest.get(digest, (key, own)), (key, own))
    return [smallest[digest] for digest in digests]


def shuffle_captions(pairs: FeaturePairs, share: float, seed: int = 0) -> FeaturePairs:
    """Give a share of the images the captions of another one, and record which are wrong.

    The captions of the chosen images are rotated in one cycle. `shuffled` is True where the new
    captions differ from the image's own.

    Args:
      pairs: pairs with right captions.
      share: of the images.
      seed: of the choice and the order.

    Raises:
      ValueError: `share` is not in [0, 1].
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"shuffle_captions must be a share from 0 to 1, got {share}")
    rng = np.random.Generator(np.random.Philox(seed))
    chosen = rng.permutation(len(pairs))[: round(share * len(pairs))]
    donor = np.arange(len(pairs))
    donor[chosen] = np.roll(chosen, 1)
    given = pairs.take(donor)
    same = [
        set(map(normalize_caption, old)) == set(map(normalize_caption, new))
        for old, new in zip(pairs.captions, given.captions, strict=True)
    ]
    images = replace(pairs.images, captions=given.captions)
    return replace(given, images=images, shuffled=~np.array(same, bool))


def batch_spec(image_dim: int, text_dim: int, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
    """Return the shapes and dtypes of a batch of `rows` examples."""
    return {
        "image": jax.ShapeDtypeStruct((rows, image_dim), np.float32),
        "tokens": jax.ShapeDtypeStruct((rows, text_dim), np.float32),
        "index": jax.ShapeDtypeStruct((rows,), np.int32),
    }


class FeatureDataset(StreamDataset):
    """Pairs as training examples: an image with one of its captions, both as embeddings.

    Batches have image float32 `[b d1]` and tokens float32 `[b d2]`, the captions' embeddings in the
    place of tokens, so that methods of image-text pairs train on them unchanged.

    Attributes:
      pairs: the pairs.
      examples: number of images.
    """

    ORDER = "order of features"

    def __init__(self, pairs: FeaturePairs) -> None:
        """Check the pairs.

        Raises:
          ValueError: there is nothing to contrast: fewer than two pairs, or one caption for all.
        """
        if len(pairs) < 2:
            raise ValueError(
                f"{len(pairs)} pair cannot be learned from: a caption is learned against others"
            )
        if len({normalize_caption(text) for own in pairs.captions for text in own}) < 2:
            raise ValueError(
                f"all {len(pairs)} images have the same caption '{pairs.captions[0][0]}': there is "
                "nothing to tell apart"
            )
        self.pairs, self.examples = pairs, len(pairs)
        self._counts = pairs.counts
        self._first = np.cumsum(self._counts) - self._counts

    def load_batch(self, positions: np.ndarray, examples: np.ndarray, seed: int) -> Batch:
        """Return the examples, each with a random caption; see `StreamDataset.load_batch`."""
        choice = draw_captions(positions, self._counts[examples], seed)
        return {
            "image": self.pairs.images.embeddings[examples],
            "tokens": self.pairs.texts[self._first[examples] + choice],
        }
