"""Zero-shot classification: the class whose prompts are nearest to the image.

Radford et al. 2021 (arXiv:2103.00020), section 3.1: a class is the mean of its prompts' unit
vectors, normalized again, and an image belongs to the class of largest dot product.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.sharding import Mesh

from vujax.evals.base import Evaluator
from vujax.evals.datasets import DATASETS
from vujax.evals.features import Variables, extract_texts, image_encoder, text_encoder
from vujax.evals.histogram_baseline import ColorNeighbors
from vujax.evals.metrics.classification import label_baselines, mean_class_accuracy
from vujax.evals.metrics.ranking import Ranks, Relation, rank_items
from vujax.evals.prompt_templates import format_prompts
from vujax.evals.reader import Reader
from vujax.utils.arrays import l2_normalize


def average_prompts(rows: np.ndarray, classes: int) -> np.ndarray:
    """Average prompts `[c * t d]`, a class's adjacent, to `[c d]` unit vectors."""
    return l2_normalize(l2_normalize(rows.reshape(classes, -1, rows.shape[-1])).mean(1))


def rank_classes(
    images: np.ndarray, classes: np.ndarray, labels: np.ndarray, *, mesh: Mesh
) -> Ranks:
    """Rank the own class of each image among all classes.

    Args:
      images: `[n d]` unit vectors.
      classes: `[c d]` unit vectors.
      labels: `[n]`.
      mesh: images are divided along 'data'.
    """
    own = Relation(labels[:, None], np.arange(len(classes))[:, None])
    return rank_items(images, classes, [own], mesh=mesh)[0]


def compute_accuracies(ranks: Ranks, labels: np.ndarray) -> dict[str, float]:
    """Return top1, mean_class and, from six classes on, top5, in [0, 1].

    Ties count as in `metrics.ranking`.
    """
    hits = ranks.hits_at(1)
    scores = {"top1": float(hits.mean()), "mean_class": mean_class_accuracy(hits, labels)}
    if ranks.right[0] + ranks.wrong[0] > 5:
        scores["top5"] = float(ranks.hits_at(5).mean())
    return scores


class ZeroShot(Evaluator):
    """Evaluator: `(variables) -> {top1, mean_class, top5, classes, examples}`.

    Attributes:
      headline: the figure that the literature quotes for this set, 'top1' or 'mean_class'.
      hits: after a call, `[n]`: the probability that each image's first answer is right (0 or 1
        unless classes tie), in the source's order, for paired intervals.
      baselines: after a call, rows to print beside the model: chance, constant (always the
        commonest class) and, on request, histogram.
    """

    def __init__(
        self,
        model: Any,
        mesh: Mesh,
        *,
        source: Any,
        templates: str | Sequence[str] | None = None,
        classes: str | Sequence[str] | None = None,
        only_present: bool | None = None,
        histogram: Any = None,
        **reading: Any,
    ) -> None:
        """Store the options; files are opened at the first call.

        Args:
          model: encodes images and texts (`vujax.models`).
          mesh: devices to use, along 'data'.
          source: labeled source; see `reader.open_any`.
          templates: the name of a set in `prompt_templates.TEMPLATES`, or a list (default: the data
            set's own, else 'photo').
          classes: names in label order, or the data set of `datasets.DATASETS` whose rule turns the
            source's own (a folder's WordNet ids: 'imagenet') into names (default: the source's).
          only_present: only classes that occur compete (default: the data set's rule, else all).
          histogram: captioned source from which `ColorNeighbors` makes a baseline row.
          **reading: `batch_size`, `workers`.
        """
        self.encode_image, self.encode_text = image_encoder(model), text_encoder(model)
        self.reader = Reader(source, model, mesh, **reading)
        self.neighbors = histogram and Reader(histogram, model, mesh, **reading)
        self.mesh, self.chosen, self.classes = mesh, templates, classes
        self.only_present = only_present

    @property
    def headline(self) -> str:
        """'top1' or 'mean_class'."""
        dataset = self.reader.dataset
        return dataset.headline if dataset else "top1"

    def __call__(self, variables: Variables) -> dict[str, float]:
        """Score `variables` on the whole source."""
        images, labels = self.reader.embed_labeled(self.encode_image, variables)
        names, labels = self._competing(labels)
        texts = self._prompts(names)
        prompt_rows = extract_texts(
            self.encode_text,
            variables,
            texts,
            mesh=self.mesh,
            batch_size=self.reader.batch_size,
            tokenizer=self.reader.preprocess.tokenizer,
        )
        ranks = rank_classes(
            images, average_prompts(prompt_rows, len(names)), labels, mesh=self.mesh
        )
        self.hits = ranks.hits_at(1)
        if not self.baselines:
            self.baselines = self._baselines(names, texts, labels)
        return compute_accuracies(ranks, labels) | {"classes": len(names), "examples": len(labels)}

    def _prompts(self, names: Sequence[str]) -> list[str]:
        dataset = self.reader.dataset
        return format_prompts(names, self.chosen or (dataset.templates if dataset else "photo"))

    def _names(self) -> list[str]:
        own = self.reader.source.classes
        if not isinstance(self.classes, str):
            return list(self.classes or own or ())
        if self.classes not in DATASETS:
            raise ValueError(
                f"unknown classes {self.classes!r}; give names, or one of: {', '.join(DATASETS)}"
            )
        return list(DATASETS[self.classes].naming(own))

    def _competing(self, labels: np.ndarray) -> tuple[list[str], np.ndarray]:
        """Return the names of the classes that compete, and labels among them."""
        names = self._names()
        if len(names) <= labels.max():
            raise ValueError(
                f"the source has label {labels.max()} but {len(names)} class names; give the names "
                "of all classes, in label order, with classes=[...]"
            )
        dataset = self.reader.dataset
        rule = bool(dataset and dataset.present)
        if not (rule if self.only_present is None else self.only_present):
            return names, labels
        present, labels = np.unique(labels, return_inverse=True)
        return [names[label] for label in present], labels

    def _baselines(
        self, names: Sequence[str], texts: Sequence[str], labels: np.ndarray
    ) -> dict[str, dict[str, float]]:
        rows = label_baselines(labels, len(names))
        if self.neighbors:
            colors = ColorNeighbors(self.neighbors)
            classes = average_prompts(colors.embed_texts(texts), len(names))
            ranks = rank_classes(colors.embed_images(self.reader), classes, labels, mesh=self.mesh)
            rows["histogram"] = compute_accuracies(ranks, labels)
        return rows
