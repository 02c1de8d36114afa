"""Page of the demo: curves, table, suspects, ROC curves and queries, side by side."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.demo import (
    CLIP,
    CLIP_DROPOUT,
    METHODS,
    PSD,
    TOP,
    TRUTH,
    WRONG,
    Frames,
    Results,
    Run,
    show,
)
from vujax.evals.retrieval import group_captions
from vujax.search.suspects import Suspects
from vujax.search.suspects_page import build_image_uri
from vujax.utils.html.charts import compare_curves
from vujax.utils.html.document import Markup, document, percent, tag
from vujax.utils.io import write_text

NUM_SUSPECTS, NUM_QUERIES, SHOWN = 20, 4, 5
MIN_FACTS = 2  # stated by a query
FOUND = 75.0  # percent of the wrong captions, for which a price is stated
FRAMES_PER_RIGHT = 200  # at most, of the held-out frames for each right one of a query
TITLE = "Four in ten captions are wrong. Which?"
MEANINGS = {
    CLIP: "the usual method. One network reads images, another reads captions, and both learn that "
    "a caption belongs to its image, wrong or not",
    CLIP_DROPOUT: "the same, with random units switched off in training, so that it is harder to "
    "learn captions by heart",
    PSD: "progressive self-distillation. After a first phase, for a growing share of the pairs, "
    "the model learns from its own guess which caption fits instead of from the given one",
    TRUTH: "CLIP with dropout, trained on the right captions alone, for as many steps. In practice "
    "nobody knows which are right; it shows what could be reached at best",
}
NEXT = (
    (
        "Find the wrong captions of your own pairs (a table with image paths and captions)",
        "vujax pairs suspects pairs.csv --encoder lite --folds 4 --out suspects.html",
    ),
    (
        "Train PSD on your own pairs, for a search by words",
        "python -m vujax.main --config=configs/distill.py:features --workdir=runs/towers "
        "--config.data.sources.main.path='shards/*.tar'",
    ),
    ("Train both networks from pixels, not on frozen features", "make demo-pixels"),
)


def write_page(results: Results, path: Path) -> Path:
    """Write the page atomically."""
    body = [
        tag("header", tag("h1", TITLE), _introduction(results)),
        tag(
            "main",
            _curves(results),
            tag("h2", "What the methods reach"),
            _table(results),
            tag("h2", "The captions that PSD finds most suspicious"),
            _suspects(results),
            tag("h2", "How many of the wrong captions are found?"),
            _roc(results),
            tag("h2", "Four searches"),
            _queries(results),
            tag("h2", "Next"),
            [[tag("p", f"{text}:"), tag("pre", code, class_="command")] for text, code in NEXT],
        ),
    ]
    return write_text(path, document(TITLE, body, ["vujax.search"]))


def _introduction(results: Results) -> Markup:
    wrong = np.mean(
        [pairs.shuffled.mean() for pairs in results.noisy if pairs.shuffled is not None]
    )
    sizes = results.sizes
    why = (
        "A model that finds images by words learns from images with captions. On the web many "
        "captions are wrong, and a model that sees them often enough learns them by heart."
    )
    setting = (
        f"Here it is known which are wrong. {sizes.frames:,} frames of computer-drawn films have "
        f"one caption each; {WRONG:.0%} of the captions were exchanged at random, and "
        f"{percent(float(wrong))} are wrong (a few fit their new frame by chance). Four ways to "
        f"train on them are compared on {sizes.held_out:,} frames of other films, whose captions "
        "are right."
    )
    items = [tag("li", tag("b", name), f": {MEANINGS[name]}") for name in METHODS]
    answer = tag("p", tag("b", _answer(results)))
    return tag("div", tag("p", why), tag("p", setting), tag("ul", items), answer)


def _answer(results: Results) -> str:
    """Return the result in a sentence or two."""
    names = (PSD, CLIP_DROPOUT, CLIP)
    judges = [_judge(results, name) for name in names]
    total = int(judges[0].wrong.sum())
    found = [int(judge.wrong[judge.rank()][:total].sum()) for judge in judges]
    counts = [f"{count:,} ({name})" for name, count in zip(names, found, strict=True)]
    recalls = [f"{results.estimate(name, 'recall').mean:.1f}% ({name})" for name in names]
    return (
        f"{total:,} captions are wrong. Of the {total:,} that a model doubts most, this many are: "
        f"{', '.join(counts)}. Recall of searches in other films, explained below: "
        f"{', '.join(recalls)}."
    )


def _curves(results: Results) -> Markup:
    steps = results.sizes.steps
    series = {
        name: [
            (100 * step / steps, float(np.mean([run.curve[i][1] for run in runs])))
            for i, (step, _) in enumerate(runs[0].curve)
        ]
        for name, runs in results.runs.items()
    }
    return compare_curves(
        series,
        "Search quality on unseen films, during training",
        _describe_peaks(series),
        x_label=f"training done, % (100% is {results.sizes.epochs} passes over the captions)",
        y_label=f"recall, %, mean of {results.sizes.seeds} trainings: how often the right caption "
        "or frame is among the first 1, 5 and 10 answers, averaged",
    )


def _describe_peaks(series: Mapping[str, list[tuple[float, float]]]) -> str:
    """Return in words what a method loses after its peak."""
    words = []
    for name in (CLIP, PSD):
        values = [value for _, value in series[name]]
        words.append(f"{name} peaks at {max(values):.1f} and ends at {values[-1]:.1f}.")
    return " ".join([*words, "A model that learns wrong captions by heart gets worse with time."])


def _table(results: Results) -> Markup:
    rows = results.rows()
    columns = list(rows[0])
    head = tag("thead", tag("tr", [tag("th", column, scope="col") for column in columns]))
    lines = [
        tag(
            "tr",
            tag("th", row["method"], scope="row"),
            [tag("td", row[column], class_="num") for column in columns[1:]],
        )
        for row in rows
    ]
    caption = tag("caption", "Results of the methods")
    gain = show(results.gain("recall"), sign="+")
    notes = (
        "Higher is better. Recall: how often the right caption of a frame, or the right frame of a "
        "caption, is among the first 1, 5 and 10 answers, averaged. "
        f"Precision@{TOP}: share of the first {TOP} frames of which a caption is true. "
        "AUC: probability that a wrong training caption looks more suspicious than a right one; "
        "0.5 is guessing.",
        f"Mean ± 95% interval (Student's t) of {results.sizes.seeds} trainings, each with captions "
        "exchanged again. The rate of dropout, and the share of pairs that learn from PSD's soft "
        "targets, were chosen from four tries for each method, on other films; CLIP has no "
        "dropout.",
    )
    return tag(
        "div",
        tag("div", tag("table", caption, head, tag("tbody", lines)), class_="scroll"),
        tag("p", f"PSD minus CLIP with dropout, recall: {gain} points. {_describe_clean(results)}"),
        [tag("p", note, class_="note") for note in notes],
    )


def _describe_clean(results: Results) -> str:
    gain = results.gain("recall", true=True)
    shown = show(gain, sign="+")
    half = gain.half_width or 0.0
    if gain.mean > half:
        return f"With true captions the difference is {shown}."
    if gain.mean < -half:
        return f"With true captions PSD gains nothing and loses a little: {shown} points."
    return f"With true captions PSD gains nothing: {shown} points."


def _judge(results: Results, name: str) -> Suspects:
    """Return the suspects of a method's first training."""
    noisy = results.noisy[0]
    scores = results.runs[name][0].scores
    return Suspects(noisy, group_captions(noisy.captions), scores, name)


def _suspects(results: Results) -> Markup:
    found = _judge(results, PSD).build_table().slice(0, NUM_SUSPECTS).to_pylist()
    places = {key: place for place, key in enumerate(results.train.pairs.images.keys)}
    wrong = sum(row["wrong"] for row in found)
    better = sum(_is_better_right(results.train, row, places[row["id"]]) for row in found)
    note = (
        f"PSD was not told which captions are wrong. Of the {len(found)} that it doubts most, "
        f"{wrong} are. Below each is the caption that PSD would choose for the frame from all "
        f"captions of the set: {better} of {len(found)} are right. A caption is right if "
        "everything that it states is true of the frame, which is known, since a program draws it."
    )
    articles = [_suspect(results.train, row, places[row["id"]]) for row in found]
    return tag("div", tag("p", note), tag("div", articles, class_="suspects"))


def _is_better_right(frames: Frames, row: Mapping[str, Any], place: int) -> bool:
    """Return whether the model's own caption is true of the frame."""
    return frames.captions[row["better"]].fits(frames.facts[place])


def _suspect(frames: Frames, row: Mapping[str, Any], place: int) -> Markup:
    better = _is_better_right(frames, row, place)
    words = [
        tag("p", "Given: ", tag("b", row["caption"]), " ", _verdict(not row["wrong"])),
        tag("p", "PSD would say: ", tag("b", row["better"]), " ", _verdict(better)),
    ]
    return tag("article", _image(frames, place), tag("div", words))


def _verdict(right: bool) -> Markup:
    word = "right" if right else "wrong"
    return tag("span", f"{'✓' if right else '✗'} {word}", class_=f"{word} verdict {word}")


def _image(frames: Frames, place: int) -> Markup:
    pixels = frames.source[place]["image"]
    return tag("img", src=build_image_uri(pixels), alt="", loading="lazy", class_="pixels")


def _roc(results: Results) -> Markup:
    judges = {name: _judge(results, name) for name in (CLIP, CLIP_DROPOUT, PSD)}
    series = {name: list(_trace(judge)) for name, judge in judges.items()}
    chart = compare_curves(
        series | {"guessing": [(0.0, 0.0), (100.0, 100.0)]},
        "Wrong captions found, against right ones accused (ROC curve)",
        "Captions are read from the most suspicious on; the higher the curve, the better. A "
        "model that has learned captions by heart no longer doubts them.",
        x_label="right captions accused, %",
        y_label="wrong captions found, %",
        styles=(*range(len(series)), len(METHODS)),  # green dots are told the truth
    )
    prices = [f"{_price(curve):.0f}% ({name})" for name, curve in series.items()]
    words = (
        f"Whoever reads the captions in this order until {FOUND:.0f}% of the wrong ones are found "
        f"also reads this share of the right ones: {', '.join(prices)}. The models judge captions "
        "that they were trained on. Models that have not seen a caption judge better: vujax pairs "
        "suspects --folds 4."
    )
    return tag("div", tag("p", words), chart)


def _price(curve: Sequence[tuple[float, float]]) -> float:
    """Return the share of right captions accused when FOUND of the wrong ones are found."""
    return next(accused for accused, found in curve if found >= FOUND)


def _trace(judge: Suspects, points: int = 100) -> Iterable[tuple[float, float]]:
    """Yield points of the ROC curve in percent, evenly spaced in rank."""
    assert judge.wrong is not None
    wrong = judge.wrong[judge.rank()]
    found = np.concatenate([[0], np.cumsum(wrong)]) / max(wrong.sum(), 1)
    accused = np.concatenate([[0], np.cumsum(~wrong)]) / max((~wrong).sum(), 1)
    for i in np.unique(np.linspace(0, len(wrong), points).astype(int)):
        yield 100 * float(accused[i]), 100 * float(found[i])


def _queries(results: Results) -> Markup:
    judge = results.judge
    stated = [len(judge.frames.captions[text].facts) for text in judge.texts]
    minimum = max(1, len(judge.frames.facts) // FRAMES_PER_RIGHT)
    enough = judge.right.sum(axis=1) >= minimum
    known = np.flatnonzero((np.array(stated) >= MIN_FACTS) & enough)
    chosen = known[np.unique(np.linspace(0, len(known) - 1, NUM_QUERIES).astype(int))]
    note = (
        f"The first {SHOWN} of {len(judge.frames.facts):,} frames of unseen films that the first "
        "training of each method finds for a caption. A frame is right if everything that the "
        f"caption states is true of it. The captions state at least {MIN_FACTS} facts, fit at "
        f"least {minimum} frames, and are taken evenly from the list of all such captions."
    )
    cards = [_query(results, int(text)) for text in chosen]
    return tag("div", tag("p", note), tag("div", cards, class_="found-list"))


def _query(results: Results, text: int) -> Markup:
    judge = results.judge
    shown = [
        [tag("p", name), _answers(results, runs[0], text)] for name, runs in results.runs.items()
    ]
    total = int(judge.right[text].sum())
    note = tag("p", f"{total} of {len(judge.frames.facts):,} frames are right.", class_="note")
    return tag("div", tag("q", judge.texts[text]), note, shown, class_="found card")


def _answers(results: Results, run: Run, text: int) -> Markup:
    judge = results.judge
    items = []
    for place in run.nearest[text, :SHOWN]:
        right = bool(judge.right[text, place])
        image = _image(judge.frames, int(place))
        items.append(tag("li", image, _verdict(right), class_="right" if right else "wrong"))
    return tag("ol", items)
