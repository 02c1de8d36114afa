"""Page of a film's scenes: times, scores and keyframes.

The page is one file. It runs no script and its content security policy blocks all requests, so it
opens from a file, an e-mail or an object store, offline, and shows any title as text.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from urllib.parse import quote

import numpy as np

from vujax.catalog import Catalog
from vujax.catalog.page import build_thumbnail_uri, group_keyframe_records
from vujax.catalog.records import RecordReader
from vujax.data.images import sample_evenly
from vujax.scenes import page_charts
from vujax.scenes.page_charts import MAX_SCENES, color_class
from vujax.scenes.types import BreakCue, DetectedScenes, Part, Scene
from vujax.utils.formatting import format_clock, format_short_clock, quote_unprintable
from vujax.utils.html.document import Markup, document, tag
from vujax.utils.io import write_text
from vujax.video.remux import PLAYABLE

MAX_CUES = 1000
MAX_THUMBNAILS = 900  # of 4 KB each
MAX_IN_STRIP = 10
SIZE = (160, 160)  # pixels of a thumbnail at most
OF_ONE_SCENE = re.compile(r"-Scene-\d{3,}\.\w+$")  # of the export 'split'


def write_page(
    catalog: Catalog,
    scenes: DetectedScenes,
    vectors: np.ndarray,
    path: Path,
    files: Sequence[str] = (),
) -> Path:
    """Write the page atomically.

    Args:
      catalog: catalog of the film.
      scenes: scenes of the film.
      vectors: shot embeddings by which boundaries were scored, float32 `[shots d]`.
      path: path of the page.
      files: names of other files of this film in the same folder.

    Raises:
      FileNotFoundError, ValueError: a file of the catalog is missing or damaged.
    """
    body = [
        _header(scenes),
        tag(
            "main",
            _warnings(scenes),
            page_charts.timeline_section(scenes),
            _parts(scenes, _player(files)),
            scenes_section(catalog, scenes, _player(files)),
            page_charts.similarity_section(scenes, vectors),
            _cues(scenes.cues),
            _files(files),
            _provenance(scenes),
        ),
    ]
    return write_text(path, document(f"{scenes.title}: scenes", body, ["vujax.scenes"]))


def scenes_section(catalog: Catalog, scenes: DetectedScenes, player: str | None = None) -> Markup:
    """Build the section of all scenes, at most MAX_SCENES.

    Args:
      catalog: catalog of the film.
      scenes: scenes of the film.
      player: address of a playable copy of the film, to which times link.
    """
    shown = scenes.scenes[:MAX_SCENES]
    limit = int(np.clip(MAX_THUMBNAILS // len(shown), 1, MAX_IN_STRIP))
    middles = _middle_records(catalog, scenes.film)
    reader = catalog.jpegs(scenes.film) if middles else None
    notes = [f"At most {limit} evenly spaced shot{'s' * (limit != 1)} per scene are shown."]
    if len(shown) < len(scenes.scenes):
        notes.append(f"The first {len(shown)} of {len(scenes.scenes):,} scenes.")
    if player:
        notes.append("Times and images open the film at that position.")
    strip = _Strip(scenes, middles, reader, limit, player)
    return tag(
        "section",
        tag("h2", "Scenes"),
        tag("p", " ".join(notes), class_="note"),
        [strip.article(scene) for scene in shown],
        style=f"--ratio:{_aspect_ratio(scenes)}",
    )


def _header(scenes: DetectedScenes) -> Markup:
    lengths = [scene.length_s for scene in scenes.scenes]
    tiles = {
        "Scenes": f"{len(scenes.scenes):,}",
        "Film time": format_clock(scenes.end_s - scenes.start_s),
        "Shots": f"{scenes.num_shots:,}",
        "Median scene": format_short_clock(float(np.median(lengths))),
        "Longest scene": format_short_clock(max(lengths)),
        "Break cues": "unknown" if scenes.cues is None else f"{len(scenes.cues):,}",
    }
    pairs = [tag("div", tag("dt", name), tag("dd", value)) for name, value in tiles.items()]
    return tag("header", tag("h1", scenes.title), tag("dl", pairs, class_="tiles"))


def _warnings(scenes: DetectedScenes) -> list[Markup]:
    lines = [f"A part of the film could not be read: {scenes.reason}."] if scenes.reason else []
    warnings = [tag("p", line, class_="warning", role="status") for line in lines]
    return [*warnings, *(tag("p", note, class_="note") for note in scenes.notes)]


def _parts(scenes: DetectedScenes, player: str | None) -> Markup | None:
    """Return the section of recap, intro and credits; None for a film that has none."""
    if not scenes.parts:
        return None
    lines = [
        tag("li", tag("b", part.title), " ", _link(player, part.start_s, format_part(part)))
        for part in scenes.parts
    ]
    return tag("section", tag("h2", "Recap, intro and credits"), tag("ul", lines), id="parts")


def format_part(part: Part) -> str:
    """Return the times of a part: '0:12 – 1:02'."""
    return f"{format_short_clock(part.start_s)} – {format_short_clock(part.end_s)}"


def _link(
    player: str | None, seconds: float, content: str | Sequence[Markup]
) -> Markup | str | Sequence:
    """Link to a time of the film, if there is a playable copy."""
    if not player:
        return content
    return tag("a", content, href=f"{player}#t={seconds:.3f}", target="_blank", rel="noopener")


def _cues(cues: Sequence[BreakCue] | None) -> Markup | None:
    if cues is None:
        return None
    names = ("Time", "Timecode", "Before", "Sound", "Image")
    head = tag("thead", tag("tr", [tag("th", name, scope="col") for name in names]))
    table = tag(
        "table",
        tag("caption", "Break cues"),
        head,
        tag("tbody", [_cue(cue) for cue in cues[:MAX_CUES]]),
    )
    more = f"{len(cues) - MAX_CUES} more are not listed." if len(cues) > MAX_CUES else None
    none = tag("p", "No scene boundary is silent or black.", class_="note")
    return tag(
        "section",
        tag("h2", "Break cues"),
        tag(
            "p",
            "Scene boundaries that are silent (a quarter of a second below -50 dBFS within one "
            "second of the boundary) or black (98% of the image darker than a tenth of full "
            "brightness).",
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
        tag("td", tag("b", "black", class_="yes") if cue.black else "visible"),
    )


def _player(files: Sequence[str]) -> str | None:
    """Return the address of the first file that browsers play, other than a file of one scene."""
    whole = (name for name in files if not OF_ONE_SCENE.search(name))
    return next((_address(name) for name in whole if name.lower().endswith(PLAYABLE)), None)


def _address(name: str) -> str:
    return quote(f"./{name}")


def _files(files: Sequence[str]) -> Markup | None:
    if not files:
        return None
    links = [tag("li", tag("a", quote_unprintable(name), href=_address(name))) for name in files]
    return tag("section", tag("h2", "Files"), tag("ul", links, class_="files"))


def _provenance(scenes: DetectedScenes) -> Markup:
    made, rate = scenes.provenance, scenes.clock.rate
    head = " ".join(filter(None, (made["head"], (made["head_digest"] or "")[:8])))
    variable = ", variable rate" if scenes.variable_rate else ""
    timings = ", ".join(f"{name} {value:.1f} s" for name, value in scenes.timings_s.items())
    facts = {
        "film": scenes.film,
        "file": quote_unprintable(scenes.path),
        "video": f"{scenes.size[0]}x{scenes.size[1]}, {_format_rate(rate)}{variable}",
        "shot detector": made["detector"],
        "encoder": f"{made['encoder']} {made['encoder_digest'][:8]}",
        "boundary head": head,
        "threshold": "none" if scenes.threshold is None else f"{scenes.threshold:.4g}",
        "adapted to the films": "yes" if made["adapted"] else "no",
        "time": timings,
    }
    pairs = [[tag("dt", name), tag("dd", str(value))] for name, value in facts.items()]
    return tag("section", tag("h2", "Provenance"), tag("dl", pairs, class_="facts card made"))


def _format_rate(rate: Fraction) -> str:
    is_integer = rate.denominator == 1
    return f"{rate} frames/s" if is_integer else f"{float(rate):.3f} ({rate}) frames/s"


def _aspect_ratio(scenes: DetectedScenes) -> str:
    """Return the aspect ratio of the film, limited so that it does not break the layout."""
    width, height = scenes.size
    return f"{float(np.clip(width / height, 9 / 16, 2.4)):.3f}"


def _middle_records(catalog: Catalog, film: str) -> dict[int, int]:
    """Return the record of the middle keyframe of each shot."""
    records = group_keyframe_records(catalog.keyframes(film))
    return {shot: keyframes[len(keyframes) // 2] for shot, keyframes in records.items()}


@dataclass(frozen=True)
class _Strip:
    """Builder of a scene's article with its filmstrip."""

    scenes: DetectedScenes
    middles: dict[int, int]
    reader: RecordReader | None
    limit: int
    player: str | None

    def article(self, scene: Scene) -> Markup:
        count = min(self.limit, scene.num_shots)
        chosen = [scene.first_shot + k for k in sample_evenly(scene.num_shots, count)]
        return tag(
            "article",
            tag("header", self._words(scene, count)),
            tag("ol", [self._thumbnail(shot) for shot in chosen], class_="strip"),
            class_=f"scene {color_class(scene)}",
            id=f"scene-{scene.number}",
        )

    def _words(self, scene: Scene, shown: int) -> list[Markup | None]:
        shots = f"{scene.num_shots:,} shot{'s' * (scene.num_shots != 1)}"
        some = f", {shown} shown" if shown < scene.num_shots else ""
        times = f"{format_short_clock(scene.start_s)} – {format_short_clock(scene.end_s)}"
        return [
            tag("h3", scene.title),
            tag("b", _link(self.player, scene.start_s, times), class_="num"),
            tag("span", f"{scene.length_s:.1f} s, {shots}{some}", class_="note num"),
            tag("code", f"{scene.start_timecode} – {scene.end_timecode}"),
            None if scene.score is None else _score(scene.score),
        ]

    def _thumbnail(self, shot: int) -> Markup:
        start_s = self.scenes.boundaries_s[shot - 1] if shot else self.scenes.start_s
        tip, record = f"shot {shot}, from {format_short_clock(start_s)}", self.middles.get(shot)
        image = tag("span", class_="none")
        if record is not None and self.reader is not None:
            uri = build_thumbnail_uri(self.reader[record], SIZE)
            image = tag("img", src=uri, alt=tip, loading="lazy")
        time = tag("span", format_short_clock(start_s), class_="at num")
        return tag("li", _link(self.player, start_s, [image, time]), title=tip)


def _score(score: float) -> Markup:
    """Return a score as a number and a bar."""
    share = 100 * min(max(score, 0.0), 1.0)
    bar = tag("span", tag("i", style=f"width:{share:.1f}%"), class_="bar", aria_hidden="true")
    tip = "score of the boundary at which the scene starts"
    return tag("span", bar, f"{score:.2f}", class_="sure num", title=tip)
