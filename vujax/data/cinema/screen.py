"""The screen: any frame of an edited film as a picture."""

import numpy as np

from vujax.data.cinema.cards import draw_card
from vujax.data.cinema.edit import Card, Edit
from vujax.data.cinema.render import Take


class Screen:
    """Draws the frames of an edited film, each a function of its number alone.

    What shots in sight have in common from frame to frame is kept, so frames in order are cheaper.
    """

    def __init__(self, edit: Edit, height: int, width: int):
        self._edit, self._height, self._width = edit, height, width
        self._takes: dict[int, Take | np.ndarray] = {}

    def frame(self, number: int) -> np.ndarray:
        """Frame `number`, uint8 [height width 3]."""
        layers = self._edit.layers(number)
        self._takes = {n: t for n, t in self._takes.items() if n in dict(layers)}
        pictures = [(self._layer(n, number), share) for n, share in layers]
        white = self._edit.flash(number)
        if len(pictures) == 1 and pictures[0][1] == 1.0 and not white:
            return pictures[0][0]
        mixed = np.full((self._height, self._width, 3), 255.0 * white + 0.5, np.float32)
        for picture, share in pictures:
            mixed += np.float32((1.0 - white) * share) * picture
        return mixed.astype(np.uint8)

    def _layer(self, clip: int, number: int) -> np.ndarray:
        take = self._takes.get(clip)
        if take is None:
            shot, size = self._edit.clips[clip].take, (self._height, self._width)
            take = draw_card(shot, *size) if isinstance(shot, Card) else Take(shot, *size)
            self._takes[clip] = take
        if isinstance(take, np.ndarray):
            return take
        return take.frame(self._edit.time_s(clip, number))
