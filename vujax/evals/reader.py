"""Sources of evaluations, opened at first use, as batches, captions or images."""

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from vujax.data.image_text import eval_batches
from vujax.data.records import Record, Source
from vujax.data.sources import open_source
from vujax.data.sources.split import Subset
from vujax.evals.dataset_layouts import LAYOUTS
from vujax.evals.datasets import DATASETS, Dataset, open_dataset
from vujax.evals.features import Encode, Variables, extract, padded_size
from vujax.models.image_spec import ImageSpec
from vujax.models.inputs import Preprocessing, open_preprocessing

MAX_CACHED_BYTES = 2**27
"""Bytes of decoded images up to which a source stays in memory between evaluations."""


def open_any(source: Mapping[str, Any] | Source) -> Source:
    """Open a source from its options; an open source is returned as it is.

    `kind` is a name of `datasets.DATASETS` (imagenet, cifar10 ...), of `dataset_layouts.LAYOUTS`
    (coco, flickr, karpathy, objectnet) or of `vujax.data.sources` (folder, webdataset ...).
    """
    if not isinstance(source, Mapping):
        return source
    options = dict(source)
    kind = options.pop("kind", None)
    if kind in DATASETS:
        return open_dataset(kind, **options)
    if kind in LAYOUTS:
        return LAYOUTS[kind](**options)
    return open_source(kind, **options)


class Reader:
    """The examples of one source as inputs of one model."""

    def __init__(
        self,
        source: Mapping[str, Any] | Source,
        model: Any,
        mesh: Mesh,
        *,
        batch_size: int = 256,
        workers: int = 0,
        parent: str | None = None,
    ) -> None:
        """Store the options; no file is opened yet.

        Args:
          source: options for `open_any`, or an open source.
          model: gives the shape of images and the text length.
          mesh: devices that batches must divide among.
          batch_size: examples of all hosts together; fewer when the source is smaller.
          workers: processes that decode images; 0 decodes in this one.
          parent: release whose preprocessing the model uses; None: CLIP's.
        """
        self._source = source
        self._model_spec, self.context = model.image_spec, model.text.context
        self.mesh, self.batch_size, self.workers = mesh, batch_size, workers
        self._parent = parent

    @functools.cached_property
    def preprocess(self) -> Preprocessing:
        """The preprocessing of images and texts."""
        return open_preprocessing(self._parent, self.context)

    @functools.cached_property
    def image_spec(self) -> ImageSpec:
        """Shape and resizing of the images."""
        return self._model_spec.with_preprocess(self.preprocess.image_options)

    @functools.cached_property
    def source(self) -> Source:
        """The open source.

        Raises:
          ValueError: it is empty.
        """
        source = open_any(self._source)
        if len(source) == 0:
            raise ValueError(f"the evaluation's source is empty: {self._source}")
        return source

    @property
    def dataset(self) -> Dataset | None:
        """The rules of the data set, if the source is one of `datasets.DATASETS`."""
        return getattr(self.source, "dataset", None)

    @functools.cached_property
    def captions(self) -> list[list[str]]:
        """Every image's captions, in the source's order; a class name if it has none."""
        return [self._captions(self.source[i]) for i in range(len(self.source))]

    def _captions(self, record: Record) -> list[str]:
        captions = [caption for caption in record["captions"] if caption.strip()]
        if captions or record["label"] is None or not self.source.classes:
            return captions
        return [self.source.classes[record["label"]].replace("_", " ")]

    def batches(self) -> Iterator[dict[str, np.ndarray]]:
        """Yield this host's rows of each batch, every example once."""
        return eval_batches(
            self.source,
            batch_size=padded_size(len(self.source), self.batch_size, self.mesh),
            **self._inputs(),
            host=jax.process_index(),
            hosts=jax.process_count(),
            workers=self.workers,
        )

    def _inputs(self) -> dict[str, Any]:
        return dict(tokenizer=self.preprocess.tokenizer, image_spec=self.image_spec)

    def embed(self, encode: Encode, variables: Variables) -> dict[str, np.ndarray]:
        """Run `features.extract` over the whole source: embeddings `[n d]`, label `[n]`."""
        if len(self.source) * self.image_spec.zeros().nbytes <= MAX_CACHED_BYTES:
            return extract(encode, variables, self._decoded, mesh=self.mesh)
        with contextlib.closing(self.batches()) as batches:
            return extract(encode, variables, batches, mesh=self.mesh)

    @functools.cached_property
    def _decoded(self) -> list[dict[str, np.ndarray]]:
        with contextlib.closing(self.batches()) as batches:
            return list(batches)

    def embed_labeled(self, encode: Encode, variables: Variables) -> tuple[np.ndarray, np.ndarray]:
        """Return embeddings `[n d]` and labels `[n]`.

        Raises:
          ValueError: an example has no label.
        """
        data = self.embed(encode, variables)
        unlabelled = np.flatnonzero(data["label"] < 0)
        if len(unlabelled):
            raise ValueError(
                f"{len(unlabelled)} examples of the source have no label, the first of "
                f"them number {unlabelled[0]}, key '{self.source[int(unlabelled[0])]['key']}'"
            )
        return data["embeddings"], data["label"]

    def read_images(self, indices: Sequence[int]) -> np.ndarray:
        """Return decoded images `[len(indices) h w 3]` uint8, preprocessed for the model."""
        some = Subset(self.source, indices)
        batches = eval_batches(some, batch_size=len(some), **self._inputs())
        with contextlib.closing(batches):
            return np.concatenate([batch["image"] for batch in batches])
