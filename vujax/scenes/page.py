"""The page of a film's scenes: when they begin, how sure that is, and what is seen in them.

One file that needs nothing else. No script runs on it and its content security policy lets nothing
in, so it opens from a file, a mail or an object store, offline, and shows whatever a title holds as
text.

Each scene with its times and some of its keyframes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from urllib.parse import quote

import numpy as np

from vujax.catalog import Catalog
from vujax.catalog.page import build_thumbnail_uri, group_keyframe_records
from vujax.catalog.records import RecordReader
from vujax.scenes import page_charts
from vujax.scenes.page_charts import MAX_SCENES, color_class
from vujax.scenes.types import BreakCue, DetectedScenes, Scene
from vujax.utils.formatting import format_clock, format_short_clock, quote_unprintable
from vujax.utils.html.document import Markup, document, tag
from vujax.utils.io import write_text

MAX_CUES = 1000

PLAYED = (".mp4", ".m4v", ".webm")  # by any browser


def write_page(
    catalog: Catalog,
    scenes: DetectedScenes,
    seen: np.ndarray,
    path: Path,
    files: Sequence[str] = (),
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
            page_charts.timeline_section(scenes),
            scenes_section(catalog, scenes, _player(files)),
            page_charts.similarity_section(scenes, seen),
            _cues(scenes.cues),
            _files(files),
            _facts(scenes),
        ),
    ]
    page = document(f"{scenes.title}: scenes", body, ["vujax.scenes"])
    return write_text(path, page)


def _header(scenes: DetectedScenes) -> Markup:
    lengths = [scene.length_s for scene in scenes.scenes]
    tiles = {
        "Scenes": f"{len(scenes.scenes):,}",
        "Film time": format_clock(scenes.end_s - scenes.start_s),
        "Shots": f"{scenes.num_shots:,}",
        "Median scene": format_short_clock(float(np.median(lengths))),
        "Longest scene": format_short_clock(max(lengths)),
        "Places for a break": "not known" if scenes.cues is None else f"{len(scenes.cues):,}",
    }
    pairs = [tag("div", tag("dt", name), tag("dd", value)) for name, value in tiles.items()]
    return tag("header", tag("h1", scenes.title), tag("dl", pairs, class_="tiles"))


def _warnings(scenes: DetectedScenes) -> list[Markup]:
    lines = [f"Not all of the film could be read: {scenes.reason}."] if scenes.reason else []
    found = [tag("p", line, class_="warning", role="status") for line in lines]
    return [*found, *(tag("p", note, class_="note") for note in scenes.notes)]


def _cues(cues: Sequence[BreakCue] | None) -> Markup | None:
    if cues is None:
        return None
    names = ("Time", "Timecode", "Before", "Sound", "Picture")
    head = tag("thead", tag("tr", [tag("th", name, scope="col") for name in names]))
    table = tag(
        "table",
        tag("caption", "Places for a break"),
        head,
        tag("tbody", [_cue(cue) for cue in cues[:MAX_CUES]]),
    )
    more = f"{len(cues) - MAX_CUES} more are not listed." if len(cues) > MAX_CUES else None
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


def _cue(cue: BreakCue) -> Markup:
    sound = "none" if cue.level_db is None else f"{cue.level_db:.0f} dB"
    return tag(
        "tr",
        tag("th", format_short_clock(cue.seconds), scope="row", class_="num"),
        tag("td", tag("code", cue.timecode)),
        tag("td", tag("a", f"Scene {cue.scene}", href=page_charts.scene_anchor(cue.scene))),
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
    links = [tag("li", tag("a", quote_unprintable(name), href=_beside(name))) for name in files]
    return tag("section", tag("h2", "Files"), tag("ul", links, class_="files"))


def _facts(scenes: DetectedScenes) -> Markup:
    made, rate = scenes.provenance, scenes.clock.rate
    threshold = "none" if scenes.threshold is None else f"{scenes.threshold:.4g}"
    facts = {
        "film": scenes.film,
        "file": quote_unprintable(scenes.path),
        "picture": f"{scenes.size[0]}x{scenes.size[1]}, {_rate(rate)}"
        + (", variable rate" if scenes.variable_rate else ""),
        "shots by": made["detector"],
        "vectors by": f"{made['encoder']} {made['encoder_digest'][:8]}",
        "borders by": " ".join(filter(None, (made["head"], (made["head_digest"] or "")[:8]))),
        "threshold": threshold,
        "adapted to the films": "yes" if made["adapted"] else "no",
        "took": ", ".join(f"{name} {value:.1f} s" for name, value in scenes.timings_s.items()),
    }
    pairs = [[tag("dt", name), tag("dd", str(value))] for name, value in facts.items()]
    return tag("section", tag("h2", "How it was made"), tag("dl", pairs, class_="facts card made"))


def _rate(rate: Fraction) -> str:
    whole = rate.denominator == 1
    return f"{rate} frames/s" if whole else f"{float(rate):.3f} ({rate}) frames/s"


MAX_THUMBNAILS = 900  # of 4 KB each

MAX_IN_STRIP = 10

SIZE = (160, 160)


def scenes_section(catalog: Catalog, scenes: DetectedScenes, player: str | None = None) -> Markup:
    """All scenes, or the first 400.

    Args:
      catalog: that the film is in.
      scenes: of the film.
      player: address of a file of the film that a browser plays; its times become links.
    """
    shown = scenes.scenes[:MAX_SCENES]
    most = int(np.clip(MAX_THUMBNAILS // len(shown), 1, MAX_IN_STRIP))
    middles = _middles(catalog, scenes.film)
    reader = catalog.jpegs(scenes.film) if middles else None
    notes = [f"At most {most} shot{'s' * (most != 1)} of a scene are shown, evenly spread."]
    if len(shown) < len(scenes.scenes):
        notes.append(f"The first {len(shown)} of {len(scenes.scenes):,} scenes.")
    if player:
        notes.append("A time or a picture opens the film at that moment.")
    strip = _Strip(scenes, middles, reader, most, player)
    return tag(
        "section",
        tag("h2", "Scenes"),
        tag("p", " ".join(notes), class_="note"),
        [strip.scene(scene) for scene in shown],
        style=f"--ratio:{_ratio(scenes)}",
    )


def _ratio(scenes: DetectedScenes) -> str:
    """Of a picture's frame: the film's, but not so high or wide that it breaks the page."""
    width, height = scenes.size
    return f"{float(np.clip(width / height, 9 / 16, 2.4)):.3f}"


def _middles(catalog: Catalog, film: str) -> dict[int, int]:
    """The record of the keyframe in the middle of each shot."""
    records = group_keyframe_records(catalog, film)
    return {shot: found[len(found) // 2] for shot, found in records.items()}


@dataclass(frozen=True)
class _Strip:
    scenes: DetectedScenes
    middles: dict[int, int]
    reader: RecordReader | None
    most: int
    player: str | None

    def scene(self, scene: Scene) -> Markup:
        numbers = np.arange(scene.first_shot, scene.last_shot + 1)
        count = min(self.most, len(numbers))
        chosen = numbers[((np.arange(count) + 0.5) * len(numbers) / count).astype(int)]
        return tag(
            "article",
            tag("header", self._words(scene, count)),
            tag("ol", [self._picture(int(number)) for number in chosen], class_="strip"),
            class_=f"scene {color_class(scene)}",
            id=f"scene-{scene.number}",
        )

    def _words(self, scene: Scene, shown: int) -> list[Markup | None]:
        shots = f"{scene.num_shots:,} shot{'s' * (scene.num_shots != 1)}"
        some = f", {shown} shown" if shown < scene.num_shots else ""
        times = f"{format_short_clock(scene.start_s)} – {format_short_clock(scene.end_s)}"
        return [
            tag("h3", scene.title),
            tag("b", self._link(scene.start_s, times), class_="num"),
            tag("span", f"{scene.length_s:.1f} s, {shots}{some}", class_="note num"),
            tag("code", f"{scene.start_timecode} – {scene.end_timecode}"),
            None if scene.score is None else _sure(scene.score),
        ]

    def _picture(self, shot: int) -> Markup:
        begin_s = self.scenes.boundaries_s[shot - 1] if shot else self.scenes.start_s
        tip, record = f"shot {shot}, from {format_short_clock(begin_s)}", self.middles.get(shot)
        picture = tag("span", class_="none")
        if record is not None and self.reader is not None:
            src = build_thumbnail_uri(self.reader[record], SIZE)
            picture = tag("img", src=src, alt=tip, loading="lazy")
        time = tag("span", format_short_clock(begin_s), class_="at num")
        return tag("li", self._link(begin_s, [picture, time]), title=tip)

    def _link(self, seconds: float, content: str | Sequence[Markup]) -> Markup | str | Sequence:
        """Opens the film at a moment, where there is a film to open."""
        if not self.player:
            return content
        where = f"{self.player}#t={seconds:.3f}"
        return tag("a", content, href=where, target="_blank", rel="noopener")


def _sure(score: float) -> Markup:
    """The score as a number and a bar."""
    share = 100 * min(max(score, 0.0), 1.0)
    bar = tag("span", tag("i", style=f"width:{share:.1f}%"), class_="bar", aria_hidden="true")
    return tag(
        "span", bar, f"{score:.2f}", class_="sure num", title="score of the border it begins with"
    )
