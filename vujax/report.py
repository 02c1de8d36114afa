"""report.html: what a run did, on one page that needs nothing else.

The page holds its own style, script, curves (inline SVG) and pictures (data URIs), and its content
security policy lets nothing else in: it opens from a file, a mail or an object store, offline.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

from vujax import metrics
from vujax.evals.base import Example
from vujax.files import write_atomically
from vujax.report_page.charts import curve
from vujax.report_page.gallery import gallery
from vujax.report_page.markup import Markup, join, tag
from vujax.report_page.numbers import number, percent
from vujax.report_page.scores import gathered, table

FILE = "report.html"

# Scalars with a place of their own, in this order: key -> title, how to read it.
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
    """Writes `workdir/report.html` from what the workdir holds.

    Reads metrics.jsonl, evaluations/*.json and config.json; whatever is not there yet is left out,
    with a word that says so.

    Args:
      workdir: of a run, finished or not.
      title: the run's name.
      command: the line that repeats the run.
      facts: what else the reader should know: versions, devices, seed, ...
      retrieved: captions with the pictures found for them.

    Returns:
      The page's path; the page appears whole or not at all.

    Raises:
      ValueError: a file of evaluations/ does not hold an evaluation.
    """
    scalars, evaluations = metrics.read(workdir), read_evaluations(workdir)
    body = [
        _header(title, command, facts, scalars),
        tag(
            "main",
            _section("Evaluations", _evaluations(evaluations)),
            _section("Retrieved pictures", _retrieved(retrieved)),
            _section("Training", _curves(scalars)),
            _section("Config", _config(workdir)),
        ),
        tag("footer", f"Written by vujax, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"),
    ]
    page = _page(title, body)
    return write_atomically(workdir / FILE, lambda path: path.write_text(page, encoding="utf-8"))


def read_evaluations(workdir: Path) -> list[dict[str, Any]]:
    """The contents of `workdir/evaluations/*.json`, each `{step, name, metrics, baselines}`."""
    found = []
    for path in sorted((workdir / "evaluations").glob("*.json")):
        try:
            one = json.loads(path.read_text())
            rows = [one["metrics"], *(one.get("baselines") or {}).values()]
            found.append(one | {"step": int(one["step"]), "name": str(one["name"])})
            valid = all(isinstance(v, int | float) for row in rows for v in row.values())
        except (ValueError, TypeError, KeyError, AttributeError):
            valid = False
        if not valid:
            raise ValueError(
                f"{path} does not hold an evaluation (step, name, metrics, baselines of numbers): "
                "delete it and evaluate again"
            )
    return found


def _page(title: str, body: Sequence[Markup]) -> str:
    # Both files are ours, so they stand in the page as they are.
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
    return (resources.files("vujax.report_page") / name).read_text(encoding="utf-8")


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
    """A word on each alarm that rose during the training."""
    rose: dict[str, list[int]] = {}
    for line in scalars:
        for key, value in line.items():
            if key.startswith("alarm/") and value > 0:
                rose.setdefault(key.removeprefix("alarm/"), []).append(line["step"])
    if not rose:
        return None
    words = [f"{name} (steps {steps[0]:,} to {steps[-1]:,})" for name, steps in rose.items()]
    return tag("p", "Alarms: " + ", ".join(words), class_="warning", role="status")


def _evaluations(files: list[dict[str, Any]]) -> Markup:
    if not files:
        return tag("p", "No evaluation has been made yet.", class_="note")
    legend = "On the bars: chance grey, histogram orange, ceiling green."
    return join([tag("p", legend, class_="note"), *map(table, gathered(files))])


def _retrieved(examples: Sequence[Example]) -> Markup:
    if not examples:
        return tag("p", "No pictures were retrieved for this report.", class_="note")
    text = "Held-out captions and the five pictures nearest to each; right: the caption is its own."
    return join([tag("p", text, class_="note"), tag("div", gallery(examples), class_="found-list")])


def _curves(scalars: list[dict]) -> Markup:
    series: dict[str, list[tuple[float, float]]] = {}
    for line in scalars:
        for key, value in line.items():
            if key != "step" and isinstance(value, int | float):
                series.setdefault(key, []).append((line["step"], float(value)))
    if not series:
        return tag("p", "No training step has been recorded yet.", class_="note")
    main = [curve(series[key], *CURVES[key]) for key in CURVES if key in series]
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
