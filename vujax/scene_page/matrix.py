"""How alike the shots are, each with each: a picture with the scenes as squares on its diagonal."""

import base64
import io

import numpy as np
from PIL import Image

from vujax.report_page.markup import Markup, tag
from vujax.scene_page.timeline import about, anchor
from vujax.segment.scene import Scenes

SIDE = 600  # pixels at most
MOST_SQUARES = 1500
# From unlike to alike; read on light and on dark paper.
RAMP = (
    (13, 17, 38),
    (35, 52, 110),
    (32, 106, 142),
    (64, 160, 132),
    (160, 206, 108),
    (252, 240, 170),
)


def similarity_section(scenes: Scenes, seen: np.ndarray) -> Markup | None:
    """The picture; None for a film of one shot.

    Args:
      scenes: of the film.
      seen: vectors of its shots, float32 `[shots d]`.
    """
    shots = len(seen)
    if shots < 2:
        return None
    found = cosines(seen)
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


def cosines(vectors: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Cosines of all pairs, float32 `[m m]`, m at most `side`.

    With more shots than pixels a pixel is the mean cosine of its stretches of shots, which is the
    product of the means of their unit vectors: the whole matrix is never made.

    Args:
      vectors: float32 `[shots d]`.
      side: pixels at most.
    """
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = (vectors / np.maximum(norms, 1e-12)).astype(np.float32)
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


def _squares(scenes: Scenes) -> Markup:
    squares = []
    for scene in scenes.scenes[:MOST_SQUARES]:
        place = dict(x=scene.first_shot, y=scene.first_shot, width=scene.shots, height=scene.shots)
        link = tag("a", tag("rect", tag("title", about(scene)), **place), href=anchor(scene.number))
        squares.append(link)
    shots = scenes.shots
    label = f"{len(squares)} scenes along the diagonal"
    return tag("svg", squares, viewBox=f"0 0 {shots} {shots}", role="img", aria_label=label)
