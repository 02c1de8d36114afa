"""Self-contained pages: no script runs on them, and their policy blocks every request.

HTML and SVG elements in which text cannot turn into markup.

A child or attribute that is a plain string is escaped; only what `tag` itself made (`Markup`)
passes as it is. So a caption with a script in it is shown, never run.

Numbers as people read them.

The parts of report.html, each a function from plain values to markup.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from importlib import resources
from math import floor, isfinite, log10
from typing import Union

VOID = frozenset({"img", "meta", "br"})


class Markup(str):
    """Finished markup. Make it with `tag`; wrap a string only if you wrote all of it yourself."""

    __slots__ = ()


Child = Union[str, None, Iterable["Child"]]  # noqa: UP007 (a string in `|` needs Python 3.14)


def tag(name: str, /, *children: Child, **attributes: str | int | float | bool | None) -> Markup:
    """Build an element.

    Args:
      name: of the element.
      *children: strings (escaped unless Markup), or nested iterables of them; None is left out.
      **attributes: a trailing underscore is dropped (`class_`), others become hyphens
        (`aria_label`); True gives a bare attribute, None and False none.
    """
    parts = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.removesuffix("_").replace("_", "-")
        parts.append(key if value is True else f'{key}="{escape(str(value))}"')
    opening = f"<{' '.join(parts)}>"
    return Markup(opening if name in VOID else f"{opening}{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Markup:
    """Concatenate children, escaped unless they are Markup."""
    return Markup("".join(map(_text, children)))


def _text(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    return escape(child) if isinstance(child, str) else join(child)


POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def document(title: str, body: Sequence[Markup], packages: Sequence[str] = ()) -> str:
    """Build a complete page.

    Args:
      title: of it.
      body: what is on it; a line that says who wrote it and when goes below.
      packages: whose style.css follow the report's. They are ours, and stand as they are.
    """
    files = (resources.files(p) / "style.css" for p in ("vujax.utils.html", *packages))
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("title", title),
        tag("style", Markup("".join(file.read_text("utf-8") for file in files))),
    ]
    foot = tag("footer", f"Written by vujax, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
    return "<!doctype html>\n" + tag("html", tag("head", head), tag("body", body, foot), lang="en")


def number(value: float) -> str:
    """Format to about four digits: 0.0000123 -> '1.23e-5', 12345.6 -> '12,346', 2.0 -> '2'."""
    if not isfinite(value):
        return "not finite"
    if value and abs(value) < 1e-3:
        return f"{value:.3g}".replace("e-0", "e-")
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def percent(value: float) -> str:
    """Format a share of 1: 0.1234 -> '12.3%'."""
    return f"{100 * value:.1f}%" if isfinite(value) else "not finite"


def is_share(name: str, values: Iterable[float]) -> bool:
    """Return whether a score is a share of 1, shown in percent: all in 0..1, and no rank."""
    return "rank" not in name and all(0 <= value <= 1 for value in values)


def ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Return about `wanted` round numbers within [low, high], for an axis."""
    rough = (high - low) / wanted
    power = 10.0 ** floor(log10(rough))
    step = min((m * power for m in (1, 2, 2.5, 5, 10)), key=lambda s: abs(s - rough))
    first = -floor(-low / step - 1e-9)  # rounded up
    count = floor(high / step + 1e-9) - first + 1
    return [round(step * (first + i), 12) for i in range(count)]
