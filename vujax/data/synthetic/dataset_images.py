"""Captioned frames of synthetic films as a random-access source."""

import operator
from dataclasses import dataclass
from typing import Any

from vujax.data.synthetic.captions import (
    CLASSES,
    Caption,
    find_class,
    make_caption,
    make_generic_caption,
)
from vujax.data.synthetic.random import Dice, permute_index
from vujax.data.synthetic.render import render_frame
from vujax.data.synthetic.script import Shot, make_scene, make_shot
from vujax.data.synthetic.world import make_film

NUM_SCENES = 12  # of a film, as sources of frames

# Defaults of each split; validation captions are all true.
DEFAULTS: dict[str, dict[str, Any]] = {
    "train": {"films": 512, "frames": 100_000, "generic": 0.2, "swapped": 0.1},
    "validation": {"films": 64, "frames": 1024, "generic": 0.0, "swapped": 0.0},
}
DEFAULTS |= {f"themed-{split}": values for split, values in DEFAULTS.items()}


@dataclass(frozen=True)
class ImageTruth:
    """The ground truth of one record.

    Attributes:
      shot: the take that it shows.
      time_s: time in the take.
      captions: of the record.
      noise: one of 'none', 'generic', 'swapped' per caption.
    """

    shot: Shot
    time_s: float
    captions: tuple[Caption, ...]
    noise: tuple[str, ...]

    @property
    def facts(self) -> dict[str, str]:
        """Place, kind, colour, event, framing, and time, weather, companion if present."""
        return self.shot.facts


@dataclass(frozen=True)
class SyntheticImages:
    """Frames of synthetic films with captions; record i is a function of i.

    Nothing is stored. Where films, frames, generic or swapped is None, the split's entry in
    DEFAULTS counts.

    Args:
      split: 'train' or 'validation': other films (cast, palettes, scenes), the same vocabulary.
      films, frames: number of films, and of records taken from them in turn.
      seed: another seed gives other films.
      image_size: height and width of the frames in pixels.
      label: a key of captions.CLASSES, the subject of `label` and `classes`.
      captions_per_image: captions of each record, all of the same frame.
      generic: share of captions that state nothing ('a still'); exact over the source.
      swapped: share of captions that belong to another frame; exact over the source.

    Raises:
      ValueError: for an unknown split or label, or a number out of range.
    """

    split: str = "train"
    films: int | None = None
    frames: int | None = None
    seed: int = 0
    image_size: int = 64
    label: str = "place"
    captions_per_image: int = 1
    generic: float | None = None
    swapped: float | None = None

    def __post_init__(self):
        _check_choice("split", self.split, DEFAULTS)
        _check_choice("label", self.label, CLASSES)
        for name, value in DEFAULTS[self.split].items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        for name in ("films", "frames", "image_size", "captions_per_image"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if min(self.generic, self.swapped) < 0 or self.generic + self.swapped > 1:
            raise ValueError(
                f"generic={self.generic} and swapped={self.swapped} must be shares: "
                "neither below 0, together at most 1"
            )
        if self.swapped and self.frames < 2:
            raise ValueError("swapped captions need at least 2 frames to swap between")

    def __len__(self) -> int:
        return self.frames

    @property
    def classes(self) -> tuple[str, ...]:
        """Readable names of the label's classes, in the order of the label numbers."""
        return tuple(CLASSES[self.label].values())

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return record `index`.

        It is a dict: key, image uint8 [h w 3], captions list[str], label int.
        """
        index = self._checked(index)
        shot, time_s = self._take(index)
        scene, film = shot.scene, shot.scene.film
        return {
            "key": f"{self.split}-{index:06d}-f{film.number}-c{scene.number}-s{shot.number}",
            "image": render_frame(shot, time_s, self.image_size, self.image_size),
            "captions": [caption.text for caption, _ in self._captions(index, shot)],
            "label": list(CLASSES[self.label]).index(find_class(shot.facts, self.label)),
        }

    def truth(self, index: int) -> ImageTruth:
        """Return the ground truth of record `index`, without drawing it."""
        index = self._checked(index)
        shot, time_s = self._take(index)
        captions = self._captions(index, shot)
        texts, noise = tuple(c for c, _ in captions), tuple(n for _, n in captions)
        return ImageTruth(shot, time_s, texts, noise)

    def _checked(self, index: int) -> int:
        index = operator.index(index)
        if not 0 <= index < self.frames:
            raise IndexError(f"record {index} is outside 0..{self.frames - 1}")
        return index

    def _take(self, index: int) -> tuple[Shot, float]:
        """Return the shot of record `index`, and the second in it."""
        film = make_film(self.seed, self.split, index % self.films)
        scene = make_scene(film, index // self.films % NUM_SCENES)
        dice = Dice((*film.key, "frame", index))
        shot = make_shot(scene, dice.below(scene.shots))
        return shot, round(dice.uniform(0.0, shot.length_s), 3)

    def _captions(self, index: int, shot: Shot) -> list[tuple[Caption, str]]:
        """Return the captions of record `index`, each with its noise."""
        return [self._caption(index, k, shot) for k in range(self.captions_per_image)]

    def _caption(self, index: int, k: int, shot: Shot) -> tuple[Caption, str]:
        total = self.frames * self.captions_per_image
        place = permute_index(
            index * self.captions_per_image + k, total, (self.seed, self.split, "noise")
        )
        if place < round(self.generic * total):
            return make_generic_caption((self.seed, self.split, "generic", index, k)), "generic"
        if place >= round((self.generic + self.swapped) * total):
            return self._true_caption(index, k, shot), "none"
        step = 1 + Dice((self.seed, self.split, "swap", index, k)).below(self.frames - 1)
        other = (index + step) % self.frames
        return self._true_caption(other, k, self._take(other)[0]), "swapped"

    def _true_caption(self, index: int, k: int, shot: Shot) -> Caption:
        return make_caption(shot.facts, (self.seed, self.split, "caption", index, k))


def _check_choice(name: str, value: str, allowed: dict[str, Any]) -> None:
    if value not in allowed:
        raise ValueError(f"unknown {name} {value!r}; expected one of: {', '.join(allowed)}")
