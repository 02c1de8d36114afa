"""The page of a film's scenes: when they begin, how sure that is, and what is seen in them.

One file that needs nothing else. No script runs on it and its content security policy lets nothing
in, so it opens from a file, a mail or an object store, offline, and shows whatever a title holds as
text.
"""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from urllib.parse import quote

import numpy as np

from vujax.catalog import Catalog
from vujax.catalog.words import clock, printable, short_clock
from vujax.files import write_atomically
from vujax.report_page.document import document
from vujax.report_page.markup import Markup, tag
from vujax.scene_page import matrix, strips, timeline
from vujax.segment.scene import Cue, Scenes

MOST_CUES = 1000
PLAYED = (".mp4", ".m4v", ".webm")  # by any browser


def write_page(
    catalog: Catalog, scenes: Scenes, seen: np.ndarray, path: Path, files: Sequence[str] = ()
) -> Path:
    """Writes the page.

    Args:
      catalog: that the film is in.
      scenes: of the film.
      seen: vectors of its shots, float32 `[shots d]`, by which borders were scored.
      path: of the page; it appears whole or not at all.
      files: names of others of this film that lie beside it.

    Raises:
      FileNotFoundError, ValueError: a file of the catalogue is missing or damaged.
    """
    body = [
        _header(scenes),
        tag(
            "main",
            _warnings(scenes),
            timeline.timeline_section(scenes),
            strips.section(catalog, scenes, _player(files)),
            matrix.similarity_section(scenes, seen),
            _cues(scenes.cues),
            _files(files),
            _facts(scenes),
        ),
    ]
    page = document(f"{scenes.title}: scenes", body, ["vujax.scene_page"])
    return write_atomically(path, lambda p: p.write_text(page, encoding="utf-8"))


def _header(scenes: Scenes) -> Markup:
    lengths = [scene.length_s for scene in scenes.scenes]
    tiles = {
        "Scenes": f"{len(scenes.scenes):,}",
        "Film time": clock(scenes.end_s - scenes.begin_s),
        "Shots": f"{scenes.shots:,}",
        "Median scene": short_clock(float(np.median(lengths))),
        "Longest scene": short_clock(max(lengths)),
        "Places for a break": "not known" if scenes.cues is None else f"{len(scenes.cues):,}",
    }
    pairs = [tag("div", tag("dt", name), tag("dd", value)) for name, value in tiles.items()]
    return tag("header", tag("h1", scenes.title), tag("dl", pairs, class_="tiles"))


def _warnings(scenes: Scenes) -> list[Markup]:
    lines = [f"Not all of the film could be read: {scenes.reason}."] if scenes.reason else []
    found = [tag("p", line, class_="warning", role="status") for line in lines]
    return [*found, *(tag("p", note, class_="note") for note in scenes.notes)]


def _cues(cues: Sequence[Cue] | None) -> Markup | None:
    if cues is None:
        return None
    names = ("Time", "Timecode", "Before", "Sound", "Picture")
    head = tag("thead", tag("tr", [tag("th", name, scope="col") for name in names]))
    table = tag(
        "table",
        tag("caption", "Places for a break"),
        head,
        tag("tbody", [_cue(cue) for cue in cues[:MOST_CUES]]),
    )
    more = f"{len(cues) - MOST_CUES} more are not listed." if len(cues) > MOST_CUES else None
    none = tag("p", "No border of scenes is silent or black.", class_="note")
    return tag(
        "section",
        tag("h2", "Places for a break"),
        tag(
            "p",
            "Borders of scenes at which nothing is heard (a quarter of a second below -50 dB of "
            "full scale within a second of them) or nothing is seen (98% of the picture darker "
            "than a tenth of full brightness).",
            class_="note",
        ),
        tag("div", table, class_="card scroll") if cues else none,
        tag("p", more, class_="note") if more else None,
        id="breaks",
    )


def _cue(cue: Cue) -> Markup:
    sound = "none" if cue.level_db is None else f"{cue.level_db:.0f} dB"
    return tag(
        "tr",
        tag("th", short_clock(cue.seconds), scope="row", class_="num"),
        tag("td", tag("code", cue.timecode)),
        tag("td", tag("a", f"Scene {cue.scene}", href=timeline.anchor(cue.scene))),
        tag("td", sound, tag("b", " silent", class_="yes") if cue.silent else None, class_="num"),
        tag("td", tag("b", "black", class_="yes") if cue.black else "seen"),
    )


def _player(files: Sequence[str]) -> str | None:
    """Address of the film beside the page, if a browser plays such a file."""
    found = (name for name in files if name.lower().endswith(PLAYED))
    return next((_beside(name) for name in found), None)


def _beside(name: str) -> str:
    return quote(f"./{name}")


def _files(files: Sequence[str]) -> Markup | None:
    if not files:
        return None
    links = [tag("li", tag("a", printable(name), href=_beside(name))) for name in files]
    return tag("section", tag("h2", "Files"), tag("ul", links, class_="files"))


def _facts(scenes: Scenes) -> Markup:
    made, rate = scenes.made, scenes.clock.rate
    threshold = "none" if scenes.threshold is None else f"{scenes.threshold:.4g}"
    facts = {
        "film": scenes.film,
        "file": printable(scenes.path),
        "picture": f"{scenes.size[0]}x{scenes.size[1]}, {_rate(rate)}"
        + (", variable rate" if scenes.variable_rate else ""),
        "shots by": made["detector"],
        "vectors by": f"{made['encoder']} {made['encoder_digest'][:8]}",
        "borders by": " ".join(filter(None, (made["head"], (made["head_digest"] or "")[:8]))),
        "threshold": threshold,
        "adapted to the films": "yes" if made["adapted"] else "no",
        "took": ", ".join(f"{name} {value:.1f} s" for name, value in scenes.took.items()),
    }
    pairs = [[tag("dt", name), tag("dd", str(value))] for name, value in facts.items()]
    return tag("section", tag("h2", "How it was made"), tag("dl", pairs, class_="facts card made"))


def _rate(rate: Fraction) -> str:
    whole = rate.denominator == 1
    return f"{rate} frames/s" if whole else f"{float(rate):.3f} ({rate}) frames/s"
