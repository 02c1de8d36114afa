"""Embeddings of the images of image-text sources, cached, and batches of images decoded ahead."""

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging
from tqdm import tqdm

from vujax import encoders
from vujax.data import captions as vector_pairs
from vujax.data.captions import EmbeddingPairs, concat_pairs
from vujax.data.records import BadSample, Source
from vujax.data.sources import open_source
from vujax.encoders.base import Encoder
from vujax.models.image_spec import ImageSpec

BATCH, NUM_DECODERS = 32, 2

NUM_PROBES = 16  # records of a source that must still match the cached embeddings

MAX_BAD_SHARE = 0.01

TABLES = (".csv", ".tsv", ".tab")


def source_options(path: Path) -> dict[str, str]:
    """Return the options of `open_pairs` for a file, by its suffix.

    Raises:
      ValueError: the suffix is unknown.
    """
    kinds = {".parquet": "vectors", ".tar": "webdataset"} | dict.fromkeys(TABLES, "table")
    if path.suffix not in kinds:
        raise ValueError(f"{path} is not a file of pairs; expected one of: {', '.join(kinds)}")
    return dict(kind=kinds[path.suffix], path=str(path))


def open_pairs(
    sources: Mapping[str, Mapping[str, Any]], encoder: str, cache: str | None = None
) -> EmbeddingPairs:
    """Open the pairs of all `sources`.

    Args:
      sources: `{name: options}`: kind 'vectors' with `path`, a file of `vujax.data.captions`;
        or any kind of `vujax.data.sources`, whose images `encoder` embeds.
      encoder: name or directory of the encoder, such as 'lite'.
      cache: folder to cache computed embeddings in; None for no cache.

    Raises:
      ValueError: an unknown option, embeddings of another encoder, or too many bad images.
      FileNotFoundError: a file does not exist.
    """
    opener = _PairsOpener(encoder, None if cache is None else Path(cache))
    return concat_pairs([opener.open(name, dict(options)) for name, options in sources.items()])


class _PairsOpener:
    """Opener of pairs; the encoder is opened when the first source needs it."""

    def __init__(self, encoder: str, cache: Path | None) -> None:
        self._spec, self._cache = encoder, cache
        self._encoder: Encoder | None = None

    def open(self, name: str, options: dict[str, Any]) -> EmbeddingPairs:
        if options.get("kind") != "vectors":
            return self._encode(name, options)
        if unknown := sorted(set(options) - {"kind", "path"}):
            raise ValueError(f"source {name} has no option {unknown[0]}; kind 'vectors' has path")
        if not options.get("path"):
            raise ValueError(f"source {name} needs a path: a Parquet file of embeddings")
        found = vector_pairs.read_embedding_pairs(options["path"])
        if found.encoder not in ("", self._spec):
            raise ValueError(
                f"{options['path']} has embeddings of {found.encoder}, not {self._spec}; compute "
                f"it with {self._spec}, or set model.encoder to {found.encoder}"
            )
        return found

    def _encode(self, name: str, options: dict[str, Any]) -> EmbeddingPairs:
        if "kind" not in options:
            raise ValueError(f"source {name} needs a kind, such as 'webdataset' or 'vectors'")
        source = open_source(**options)
        encoder = self._encoder = self._encoder or open_encoder(self._spec)
        if self._cache is None:
            return encode_pairs(source, encoder, name)
        key = json.dumps([options, encoder.digest, len(source)], sort_keys=True, default=str)
        file = self._cache / f"{encoder.name}-{hashlib.sha256(key.encode()).hexdigest()}.parquet"
        if file.exists():
            cached = vector_pairs.read_embedding_pairs(file)
            if _is_same_source(cached, source):
                return cached
        found = encode_pairs(source, encoder, name)
        vector_pairs.write_embedding_pairs(found, file)
        return found


def open_encoder(spec: str) -> Encoder:
    """Open an encoder of images; see `vujax.encoders.open_encoder`."""
    return encoders.open_encoder(spec, "frame")


def _is_same_source(cached: EmbeddingPairs, source: Source) -> bool:
    """Return True if some records, spread over the source, are among the cached ones."""
    known = dict(zip(cached.keys, cached.captions, strict=True))
    for place in np.unique(np.linspace(0, len(source) - 1, NUM_PROBES).astype(int)):
        try:
            record = source[int(place)]
        except BadSample:
            continue
        if known.get(record["key"]) != tuple(record["captions"]):
            return False
    return True


def encode_pairs(source: Source, encoder: Encoder, name: str = "images") -> EmbeddingPairs:
    """Compute the embeddings of all images of a source, in order, with their captions.

    Args:
      source: records with images.
      encoder: encoder of images.
      name: name of the source, for the progress bar and messages.

    Raises:
      ValueError: more than one image in a hundred is unusable.
    """
    read: list[tuple[str, tuple[str, ...]]] = []
    bad: dict[int, str] = {}
    blank = encoder.image_spec.zeros()

    def load(place: int) -> tuple[int, Any]:
        try:
            record = source[place]
        except BadSample as error:
            bad[place] = str(error)
            read.append((str(place), ()))
            return place, blank
        read.append((record["key"], tuple(record["captions"])))
        return place, record["image"]

    def decode(item: tuple[int, Any]) -> np.ndarray:
        try:
            return encoder.preprocess(item[1])
        except BadSample as error:
            bad[item[0]] = f"'{read[item[0]][0]}': {error}"
            return blank

    found = np.empty((len(source), encoder.dim), np.float32)
    done = 0
    bar = _progress_bar(name, len(source))
    with ThreadPoolExecutor(NUM_DECODERS, "decode") as threads, bar:
        options = dict(spec=encoder.image_spec, batch=BATCH, threads=threads)
        for pixels, count in iterate_batches(load, range(len(source)), decode, **options):
            found[done : done + count] = np.asarray(encoder.encode(pixels), np.float32)[:count]
            done += count
            bar.update(count)
    _report(name, bad, len(source))
    keys, captions = [key for key, _ in read], [caption for _, caption in read]
    pairs = EmbeddingPairs(found, captions, keys, encoder.name, encoder.digest)
    return pairs.take([place for place in range(len(source)) if place not in bad])


def _progress_bar(name: str, total: int) -> tqdm:
    return tqdm(total=total, desc=f"embeddings of {name}", unit="images", leave=False, disable=None)


def _report(name: str, bad: Mapping[int, str], total: int) -> None:
    for reason in list(bad.values())[:5]:
        logging.warning("%s: skipped: %s", name, reason)
    if len(bad) > MAX_BAD_SHARE * max(total, 100):
        raise ValueError(
            f"{len(bad)} of {total} images of {name} are unusable, such as "
            f"{next(iter(bad.values()))}; repair the data"
        )


MAX_PENDING = 3  # batches that are decoded or in work; bounds the memory


def iterate_batches(
    read: Callable[[int], bytes],
    records: Sequence[int],
    decode: Callable[[bytes], np.ndarray],
    *,
    spec: ImageSpec,
    batch: int,
    threads: ThreadPoolExecutor,
) -> Iterator[tuple[np.ndarray, int]]:
    """Yield images in order, in batches of one shape.

    Args:
      read: returns the file of a record; called in this thread only.
      records: record numbers of the images.
      decode: decodes a file to uint8 `[height width 3]`; called in the threads. Pillow releases the
        GIL while it decodes or resizes, so threads are as fast as processes.
      spec: shape of the images.
      batch: images per batch.
      threads: threads that decode.

    Yields:
      uint8 `[batch height width 3]`, which is not written to again, and the number of images in it;
      black images pad the last batch.

    Raises:
      Exception: any error of `read` and `decode`.
    """
    waiting: deque[tuple[np.ndarray, list[Future]]] = deque()

    def put(pixels: np.ndarray, row: int, data: bytes) -> None:
        pixels[row] = decode(data)

    for first in range(0, len(records), batch):
        pixels = spec.zeros(batch)
        files = map(read, records[first : first + batch])
        tasks = [threads.submit(put, pixels, row, data) for row, data in enumerate(files)]
        waiting.append((pixels, tasks))
        if len(waiting) == MAX_PENDING:
            yield _finished(waiting.popleft())
    while waiting:
        yield _finished(waiting.popleft())


def _finished(waiting: tuple[np.ndarray, list[Future]]) -> tuple[np.ndarray, int]:
    pixels, tasks = waiting
    for task in tasks:
        task.result()
    return pixels, len(tasks)
