"""The screen: any frame of an edited film as an image, cards included."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vujax.data.synthetic.editing import Card, Edit
from vujax.data.synthetic.render import Take


class Screen:
    """The frames of an edited film, each a function of its number alone.

    State that the frames of a shot share is cached, so frames in order are cheaper.
    """

    def __init__(self, edit: Edit, height: int, width: int):
        self._edit, self._height, self._width = edit, height, width
        self._takes: dict[int, Take | np.ndarray] = {}

    def frame(self, number: int) -> np.ndarray:
        """Draw frame `number`, uint8 [height width 3]."""
        layers = self._edit.layers(number)
        self._takes = {n: t for n, t in self._takes.items() if n in dict(layers)}
        images = [(self._layer(n, number), share) for n, share in layers]
        white = self._edit.flash(number)
        if len(images) == 1 and images[0][1] == 1.0 and not white:
            return images[0][0]
        mixed = np.full((self._height, self._width, 3), 255.0 * white + 0.5, np.float32)
        for image, share in images:
            mixed += np.float32((1.0 - white) * share) * image
        return mixed.astype(np.uint8)

    def _layer(self, clip: int, number: int) -> np.ndarray:
        take = self._takes.get(clip)
        if take is None:
            shot, height, width = self._edit.clips[clip].take, self._height, self._width
            is_card = isinstance(shot, Card)
            take = draw_card(shot, height, width) if is_card else Take(shot, height, width)
            self._takes[clip] = take
        if isinstance(take, np.ndarray):
            return take
        return take.frame(self._edit.time_s(clip, number))


PAPERS = ((10, 10, 12), (236, 232, 220), (18, 34, 70), (92, 14, 22))

INKS = ((235, 235, 235), (24, 22, 20), (240, 220, 150), (245, 235, 225))


def draw_card(card: Card, height: int, width: int) -> np.ndarray:
    """Draw the card, uint8 [height width 3]; its text shrinks until it fits."""
    image = Image.new("RGB", (width, height), PAPERS[card.paper])
    draw = ImageDraw.Draw(image)
    text = "\n".join(card.lines)
    for share in (0.12, 0.10, 0.08, 0.06, 0.04):
        font = ImageFont.load_default(size=max(4.0, share * height))
        left, top, right, bottom = draw.multiline_textbbox((0, 0), text, font)
        if right - left < 0.9 * width and bottom - top < 0.9 * height:
            break
    corner = ((width - left - right) / 2, (height - top - bottom) / 2)
    draw.multiline_text(corner, text, INKS[card.paper], font, align="center")
    return np.array(image)
