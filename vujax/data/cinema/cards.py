"""Cards: text on plain paper, for the opening and the closing of a film."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vujax.data.cinema.edit import Card

PAPERS = ((10, 10, 12), (236, 232, 220), (18, 34, 70), (92, 14, 22))
INKS = ((235, 235, 235), (24, 22, 20), (240, 220, 150), (245, 235, 225))


def draw_card(card: Card, height: int, width: int) -> np.ndarray:
    """The card, uint8 [height width 3]; its text shrinks until it fits."""
    picture = Image.new("RGB", (width, height), PAPERS[card.paper])
    draw = ImageDraw.Draw(picture)
    text = "\n".join(card.lines)
    for share in (0.12, 0.10, 0.08, 0.06, 0.04):
        font = ImageFont.load_default(size=max(4.0, share * height))
        left, top, right, bottom = draw.multiline_textbbox((0, 0), text, font)
        if right - left < 0.9 * width and bottom - top < 0.9 * height:
            break
    at = ((width - left - right) / 2, (height - top - bottom) / 2)
    draw.multiline_text(at, text, INKS[card.paper], font, align="center")
    return np.array(picture)
