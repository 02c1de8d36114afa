"""Batches of image-text pairs: the batch of step k is a pure function of (seed, k).

The chain is a random-access one: the order of `vujax.data.pipeline`; then decode, crop and choice
of the caption, each example with its own random generator (seed, position); then parts of
batches, of which each host takes its own. Position p of the stream is row p % B of step p // B
whatever the hosts and workers, so a run is taken up at any step, on any number of hosts, without a
saved iterator.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import grain
import numpy as np

from vujax.data.images import Augment, preprocess_eval_image, preprocess_train_image
from vujax.data.pipeline import (
    INDEX_PERIOD,
    Batch,
    Mixture,
    TrainBatches,
    derive_seed,
    iterate,
    open_mixture,
    shard_for_host,
    shuffle_mixture,
)
from vujax.data.records import BadSample, BadSampleCounter, Record, Source
from vujax.models.tokenizers.clip import Tokenizer, tokenize

DEFAULTS = {"sources": {}, "workers": 0, "max_bad": 0.01, "augment": {}}
MAX_ATTEMPTS = 32  # records to try for one row: with one in ten bad, all fail once in 10^32 rows


def count_examples(data: Mapping[str, Any]) -> int:
    """Records of all `data['sources']` together: what an epoch is."""
    return open_mixture(data["sources"]).examples


def train_batches(
    data: Mapping[str, Any],
    *,
    batch_size: int,
    seed: int,
    image_size: int,
    start_step: int = 0,
    context: int = 77,
    tokenizer: Tokenizer | None = None,
    host: int = 0,
    hosts: int = 1,
) -> TrainBatches:
    """Batches of steps `start_step`, `start_step + 1`, ...

    Args:
      data: `sources`: `{name: dict(kind=..., weight=1.0, **options)}` (see `vujax.data.sources`)
        or a `Mixture`; `workers`: processes that decode on this host, 0 for threads of this one;
        `max_bad`: greatest share of bad samples; `augment`: arguments of `images.Augment`.
      batch_size: rows of one batch on all hosts together.
      seed: of order, captions, crops and substitutes.
      image_size: height and width of the pictures.
      start_step: first step.
      context: tokens of a caption.
      tokenizer: of captions, picklable; None: CLIP's, to `context` tokens.
      host: this host's number.
      hosts: how many there are; host h has the h-th part of each batch.

    Returns:
      An iterator of dicts: image uint8 `[b h w 3]`, tokens int32 `[b context]`, index int32 `[b]`
      (position in the stream, step * batch_size + row, modulo 2^31) and bad int32 `[b]` (records
      that were passed over for this row), with b = batch_size / hosts. A bad sample's place is
      taken by a record that depends on (seed, position) only. On one host the iterator itself
      raises when `max_bad` is passed; several hosts must do it at one step, with
      `bad.check(sum of all bad, sum of all examples)`.

    Raises:
      ValueError: an unknown option, or batch_size does not divide among the hosts.
    """
    settings = _settings(data)
    rows, mine = shard_for_host(batch_size, host, hosts, start_step)
    mixture = open_mixture(settings["sources"])
    load = _LoadPair(mixture, image_size, Augment.of(settings["augment"]))
    stream = shuffle_mixture(mixture, seed).map_with_index(_with_position)
    stream = stream.random_map(load, seed=derive_seed(seed, "example"))
    tokenizer = tokenizer or functools.partial(tokenize, context=context)
    batches = stream.batch(rows, batch_fn=_Collate(tokenizer))[mine]
    bad = BadSampleCounter(settings["max_bad"])
    return TrainBatches(iterate(batches, settings["workers"]), bad, alone=hosts == 1)


def eval_batches(
    source: Source,
    *,
    batch_size: int,
    image_size: int,
    context: int = 77,
    tokenizer: Tokenizer | None = None,
    picture: Mapping[str, str] | None = None,
    host: int = 0,
    hosts: int = 1,
    workers: int = 0,
) -> Iterator[Batch]:
    """Every record of `source` once, in order; all hosts get the same number of batches.

    Args: as for `train_batches`, and
      picture: `resize` and `interpolation` of `images.eval_image`; None: CLIP's.

    Returns:
      An iterator, with `close()`, of dicts: image uint8 `[b h w 3]`, tokens int32 `[b context]` of
      the first caption, position int32 `[b]` in the source, label int32 `[b]` (-1: none) and mask
      bool `[b]`, False for the rows that fill the last batch.

    Raises:
      ValueError: batch_size does not divide among the hosts; while iterating, a record that cannot
        be read, since leaving it out would change the score.
    """
    part, mine = shard_for_host(batch_size, host, hosts, 0)
    padded = -(-len(source) // batch_size) * batch_size
    rows = grain.MapDataset.range(padded).map(_LoadEval(source, image_size, picture or {}))
    tokenizer = tokenizer or functools.partial(tokenize, context=context)
    parts = rows.batch(part, batch_fn=_Collate(tokenizer))
    return iterate(parts[mine] if padded else parts, workers)


def _settings(data: Mapping[str, Any]) -> dict[str, Any]:
    given = dict(data.items())
    if unknown := sorted(set(given) - set(DEFAULTS)):
        raise ValueError(f"data has no option {', '.join(unknown)}: it has {', '.join(DEFAULTS)}")
    return DEFAULTS | given


def _with_position(position: int, place: tuple[int, int]) -> tuple[int, int, int]:
    return position, *place


class _LoadPair:
    """(position, source, record) -> one training example."""

    def __init__(self, mixture: Mixture, image_size: int, augment: Augment) -> None:
        self._mixture, self._image_size, self._augment = mixture, image_size, augment

    def __call__(self, place: tuple[int, int, int], rng: np.random.Generator) -> dict[str, Any]:
        position, number, index = place
        source, problems = self._mixture.sources[number], []
        for _ in range(MAX_ATTEMPTS):
            try:
                example = self._load(source[index], rng)
            except BadSample as error:
                problems.append(f"{self._mixture.names[number]}: {error}")
                index = int(rng.integers(len(source)))
                continue
            return example | {"index": position % INDEX_PERIOD, "problems": problems}
        raise ValueError(
            f"{MAX_ATTEMPTS} records in turn cannot be used: {'; '.join(problems[:5])} ..."
        )

    def _load(self, record: Record, rng: np.random.Generator) -> dict[str, Any]:
        captions = [caption for caption in record["captions"] if caption.strip()]
        if not captions:
            raise BadSample(f"'{record['key']}' has no caption, or an empty one")
        caption = captions[int(rng.integers(len(captions)))]
        size, augment = self._image_size, self._augment
        try:
            image = preprocess_train_image(record["image"], rng, size=size, augment=augment)
        except BadSample as error:
            raise BadSample(f"'{record['key']}': {error}") from None
        return {"image": image, "caption": caption}


class _LoadEval:
    """Position -> one example, or a blank one past the end."""

    def __init__(self, source: Source, image_size: int, picture: Mapping[str, str]) -> None:
        self._source, self._image_size, self._picture = source, image_size, dict(picture)

    def __call__(self, position: int) -> dict[str, Any]:
        if position >= len(self._source):
            blank = np.zeros((self._image_size, self._image_size, 3), np.uint8)
            return {"image": blank, "caption": "", "position": position, "label": -1, "mask": False}
        record, image = self._read(position)
        return {
            "image": image,
            "caption": record["captions"][0] if record["captions"] else "",
            "position": position,
            "label": -1 if record["label"] is None else record["label"],
            "mask": True,
        }

    def _read(self, position: int) -> tuple[Record, np.ndarray]:
        key = f"record {position}"
        try:
            record = self._source[position]
            key = f"'{record['key']}'"
            return record, preprocess_eval_image(
                record["image"], size=self._image_size, **self._picture
            )
        except BadSample as error:
            raise ValueError(
                f"{key} of the evaluation's source: {error}; an evaluation needs every record, so "
                "mend it or take it out"
            ) from None


class _Collate:
    """Examples -> one batch; captions become tokens here, many in one call."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        columns = {name: [example[name] for example in examples] for name in examples[0]}
        batch: dict[str, Any] = {
            "image": np.stack(columns.pop("image")),
            "tokens": self._tokenizer(columns.pop("caption")),
        }
        if problems := columns.pop("problems", None):
            batch["bad"] = np.array([len(found) for found in problems], np.int32)
            batch["problems"] = tuple(problem for found in problems for problem in found)
        for name, values in columns.items():
            batch[name] = np.array(values, bool if name == "mask" else np.int32)
        return batch
