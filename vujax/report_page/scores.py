"""Evaluations as tables: the latest scores beside their baselines, and how they came about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vujax.report_page.charts import sparkline
from vujax.report_page.markup import Markup, tag
from vujax.report_page.numbers import is_share, number, percent

FIRST = ("chance", "histogram", "ceiling")  # the order of the baselines' columns


@dataclass(frozen=True)
class Evaluation:
    """One evaluation over the training: `scores` and `baselines` by step, by name."""

    name: str
    scores: dict[int, dict[str, float]]
    baselines: dict[str, dict[str, float]]

    @property
    def last(self) -> int:
        """The newest step."""
        return max(self.scores)

    def history(self, score: str) -> list[tuple[int, float]]:
        """(step, value) by rising step."""
        return [(step, row[score]) for step, row in sorted(self.scores.items()) if score in row]


def gathered(files: Sequence[Mapping[str, Any]]) -> list[Evaluation]:
    """Groups `{step, name, metrics, baselines}` by name, zero-shot ones first."""
    found: dict[str, Evaluation] = {}
    for one in sorted(files, key=lambda one: one["step"]):
        evaluation = found.setdefault(one["name"], Evaluation(one["name"], {}, {}))
        evaluation.scores[one["step"]] = one["metrics"]
        evaluation.baselines.update(one.get("baselines") or {})
    return sorted(found.values(), key=lambda e: ("zero" not in e.name, e.name))


def table(evaluation: Evaluation) -> Markup:
    """A section for one evaluation."""
    latest = evaluation.scores[evaluation.last]
    # What has a baseline comes first: the scores that tell something.
    names = sorted(latest, key=lambda name: not _beside(evaluation, name))
    columns = sorted(
        evaluation.baselines, key=lambda b: (FIRST.index(b) if b in FIRST else len(FIRST), b)
    )
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
    value, beside = evaluation.scores[evaluation.last][name], _beside(evaluation, name)
    shown = _format(evaluation, name)
    cells = [tag("td", shown(beside[b]) if b in beside else "", class_="num") for b in columns]
    bar = _bar(value, beside) if shown is percent else None
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


def _beside(evaluation: Evaluation, name: str) -> dict[str, float]:
    """The baselines that have this score."""
    return {b: row[name] for b, row in evaluation.baselines.items() if name in row}


def _format(evaluation: Evaluation, name: str):
    values = [value for _, value in evaluation.history(name)]
    return percent if is_share(name, [*values, *_beside(evaluation, name).values()]) else number


def _bar(value: float, beside: Mapping[str, float]) -> Markup:
    """A share of 1 as a bar, each baseline a tick on it; the numbers stand in the row."""
    marks = [
        tag("rect", x=_at(v) - 2, y=0, width=4, height=14, class_=f"mark {_kind(b)}")
        for b, v in beside.items()
    ]
    return tag(
        "svg",
        tag("rect", x=0, y=3, width=160, height=8, rx=4, class_="track"),
        tag("rect", x=0, y=3, width=_at(value), height=8, rx=4, class_="fill"),
        marks,
        viewBox="0 0 160 14",
        class_="bar",
        aria_hidden="true",
    )


def _at(share: float) -> float:
    return round(160 * min(1.0, max(0.0, share)), 1)


def _kind(baseline: str) -> str:
    return baseline if baseline in FIRST else "other"
