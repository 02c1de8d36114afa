"""report.html: one self-contained page on a run, with curves, scores and retrieved images.

The page holds its own style, script, curves (inline SVG) and images (data URIs), and its content
security policy allows nothing else: it opens from a file, a mail or an object store, offline.
"""

import base64
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vujax.evals.base import Example
from vujax.training import logging
from vujax.utils.html.charts import curve, sparkline
from vujax.utils.html.document import Markup, is_share, join, number, percent, tag
from vujax.utils.io import write_text

REPORT_FILE = "report.html"
BASELINES = ("chance", "histogram", "ceiling")  # order of the baselines' columns
MAX_IMAGES = 5  # per caption
MAX_SIDE = 224  # pixels of the longer side
MAX_PNG_SIDE = 96  # pixels: small images are encoded without loss

# Metrics with a titled curve, in this order: key -> title, note.
CURVES = {
    "loss": ("Loss", "of the training batch"),
    "unaligned_share": ("Alpha", "share of rows that learn from soft targets"),
    "target_entropy": ("Target entropy", "of the soft targets, in nats; falling to 0: one-hot"),
    "scale": ("Scale", "multiplier of the cosines, at most 100"),
    "diagonal_mass": ("Diagonal mass", "of the soft targets on the pair itself"),
    "effective_rank": ("Effective rank", "of the embeddings; near 1: collapse"),
    "learning_rate": ("Learning rate", ""),
    "grad_norm": ("Gradient norm", "before clipping"),
    "examples_per_s": ("Examples per second", "global"),
    "data_wait_share": ("Data wait", "share of the time spent waiting for batches"),
}


def write_report(
    workdir: Path,
    *,
    title: str,
    command: str,
    facts: Mapping[str, str],
    retrieved: Sequence[Example],
) -> Path:
    """Write `workdir/report.html` from the files of a workdir.

    Reads metrics.jsonl, evaluations/*.json and config.json; for a file that is missing, the page
    has a note.

    Args:
      workdir: of a run, finished or not.
      title: name of the run.
      command: command line that repeats the run.
      facts: versions, devices, seed and the like.
      retrieved: captions with the images retrieved for them.

    Returns:
      Path of the page, which is written atomically.

    Raises:
      ValueError: a file of evaluations/ does not hold an evaluation.
    """
    scalars, evaluations = logging.read_metrics(workdir), read_evaluations(workdir)
    body = [
        _header(title, command, facts, scalars),
        tag(
            "main",
            _section("Evaluations", _evaluations(evaluations)),
            _section("Retrieved images", _retrieved(retrieved)),
            _section("Training", _curves(scalars)),
            _section("Config", _config(workdir)),
        ),
        tag("footer", f"Written by vujax, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"),
    ]
    page = _page(title, body)
    return write_text(workdir / REPORT_FILE, page)


def read_evaluations(workdir: Path) -> list[dict[str, Any]]:
    """Read `workdir/evaluations/*.json`, each `{step, name, metrics, baselines}`.

    Raises:
      ValueError: a file does not hold an evaluation.
    """
    records = []
    for path in sorted((workdir / "evaluations").glob("*.json")):
        try:
            record = json.loads(path.read_text())
            rows = [record["metrics"], *(record.get("baselines") or {}).values()]
            records.append(record | {"step": int(record["step"]), "name": str(record["name"])})
            valid = all(isinstance(v, int | float) for row in rows for v in row.values())
        except (ValueError, TypeError, KeyError, AttributeError):
            valid = False
        if not valid:
            raise ValueError(
                f"{path} does not hold an evaluation (step, name, metrics, baselines of numbers): "
                "delete it and evaluate again"
            )
    return records


def _page(title: str, body: Sequence[Markup]) -> str:
    # Both files are vujax's own, so they are not escaped.
    style, script = (_asset(name) for name in ("style.css", "page.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'"
    )
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("title", f"{title}: vujax report"),
        tag("style", Markup(style)),
    ]
    content = tag("body", body, tag("script", Markup(script)))
    return "<!doctype html>\n" + tag("html", tag("head", head), content, lang="en")


def _asset(name: str) -> str:
    return (resources.files("vujax.utils.html") / name).read_text(encoding="utf-8")


def _section(title: str, content: Markup) -> Markup:
    return tag("section", tag("h2", title), content)


def _header(title: str, command: str, facts: Mapping[str, str], scalars: list[dict]) -> Markup:
    tiles = {}
    if scalars:
        last = scalars[-1]
        tiles["Steps"] = number(last["step"])
        for key in ("loss", "examples_per_s", "data_wait_share"):
            if key in last:
                tiles[CURVES[key][0]] = (percent if "share" in key else number)(last[key])
    rest = {key: value for key, value in facts.items() if key != "command"}
    return tag(
        "header",
        tag("h1", title),
        tag("pre", tag("code", command), class_="command"),
        _pairs(tiles, "tiles", tag_each=True) if tiles else None,
        _alarms(scalars),
        _pairs(rest, "facts", tag_each=False),
    )


def _pairs(values: Mapping[str, str], class_: str, *, tag_each: bool) -> Markup:
    pairs = [[tag("dt", name), tag("dd", value)] for name, value in values.items()]
    return tag("dl", [tag("div", pair) for pair in pairs] if tag_each else pairs, class_=class_)


def _alarms(scalars: list[dict]) -> Markup | None:
    """Return a note on the alarms that rose during training, with their steps."""
    rose: dict[str, list[int]] = {}
    for line in scalars:
        for key, value in line.items():
            if key.startswith("alarm/") and value > 0:
                rose.setdefault(key.removeprefix("alarm/"), []).append(line["step"])
    if not rose:
        return None
    notes = [f"{name} (steps {steps[0]:,} to {steps[-1]:,})" for name, steps in rose.items()]
    return tag("p", "Alarms: " + ", ".join(notes), class_="warning", role="status")


def _evaluations(files: list[dict[str, Any]]) -> Markup:
    if not files:
        return tag("p", "No evaluation has been made yet.", class_="note")
    legend = "Marks on the bars: random baseline grey, histogram orange, ceiling green."
    return join([tag("p", legend, class_="note"), *map(build_table, group_evaluations(files))])


def _retrieved(examples: Sequence[Example]) -> Markup:
    if not examples:
        return tag("p", "No images were retrieved for this report.", class_="note")
    text = (
        "Held-out captions and the five most similar images; right: the caption is the image's own."
    )
    figures = tag("div", build_gallery(examples), class_="found-list")
    return join([tag("p", text, class_="note"), figures])


def _curves(scalars: list[dict]) -> Markup:
    series: dict[str, list[tuple[float, float]]] = {}
    for line in scalars:
        for key, value in line.items():
            if key != "step" and isinstance(value, int | float):
                series.setdefault(key, []).append((line["step"], float(value)))
    if not series:
        return tag("p", "No training step has been recorded yet.", class_="note")
    main = [
        curve(series[key], title, note) for key, (title, note) in CURVES.items() if key in series
    ]
    others = sorted(key for key in series if key not in CURVES and not key.startswith("alarm/"))
    more = [curve(series[key], key, "") for key in others]
    return join(
        [
            tag("div", main, class_="charts"),
            _folded(f"More curves ({len(more)})", tag("div", more, class_="charts"))
            if more
            else None,
        ]
    )


def _config(workdir: Path) -> Markup:
    path = workdir / "config.json"
    if not path.exists():
        return tag("p", "The workdir holds no config.json.", class_="note")
    return _folded("config.json", tag("pre", tag("code", path.read_text(encoding="utf-8"))))


def _folded(summary: str, content: Markup) -> Markup:
    return tag("details", tag("summary", summary), content)


@dataclass(frozen=True)
class Evaluation:
    """One evaluation over the training.

    Attributes:
      name: of the evaluation.
      scores: by step, then by name.
      baselines: scores by name of the baseline, then by name.
    """

    name: str
    scores: dict[int, dict[str, float]]
    baselines: dict[str, dict[str, float]]

    @property
    def last(self) -> int:
        """Newest step."""
        return max(self.scores)

    def history(self, score: str) -> list[tuple[int, float]]:
        """Return `(step, value)` by rising step."""
        return [(step, row[score]) for step, row in sorted(self.scores.items()) if score in row]


def group_evaluations(files: Sequence[Mapping[str, Any]]) -> list[Evaluation]:
    """Group `{step, name, metrics, baselines}` by name, zero-shot ones first."""
    groups: dict[str, Evaluation] = {}
    for record in sorted(files, key=lambda record: record["step"]):
        evaluation = groups.setdefault(record["name"], Evaluation(record["name"], {}, {}))
        evaluation.scores[record["step"]] = record["metrics"]
        evaluation.baselines.update(record.get("baselines") or {})
    return sorted(groups.values(), key=lambda e: ("zero" not in e.name, e.name))


def build_table(evaluation: Evaluation) -> Markup:
    """Build the section of one evaluation."""
    latest = evaluation.scores[evaluation.last]
    # Scores with a baseline come first: they are the ones to compare.
    names = sorted(latest, key=lambda name: not _select_baselines(evaluation, name))
    rank = {name: number for number, name in enumerate(BASELINES)}
    columns = sorted(evaluation.baselines, key=lambda b: (rank.get(b, len(rank)), b))
    head = ["Score", "", f"Step {evaluation.last:,}", *columns, "Over the steps"]
    rows = [_row(evaluation, name, columns) for name in names]
    body = tag(
        "table",
        tag("caption", f"{evaluation.name}: latest scores beside their baselines"),
        tag("thead", tag("tr", [tag("th", text, scope="col") for text in head])),
        tag("tbody", rows),
    )
    return tag(
        "section",
        tag("h3", evaluation.name),
        tag("div", body, class_="scroll", tabindex="0"),
        _every_step(evaluation, names) if len(evaluation.scores) > 1 else None,
        class_="card evaluation",
    )


def _row(evaluation: Evaluation, name: str, columns: list[str]) -> Markup:
    value, baselines = evaluation.scores[evaluation.last][name], _select_baselines(evaluation, name)
    shown = _format(evaluation, name)
    cells = [
        tag("td", shown(baselines[b]) if b in baselines else "", class_="num") for b in columns
    ]
    bar = _bar(value, baselines) if shown is percent else None
    return tag(
        "tr",
        tag("th", name, scope="row"),
        tag("td", bar),
        tag("td", tag("b", shown(value)), class_="num"),
        cells,
        tag("td", sparkline(evaluation.history(name))),
    )


def _every_step(evaluation: Evaluation, names: list[str]) -> Markup:
    steps = sorted(evaluation.scores)
    head = [tag("th", "Score", scope="col")]
    head += [tag("th", f"{step:,}", scope="col") for step in steps]
    rows = []
    for name in names:
        shown, values = _format(evaluation, name), dict(evaluation.history(name))
        cells = [tag("td", shown(values[s]) if s in values else "", class_="num") for s in steps]
        rows.append(tag("tr", tag("th", name, scope="row"), cells))
    body = tag("table", tag("thead", tag("tr", head)), tag("tbody", rows))
    summary = tag("summary", f"Scores at every step ({len(steps)})")
    return tag("details", summary, tag("div", body, class_="scroll", tabindex="0"))


def _select_baselines(evaluation: Evaluation, name: str) -> dict[str, float]:
    """Return the baselines that have this score, with its value."""
    return {b: row[name] for b, row in evaluation.baselines.items() if name in row}


def _format(evaluation: Evaluation, name: str):
    values = [value for _, value in evaluation.history(name)]
    return (
        percent
        if is_share(name, [*values, *_select_baselines(evaluation, name).values()])
        else number
    )


def _bar(value: float, baselines: Mapping[str, float]) -> Markup:
    """Draw a share of 1 as a bar with a mark per baseline; the values are in the row."""
    marks = [
        tag("rect", x=_to_pixels(v) - 2, y=0, width=4, height=14, class_=f"mark {_kind(b)}")
        for b, v in baselines.items()
    ]
    return tag(
        "svg",
        tag("rect", x=0, y=3, width=160, height=8, rx=4, class_="track"),
        tag("rect", x=0, y=3, width=_to_pixels(value), height=8, rx=4, class_="fill"),
        marks,
        viewBox="0 0 160 14",
        class_="bar",
        aria_hidden="true",
    )


def _to_pixels(share: float) -> float:
    return round(160 * min(1.0, max(0.0, share)), 1)


def _kind(baseline: str) -> str:
    return baseline if baseline in BASELINES else "other"


def build_gallery(examples: Sequence[Example]) -> list[Markup]:
    """Build one figure per caption, best image first."""
    return [_figure(example) for example in examples]


def encode_data_uri(image: np.ndarray) -> str:
    """Encode an image uint8 `[h w 3]` as PNG if small, else as JPEG of at most 224 pixels."""
    thumbnail = Image.fromarray(np.asarray(image, np.uint8))
    thumbnail.thumbnail((MAX_SIDE, MAX_SIDE))
    kind = "png" if max(thumbnail.size) <= MAX_PNG_SIDE else "jpeg"
    file = io.BytesIO()
    thumbnail.save(file, kind, quality=85, optimize=True)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def _figure(example: Example) -> Markup:
    ranked = zip(example.images, example.correct, example.scores, strict=True)
    items = [
        _list_item(rank, image, is_correct=bool(correct), score=float(score))
        for rank, (image, correct, score) in enumerate(list(ranked)[:MAX_IMAGES], start=1)
    ]
    return tag(
        "figure",
        tag("figcaption", "“", tag("q", example.caption), "”"),
        tag("ol", items),
        class_="card found",
    )


def _list_item(rank: int, image: np.ndarray, *, is_correct: bool, score: float) -> Markup:
    verdict = "right" if is_correct else "wrong"
    height, width = image.shape[:2]
    return tag(
        "li",
        tag(
            "img",
            src=encode_data_uri(image),
            alt=f"image at rank {rank}, {verdict}",
            width=width,
            height=height,
            loading="lazy",
            class_="pixels" if max(height, width) <= MAX_PNG_SIDE else None,
        ),
        tag("span", ("✓ " if is_correct else "✗ ") + verdict, class_="verdict"),
        tag("span", f"{score:.3f}", class_="note", title="cosine similarity"),
        class_=verdict,
    )
