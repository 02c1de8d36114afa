"""Page of a season: recap, intro and credits of its episodes, and the settings that return.

Like the pages of films, which it links to, it is one file that runs no script.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from vujax.scenes.page import format_part
from vujax.scenes.page_charts import scene_anchor
from vujax.scenes.series import SeriesStructure
from vujax.scenes.types import PART_TITLES, DetectedScenes
from vujax.utils.formatting import format_clock
from vujax.utils.html.document import Markup, document, join, tag
from vujax.utils.io import write_text

MAX_SETTINGS = 400
TITLE = "Series"


def write_series_page(
    structure: SeriesStructure,
    films: Sequence[DetectedScenes],
    path: Path,
    pages: Mapping[str, str],
) -> Path:
    """Write the page atomically.

    Args:
      structure: structure of the series.
      films: its episodes, in order.
      path: path of the page.
      pages: file name of the page of each film, by id, in the same folder.
    """
    titles = {film.film: film.title for film in films}
    body = [
        tag("header", tag("h1", TITLE)),
        tag("main", _episodes(films, pages), _settings(structure, titles, pages)),
    ]
    return write_text(path, document(TITLE, body, ["vujax.scenes"]))


def _episodes(films: Sequence[DetectedScenes], pages: Mapping[str, str]) -> Markup:
    names = ("Episode", "Length", "Scenes", *PART_TITLES.values())
    head = tag("thead", tag("tr", [tag("th", name, scope="col") for name in names]))
    rows = [_episode(film, pages) for film in films]
    table = tag("table", tag("caption", "Episodes"), head, tag("tbody", rows))
    return tag("section", tag("h2", "Episodes"), tag("div", table, class_="card scroll"))


def _episode(film: DetectedScenes, pages: Mapping[str, str]) -> Markup:
    times = {part.kind: format_part(part) for part in film.parts or ()}
    values = [format_clock(film.end_s - film.start_s), f"{len(film.scenes):,}"]
    values += [times.get(kind, "") for kind in PART_TITLES]
    name = tag("th", _link(film.title, film.film, pages), scope="row")
    return tag("tr", name, [tag("td", value, class_="num") for value in values])


def _settings(
    structure: SeriesStructure, titles: Mapping[str, str], pages: Mapping[str, str]
) -> Markup:
    groups = structure.returning()
    lines = []
    for group, scenes in list(groups.items())[:MAX_SETTINGS]:
        places = [
            _link(f"{titles.get(film, film)}, scene {scene + 1}", film, pages, scene + 1)
            for film, scene in scenes
        ]
        separated = [join([", " if number else "", place]) for number, place in enumerate(places)]
        lines.append(tag("li", tag("b", f"Setting {group}: "), separated))
    more = len(groups) - len(lines)
    none = tag("p", "No setting returns.", class_="note")
    return tag(
        "section",
        tag("h2", "Recurring settings"),
        tag("ul", lines) if lines else none,
        tag("p", f"{more} more are not listed.", class_="note") if more else None,
    )


def _link(text: str, film: str, pages: Mapping[str, str], scene: int | None = None) -> Markup | str:
    """Link to the page of a film, or to a scene on it, if the film has one."""
    if film not in pages:
        return text
    anchor = "" if scene is None else scene_anchor(scene) or ""
    return tag("a", text, href=quote(f"./{pages[film]}") + anchor)
