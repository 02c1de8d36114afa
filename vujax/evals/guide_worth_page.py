"""Page and table of the worth of movie metadata: one picture, one sentence, and the numbers.

The picture has a row of bars for each guide: a bar is a direction of the features, its height the
agreement of random scenes of similar movies. Colored bars are guided, gray ones noise.
"""

from collections.abc import Sequence
from pathlib import Path

from vujax.evals.guide_worth import GuideWorth, Worth, count_bits
from vujax.utils.html.document import Markup, document, percent, tag
from vujax.utils.io import write_text

SHOWN = 40  # directions of each guide in the picture
BAR, GAP, HEIGHT, ROW = 13, 3, 64, 104  # in SVG units
LEFT, RIGHT = 190, 210  # room for the names, and for the coverage
HEAD = ("guide", "directions", "strongest", "noise", "bits", "movies guided", "scenes guided")
NAMES = {
    "genre": ("genres", "genre"),
    "synopsis": ("synopses", "synopsis"),
    "cowatch": ("watch logs", "rating"),
    "lists": ("more-like-this lists", "list"),
    "pairs": ("pairs", "pair"),
}


def describe(worth: Worth) -> str:
    """Return one sentence: directions of each channel, and movies without data."""
    channels = [guide for guide in worth.guides if guide.name in NAMES]
    guided = [f"your {NAMES[g.name][0]} guide {_count(g)}" for g in channels]
    lacking = [f"{g.unknown:,} movies have no {NAMES[g.name][1]}" for g in channels if g.unknown]
    text = ", ".join(guided) + (f"; {', '.join(lacking)}" if lacking else "")
    return text[0].upper() + text[1:] + "."


def _count(guide: GuideWorth) -> str:
    if guide.agreement is None:
        return "no movie"
    return f"{guide.directions} direction{'s' * (guide.directions != 1)}"


def build_rows(worth: Worth) -> list[list[str]]:
    """Return the table's rows, after HEAD: each guide, and random movies."""
    return [_row(guide, worth) for guide in (*worth.guides, worth.random)]


def _row(guide: GuideWorth, worth: Worth) -> list[str]:
    covered = [
        f"{guide.movies:,} ({percent(guide.movies / worth.movies)})",
        f"{guide.scenes:,} ({percent(guide.scenes / worth.scenes)})",
    ]
    if guide.agreement is None:
        return [guide.name, "0", "", "", "", *covered]
    agreement = guide.agreement
    return [
        guide.name,
        str(agreement.guided),
        f"{agreement.values[0]:.2f}",
        f"{agreement.threshold:.2f}",
        f"{count_bits(agreement):.2f}",
        *covered,
    ]


def build_growth(worth: Worth) -> list[list[str]]:
    """Return rows of each guide: directions and bits with k similar movies, and with more."""
    sizes = list(worth.random.by_k)
    rows = [["guide", *(f"k = {size}" for size in sizes)]]
    for guide in (*worth.guides, worth.random):
        cells = [f"{a.guided} ({count_bits(a):.2f} bits)" for a in guide.by_k.values()]
        rows.append([guide.name, *(cells or ["0"] * len(sizes))])
    return rows


def write_page(worth: Worth, path: Path, *, source: str) -> Path:
    """Write the page atomically.

    Args:
      worth: the measured guides.
      path: path of the page.
      source: name of the catalog or of the tables, for the title.
    """
    title = "What your movie metadata are worth"
    note = (
        f"{worth.scenes:,} scenes of {worth.movies:,} movies in {source}; {worth.k} similar movies "
        "guide each. A bar is a direction of the scenes' features; its height is the correlation "
        "between a scene and a random scene of a similar movie. Gray bars are no higher than noise."
    )
    body = [
        tag("header", tag("h1", title), tag("p", describe(worth), class_="lead")),
        tag(
            "main",
            tag("figure", draw(worth), tag("figcaption", tag("span", note, class_="note"))),
            tag("h2", "In numbers"),
            tag("div", _table([list(HEAD), *build_rows(worth)], "Guides"), class_="scroll card"),
            tag("h2", "With more similar movies"),
            tag("p", GROWTH_NOTE, class_="note"),
            tag("div", _table(build_growth(worth), "Similar movies"), class_="scroll card"),
        ),
    ]
    return write_text(path, document(f"{title}: vujax movies", body))


GROWTH_NOTE = (
    "More similar movies give more different pairs, so less noise, and movies that are less "
    "similar, so less agreement. Take the k with the most bits."
)


def draw(worth: Worth) -> Markup:
    """Draw a row of bars for each guide."""
    guides = (*worth.guides, worth.random)
    tallest = max(float(g.agreement.values[0]) for g in guides if g.agreement is not None)
    width = LEFT + SHOWN * (BAR + GAP) + RIGHT
    rows = [_draw_row(guide, worth, i * ROW, tallest) for i, guide in enumerate(guides)]
    view = f"0 0 {width} {len(guides) * ROW}"
    return tag("svg", rows, viewBox=view, role="img", aria_label=describe(worth))


def _draw_row(guide: GuideWorth, worth: Worth, top: int, tallest: float) -> list[Markup]:
    base = top + ROW - 24
    right = LEFT + SHOWN * (BAR + GAP)
    text = [
        tag("text", NAMES.get(guide.name, (guide.name,))[0], x=0, y=base - 22, font_weight=600),
        tag("text", _count(guide), x=0, y=base, class_="tick"),
        tag("text", f"{guide.movies:,} of {worth.movies:,} movies", x=right, y=base - 22),
        tag("text", _lack(guide), x=right, y=base, class_="tick"),
        tag("line", x1=LEFT, x2=right - GAP, y1=base, y2=base, class_="grid"),
    ]
    return text + _draw_bars(guide, base, tallest)


def _lack(guide: GuideWorth) -> str:
    return f"{guide.unknown:,} without data" if guide.unknown else ""


def _draw_bars(guide: GuideWorth, base: int, tallest: float) -> list[Markup]:
    if guide.agreement is None:
        return []
    bars = []
    for i, value in enumerate(guide.agreement.values[:SHOWN].tolist()):
        height = round(HEIGHT * max(value, 0) / max(tallest, 1e-9), 1)
        style = "fill" if i < guide.directions else "track"
        label = tag("title", f"direction {i + 1}: {value:.3f}")
        place = dict(x=LEFT + i * (BAR + GAP), y=base - height, width=BAR, height=height)
        bars.append(tag("rect", label, class_=style, **place))
    return bars


def _table(rows: Sequence[Sequence[str]], caption: str) -> Markup:
    head = tag("thead", tag("tr", [tag("th", cell, scope="col") for cell in rows[0]]))
    lines = [
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            [tag("td", cell, class_="num") for cell in row[1:]],
        )
        for row in rows[1:]
    ]
    return tag("table", tag("caption", caption), head, tag("tbody", lines))
