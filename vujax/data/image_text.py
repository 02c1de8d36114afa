"""Batches of image-text pairs for training and for evaluation.

Training draws records from a mixture of sources, then decodes and crops the image and chooses a
caption. Each example has a random generator of its own, derived from (seed, position), so that the
batch of a step does not depend on hosts or workers (see `vujax.data.pipeline`).
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import grain
import numpy as np

from vujax.data.images import Augment, preprocess_eval_image, preprocess_train_image
from vujax.data.pipeline import (
    INDEX_PERIOD,
    Mixture,
    RowIterator,
    StreamDataset,
    derive_seed,
    iterate,
    open_mixture,
    shard_for_host,
    shuffle_mixture,
)
from vujax.data.records import BadSample, Record, Source
from vujax.models.image_spec import ImageSpec
from vujax.models.tokenizers.clip import Tokenizer, tokenize
from vujax.utils.validation import check_known

DEFAULTS = {"sources": {}, "workers": 0, "max_bad": 0.01, "augment": {}}
MAX_ATTEMPTS = 32  # records tried for a row: with one in ten bad, all fail once in 10^32 rows


class ImageTextPairs(StreamDataset):
    """Training pairs of a mixture of sources.

    The batches of `train_batches` have image uint8 `[b h w 3]`, tokens int32 `[b context]`, index
    int32 `[b]` and bad int32 `[b]`, the number of records that were skipped for this row. A bad
    sample is replaced by a record that depends on (seed, position) only. On one host the iterator
    raises when `max_bad` is exceeded; several hosts must do so at the same step, with
    `bad.check(sum of all bad, sum of all examples)`.

    Attributes:
      examples: number of records of all sources.
    """

    def __init__(
        self,
        data: Mapping[str, Any],
        *,
        image_spec: ImageSpec,
        context: int = 77,
        tokenizer: Tokenizer | None = None,
    ) -> None:
        """Open the sources.

        Args:
          data: `sources`: `{name: dict(kind=..., weight=1.0, **options)}` (see
            `vujax.data.sources`) or a `Mixture`; `workers`: processes that decode on this host, 0:
            threads of this process; `max_bad`: largest allowed share of bad samples; `augment`:
            arguments of `images.Augment`.
          image_spec: shape of the images.
          context: tokens of a caption.
          tokenizer: picklable tokenizer of the captions; None: CLIP's, to `context` tokens.

        Raises:
          ValueError: an option is unknown, or a source has no record.
        """
        settings = _settings(data)
        self._mixture = open_mixture(settings["sources"])
        self._image_spec = image_spec
        self._augment = Augment.from_config(settings["augment"])
        self._tokenizer = tokenizer or functools.partial(tokenize, context=context)
        self.examples = self._mixture.examples
        self.workers, self.max_bad = settings["workers"], settings["max_bad"]

    def open_stream(self, rows: int, hosts: int, seed: int) -> grain.MapDataset:
        """Return the stream of batch shards, with the 'problems' of each."""
        del hosts
        load = _LoadPair(self._mixture, self._image_spec, self._augment)
        stream = shuffle_mixture(self._mixture, seed).map_with_index(_with_position)
        stream = stream.random_map(load, seed=derive_seed(seed, "example"))
        return stream.batch(rows, batch_fn=_Collate(self._tokenizer))


def eval_batches(
    source: Source,
    *,
    batch_size: int,
    image_spec: ImageSpec,
    context: int = 77,
    tokenizer: Tokenizer | None = None,
    host: int = 0,
    hosts: int = 1,
    workers: int = 0,
) -> RowIterator:
    """Return batches of every record of `source` once, in order.

    All hosts get the same number of batches.

    Args:
      source: opened source.
      batch_size: rows of a batch over all hosts.
      image_spec: shape and resizing of the images.
      context: tokens of a caption.
      tokenizer: picklable tokenizer of the captions; None: CLIP's, to `context` tokens.
      host: number of this host.
      hosts: number of hosts.
      workers: processes that decode on this host; 0: threads of this process.

    Returns:
      An iterator, with `close()`, of dicts: image uint8 `[b h w 3]`, tokens int32 `[b context]` of
      the first caption, position int32 `[b]` in the source, label int32 `[b]` (-1: none) and mask
      bool `[b]`, False for the rows that fill the last batch.

    Raises:
      ValueError: `batch_size` is not divisible by `hosts`; while iterating, a record cannot be
        read, since leaving it out would change the score.
    """
    rows, shard = shard_for_host(batch_size, host, hosts, 0)
    padded = -(-len(source) // batch_size) * batch_size
    examples = grain.MapDataset.range(padded).map(_LoadEval(source, image_spec))
    tokenizer = tokenizer or functools.partial(tokenize, context=context)
    batches = examples.batch(rows, batch_fn=_Collate(tokenizer))
    return iterate(batches[shard] if padded else batches, workers)


def _settings(data: Mapping[str, Any]) -> dict[str, Any]:
    given = dict(data.items())
    check_known("data", given, DEFAULTS)
    return DEFAULTS | given


def _with_position(position: int, drawn: tuple[int, int]) -> tuple[int, int, int]:
    return position, *drawn


class _LoadPair:
    """`(position, source, record)` to one training example."""

    def __init__(self, mixture: Mixture, spec: ImageSpec, augment: Augment) -> None:
        self._mixture, self._spec, self._augment = mixture, spec, augment

    def __call__(self, drawn: tuple[int, int, int], rng: np.random.Generator) -> dict[str, Any]:
        position, number, index = drawn
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
            f"{MAX_ATTEMPTS} records in a row cannot be used: {'; '.join(problems[:5])} ..."
        )

    def _load(self, record: Record, rng: np.random.Generator) -> dict[str, Any]:
        captions = [caption for caption in record["captions"] if caption.strip()]
        if not captions:
            raise BadSample(f"'{record['key']}' has no caption, or an empty one")
        caption = captions[int(rng.integers(len(captions)))]
        spec, augment = self._spec, self._augment
        try:
            image = preprocess_train_image(record["image"], rng, spec=spec, augment=augment)
        except BadSample as error:
            raise BadSample(f"'{record['key']}': {error}") from None
        return {"image": image, "caption": caption}


class _LoadEval:
    """Position to one example, or a blank one past the end of the source."""

    def __init__(self, source: Source, spec: ImageSpec) -> None:
        self._source, self._spec = source, spec

    def __call__(self, position: int) -> dict[str, Any]:
        if position >= len(self._source):
            blank = dict(image=self._spec.zeros(), caption="", label=-1, mask=False)
            return blank | {"position": position}
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
            return record, preprocess_eval_image(record["image"], self._spec)
        except BadSample as error:
            raise ValueError(
                f"{key} of the evaluation's source: {error}; an evaluation needs every record: "
                "repair it or remove it from the source"
            ) from None


class _Collate:
    """Examples to one batch; the captions of a batch are tokenized in one call."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        columns = {name: [example[name] for example in examples] for name in examples[0]}
        batch: dict[str, Any] = {
            "image": np.stack(columns.pop("image")),
            "tokens": self._tokenizer(columns.pop("caption")),
        }
        if problems := columns.pop("problems", None):
            batch["bad"] = np.array([len(messages) for messages in problems], np.int32)
            batch["problems"] = tuple(problem for messages in problems for problem in messages)
        for name, values in columns.items():
            batch[name] = np.array(values, bool if name == "mask" else np.int32)
        return batch
