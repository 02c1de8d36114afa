"""Four in ten captions are wrong. Which? CLIP and PSD on frames of synthetic films.

    python -m experiments.demo          # make demo: trains, prints a table, writes a page
    python -m experiments.demo --tune   # the tries from which the settings below were chosen

Frames of synthetic films are embedded once by the encoder `lite`, their captions by MiniLM, and 40%
of the captions are shuffled over the whole set. Small towers learn from them as in
configs/distill.py:features. What a frame shows is known, so every caption and every answer is
right or wrong by truth: a shuffled caption that happens to fit its frame is right. Every method had
four tries, judged by held-out frames of other films than those of the report, one seed.
"""

import argparse
import functools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging

from vujax.data.feature_pairs import FeaturePairs, shuffle_captions
from vujax.data.sources import open_source
from vujax.data.synthetic.captions import Caption, Facts
from vujax.encoders.feature_pairs import open_feature_pairs
from vujax.evals.feature_retrieval import FeatureRetrieval
from vujax.evals.metrics.classification import roc_auc
from vujax.evals.suspects import PairScores
from vujax.models.feature_towers import build_feature_towers
from vujax.training.cross_fit import METHOD, TowerSettings, score_with_towers, train_towers
from vujax.training.sweep.results import Estimate, compute_estimate
from vujax.training.sweep.tables import write_rows
from vujax.utils.mesh import make_mesh

WRONG = 0.4
SHOWN_SIZE = 128  # height and width of the frames on the page; the encoder sees 64 pixels
LOOKS = 36  # times during a training at which the curve may have a point
TUNING_SEED = 100
TOP = 10  # frames of precision@10

CLIP, CLIP_DROPOUT, PSD, TRUTH = "CLIP", "CLIP with dropout", "PSD", "CLIP told the truth"
PLAIN = {"unaligned_end": 0.0, "dropout": 0.0}
METHODS: dict[str, dict[str, Any]] = {
    CLIP: PLAIN,
    CLIP_DROPOUT: PLAIN | {"dropout": 0.3},
    PSD: METHOD | {"unaligned_end": 0.7, "dropout": 0.3},
    TRUTH: PLAIN | {"dropout": 0.3},
}
DROPOUTS = [PLAIN | {"dropout": rate} for rate in (0.1, 0.3, 0.5, 0.7)]
TRIES: dict[str, list[dict[str, Any]]] = {
    CLIP_DROPOUT: DROPOUTS,
    PSD: [
        METHOD | {"unaligned_end": share, "dropout": rate}
        for share in (0.7, 0.9)
        for rate in (0.1, 0.3)
    ],
    TRUTH: DROPOUTS,
}

Say = Callable[[str], Any]


class Sizes(NamedTuple):
    """Sizes of the demo; the defaults take some minutes on two cores.

    Attributes:
      frames: number of training frames.
      held_out: number of held-out frames, of other films.
      epochs: passes over the training frames.
      batch_size: pairs per step.
      hidden: GELU units of a tower.
      seeds: trainings of each method, each with a shuffle of its own.
    """

    frames: int = 2000
    held_out: int = 600
    epochs: int = 36
    batch_size: int = 256
    hidden: int = 256
    seeds: int = 3

    @property
    def steps(self) -> int:
        """Number of steps of every training, whatever the number of its pairs."""
        return max(1, round(self.epochs * self.frames / self.batch_size))

    def settings(self, method: Mapping[str, Any], count: int) -> TowerSettings:
        """Return the settings of a training on `count` pairs."""
        rows = min(self.batch_size, count)
        return TowerSettings(
            hidden=self.hidden, method=method, epochs=self.steps * rows / count, batch_size=rows
        )


def frame_options(split: str, frames: int, seed: int = 0) -> dict[str, Any]:
    """Return the options of a source of frames, whose captions are all true."""
    options = dict(kind="cinema", split=split, frames=frames, generic=0.0, swapped=0.0)
    return options | ({"seed": seed} if seed else {})


class Frames:
    """Frames with embeddings, captions and truth.

    Attributes:
      options: of the source.
      source: renders them for people.
      pairs: embeddings of the frames and of their true captions.
      facts: what each frame shows.
      captions: the facts that a caption states, by its text.
    """

    def __init__(self, options: dict[str, Any], cache: Path) -> None:
        self.options = options
        self.source: Any = open_source(**options, image_size=SHOWN_SIZE)
        self.pairs = open_feature_pairs(dict(main=options), "lite", cache=str(cache))
        truths = [self.source.truth(i) for i in range(len(self.source))]
        self.facts: list[Facts] = [truth.facts for truth in truths]
        self.captions = {truth.captions[0].text: truth.captions[0] for truth in truths}

    def match(self, captions: Iterable[Caption]) -> np.ndarray:
        """Return bool `[c n]`: whether a caption is true of a frame."""

        @functools.cache
        def holds(fact: tuple[str, str]) -> np.ndarray:
            return np.array([facts.get(fact[0]) == fact[1] for facts in self.facts])

        return np.stack([np.all([holds(f) for f in caption.facts], axis=0) for caption in captions])

    def shuffle(self, share: float, seed: int) -> FeaturePairs:
        """Return the pairs with shuffled captions; `shuffled` is whether a caption is wrong."""
        pairs = shuffle_captions(self.pairs, share, seed)
        fits = [
            self.captions[own].fits(facts)
            for (own,), facts in zip(pairs.captions, self.facts, strict=True)
        ]
        return replace(pairs, shuffled=~np.array(fits, bool))


@dataclass(frozen=True, eq=False)
class Run:
    """Results of one training.

    Attributes:
      curve: recall on held-out frames, in percent, by step.
      precision: share of right frames among the first TOP of a held-out caption, in percent.
      nearest: int64 `[t TOP]`, these frames, for every different held-out caption.
      scores: of the training pairs.
      auc: of wrong captions among the training pairs; NaN without any.
    """

    curve: list[tuple[int, float]]
    precision: float
    nearest: np.ndarray
    scores: PairScores
    auc: float

    @property
    def recall(self) -> float:
        """Recall at the end, in percent."""
        return self.curve[-1][1]


class Judge:
    """Measurements on held-out frames."""

    def __init__(self, frames: Frames, cache: Path, hidden: int) -> None:
        dims = dict(image_dim=frames.pairs.images.dim, text_dim=frames.pairs.texts.shape[1])
        model = build_feature_towers(**dims, hidden=hidden, encoder="lite")
        mesh = make_mesh(jax.devices()[:1])
        sources = dict(main=frames.options)
        self.frames = frames
        self._retrieval = FeatureRetrieval(model, mesh, sources=sources, cache=str(cache))
        self.texts = self._retrieval.captions.texts
        self.right = frames.match(frames.captions[text] for text in self.texts)

    def recall(self, variables: Any) -> float:
        """Return the mean of R@1, R@5 and R@10 both ways, in percent; equal captions are right."""
        return 100 * self._retrieval(variables)["mean_recall"]

    def find_nearest(self, variables: Any) -> np.ndarray:
        """Return the TOP frames of every different caption, int64 `[t TOP]`, best first."""
        images, texts = self._retrieval.embed(variables)
        return np.argsort(-(texts @ images.T), axis=1, kind="stable")[:, :TOP]

    def precision(self, nearest: np.ndarray) -> float:
        """Return the share of these frames of which their caption is true, in percent."""
        return 100 * float(np.take_along_axis(self.right, nearest, axis=1).mean())


def train(
    noisy: FeaturePairs,
    sizes: Sizes,
    method: Mapping[str, Any],
    judge: Judge,
    seed: int,
    *,
    curve: bool = True,
) -> Run:
    """Train once on `noisy` and measure; the wrong captions are judged by the towers themselves.

    The curve has the first looks and every third one, or the last alone.
    """
    points: list[tuple[int, float]] = []
    every = max(1, sizes.steps // LOOKS)

    def watch(step: int, variables: Any) -> None:
        early = step <= 3 * every or step % (3 * every) == 0
        if step == sizes.steps or (curve and early):
            points.append((step, judge.recall(variables)))

    model, variables = train_towers(
        noisy,
        sizes.settings(method, len(noisy)),
        seed,
        watch=watch,
        every=every,
    )
    scores, nearest = score_with_towers(noisy, model, variables), judge.find_nearest(variables)
    wrong = np.zeros(len(noisy), bool) if noisy.shuffled is None else noisy.shuffled
    auc = roc_auc(scores.suspicion, wrong)
    return Run(points, judge.precision(nearest), nearest, scores, auc)


def select_pairs(noisy: FeaturePairs, name: str) -> FeaturePairs:
    """Return what a method may see: everything, or the right captions alone."""
    if name != TRUTH or noisy.shuffled is None:
        return noisy
    return noisy.take(np.flatnonzero(~noisy.shuffled))


@dataclass(frozen=True, eq=False)
class Results:
    """Results of the demo.

    Attributes:
      sizes: of the demo.
      train: the training frames.
      judge: measures on the held-out frames.
      noisy: of each seed, the training pairs.
      runs: of each method, one for each seed.
      true_runs: likewise of CLIP_DROPOUT and PSD on the true captions of all frames.
    """

    sizes: Sizes
    train: Frames
    judge: Judge
    noisy: list[FeaturePairs]
    runs: dict[str, list[Run]]
    true_runs: dict[str, list[Run]]

    def estimate(self, name: str, metric: str) -> Estimate:
        """Return mean and interval of a metric over seeds."""
        return _estimate([getattr(run, metric) for run in self.runs[name]])

    def gain(self, metric: str, *, true: bool = False) -> Estimate:
        """Return PSD less CLIP_DROPOUT, paired by seed, with wrong or with true captions."""
        runs = self.true_runs if true else self.runs
        pairs = zip(runs[PSD], runs[CLIP_DROPOUT], strict=True)
        return _estimate([getattr(a, metric) - getattr(b, metric) for a, b in pairs])

    def rows(self) -> list[dict[str, str]]:
        """Return the table, with intervals."""
        return [
            {
                "method": name,
                "recall, %": show(self.estimate(name, "recall")),
                "precision@10, %": show(self.estimate(name, "precision")),
                "AUC of wrong captions": "was told"
                if name == TRUTH
                else show(self.estimate(name, "auc"), 3),
            }
            for name in METHODS
        ]


def _estimate(values: Sequence[float]) -> Estimate:
    found = compute_estimate(values)
    assert found is not None
    return found


def show(estimate: Estimate, digits: int = 1, sign: str = "") -> str:
    """Format a mean with half its 95% interval; `sign` '+' shows the sign of positive means too."""
    mean = f"{estimate.mean:{sign}.{digits}f}"
    return mean if estimate.half_width is None else f"{mean} ± {estimate.half_width:.{digits}f}"


def run(sizes: Sizes, cache: Path, say: Say = print) -> Results:
    """Embed the frames, or read them from the cache, and train every method."""
    logging.set_verbosity(logging.ERROR)  # one device is enough here; nothing to warn about
    say(f"{sizes.frames + sizes.held_out:,} frames: drawn and embedded once, then cached")
    frames = Frames(frame_options("train", sizes.frames), cache)
    held_out = Frames(frame_options("validation", sizes.held_out), cache)
    judge = Judge(held_out, cache, sizes.hidden)
    noisy = [frames.shuffle(WRONG, seed) for seed in range(sizes.seeds)]
    runs = {name: _train_seeds(noisy, sizes, name, judge, say) for name in METHODS}
    clean = [frames.pairs] * sizes.seeds
    say("and with true captions only:")
    true_runs = {
        name: _train_seeds(clean, sizes, name, judge, say, curve=False)
        for name in (CLIP_DROPOUT, PSD)
    }
    return Results(sizes, frames, judge, noisy, runs, true_runs)


def _train_seeds(
    noisy: Sequence[FeaturePairs],
    sizes: Sizes,
    name: str,
    judge: Judge,
    say: Say,
    *,
    curve: bool = True,
) -> list[Run]:
    begin = time.perf_counter()
    found = [
        train(select_pairs(pairs, name), sizes, METHODS[name], judge, seed, curve=curve)
        for seed, pairs in enumerate(noisy)
    ]
    recall = show(_estimate([one.recall for one in found]))
    say(f"  {name:<20} recall {recall}% ({time.perf_counter() - begin:.0f} s)")
    return found


def tune(sizes: Sizes, cache: Path, say: Say = print) -> None:
    """Print the scores of every try; frames, shuffle and seed are not those of the report."""
    frames = Frames(frame_options("train", sizes.frames), cache)
    held_out = Frames(frame_options("validation", sizes.held_out // 2, seed=1), cache)
    judge = Judge(held_out, cache, sizes.hidden)
    noisy = frames.shuffle(WRONG, TUNING_SEED)
    for name, tries in TRIES.items():
        for method in tries:
            pairs = select_pairs(noisy, name)
            found = train(pairs, sizes, method, judge, TUNING_SEED, curve=False)
            options = f"share {method['unaligned_end']} dropout {method['dropout']}"
            say(f"{name:<20} {options:<24} recall {found.recall:.2f} AUC {found.auc:.3f}")


def print_table(rows: Sequence[Mapping[str, str]], say: Say = print) -> None:
    """Print rows in columns."""
    columns = list(rows[0])
    widths = {c: max(map(len, [c, *(row[c] for row in rows)])) for c in columns}
    for line in ({c: c for c in columns}, *rows):
        say("  ".join(f"{line[c]:<{widths[c]}}" for c in columns).rstrip())


def write(results: Results, out: Path, say: Say = print) -> None:
    """Print the table and write it, and the page, to a folder."""
    from experiments.demo_page import NEXT, write_page

    rows = results.rows()
    say("")
    print_table(rows, say)
    say(f"mean ± 95% interval over {results.sizes.seeds} seeds; recall: mean of R@1, R@5 and R@10")
    say(f"PSD minus CLIP with dropout, recall: {show(results.gain('recall'), sign='+')}")
    say(f"the same with true captions:         {show(results.gain('recall', true=True), sign='+')}")
    write_rows(out, "table", rows)
    say(f"\nOpen {write_page(results, out / 'index.html')}\n")
    for text, command in NEXT:
        say(f"{text}:\n  {command}")


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), help="output directory")
    parser.add_argument("--tune", action="store_true", help="print the tries of every method")
    options = parser.parse_args()
    if options.tune:
        tune(Sizes(), options.out)
        return
    print("Four in ten captions are wrong. Which?")
    begin = time.perf_counter()
    write(run(Sizes(), options.out), options.out)
    print(f"\n{time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
