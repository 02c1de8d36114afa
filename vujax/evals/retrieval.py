"""Image-text retrieval in both directions: recall at k and median rank.

Captions repeat in real data. Two captions that are equal but for case, spacing and Unicode form
are one text, and an image and a text belong together if the text is any of the image's captions:
a duplicate of the right caption is right. Beside these figures stand the `exact` ones, where only
the pairs of the data set count: they show how much of the data is ambiguous, and their ceiling
shows the best possible score.

Nothing of size N x N is held; ties count as in `metrics.ranking`.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jax.sharding import Mesh

from vujax.data.captions import normalize_caption
from vujax.evals.base import Evaluator, Example
from vujax.evals.features import Variables, extract_texts, image_encoder, text_encoder
from vujax.evals.histogram_baseline import ColorNeighbors
from vujax.evals.metrics.ranking import NO_KEY, Ranks, Relation, rank_items
from vujax.evals.reader import Reader

KS = (1, 5, 10)


class CaptionGroups(NamedTuple):
    """The texts of a data set, and the images that each belongs to.

    Attributes:
      texts: the different texts, in order of first appearance.
      of_image: `[n c]` int32, each image's captions as indices into `texts`, filled up with
        `NO_KEY`.
      rows: `[m]` int32, the text of every caption of the data set, image by image.
      owner: `[m]` int32, the image of every caption.
      copies: `[len(texts)]` int32, the number of captions with each text.
    """

    texts: list[str]
    of_image: np.ndarray
    rows: np.ndarray
    owner: np.ndarray
    copies: np.ndarray


def group_captions(captions: Sequence[Sequence[str]]) -> CaptionGroups:
    """Find equal captions.

    Args:
      captions: each image's captions, at least one.
    """
    index: dict[str, int] = {}
    texts: list[str] = []
    rows, owner = [], []
    for image, own in enumerate(captions):
        for caption in own:
            text = index.setdefault(normalize_caption(caption), len(texts))
            if text == len(texts):
                texts.append(caption)
            rows.append(text)
            owner.append(image)
    of_image = np.full((len(captions), max(map(len, captions))), NO_KEY, np.int32)
    counts = [len(own) for own in captions]
    of_image[np.arange(of_image.shape[1]) < np.array(counts)[:, None]] = rows
    copies = np.bincount(rows).astype(np.int32)
    return CaptionGroups(texts, of_image, np.int32(rows), np.int32(owner), copies)


def rank_both_directions(
    images: np.ndarray, texts: np.ndarray, captions: CaptionGroups, *, mesh: Mesh
) -> dict[str, Ranks]:
    """Rank both directions, with duplicates right and `exact`.

    Args:
      images: `[n d]` unit vectors.
      texts: `[len(captions.texts) d]` unit vectors: equal captions have one embedding.
      captions: the pairs.
      mesh: queries are divided along 'data'.

    Returns:
      image_to_text: `[n]` queries against all captions of the data set, copies included.
      text_to_image: `[m]` queries, every caption of the data set, against all images.
      image_to_text/exact, text_to_image/exact: an image's own captions only, a caption's own
        image only.
    """
    of_image, rows, owner = captions.of_image, captions.rows, captions.owner
    text_keys, image_keys = np.arange(len(texts))[:, None], np.arange(len(images))[:, None]
    to_text = rank_items(
        images,
        texts,
        [Relation(of_image, text_keys), Relation(of_image, text_keys, all_copies=False)],
        mesh=mesh,
        copies=captions.copies,
    )
    to_image = rank_items(
        texts[rows],
        images,
        [Relation(rows[:, None], of_image), Relation(owner[:, None], image_keys)],
        mesh=mesh,
    )
    return {
        "image_to_text": to_text[0],
        "text_to_image": to_image[0],
        "image_to_text/exact": to_text[1],
        "text_to_image/exact": to_image[1],
    }


def compute_recalls(ranks: dict[str, Ranks]) -> dict[str, float]:
    """Return `<direction>/R@k` in [0, 1], `<direction>/median_rank` and mean_recall.

    Ranks start at 1; mean_recall is the mean of the six recalls with duplicates right.
    """
    scores = {}
    for name, counts in ranks.items():
        scores |= {f"{name}/R@{k}": float(counts.hits_at(k).mean()) for k in KS}
        scores[f"{name}/median_rank"] = float(np.median(counts.expected_rank()))
    main = [scores[f"{d}/R@{k}"] for d in ("image_to_text", "text_to_image") for k in KS]
    return scores | {"mean_recall": float(np.mean(main))}


def rank_oracle(captions: CaptionGroups) -> dict[str, Ranks]:
    """Return the ranks of an oracle that knows the captions and nothing else.

    It scores 1 where a text equals one of an image's captions and 0 elsewhere: it cannot tell
    apart images that share a caption, nor an image's own copy of a caption from another's.
    With duplicates right it is perfect; its `exact` figures are the best that captions allow.
    """
    of_image, rows, owner, copies = captions[1:]
    own = np.bincount(owner)
    same = np.array([copies[np.unique(keys[keys != NO_KEY])].sum() for keys in of_image])
    holders = np.bincount(
        np.concatenate([np.unique(keys[keys != NO_KEY]) for keys in of_image]),
        minlength=len(copies),
    )[rows]
    total, images, one = len(rows), len(of_image), np.ones_like(holders)
    return {
        "image_to_text": _perfect(same, total - same),
        "text_to_image": _perfect(holders, images - holders),
        "image_to_text/exact": Ranks(0 * own, same - own, own, total - own, own),
        "text_to_image/exact": Ranks(0 * one, holders - 1, one, (images - 1) * one, one),
    }


def compute_baselines(
    ranks: dict[str, Ranks], captions: CaptionGroups
) -> dict[str, dict[str, float]]:
    """Return the recalls of equal scores (chance) and of `rank_oracle` (ceiling)."""
    equal = {name: counts.random_baseline() for name, counts in ranks.items()}
    return {
        "chance": compute_recalls(equal),
        "ceiling": compute_recalls(rank_oracle(captions)),
    }


def _perfect(right: np.ndarray, wrong: np.ndarray) -> Ranks:
    return Ranks(0 * right, 0 * right, right, wrong, right)


class Retrieval(Evaluator):
    """Evaluator: `(variables) -> recalls`, plus the numbers of images and captions.

    Attributes:
      hits: after a call, for each direction `[queries]` the probability that the first answer is
        right (0 or 1 unless scores tie), for paired intervals.
      baselines: after a call, rows to print beside the model: chance, ceiling (see `rank_oracle`)
        and, on request, histogram.
    """

    headline = "mean_recall"

    def __init__(
        self, model: Any, mesh: Mesh, *, source: Any, histogram: Any = None, **reading: Any
    ) -> None:
        """Store the options; files are opened at the first call.

        Args:
          model: encodes images and texts (`vujax.models`).
          mesh: devices to use, along 'data'.
          source: captioned source; see `reader.open_any`.
          histogram: captioned source from which `ColorNeighbors` makes a baseline row.
          **reading: `batch_size`, `workers`.
        """
        self.encode_image, self.encode_text = image_encoder(model), text_encoder(model)
        self.reader = Reader(source, model, mesh, **reading)
        self.neighbors = histogram and Reader(histogram, model, mesh, **reading)
        self.mesh = mesh

        self._last: tuple[np.ndarray, np.ndarray] | None = None

    @functools.cached_property
    def captions(self) -> CaptionGroups:
        """The source's captions, equal ones grouped.

        Raises:
          ValueError: an image has no caption, or an empty one.
        """
        captions = self.reader.captions
        bare = [image for image, own in enumerate(captions) if not own]
        if bare:
            first = self.reader.source[bare[0]]["key"]
            raise ValueError(
                f"retrieval needs a caption for every image, but {len(bare)} of {len(captions)} "
                f"have none or an empty one, the first {first!r}; give captions or leave these out"
            )
        return group_captions(captions)

    def __call__(self, variables: Variables) -> dict[str, float]:
        """Score `variables` on the whole source."""
        self._last = images, texts = self.embed(variables)
        ranks = rank_both_directions(images, texts, self.captions, mesh=self.mesh)
        self.hits = {name: counts.hits_at(1) for name, counts in ranks.items()}
        if not self.baselines:
            self.baselines = self._baselines(ranks)
        counts = {"images": len(images), "captions": len(self.captions.rows)}
        return compute_recalls(ranks) | counts

    def embed(self, variables: Variables) -> tuple[np.ndarray, np.ndarray]:
        """Return the unit embeddings of the images and of the different texts."""
        images = self.reader.embed(self.encode_image, variables)["embeddings"]
        texts = extract_texts(
            self.encode_text,
            variables,
            self.captions.texts,
            mesh=self.mesh,
            batch_size=self.reader.batch_size,
            tokenizer=self.reader.preprocess.tokenizer,
        )
        return images, texts

    def _baselines(self, ranks: dict[str, Ranks]) -> dict[str, dict[str, float]]:
        rows = compute_baselines(ranks, self.captions)
        if self.neighbors:
            colors = ColorNeighbors(self.neighbors)
            images, texts = (
                colors.embed_images(self.reader),
                colors.embed_texts(self.captions.texts),
            )
            rows["histogram"] = compute_recalls(
                rank_both_directions(images, texts, self.captions, mesh=self.mesh)
            )
        return rows

    def examples(self, queries: int, *, shown: int = 5) -> list[Example]:
        """Return the top images of the last call for evenly spaced texts.

        Needs no other host: the one that writes the report may call it alone.

        Args:
          queries: number of texts.
          shown: images of each.

        Raises:
          RuntimeError: the evaluator has not been called yet.
        """
        if self._last is None:
            raise RuntimeError(
                "the evaluator has no results yet; call it on a model's variables first"
            )
        images, texts = self._last
        chosen = np.unique(np.linspace(0, len(texts) - 1, queries).astype(int))
        scores = texts[chosen] @ images.T
        top = np.argsort(-scores, axis=1, kind="stable")[:, :shown]
        scores = np.take_along_axis(scores, top, axis=1)
        shown_images = self.reader.read_images(top.ravel())
        shown_images = shown_images.reshape((*top.shape, *shown_images.shape[1:]))
        correct = (self.captions.of_image[top] == chosen[:, None, None]).any(-1)
        captions = [self.captions.texts[text] for text in chosen]
        return list(map(Example, captions, shown_images, correct, scores))
