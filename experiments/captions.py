"""Captions from frozen embeddings: a bank, a decoder, and training-free baselines.

    VUJAX_DATA=... python experiments/captions.py --work runs/captions

Embeddings are EfficientNet-Lite0's (`lite`). Three sets: frames of synthetic films, scored on
held-out films, five captions per frame; openclipart and fashion, one caption per image, scored on
the tenth with sha1(folder/file) or sha1(id) mod 10 = 1. Captions of an image: the most frequent
training caption (the same for all); the first caption of the training image with the nearest
embedding (`vujax caption --pairs`); of the training images' first captions the nearest in a text
space (`--bank`), `lite-conse`, which is trained on no pairs, and `lite`, whose head is trained on
openclipart's training images and on emoji; the output of a decoder (configs/caption.py, its cinema
sizes for all three sets). Nothing was selected on these images.

Writes under experiments/results/captions/: CIDEr-D with 95% intervals over images and seeds, its
difference from the bank of images, BLEU-4, ROUGE-L; and the calibration of the banks'
probabilities, fitted on one half of the images and tested on the other. `--work` retains embeddings
and finished runs, so that the same command resumes.
"""

import argparse
import json
import os
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from vujax.data import captions
from vujax.data.sources import open_source
from vujax.data.sources.split import SPLITS, HoldOut
from vujax.encoders.pairs import encode_pairs, open_encoder, open_pairs
from vujax.evals.captioning import Captioning, training_free_baselines
from vujax.evals.metrics.bootstrap import bootstrap, paired_bootstrap
from vujax.evals.metrics.captions import cider, score_captions
from vujax.models import release
from vujax.models.caption import build_caption_model
from vujax.search import text_space as spaces
from vujax.search.captions.bank import Bank, CaptionBank, ImageBank, build_bank, evaluate_bank
from vujax.search.captions.calibration import Calibration, brier_score
from vujax.training import loop
from vujax.training.sweep.tables import write_intervals, write_rows
from vujax.utils.io import write_json
from vujax.utils.mesh import make_mesh

RESULTS = Path(__file__).with_name("results") / "captions"
SETS = {"openclipart": "{folder}/{file}", "fashion": "{id}"}  # what is hashed of a record's fields
NAMES = ("cinema", *SETS)
CONTROL = "bank of pictures"


def sources(name: str, part: str, work: Path) -> dict[str, Any]:
    """Return a set's 'train' or 'validation' pairs; split those of real data first."""
    if name == "cinema":
        config = runpy.run_path("configs/caption.py")["get_config"]("cinema")
        return (config.data if part == "train" else config.evals.captions).sources.to_dict()
    files = {one: work / "vectors" / f"{name}-{one}.parquet" for one in SPLITS}
    if not all(file.exists() for file in files.values()):
        split(name, files)
    return dict(main=dict(kind="vectors", path=str(files[part])))


def split(name: str, files: dict[str, Path]) -> None:
    """Embed real pairs, and write the files of the splits."""
    if not os.environ.get("VUJAX_DATA"):
        raise ValueError("set VUJAX_DATA to the folder that holds the real data")
    path = f"{os.environ['VUJAX_DATA']}/pairs/{name}-train-*.tar"
    source, rule = open_source("webdataset", path=path), HoldOut(modulo=10, remainder=1)
    pairs = encode_pairs(source, open_encoder("lite"), name)
    fields = {record["key"]: record["fields"] for record in source}
    held = np.array([rule.holds(SETS[name].format(**fields[key])) for key in pairs.keys])
    copied = {vector.tobytes() for vector in pairs.embeddings[held]}
    copies = np.array([vector.tobytes() in copied for vector in pairs.embeddings])
    for part, mine in zip(SPLITS, (~copies, held), strict=True):  # no picture is in both
        captions.write_embedding_pairs(pairs.take(np.flatnonzero(mine)), files[part])


class Study:
    """One set: its pairs, and cached runs."""

    def __init__(self, name: str, work: Path, among: dict[str, spaces.TextSpace]) -> None:
        self.name, self._work, self._spaces = name, work, among
        self._cache = str(work / "vectors")
        self._sources = {part: sources(name, part, work) for part in SPLITS}
        opened = [open_pairs(own, "lite", self._cache) for own in self._sources.values()]
        self.train, self.seen = (pairs.captioned() for pairs in opened)

    def said(self, seeds: int) -> dict[str, list[list[str]]]:
        """Return the caption of each validation image by system and seed."""
        found = training_free_baselines(self.seen.embeddings, self.train, make_mesh())
        return {
            "commonest caption": [found["commonest"]],
            **{name: [self._best(bank)] for name, bank in self._banks().items()},
            "decoder": [self._decoded(seed) for seed in range(seeds)],
        }

    def _banks(self) -> dict[str, Bank]:
        firsts = [own[0] for own in self.train.captions]
        of_texts = {
            f"bank of texts, {name}": CaptionBank(firsts, space)
            for name, space in self._spaces.items()
        }
        return {CONTROL: ImageBank(self.train)} | of_texts

    def _best(self, bank: Bank) -> list[str]:
        return [bank.captions[place] for place in bank.best(self.seen.embeddings).indices[:, 0]]

    def _decoded(self, seed: int) -> list[str]:
        workdir = self._work / f"{self.name}-{seed}"
        kept = workdir / "captions.json"
        if not kept.exists():
            loop.train(self._config(seed), workdir)
            config, variables = release.load(workdir)
            model = build_caption_model(**config["model"])
            held_out = dict(sources=self._sources["validation"], cache=self._cache)
            evaluator = Captioning(model, make_mesh(), **held_out)
            evaluator(variables)
            write_json(kept, evaluator.captions)
        return json.loads(kept.read_text())

    def _config(self, seed: int) -> ConfigDict:
        config = runpy.run_path("configs/caption.py")["get_config"]("cinema")
        config.data = ConfigDict(dict(sources=self._sources["train"], cache=self._cache))
        config.seed, config.evals = seed, ConfigDict()
        return config

    def rows(self, seeds: int) -> Iterator[dict[str, Any]]:
        """Yield the rows of the table."""
        said = self.said(seeds)
        references = self.seen.captions
        hits = {k: np.array([cider(run, references) for run in runs]) for k, runs in said.items()}
        for system, runs in said.items():
            of_all = [score_captions(run, references) for run in runs]
            mean = {key: float(np.mean([one[key] for one in of_all])) for key in of_all[0]}
            own = bootstrap(hits[system])
            yield {
                "set": self.name,
                "captions": system,
                "seeds": len(runs),
                "CIDEr-D": own.estimate,
                "low": own.low,
                "high": own.high,
                **self._difference(system, hits),
                "BLEU-4": mean["BLEU-4"],
                "ROUGE-L": mean["ROUGE-L"],
                "different": float(np.mean([len(set(run)) for run in runs])),
                "pictures": len(self.seen),
            }

    def _difference(self, system: str, hits: dict[str, np.ndarray]) -> dict[str, float]:
        if system == CONTROL:
            return {}
        other = np.broadcast_to(hits[CONTROL], hits[system].shape)
        found = paired_bootstrap(hits[system], other)
        return {"less pictures": found.estimate, "less low": found.low, "less high": found.high}

    def calibration(self) -> Iterator[dict[str, Any]]:
        """Measure the calibration of each bank; text banks on the validation captions."""
        yield {"set": self.name, "captions": CONTROL, **self._tried(ImageBank(self.train))}
        for name, space in self._spaces.items():
            bank = build_bank(self.seen, space)
            yield {"set": self.name, "captions": f"bank of texts, {name}", **self._tried(bank)}

    def _tried(self, bank: Bank) -> dict[str, Any]:
        """Return probabilities that the best caption is right, two halves crosswise."""
        scores, right = evaluate_bank(bank, self.seen)
        half = np.random.default_rng(0).permutation(len(scores)) % 2 == 0
        chances = np.empty(len(scores))
        constant = np.empty(len(scores))
        for mine in (half, ~half):
            chances[~mine] = Calibration.fit(scores[mine], right[mine])(scores[~mine])
            constant[~mine] = right[mine].mean()
        return {
            "pictures": len(scores),
            "right": float(right.mean()),
            "mean chance": float(chances.mean()),
            "Brier": brier_score(chances, right),
            "Brier of a constant": brier_score(constant, right),
            "Brier of the cosine": brier_score(np.clip(scores, 0, 1), right),
        }


def main() -> None:
    """Compute missing embeddings and runs, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--spaces", nargs="+", default=["lite-conse", "lite"])
    args = parser.parse_args()
    among = {name: spaces.open_text_space(name) for name in args.spaces}
    rows, chances = [], []
    for name in args.sets:
        study = Study(name, args.work, among)
        rows += study.rows(args.seeds)
        chances += study.calibration()
    write_rows(RESULTS, "table", rows)
    write_rows(RESULTS, "calibration", chances)
    lines = [(f"{r['set']}: {r['captions']}", r["CIDEr-D"], r["low"], r["high"]) for r in rows]
    write_intervals(RESULTS / "plot.svg", "CIDEr-D (0 to 10) of pictures not learned from", lines)
    for row in (*rows, *chances):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
