"""Pairs as frozen features for psd_features.py: preparation, controlled noise, and scores.

    VUJAX_DATA=... python experiments/psd_features_data.py --features runs/psd_features

writes a file for each data set: embeddings of images by `lite` and of captions by `minilm`.

- fashion: product photographs and names. The class is the article type.
- frames: of synthetic films; the three splits are of different films. The class is the event.
- frames-large: the same with ten times the pairs to train on.
- emoji: names of 1,594 concepts in four styles of psd_features_emoji.py (VUJAX_EMOJI); training,
  tuning and report are of different styles. The class is the subcategory.
- openclipart: drawings and titles. The class is the folder.
- tinyimagenet: pictures and names of 200 classes. The class is the name.
"""

import argparse
import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vujax.data.captions import EmbeddingPairs, normalize_caption
from vujax.data.feature_pairs import FeaturePairs, split_pairs
from vujax.data.sources import open_source
from vujax.data.synthetic.captions import CLASSES, GENERIC
from vujax.data.synthetic.dataset_images import SyntheticImages
from vujax.encoders.feature_pairs import open_feature_pairs
from vujax.encoders.texts import open_frozen_texts
from vujax.evals.metrics.classification import roc_auc
from vujax.evals.retrieval import compute_recalls, group_captions, rank_both_directions
from vujax.evals.suspects import score_pairs
from vujax.utils.io import write_atomically
from vujax.utils.mesh import make_mesh

SPLITS = ("train", "tune", "report")
FRAMES = {
    "train": dict(split="train"),
    "tune": dict(split="validation", frames=512, seed=1),
    "report": dict(split="validation", frames=1024),
}
NUM_FRAMES, NUM_FRAMES_LARGE = 3000, 30_000  # to train on
PRODUCT_PHRASES = ("a product", "a product photo", "an item", "an item from the shop", "fashion")
GENERIC_DRAWINGS = ("a drawing", "clip art", "a picture", "an illustration")
GENERIC_PICTURES = ("a picture", "a photo", "an image")
MAX_EQUAL_TITLES = 20  # a title of so many drawings names a collection
DIM = 128  # of the principal components that towers see
MIN_CLASS = 5  # items of a class that is scored
NUM_ROW_FIELDS = 6  # of a Pool: the others belong to the data set
SHOWN = 10  # of precision@10
NOISE = ("shuffled", "within class", "generic")


class Pool(NamedTuple):
    """Pairs with the truth about them.

    Attributes:
      images: float32 `[n d]`.
      texts: float32 `[n d]`, of the captions.
      captions: `[n]`.
      classes: int `[n]`, see the head of the file.
      image_facts: float32 `[n f]`, one-hot facts of an image and a 1; no columns if unknown.
      text_facts: float32 `[n f]`, stated facts and minus their number: a caption fits an image
        exactly if the dot product is 0, else it is below.
      class_texts: float32 `[c d]`, of the names of the classes.
      generic_captions: captions that state nothing.
      generic_texts: float32 `[g d]`, of these.
    """

    images: np.ndarray
    texts: np.ndarray
    captions: np.ndarray
    classes: np.ndarray
    image_facts: np.ndarray
    text_facts: np.ndarray
    class_texts: np.ndarray
    generic_captions: np.ndarray
    generic_texts: np.ndarray

    def take(self, rows: np.ndarray) -> "Pool":
        """Return the pairs with these numbers."""
        return Pool._make(
            values[rows] if place < NUM_ROW_FIELDS else values for place, values in enumerate(self)
        )

    def give(self, donors: np.ndarray) -> "Pool":
        """Return the same images with the captions of others, `[n]` numbers."""
        return self._replace(
            texts=self.texts[donors],
            captions=self.captions[donors],
            text_facts=self.text_facts[donors],
        )


ROWS = ("split", *Pool._fields[:NUM_ROW_FIELDS])  # arrays of a prepared file with a row per pair


def open_pools(path: Path, *, raw: bool = False) -> dict[str, Pool]:
    """Read a prepared file; embeddings become the principal components of the training split.

    Args:
      path: written by this script.
      raw: True keeps the embeddings as they are.
    """
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    split = arrays.pop("split")
    pool, train = Pool(**arrays), split == SPLITS.index("train")
    if raw:
        images = texts = lambda x: x.astype(np.float32)
    else:
        images, texts = (_fit_components(rows[train]) for rows in (pool.images, pool.texts))
    pool = pool._replace(
        images=images(pool.images),
        texts=texts(pool.texts),
        class_texts=texts(pool.class_texts),
        generic_texts=texts(pool.generic_texts),
    )
    return {name: pool.take(np.flatnonzero(split == i)) for i, name in enumerate(SPLITS)}


def _fit_components(rows: np.ndarray) -> Any:
    """Return the map of rows to their DIM principal components, unit length on average."""
    mean = rows.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov(rows - mean, rowvar=False))
    basis = vectors[:, ::-1][:, :DIM]
    size = np.linalg.norm((rows - mean) @ basis, axis=1).mean()
    return lambda x: ((x - mean) @ basis / size).astype(np.float32)


def add_noise(pool: Pool, kind: str, share: float, seed: int) -> tuple[Pool, np.ndarray]:
    """Return the pairs with a share of wrong captions, and bool `[n]`: the wrong ones.

    Args:
      pool: pairs with right captions.
      kind: 'shuffled', 'within class' (both rotate captions, the second inside each class) or
        'generic' (captions that state nothing).
      share: of the pairs, in [0, 1].
      seed: of the choice.
    """
    rng = np.random.Generator(np.random.Philox([seed, 1]))
    chosen = rng.permutation(len(pool.images))[: round(share * len(pool.images))]
    if kind == "generic":
        return _make_generic(pool, chosen, rng)
    donors = np.arange(len(pool.images))
    own = pool.classes[chosen] if kind == "within class" else np.zeros(len(chosen))
    for value in np.unique(own):
        rows = chosen[own == value]
        donors[rows] = np.roll(rows, 1)
    noisy = pool.give(donors)
    same = map(_equal, pool.captions, noisy.captions)
    return noisy, ~np.fromiter(same, bool, len(donors))


def _make_generic(
    pool: Pool, chosen: np.ndarray, rng: np.random.Generator
) -> tuple[Pool, np.ndarray]:
    phrase = rng.integers(len(pool.generic_texts), size=len(chosen))
    texts, captions, facts = (x.copy() for x in (pool.texts, pool.captions, pool.text_facts))
    captions = captions.astype(object)
    texts[chosen], captions[chosen] = pool.generic_texts[phrase], pool.generic_captions[phrase]
    facts[chosen] = 0
    wrong = np.isin(np.arange(len(texts)), chosen)
    return pool._replace(texts=texts, captions=captions.astype(str), text_facts=facts), wrong


def _equal(one: str, other: str) -> bool:
    return normalize_caption(one) == normalize_caption(other)


def score(pool: Pool, images: np.ndarray, texts: np.ndarray, names: np.ndarray) -> dict[str, float]:
    """Score unit embeddings of pairs with right captions.

    Args:
      pool: the pairs.
      images: `[n d]`.
      texts: `[n d]`, of their captions.
      names: `[c d]`, of the names of the classes.

    Returns:
      recall (mean of R@1, 5, 10 both ways, equal captions right), zero_shot (top-1 of classes of at
      least 5 items), and precision@10 of texts where it is known which captions fit.
    """
    captions = group_captions([(caption,) for caption in pool.captions])
    _, first = np.unique(captions.rows, return_index=True)
    ranks = rank_both_directions(images, texts[first], captions, mesh=make_mesh())
    counts = np.bincount(pool.classes, minlength=len(names))
    rows = np.flatnonzero(counts[pool.classes] >= MIN_CLASS)
    logits = np.where(counts >= MIN_CLASS, images[rows] @ names.T, -np.inf)
    scores = {
        "recall": compute_recalls(ranks)["mean_recall"],
        "zero_shot": float((logits.argmax(axis=1) == pool.classes[rows]).mean()),
    }
    if pool.image_facts.shape[1]:
        top = np.argsort(-texts[first] @ images.T, axis=1)[:, :SHOWN]
        fits = pool.text_facts[first] @ pool.image_facts.T == 0
        scores["precision@10"] = float(np.take_along_axis(fits, top, axis=1).mean())
    return scores


def group_pairs(pool: Pool, embeddings: tuple[np.ndarray, np.ndarray]) -> dict[str, np.ndarray]:
    """Return images, texts and of_image as `vujax.evals.scale.compare_pairs` takes them.

    Args:
      pool: the pairs.
      embeddings: unit embeddings `[n d]` of the images and of their captions.
    """
    captions = group_captions([(caption,) for caption in pool.captions])
    _, first = np.unique(captions.rows, return_index=True)
    images, texts = map(np.asarray, embeddings)
    return dict(images=images, texts=texts[first], of_image=captions.of_image)


def score_wrong(
    pool: Pool, wrong: np.ndarray, images: np.ndarray, texts: np.ndarray, scale: float
) -> float:
    """Return the AUC with which a model finds the wrong captions of its own training pairs."""
    captions = group_captions([(caption,) for caption in pool.captions])
    _, first = np.unique(captions.rows, return_index=True)
    return roc_auc(score_pairs(images, texts[first], captions, scale).suspicion, wrong)


def prepare_fashion(cache: str) -> dict[str, np.ndarray]:
    """Embed the product photographs and their names."""
    path = find_data("VUJAX_DATA", "pairs/fashion-train-*.tar")
    return prepare_tars(path, cache, "articleType", PRODUCT_PHRASES)


def prepare_openclipart(cache: str) -> dict[str, np.ndarray]:
    """Embed drawings and their titles; held-out drawings have a title of their own.

    Half of the titles name a collection, not the drawing. They stay among the training pairs.
    """
    path = find_data("VUJAX_DATA", "pairs/openclipart-train-*.tar")
    arrays = prepare_tars(path, cache, "folder", GENERIC_DRAWINGS, modulo=5)
    titles = [normalize_caption(title) for title in arrays["captions"]]
    _, place, counts = np.unique(titles, return_inverse=True, return_counts=True)
    keep = (arrays["split"] == 0) | (counts[place] < MAX_EQUAL_TITLES)
    return arrays | {name: arrays[name][keep] for name in ROWS}


def prepare_tinyimagenet(cache: str) -> dict[str, np.ndarray]:
    """Embed pictures of two of three shards of the part of Tiny ImageNet, with their names.

    The classes are the names, not WordNet's numbers, whose texts say nothing.
    """
    path = find_data("VUJAX_DATA", "classes/tinyimagenet/tinyimagenet-train-0000[01].tar")
    return prepare_tars(path, cache, "caption", GENERIC_PICTURES, modulo=5)


def prepare_emoji(cache: str) -> dict[str, np.ndarray]:
    """Embed emoji: Google's to train on, OpenMoji's to tune, Twitter's and Fluent's to report."""
    parts = []
    for split, styles in enumerate((("google",), ("openmoji",), ("twitter", "fluent"))):
        for style in styles:
            path = find_data("VUJAX_EMOJI", f"{style}.tar")
            arrays = prepare_tars(path, cache, "subcategory", GENERIC_PICTURES)
            parts.append(arrays | {"split": np.full(len(arrays["split"]), split)})
    return parts[0] | {name: np.concatenate([part[name] for part in parts]) for name in ROWS}


def find_data(variable: str, pattern: str) -> str:
    """Return a pattern below the folder that an environment variable names."""
    if not os.environ.get(variable):
        raise ValueError(f"set {variable} to the folder that holds {pattern}")
    return f"{os.environ[variable]}/{pattern}"


def prepare_tars(
    path: str, cache: str, label_field: str, generic: Sequence[str], *, modulo: int = 10
) -> dict[str, np.ndarray]:
    """Embed the pictures and captions of WebDataset tars.

    By sha1(key) mod `modulo`, remainder 0 is for tuning, 1 for the report. Equal pictures stay in
    one split.

    Args:
      path: pattern of the tars.
      cache: folder of cached embeddings.
      label_field: JSON field of the class, or 'caption'.
      generic: captions that state nothing.
      modulo: of the splits.
    """
    options = dict(kind="webdataset", path=path)
    pairs = open_feature_pairs({"main": options}, "lite", cache=cache)
    source = open_source(label_field=label_field, **options)
    labels = {r["key"]: r["label"] for r in map(source.__getitem__, range(len(source)))}
    parts = {}
    for name, remainder in (("tune", 0), ("report", 1)):
        rule = dict(field="key", modulo=modulo, remainder=remainder)
        parts[name] = set(split_pairs(pairs, rule, "validation").images.keys)
    split = [_find_split(key, parts) for key in pairs.images.keys]
    classes = np.array([labels[key] for key in pairs.images.keys])
    none = np.zeros((len(pairs), 0), np.float32)
    return _pack(pairs, np.array(split), classes, (none, none), source.classes, generic)


def _find_split(key: str, parts: dict[str, set[str]]) -> int:
    return next((SPLITS.index(name) for name, keys in parts.items() if key in keys), 0)


def prepare_frames(cache: str, frames: int = NUM_FRAMES) -> dict[str, np.ndarray]:
    """Embed frames of synthetic films and their captions, and write down their facts.

    Args:
      cache: folder of cached embeddings.
      frames: number of pairs to train on.
    """
    parts, truths = [], []
    for options in FRAMES.values():
        options = dict(frames=frames, generic=0.0, swapped=0.0) | options
        source = {"main": dict(kind="cinema", **options)}
        parts.append(open_feature_pairs(source, "lite", cache=cache))
        images = SyntheticImages(**options)
        truths.append([images.truth(i) for i in range(len(images))])
    known = [truth for part in truths for truth in part]
    names = sorted({fact for truth in known for fact in truth.facts.items()})
    place = {fact: i for i, fact in enumerate(names)}
    image_facts = np.zeros((len(known), len(names) + 1), np.float32)
    text_facts = np.zeros_like(image_facts)
    for row, truth in enumerate(known):
        image_facts[row, [place[fact] for fact in truth.facts.items()] + [-1]] = 1
        stated = truth.captions[0].facts
        text_facts[row, [place[fact] for fact in stated]] = 1
        text_facts[row, -1] = -len(stated)
    split = np.repeat(range(len(parts)), [len(part) for part in parts])
    events = list(CLASSES["event"])
    classes = np.array([events.index(truth.facts["event"]) for truth in known])
    images = np.concatenate([part.images.embeddings for part in parts])
    pairs = FeaturePairs(
        EmbeddingPairs(
            images,
            tuple(c for part in parts for c in part.captions),
            tuple(key for part in parts for key in part.images.keys),
        ),
        np.concatenate([part.texts for part in parts]),
    )
    facts = image_facts, text_facts
    return _pack(pairs, split, classes, facts, tuple(CLASSES["event"].values()), GENERIC)


def _pack(
    pairs: FeaturePairs,
    split: np.ndarray,
    classes: np.ndarray,
    facts: tuple[np.ndarray, np.ndarray],
    names: Sequence[str],
    generic: Sequence[str],
) -> dict[str, np.ndarray]:
    """Return the arrays of a `Pool` and the split of each pair, an index into SPLITS."""
    encode = open_frozen_texts("minilm").encode
    first = np.cumsum(pairs.counts) - pairs.counts
    return dict(
        split=split,
        images=pairs.images.embeddings,
        texts=pairs.texts[first],
        captions=np.array([own[0] for own in pairs.captions]),
        classes=classes,
        image_facts=facts[0],
        text_facts=facts[1],
        class_texts=encode(list(names)),
        generic_captions=np.array(generic),
        generic_texts=encode(list(generic)),
    )


PREPARE = {
    "fashion": prepare_fashion,
    "frames": prepare_frames,
    "frames-large": functools.partial(prepare_frames, frames=NUM_FRAMES_LARGE),
    "emoji": prepare_emoji,
    "openclipart": prepare_openclipart,
    "tinyimagenet": prepare_tinyimagenet,
}


def main() -> None:
    """Write the prepared files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=Path, required=True, metavar="DIR")
    parser.add_argument("--data", choices=PREPARE, action="append", help="data set (default: all)")
    arguments = parser.parse_args()
    folder = arguments.features
    for name in arguments.data or PREPARE:
        path = folder / f"{name}.npz"
        if not path.exists():
            arrays = PREPARE[name](str(folder / "cache"))
            write_atomically(path, lambda to, arrays=arrays: _save(to, arrays))
        print(path, flush=True)


def _save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with path.open("wb") as file:
        np.savez(file, **arrays)


if __name__ == "__main__":
    main()
