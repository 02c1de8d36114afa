"""Features of image-text sources: embeddings of images and captions, computed once and cached."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vujax.data.captions import EmbeddingPairs, read_embedding_pairs, write_embedding_pairs
from vujax.data.feature_pairs import (
    FeaturePairs,
    concat_feature_pairs,
    has_texts,
    read_feature_pairs,
)
from vujax.encoders.base import derive_name
from vujax.encoders.pairs import open_pairs, source_options
from vujax.encoders.texts import FrozenTexts, choose_text_encoder, open_frozen_texts

KIND = "features"


def open_feature_pairs(
    sources: Mapping[str, Mapping[str, Any]],
    encoder: str,
    text_encoder: str = "",
    cache: str | None = None,
) -> FeaturePairs:
    """Open the pairs of all `sources`, without images that have no caption.

    Args:
      sources: `{name: options}`: kind 'features' with `path`, a file of
        `vujax.data.feature_pairs`; or any kind of `vujax.encoders.pairs.open_pairs`, whose images
        and captions are embedded.
      encoder: name or directory of the encoder of images, such as 'lite'.
      text_encoder: 'minilm' or the directory of an image-text model; '' takes the text side of
        `encoder`, or 'minilm' where it has none.
      cache: folder to cache computed embeddings in; None for no cache.

    Raises:
      ValueError: an unknown option, or features of another encoder.
      FileNotFoundError: a file does not exist.
      ImportError: the extra [sentences] is not installed.
    """
    text_encoder = text_encoder or choose_text_encoder(encoder)
    records = {n: options for n, options in sources.items() if options.get("kind") != KIND}
    files = {n: options for n, options in sources.items() if n not in records}
    parts = [_read(name, options, encoder, text_encoder) for name, options in files.items()]
    if records or not parts:
        images = open_pairs(records, encoder, cache).captioned()
        texts = open_frozen_texts(text_encoder)
        parts.insert(0, encode_captions(images, texts, None if cache is None else Path(cache)))
    return concat_feature_pairs(parts)


def feature_source_options(path: Path) -> dict[str, str]:
    """Return the options of `open_feature_pairs` for a file or a pattern, by its suffix.

    Args:
      path: file of features, .npz or .parquet; or what `vujax.encoders.pairs.source_options` takes.

    Raises:
      ValueError: the suffix is unknown.
    """
    if path.suffix == ".npz" or (path.suffix == ".parquet" and has_texts(path)):
        return dict(kind=KIND, path=str(path))
    return source_options(path)


def _read(name: str, options: Mapping[str, Any], encoder: str, text_encoder: str) -> FeaturePairs:
    if unknown := sorted(set(options) - {"kind", "path"}):
        raise ValueError(f"source {name} has no option {unknown[0]}; kind '{KIND}' has path")
    if not options.get("path"):
        raise ValueError(f"source {name} needs a path: a .parquet or .npz file of features")
    pairs = read_feature_pairs(options["path"])
    checks = (
        ("encoder", pairs.images.encoder, encoder),
        ("text_encoder", pairs.text_encoder, text_encoder),
    )
    for key, found, expected in checks:
        if found not in ("", derive_name(Path(expected))):
            raise ValueError(
                f"{options['path']} has features of the {key} '{found}', not '{expected}': set "
                f"model.{key} to it, or compute the features again"
            )
    return pairs


def encode_captions(
    images: EmbeddingPairs, texts: FrozenTexts, cache: Path | None = None
) -> FeaturePairs:
    """Embed the captions of images; equal ones once.

    Args:
      images: embeddings of images that all have captions.
      texts: encoder of the captions.
      cache: folder to cache the embeddings in; None for no cache.
    """
    captions = [caption for own in images.captions for caption in own]
    distinct = list(dict.fromkeys(captions))
    place = {caption: i for i, caption in enumerate(distinct)}
    embeddings = _encode_cached(distinct, texts, cache)
    rows = embeddings[np.array([place[caption] for caption in captions], np.int64)]
    return FeaturePairs(images, rows, texts.name, texts.digest)


def _encode_cached(captions: list[str], texts: FrozenTexts, cache: Path | None) -> np.ndarray:
    """Return float32 `[n d]`, from the cache if it holds the embeddings of these captions."""
    if cache is None:
        return texts.encode(captions)
    digest = hashlib.sha256("\0".join([texts.digest, *captions]).encode())
    file = cache / f"{texts.name}-texts-{digest.hexdigest()}.parquet"
    if file.exists():
        return read_embedding_pairs(file).embeddings
    embeddings = texts.encode(captions)
    empty = ((),) * len(captions)
    pairs = EmbeddingPairs(embeddings, empty, tuple(captions), texts.name, texts.digest)
    write_embedding_pairs(pairs, file)
    return embeddings
