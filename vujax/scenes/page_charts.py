"""Along the film's time: its scenes as blocks, and below them the scores of all borders.

How alike the shots are, each with each: a picture with the scenes as squares on its diagonal.
"""

import base64
import io
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from PIL import Image

from vujax.scenes.types import BreakCue, DetectedScenes, Scene
from vujax.utils.arrays import l2_normalize
from vujax.utils.formatting import format_clock, format_short_clock
from vujax.utils.html.document import Markup, tag

NUM_COLORS = 8  # in the style

MAX_POINTS = 1200  # of the curve

MAX_DOTS = 1500

MAX_BLOCKS = 1500

MAX_SCENES = 400  # that have a place on the page

MAX_TICKS = 7

STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)

WIDTH, HEIGHT = 1000, 100  # units of the curve


def timeline_section(scenes: DetectedScenes) -> Markup:
    """The timeline."""
    return tag(
        "section",
        tag("h2", "Timeline"),
        tag(
            "div",
            tag("ol", _blocks(scenes), class_="blocks"),
            _breaks(scenes),
            _curve(scenes) if scenes.scores else None,
            tag("div", _ticks(scenes), class_="time", aria_hidden="true"),
            class_="card timeline",
        ),
        tag("p", _legend(scenes), class_="note"),
    )


def color_class(scene: Scene) -> str:
    """The style's class of a scene's colour."""
    return f"c{(scene.number - 1) % NUM_COLORS}"


def describe_scene(scene: Scene) -> str:
    """What is shown of a scene under the pointer."""
    shots = f"{scene.num_shots} shot{'s' * (scene.num_shots != 1)}"
    sure = "" if scene.score is None else f"\nscore of its begin: {scene.score:.2f}"
    return (
        f"{scene.title}: {format_short_clock(scene.start_s)} to {format_short_clock(scene.end_s)}\n"
        f"{scene.start_timecode} to {scene.end_timecode}\n{scene.length_s:.1f} s, {shots}{sure}"
    )


def scene_anchor(number: int) -> str | None:
    """Where on the page a scene is, by its number; None for one that is not shown."""
    return f"#scene-{number}" if number <= MAX_SCENES else None


def _blocks(scenes: DetectedScenes) -> list[Markup]:
    """A block for each scene; for several, where they are narrower than a pixel."""
    every = -(-len(scenes.scenes) // MAX_BLOCKS)
    found = []
    for at in range(0, len(scenes.scenes), every):
        first, last = scenes.scenes[at], scenes.scenes[at : at + every][-1]
        share = (last.end_s - first.start_s) / _length(scenes)
        words = describe_scene(first) if first is last else f"{first.title} to {last.title}"
        link = tag(
            "a", str(first.number), href=scene_anchor(first.number), aria_label=words, title=words
        )
        look = color_class(first) if every == 1 else f"c{at // every % NUM_COLORS}"
        found.append(tag("li", link, class_=look, style=f"width:{100 * share:.4f}%"))
    return found


def _breaks(scenes: DetectedScenes) -> Markup | None:
    """A mark at each place for a break."""
    if not scenes.cues:
        return None
    marks = [
        tag(
            "a",
            class_="break",
            href="#breaks",
            title=f"Place for a break: {format_short_clock(cue.seconds)}, {describe_cue(cue)}",
            style=f"left:{100 * (cue.seconds - scenes.start_s) / _length(scenes):.3f}%",
        )
        for cue in scenes.cues[:MAX_DOTS]
    ]
    return tag("div", marks, class_="breaks")


def describe_cue(cue: BreakCue) -> str:
    """What makes a border a place for a break."""
    return " and ".join(name for name in ("silent", "black") if getattr(cue, name))


def _length(scenes: DetectedScenes) -> float:
    return max(scenes.end_s - scenes.start_s, 1e-9)


def _curve(scenes: DetectedScenes) -> Markup:
    length, top = _length(scenes), _top(scenes)
    x = (np.array(scenes.boundaries_s) - scenes.start_s) / length
    y = np.clip(np.array(scenes.scores) / top, 0, 1)
    line = "L".join(
        f"{a * WIDTH:.2f} {(1 - b) * HEIGHT:.2f}"
        for a, b in zip(*downsample_peaks(x, y), strict=True)
    )
    starts = [(scene.start_s - scenes.start_s) / length for scene in scenes.scenes[1:]]
    lines = starts if len(starts) <= MAX_DOTS else []  # more would be a plane
    chosen = "".join(f"M{at * WIDTH:.2f} 0V{HEIGHT}" for at in lines)
    labels = [(top, f"{top:.2g}"), (0.0, "0")]
    level = None
    if scenes.threshold is not None and scenes.threshold <= top:
        at = (1 - scenes.threshold / top) * HEIGHT
        level = tag("path", d=f"M0 {at:.2f}H{WIDTH}", class_="level")
        labels.append((scenes.threshold, f"{scenes.threshold:.2g}"))
    svg = tag(
        "svg",
        tag("path", d=f"M0 {HEIGHT}L{line}L{WIDTH} {HEIGHT}Z", class_="area"),
        tag("path", d=chosen, class_="chosen"),
        tag("path", d=f"M{line}", class_="line"),
        level,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"scores of {len(scenes.scores)} borders along the film",
    )
    return tag("div", svg, _labels(labels, top), _dots(scenes, starts, top), class_="scores")


def _top(scenes: DetectedScenes) -> float:
    """Score at the curve's top: 1 for shares, which scores of a head are."""
    highest = max((score for score in scenes.scores), default=0.0)
    return (
        1.0 if scenes.provenance["head"] != "none" and highest <= 1 else max(highest * 1.05, 1e-6)
    )


def downsample_peaks(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The highest of each stretch of points, so that at most MOST_POINTS are left."""
    if len(x) <= MAX_POINTS:
        return x, y
    edges = np.linspace(0, len(x), MAX_POINTS + 1).astype(int)
    best = np.array([a + int(np.argmax(y[a:b])) for a, b in pairwise(edges)])
    return x[best], y[best]


def _labels(labels: Sequence[tuple[float, str]], top: float) -> list[Markup]:
    return [
        tag("span", text, class_="score", style=f"bottom:{100 * value / top:.2f}%")
        for value, text in labels
    ]


def _dots(scenes: DetectedScenes, starts: Sequence[float], top: float) -> list[Markup]:
    """The chosen borders; a mark of its own for each, which says what it is."""
    return [
        tag(
            "a",
            class_=f"begin {color_class(scene)}",
            href=scene_anchor(scene.number),
            title=describe_scene(scene),
            style=f"left:{100 * at:.3f}%;bottom:{100 * min(max(scene.score / top, 0), 1):.2f}%",
        )
        for scene, at in list(zip(scenes.scenes[1:], starts, strict=True))[:MAX_DOTS]
    ]


def _ticks(scenes: DetectedScenes) -> list[Markup]:
    length = _length(scenes)
    step = next((s for s in STEPS_S if length / s <= MAX_TICKS), STEPS_S[-1])
    first = -int(-scenes.start_s // step)
    times = [k * step for k in range(first, int(scenes.end_s // step) + 1)]
    text = format_clock if scenes.end_s >= 3600 else _minutes
    return [
        tag("span", text(t), style=f"left:{100 * (t - scenes.start_s) / length:.3f}%")
        for t in times
    ]


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _legend(scenes: DetectedScenes) -> str:
    if not scenes.scores:
        return "The film is one shot, so it is one scene."
    parts = ["Each block is a scene; the curve is the score of every border of two shots"]
    parts.append("dots are the borders that were chosen")
    if scenes.threshold is not None:
        parts.append("the dashed line is the threshold")
    if scenes.cues:
        parts.append("triangles are places for a break")
    if len(scenes.scores) > MAX_POINTS:
        parts.append(f"of {len(scenes.scores):,} borders the curve shows the highest nearby")
    return "; ".join(parts) + "."


SIDE = 600  # pixels at most

MAX_SQUARES = 1500

# From unlike to alike; read on light and on dark paper.
RAMP = (
    (13, 17, 38),
    (35, 52, 110),
    (32, 106, 142),
    (64, 160, 132),
    (160, 206, 108),
    (252, 240, 170),
)


def similarity_section(scenes: DetectedScenes, seen: np.ndarray) -> Markup | None:
    """The picture; None for a film of one shot.

    Args:
      scenes: of the film.
      seen: vectors of its shots, float32 `[shots d]`.
    """
    shots = len(seen)
    if shots < 2:
        return None
    found = pairwise_cosines(seen)
    low, high = _range(found)
    levels = np.clip((found - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    note = f"{shots:,} shots against each other, from the film's begin at the top left."
    if len(found) < shots:
        note += f" A pixel is the mean over about {shots / len(found):.3g} shots each way."
    picture = tag("img", src=_png(levels), alt="", class_="pixels")
    return tag(
        "section",
        tag("h2", "Which shots are alike"),
        tag("p", note, " Squares are the scenes.", class_="note"),
        tag(
            "figure",
            tag("div", picture, _squares(scenes), class_="square"),
            tag(
                "figcaption",
                tag("span", f"cosine {low:.2f}"),
                tag("i", class_="ramp", style=f"background:{_gradient()}"),
                tag("span", f"{high:.2f}"),
            ),
            class_="card matrix",
        ),
    )


def pairwise_cosines(vectors: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Cosines of all pairs, float32 `[m m]`, m at most `side`.

    With more shots than pixels a pixel is the mean cosine of its stretches of shots, which is the
    product of the means of their unit vectors: the whole matrix is never made.

    Args:
      vectors: float32 `[shots d]`.
      side: pixels at most.
    """
    unit = l2_normalize(vectors).astype(np.float32)
    if len(unit) > side:
        edges = np.linspace(0, len(unit), side + 1).astype(int)
        sums = np.add.reduceat(unit, edges[:-1], axis=0)
        unit = sums / np.diff(edges)[:, None]
    return unit @ unit.T


def _range(found: np.ndarray) -> tuple[float, float]:
    """Cosines of the ramp's ends: without the diagonal, which is 1, and the rarest."""
    others = found[~np.eye(len(found), dtype=bool)]
    low, high = (float(value) for value in np.percentile(others, (2, 99)))
    return (low, high) if high - low > 1e-3 else (low - 0.5, high + 0.5)


def _png(levels: np.ndarray) -> str:
    places = np.linspace(0, len(RAMP) - 1, 256)
    colours = [
        np.interp(places, np.arange(len(RAMP)), channel) for channel in zip(*RAMP, strict=True)
    ]
    image = Image.fromarray(levels, "L")
    image.putpalette(np.stack(colours, axis=1).round().astype(np.uint8).tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _gradient() -> str:
    return f"linear-gradient(90deg,{','.join(f'rgb{colour}'.replace(' ', '') for colour in RAMP)})"


def _squares(scenes: DetectedScenes) -> Markup:
    squares = []
    for scene in scenes.scenes[:MAX_SQUARES]:
        place = dict(
            x=scene.first_shot, y=scene.first_shot, width=scene.num_shots, height=scene.num_shots
        )
        link = tag(
            "a",
            tag("rect", tag("title", describe_scene(scene)), **place),
            href=scene_anchor(scene.number),
        )
        squares.append(link)
    shots = scenes.num_shots
    label = f"{len(squares)} scenes along the diagonal"
    return tag("svg", squares, viewBox=f"0 0 {shots} {shots}", role="img", aria_label=label)
