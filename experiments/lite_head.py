"""Text search without an image-text model: ConSE, and a head on EfficientNet-Lite0's features.

    VUJAX_DATA=... python experiments/lite_head.py --work runs/lite_head
    VUJAX_DATA=... python experiments/lite_head.py --work runs/lite_head --ship FOLDER

The head is an affine map from the frozen features of `vujax embed --encoder lite` into MiniLM's
space (see vujax.search.train_text_head). It is trained by PSD, or by CLIP's loss as the control, on
drawings and emoji with their titles ('shippable': public domain and Apache-2.0), or on these,
product photographs and Tiny ImageNet's images with their class names ('all': for research only).
PSD's share and temperature are those of experiments/psd_fashion.py. Steps, decay and dropout were
selected in a few trials of CLIP's loss on a part of the training pairs.

Splits by sha1(path) mod 10: remainder 1 is validation, which the table reports; remainder 2 is for
selection, and neither is for training (remainder 0 of drawings and products was withheld before).
ConSE, which is not trained, is selected on all emoji and drawings but validation's. A training
image whose features have a cosine above .98 with a validation image is left out. Captions are
titles in lower case. Equal captions are all right. Many drawings share their collection's title, so
that a few titles dominate the text-to-image figures: 'own titles' leaves out those that 20 or more
share.

ConSE's hyperparameters are selected by the mean recall over emoji, drawings with own titles and
Tiny ImageNet, of those with one name per class: WordNet's synonyms gain .005 there, but are the
queries of Tiny ImageNet. Tiny ImageNet tests photographs, which films are; the shippable head has
seen none. The head's share in the mixture is the greatest that costs at most 2 points there.
EfficientNet is trained on ImageNet's training images, of which these are small copies, so ConSE is
better on them than on unseen photographs. Intervals: 95%, over images and seeds; differences are
paired.

Writes under experiments/results/lite_head/: conse (the grid), shares, table and a plot. `--work`
retains features and trained heads, so that the same command resumes.
"""

import argparse
import functools
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vujax.data.images import preprocess_eval_image
from vujax.data.records import Record
from vujax.data.sources import open_source
from vujax.data.sources.split import HoldOut
from vujax.encoders.class_names import read_class_names
from vujax.encoders.lite import LiteEncoder, compute_conse
from vujax.encoders.sentences import SentenceEncoder
from vujax.encoders.text_head import TextHead, load_head, save_head
from vujax.evals.metrics.bootstrap import bootstrap, paired_bootstrap
from vujax.evals.metrics.ranking import Ranks
from vujax.evals.retrieval import KS, group_captions, rank_both_directions
from vujax.models import pretrained
from vujax.search.text_space import CLASSIFIER, CONSE
from vujax.search.train_text_head import TextHeadConfig, train_text_head
from vujax.training.sweep.tables import TableRow, write_intervals, write_rows
from vujax.utils.arrays import l2_normalize
from vujax.utils.io import write_atomically
from vujax.utils.mesh import make_mesh

RESULTS = Path(__file__).with_name("results") / "lite_head"
PATHS: dict[str, tuple[str, Callable[[Record], str]]] = {
    "openclipart": (
        "pairs/openclipart-train-*.tar",
        lambda record: "{folder}/{file}".format(**record["fields"]),
    ),
    "emoji": ("pairs/emoji-google-*.tar", lambda record: record["key"]),
    "fashion": ("pairs/fashion-train-*.tar", lambda record: record["fields"]["id"]),
    "tinyimagenet": ("classes/tinyimagenet/*.tar", lambda record: record["key"]),
}
TRAIN = {"shippable": ("openclipart", "emoji"), "all": tuple(PATHS)}
VALIDATION, CHOICE = (HoldOut(modulo=10, remainder=r) for r in (1, 2))
SHARED = 20  # drawings with one title: a collection's
COPY = 0.98  # cosine of features
OWN = "openclipart, own titles"
CHOSEN_ON = ("emoji", OWN, "tinyimagenet")
METHODS = {"CLIP": TextHeadConfig(unaligned_end=0.0), "PSD": TextHeadConfig()}
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.75)
COST = 0.02  # that the mixture may take from ConSE's mean recall on photographs
PARTS = ("conse", "heads")
TOPS, TEMPERATURES = (1, 5, 10, 30, 100, 1000), (1.0, 2.0, 4.0)
WORDS = {
    "name": lambda entry: [entry.name],
    "photo": lambda entry: [f"a photo of a {entry.name}"],
    "synonyms": lambda entry: entry.synonyms,
}
ABOUT = """Validation (sha1 mod 10 == 1), percent; equal captions are all right; 95% over pictures
and seeds. 'recall' is the mean of R@1, 5 and 10 both ways. tinyimagenet: 200 names, each once."""


class Pairs(NamedTuple):
    """Images with captions.

    Attributes:
      vectors: float32 `[n 1280]`, features.
      captions: one per image.
      texts: float32 `[n 384]`, embeddings of the captions.
      part: `[n]` 1 for validation, 2 for selection, else 0.
    """

    vectors: np.ndarray
    captions: list[str]
    texts: np.ndarray
    part: np.ndarray

    def only(self, keep: np.ndarray) -> "Pairs":
        """Select rows by a mask `[n]`."""
        captions = [c for c, kept in zip(self.captions, keep, strict=True) if kept]
        return Pairs(self.vectors[keep], captions, self.texts[keep], self.part[keep])


Encode = Callable[[np.ndarray], np.ndarray]
Hits = dict[str, np.ndarray]  # '<direction>/R@k' and 'recall', each [n]


def read(name: str, data: Path, work: Path, sentences: SentenceEncoder) -> Pairs:
    """Read a data set; features and caption embeddings are computed once."""
    pattern, path = PATHS[name]
    source = open_source("webdataset", path=str(data / pattern))
    records = [source[i] for i in range(len(source))]
    captions = [record["captions"][0].lower() for record in records]
    vectors = _kept(work / "features" / f"{name}.npz", lambda: features(records))
    texts = _kept(work / "texts" / f"{name}.npz", lambda: encoded(captions, sentences))
    part = [1 if VALIDATION.holds(p) else 2 * CHOICE.holds(p) for p in map(path, records)]
    return Pairs(vectors, captions, texts, np.array(part))


def encoded(captions: Sequence[str], sentences: SentenceEncoder) -> np.ndarray:
    """Return embeddings `[n 384]` of texts; equal texts are encoded once."""
    different = sorted(set(captions))
    rows = dict(zip(different, sentences(different), strict=True))
    return np.stack([rows[caption] for caption in captions])


def _kept(path: Path, make: Callable[[], np.ndarray]) -> np.ndarray:
    """Return a cached array, computed first if the file is missing."""
    if not path.exists():
        vectors = make()

        def save(temporary: Path) -> None:
            with temporary.open("wb") as file:
                np.savez(file, vectors=vectors)

        write_atomically(path, save)
    with np.load(path) as arrays:
        return arrays["vectors"]


def features(records: Sequence[Record]) -> np.ndarray:
    """Return the encoder's features `[n 1280]`."""
    encoder, found = LiteEncoder(), []
    for start in range(0, len(records), 64):
        part = [
            preprocess_eval_image(r["image"], encoder.image_spec)
            for r in records[start : start + 64]
        ]
        padded = np.stack(part + part[:1] * (64 - len(part)))
        found.append(np.asarray(encoder.encode(padded))[: len(part)])
        print(f"{start + len(part)} of {len(records)} pictures", end="\r", flush=True)
    return np.concatenate(found)


class Study:
    """The pairs, and cached heads."""

    def __init__(self, data: Path, work: Path) -> None:
        self._work, self.sentences = work, SentenceEncoder()
        self.pairs = {name: read(name, data, work, self.sentences) for name in PATHS}
        self._held = np.concatenate([p.vectors[p.part == 1] for p in self.pairs.values()])

    @functools.cached_property
    def train(self) -> dict[str, Pairs]:
        """Return the training pairs of each head."""
        clean = {name: self._clean(pairs) for name, pairs in self.pairs.items()}
        return {kind: joined([clean[name] for name in names]) for kind, names in TRAIN.items()}

    def _clean(self, pairs: Pairs) -> Pairs:
        """Return the training split without near duplicates of validation images."""
        pairs = pairs.only(pairs.part == 0)
        held, own = l2_normalize(self._held), l2_normalize(pairs.vectors)
        parts = np.array_split(own, -(-len(own) // 1000))
        return pairs.only(np.concatenate([(p @ held.T).max(axis=1) for p in parts]) <= COPY)

    def head(self, kind: str, method: str, seed: int) -> TextHead:
        """Return a cached head, or train one."""
        folder = self._work / "heads" / f"{kind}-{method}-{seed}"
        if not (folder / "config.json").exists():
            pairs = self.train[kind]
            save_head(folder, train_text_head(pairs.vectors, pairs.texts, METHODS[method], seed))
            print(folder.name, flush=True)
        return load_head(folder)

    def sets(self, *parts: int) -> dict[str, Pairs]:
        """Return the scored sets: the data sets, and drawings with unique titles."""
        found = {n: pairs.only(np.isin(pairs.part, parts)) for n, pairs in self.pairs.items()}
        often = Counter(self.pairs["openclipart"].captions)
        drawings = found["openclipart"]
        own = np.array([often[caption] < SHARED for caption in drawings.captions])
        return found | {OWN: drawings.only(own)}


def joined(parts: Sequence[Pairs]) -> Pairs:
    """Concatenate several data sets."""
    captions = [caption for pairs in parts for caption in pairs.captions]
    vectors, texts, part = (np.concatenate([p[i] for p in parts]) for i in (0, 2, 3))
    return Pairs(vectors, captions, texts, part)


def score(name: str, pairs: Pairs, vectors: np.ndarray) -> Hits:
    """Return hits within the first k per query, in both directions."""
    captions = group_captions([[caption] for caption in pairs.captions])
    if name == "tinyimagenet":  # among the names of the classes, not 50 copies of each
        captions = captions._replace(copies=np.ones_like(captions.copies))
    texts = pairs.texts[np.unique(captions.rows, return_index=True)[1]]
    ranks = rank_both_directions(vectors, texts, captions, mesh=make_mesh())
    return hits({way: ranks[way] for way in ("text_to_image", "image_to_text")})


def hits(ranks: Mapping[str, Ranks]) -> Hits:
    """Compute hits of ranks in both directions; 'recall' is a pair's mean."""
    found = {f"{way}/R@{k}": counts.hits_at(k) for way, counts in ranks.items() for k in KS}
    return found | {"recall": np.mean(list(found.values()), axis=0)}


class Conse:
    """ConSE over features, with any hyperparameters."""

    def __init__(self, sentences: SentenceEncoder) -> None:
        released = pretrained.load_weights("efficientnet-lite0")
        self._classifier = [released[name] for name in CLASSIFIER.values()]
        self.names = {kind: _means(sentences, texts) for kind, texts in WORDS.items()}

    def __call__(self, vectors: np.ndarray, words: str, top: int, temperature: float) -> np.ndarray:
        weight, bias = self._classifier
        parts = np.array_split(vectors @ weight.T + bias, -(-len(vectors) // 1000))
        numbers = dict(top=top, temperature=temperature)
        return np.concatenate([compute_conse(part, self.names[words], **numbers) for part in parts])


def _means(sentences: SentenceEncoder, texts: Callable[[Any], Sequence[str]]) -> np.ndarray:
    """Return a unit embedding per class: the mean over its texts."""
    each = [texts(entry) for entry in read_class_names()]
    rows = np.split(sentences([t for own in each for t in own]), np.cumsum([*map(len, each)])[:-1])
    return l2_normalize(np.stack([row.mean(axis=0) for row in rows]))


def mean_recall(sets: Mapping[str, Pairs], encode: Encode, chosen: Sequence[str]) -> TableRow:
    """Return the mean recall on each of `chosen`, and the mean of these."""
    found = {n: float(score(n, sets[n], encode(sets[n].vectors))["recall"].mean()) for n in chosen}
    return found | {"mean": float(np.mean(list(found.values())))}


def conse_grid(study: Study, words: Conse) -> list[TableRow]:
    """Yield every choice of ConSE, best first; photographs of the selection split only."""
    sets, rows = study.sets(0, 2), []
    sets["tinyimagenet"] = study.sets(2)["tinyimagenet"]
    for kind, top, temperature in product(WORDS, TOPS, TEMPERATURES):
        if top > 1 or temperature == 1:
            numbers = dict(words=kind, top=top, temperature=temperature)
            encode = functools.partial(words, **numbers)
            rows.append(numbers | mean_recall(sets, encode, CHOSEN_ON))
    return sorted(rows, key=lambda row: -row["mean"])


def mixture(head: TextHead, words: Encode, share: float) -> Encode:
    """Mix the embeddings of a head and of ConSE; share 1 is the head alone."""
    return lambda seen: l2_normalize(share * np.asarray(head(seen)) + (1 - share) * words(seen))


def shares(study: Study, words: Encode, kinds: Sequence[str]) -> list[TableRow]:
    """Score ConSE, then each kind and method with each share, on the selection split; seed 0."""
    sets, rows = study.sets(2), [{"head": "none", "share": 0.0}]
    rows[0] |= mean_recall(sets, words, CHOSEN_ON)
    for kind, method in product(kinds, METHODS):
        head = study.head(kind, method, 0)
        for share in (*SHARES, 1.0):
            found = mean_recall(sets, mixture(head, words, share), CHOSEN_ON)
            rows.append({"head": f"{method}, {kind}", "share": share} | found)
    return rows


def best_share(rows: Sequence[TableRow], kind: str) -> float:
    """Return the greatest share that costs photographs at most COST, over all methods."""
    least = rows[0]["tinyimagenet"] - COST
    bad = [r["share"] for r in rows if r["head"].endswith(kind) and r["tinyimagenet"] < least]
    return max(share for share in SHARES if share not in bad)


def runs(
    study: Study, words: Encode, chosen: Sequence[TableRow], seeds: int
) -> dict[str, list[Encode]]:
    """Return every row of the table: one encoder per seed."""
    found: dict[str, list[Encode]] = {"ConSE": [words]}
    for kind, method in product(TRAIN, METHODS):
        heads = [study.head(kind, method, seed) for seed in range(seeds)]
        share = best_share(chosen, kind)
        found[f"{method}, {kind}"] = [mixture(head, words, 1.0) for head in heads]
        mixed = [mixture(head, words, share) for head in heads]
        found[f"{method}, {kind}, {share:g} of it in ConSE"] = mixed
    return found


def table(study: Study, encoders: Mapping[str, Sequence[Encode]]) -> Iterator[TableRow]:
    """Yield recalls, and paired differences from ConSE and of PSD from CLIP."""
    for name, pairs in study.sets(1).items():
        yield {"pictures": name, "vectors": "chance"} | percent([random_baseline(name, pairs)])
        found = {
            vectors: [score(name, pairs, encode(pairs.vectors)) for encode in each]
            for vectors, each in encoders.items()
        }
        for vectors, each in found.items():
            row = {"pictures": name, "vectors": vectors} | percent(each)
            row |= _bounds("recall", bootstrap(_recall(each)))
            if vectors != "ConSE":
                row |= less("ConSE", each, found["ConSE"] * len(each))
            if vectors.startswith("PSD"):
                row |= less("CLIP", each, found[vectors.replace("PSD", "CLIP")])
            yield row


def less(name: str, ours: Sequence[Hits], theirs: Sequence[Hits]) -> TableRow:
    """Return the difference of mean recalls."""
    interval = paired_bootstrap(_recall(ours), _recall(theirs))
    return {f"less {name}": 100 * interval.estimate} | _bounds(f"less {name}", interval)


def _recall(each: Sequence[Hits]) -> np.ndarray:
    return np.stack([found["recall"] for found in each])


def _bounds(name: str, interval: Any) -> TableRow:
    return {f"{name} low": 100 * interval.low, f"{name} high": 100 * interval.high}


def percent(each: Sequence[Hits]) -> TableRow:
    """Return means over images and seeds in percent."""
    return {key: 100 * float(np.mean([found[key] for found in each])) for key in each[0]}


def random_baseline(name: str, pairs: Pairs) -> Hits:
    """Return the scores of equal embeddings: exactly random, since ties count as if drawn."""
    return score(name, pairs, np.zeros_like(pairs.texts))


def ship(study: Study, words: Encode, folder: Path, method: str) -> None:
    """Write the releasable head of seed 0 with its share."""
    share = best_share(shares(study, words, ("shippable",)), "shippable")
    head = study.head("shippable", method, 0)
    about = {
        "command": f"python experiments/lite_head.py --work WORK --ship {folder} --method {method}",
        "pairs": len(study.train["shippable"].captions),
        "licence": "Learned on drawings of openclipart (public domain) and Noto emoji (Apache-2.0) "
        "with their titles alone. The weights are under the licence of the package.",
        "text": "all-MiniLM-L6-v2 (frozen)",
        "features": "EfficientNet-Lite0, pooled (frozen)",
    }
    save_head(folder, TextHead(head.kernel, head.bias, {"about": about, "share": share}))


def main() -> None:
    """Compute what is missing, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument(
        "--ship", type=Path, metavar="FOLDER", help="write the head there, and stop"
    )
    parser.add_argument(
        "--method",
        choices=METHODS,
        default="PSD",
        help="training method of the shipped head (default: PSD)",
    )
    args = parser.parse_args()
    if not os.environ.get("VUJAX_DATA"):
        raise SystemExit("set VUJAX_DATA to the folder that holds the real data")
    study = Study(Path(os.environ["VUJAX_DATA"]), args.work)
    conse_of = Conse(study.sentences)
    words = functools.partial(conse_of, words="name", **CONSE)
    if args.ship:
        ship(study, words, args.ship, args.method)
        return
    if "conse" in args.parts:
        write_rows(RESULTS, "conse", conse_grid(study, conse_of))
    if "heads" not in args.parts:
        return
    chosen = shares(study, words, tuple(TRAIN))
    write_rows(RESULTS, "shares", chosen)
    rows = list(table(study, runs(study, words, chosen, args.seeds)))
    write_rows(RESULTS, "table", rows, about=ABOUT)
    lines = [
        (f"{r['pictures']}: {r['vectors']}", r["recall"], r["recall low"], r["recall high"])
        for r in rows
        if "recall low" in r
    ]
    write_intervals(RESULTS / "plot.svg", "Mean recall on validation, percent", lines)
    for row in rows:
        print(json.dumps(row))


if __name__ == "__main__":
    main()
