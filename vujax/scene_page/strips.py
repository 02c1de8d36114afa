"""Each scene with its times and some of its keyframes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vujax.catalog import Catalog
from vujax.catalog.records import RecordReader
from vujax.catalog.words import short_clock
from vujax.catalog_page.film import records_of, thumbnail
from vujax.report_page.markup import Markup, tag
from vujax.scene_page.timeline import MOST_SCENES, colour
from vujax.segment.scene import Scene, Scenes

MOST_PICTURES = 900  # of 4 KB each
MOST_IN_STRIP = 10
SIZE = (160, 160)


def section(catalog: Catalog, scenes: Scenes, player: str | None = None) -> Markup:
    """All scenes, or the first 400.

    Args:
      catalog: that the film is in.
      scenes: of the film.
      player: address of a file of the film that a browser plays; its times become links.
    """
    shown = scenes.scenes[:MOST_SCENES]
    most = int(np.clip(MOST_PICTURES // len(shown), 1, MOST_IN_STRIP))
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


def _ratio(scenes: Scenes) -> str:
    """Of a picture's frame: the film's, but not so high or wide that it breaks the page."""
    width, height = scenes.size
    return f"{float(np.clip(width / height, 9 / 16, 2.4)):.3f}"


def _middles(catalog: Catalog, film: str) -> dict[int, int]:
    """The record of the keyframe in the middle of each shot."""
    records = records_of(catalog, film)
    return {shot: found[len(found) // 2] for shot, found in records.items()}


@dataclass(frozen=True)
class _Strip:
    scenes: Scenes
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
            class_=f"scene {colour(scene)}",
            id=f"scene-{scene.number}",
        )

    def _words(self, scene: Scene, shown: int) -> list[Markup | None]:
        shots = f"{scene.shots:,} shot{'s' * (scene.shots != 1)}"
        some = f", {shown} shown" if shown < scene.shots else ""
        times = f"{short_clock(scene.begin_s)} – {short_clock(scene.end_s)}"
        return [
            tag("h3", scene.title),
            tag("b", self._link(scene.begin_s, times), class_="num"),
            tag("span", f"{scene.length_s:.1f} s, {shots}{some}", class_="note num"),
            tag("code", f"{scene.begin_timecode} – {scene.end_timecode}"),
            None if scene.score is None else _sure(scene.score),
        ]

    def _picture(self, shot: int) -> Markup:
        begin_s = self.scenes.borders_s[shot - 1] if shot else self.scenes.begin_s
        tip, record = f"shot {shot}, from {short_clock(begin_s)}", self.middles.get(shot)
        picture = tag("span", class_="none")
        if record is not None and self.reader is not None:
            src = thumbnail(self.reader[record], SIZE)
            picture = tag("img", src=src, alt=tip, loading="lazy")
        time = tag("span", short_clock(begin_s), class_="at num")
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
