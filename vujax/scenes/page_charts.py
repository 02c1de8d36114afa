"""Charts of the scenes page: the timeline with boundary scores, and the shot similarity matrix."""

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

NUM_COLORS = 8  # in style.css
MAX_POINTS = 1200  # of the curve
MAX_DOTS = 1500
MAX_BLOCKS = 1500
MAX_SCENES = 400  # with an article on the page
MAX_TICKS = 7
TICK_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
WIDTH, HEIGHT = 1000, 100  # units of the curve
MAX_SIDE = 600  # pixels of the similarity matrix
MAX_SQUARES = 1500
# Colors from dissimilar to similar, readable on light and dark backgrounds.
COLOR_RAMP = (
    (13, 17, 38),
    (35, 52, 110),
    (32, 106, 142),
    (64, 160, 132),
    (160, 206, 108),
    (252, 240, 170),
)


def timeline_section(scenes: DetectedScenes) -> Markup:
    """Build the timeline: scenes as blocks above the curve of all boundary scores."""
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
    """Return the CSS class of a scene's color."""
    return f"c{(scene.number - 1) % NUM_COLORS}"


def describe_scene(scene: Scene) -> str:
    """Return the tooltip of a scene."""
    shots = f"{scene.num_shots} shot{'s' * (scene.num_shots != 1)}"
    score = "" if scene.score is None else f"\nboundary score: {scene.score:.2f}"
    return (
        f"{scene.title}: {format_short_clock(scene.start_s)} to {format_short_clock(scene.end_s)}\n"
        f"{scene.start_timecode} to {scene.end_timecode}\n{scene.length_s:.1f} s, {shots}{score}"
    )


def scene_anchor(number: int) -> str | None:
    """Return the address of a scene on the page, or None if it is not shown."""
    return f"#scene-{number}" if number <= MAX_SCENES else None


def _blocks(scenes: DetectedScenes) -> list[Markup]:
    """Return one block per scene, or per group of scenes if there are too many."""
    every = -(-len(scenes.scenes) // MAX_BLOCKS)
    blocks = []
    for index in range(0, len(scenes.scenes), every):
        first, last = scenes.scenes[index], scenes.scenes[index : index + every][-1]
        share = (last.end_s - first.start_s) / _length(scenes)
        words = describe_scene(first) if first is last else f"{first.title} to {last.title}"
        link = tag(
            "a", str(first.number), href=scene_anchor(first.number), aria_label=words, title=words
        )
        look = color_class(first) if every == 1 else f"c{index // every % NUM_COLORS}"
        blocks.append(tag("li", link, class_=look, style=f"width:{100 * share:.4f}%"))
    return blocks


def _breaks(scenes: DetectedScenes) -> Markup | None:
    """Return a mark per break cue."""
    if not scenes.cues:
        return None
    marks = [
        tag(
            "a",
            class_="break",
            href="#breaks",
            title=f"Break cue: {format_short_clock(cue.seconds)}, {describe_cue(cue)}",
            style=f"left:{100 * (cue.seconds - scenes.start_s) / _length(scenes):.3f}%",
        )
        for cue in scenes.cues[:MAX_DOTS]
    ]
    return tag("div", marks, class_="breaks")


def describe_cue(cue: BreakCue) -> str:
    """Return the reason for a break cue."""
    return " and ".join(name for name in ("silent", "black") if getattr(cue, name))


def _length(scenes: DetectedScenes) -> float:
    return max(scenes.end_s - scenes.start_s, 1e-9)


def _curve(scenes: DetectedScenes) -> Markup:
    length, top = _length(scenes), _top(scenes)
    x = (np.array(scenes.boundaries_s) - scenes.start_s) / length
    y = np.clip(np.array(scenes.scores) / top, 0, 1)
    x, y = downsample_peaks(x, y)
    line = "L".join(f"{a * WIDTH:.2f} {(1 - b) * HEIGHT:.2f}" for a, b in zip(x, y, strict=True))
    starts = [(scene.start_s - scenes.start_s) / length for scene in scenes.scenes[1:]]
    lines = starts if len(starts) <= MAX_DOTS else []  # more would fill the chart
    chosen = "".join(f"M{x * WIDTH:.2f} 0V{HEIGHT}" for x in lines)
    labels = [(top, f"{top:.2g}"), (0.0, "0")]
    level = None
    if scenes.threshold is not None and scenes.threshold <= top:
        height = (1 - scenes.threshold / top) * HEIGHT
        level = tag("path", d=f"M0 {height:.2f}H{WIDTH}", class_="level")
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
        aria_label=f"scores of {len(scenes.scores)} shot boundaries along the film",
    )
    return tag("div", svg, _labels(labels, top), _dots(scenes, starts, top), class_="scores")


def _top(scenes: DetectedScenes) -> float:
    """Return the score at the top of the chart: 1 for the probabilities of a head."""
    highest = max((score for score in scenes.scores), default=0.0)
    return (
        1.0 if scenes.provenance["head"] != "none" and highest <= 1 else max(highest * 1.05, 1e-6)
    )


def downsample_peaks(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Reduce a curve to the maxima of at most MAX_POINTS intervals."""
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
    """Return a mark with a tooltip per scene boundary."""
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
    step = next((s for s in TICK_STEPS_S if length / s <= MAX_TICKS), TICK_STEPS_S[-1])
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
        return "The film has a single shot, so it is one scene."
    parts = ["Each block is a scene; the curve shows the scores of all shot boundaries"]
    parts.append("dots are scene boundaries")
    if scenes.threshold is not None:
        parts.append("the dashed line is the threshold")
    if scenes.cues:
        parts.append("triangles are break cues")
    if len(scenes.scores) > MAX_POINTS:
        parts.append(f"of {len(scenes.scores):,} shot boundaries the curve shows local maxima")
    return "; ".join(parts) + "."


def similarity_section(scenes: DetectedScenes, vectors: np.ndarray) -> Markup | None:
    """Build the matrix of cosine similarities of all shots; None for a film of one shot.

    Args:
      scenes: scenes of the film.
      vectors: shot embeddings, float32 `[shots d]`.
    """
    shots = len(vectors)
    if shots < 2:
        return None
    cosines = pairwise_cosines(vectors)
    low, high = _range(cosines)
    levels = np.clip((cosines - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    note = f"{shots:,} shots against each other; the film starts at the top left."
    if len(cosines) < shots:
        note += (
            f" A pixel is the mean over about {shots / len(cosines):.3g} shots in each direction."
        )
    image = tag("img", src=_png(levels), alt="", class_="pixels")
    return tag(
        "section",
        tag("h2", "Shot similarity"),
        tag("p", note, " Squares are scenes.", class_="note"),
        tag(
            "figure",
            tag("div", image, _squares(scenes), class_="square"),
            tag(
                "figcaption",
                tag("span", f"cosine {low:.2f}"),
                tag("i", class_="ramp", style=f"background:{_gradient()}"),
                tag("span", f"{high:.2f}"),
            ),
            class_="card matrix",
        ),
    )


def pairwise_cosines(vectors: np.ndarray, side: int = MAX_SIDE) -> np.ndarray:
    """Compute the cosines of all pairs of shots, float32 `[m m]` with m at most `side`.

    With more shots than pixels, a pixel is the mean cosine of two ranges of shots. That is the
    product of the means of their unit vectors, so the full matrix is never computed.

    Args:
      vectors: shot embeddings, float32 `[shots d]`.
      side: maximum number of pixels.
    """
    unit = l2_normalize(vectors).astype(np.float32)
    if len(unit) > side:
        edges = np.linspace(0, len(unit), side + 1).astype(int)
        sums = np.add.reduceat(unit, edges[:-1], axis=0)
        unit = sums / np.diff(edges)[:, None]
    return unit @ unit.T


def _range(cosines: np.ndarray) -> tuple[float, float]:
    """Return the cosines at the ends of the color ramp, ignoring the diagonal and outliers."""
    others = cosines[~np.eye(len(cosines), dtype=bool)]
    low, high = (float(value) for value in np.percentile(others, (2, 99)))
    return (low, high) if high - low > 1e-3 else (low - 0.5, high + 0.5)


def _png(levels: np.ndarray) -> str:
    positions = np.linspace(0, len(COLOR_RAMP) - 1, 256)
    colors = [
        np.interp(positions, np.arange(len(COLOR_RAMP)), channel)
        for channel in np.transpose(COLOR_RAMP)
    ]
    image = Image.fromarray(levels, "L")
    image.putpalette(np.stack(colors, axis=1).round().astype(np.uint8).tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _gradient() -> str:
    return (
        f"linear-gradient(90deg,{','.join(f'rgb{color}'.replace(' ', '') for color in COLOR_RAMP)})"
    )


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
