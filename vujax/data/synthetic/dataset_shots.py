"""Synthetic films as rows of shots, for training and scoring.

    films = open_synthetic_films(split="train", films=40)
    films[0].starts                                    # bool [n-1]: a scene starts with shot i+1
    films[0].inputs(np.array([0, 1]))["image"]         # uint8 [2 3 48 48 3]
    films[0].sound(0)                                  # float32 [samples], RATE a second

They are the films of `vujax synthesize` with the same seed, split, rate and minutes: the same
shots, scenes and images, before H.264; no video file is made. The cards that open and close a film
are scenes of their own, as in `ground_truth.FilmTruth.scene_starts`. A shot is drawn at its first
use: 40 films of 3 minutes, 2,321 shots with 3 keyframes of 48x48, take 11 seconds of one core, and
48 MB if cached.
"""

from dataclasses import astuple, dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from vujax.data.synthetic.dataset_images import DEFAULTS
from vujax.data.synthetic.editing import Edit, make_edit, parse_frame_rate
from vujax.data.synthetic.screen import Screen
from vujax.data.synthetic.sound import Soundtrack
from vujax.data.synthetic.world import make_film

RATE = 16000  # of the sound
HOP_S = 0.04  # from one column of the spectrogram to the next


@dataclass(frozen=True, eq=False)
class SyntheticFilm:
    """The shots of one film: a `vujax.data.films.Film`; picklable, without its cache.

    Attributes:
      film: its id, of seed, split and number.
      seconds: float64 `[n 2]`, start and end of each shot.
      frames: int64 `[n 2]`, first and last frame, inclusive.
      fps: frames per second.
      starts: bool `[n-1]`: `starts[i]` is True if a scene starts with shot i+1.
    """

    seed: int
    split: str
    number: int
    minutes: float
    rate: Fraction
    size: tuple[int, int]
    keyframes: int
    audio: tuple[int, int] | None
    keep: bool

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), astuple(self)

    def __len__(self) -> int:
        return len(self.edit.clips)

    @property
    def film(self) -> str:
        """The id of the film."""
        return f"cinema-{self.seed}-{self.split}-{self.number:04d}"

    @property
    def fps(self) -> float:
        """Frames per second."""
        return float(self.rate)

    @cached_property
    def edit(self) -> Edit:
        """The edited film: its shots and scenes."""
        return make_edit(make_film(self.seed, self.split, self.number), self.rate, self.minutes)

    @cached_property
    def frames(self) -> np.ndarray:
        """First and last frame of each shot, int64 `[n 2]`."""
        return np.array([(clip.start, clip.end - 1) for clip in self.edit.clips], np.int64)

    @cached_property
    def seconds(self) -> np.ndarray:
        """Start and end of each shot, float64 `[n 2]`."""
        return (self.frames + [0, 1]) / self.fps

    @cached_property
    def starts(self) -> np.ndarray:
        """True where a scene starts with the next shot, bool `[n-1]`."""
        return np.array([old.part != new.part for old, new in pairwise(self.edit.clips)], bool)

    def inputs(self, shots: np.ndarray) -> dict[str, np.ndarray]:
        """Draw the images of some shots, and compute their sound.

        Returns:
          'image' uint8 `[k keyframes h w 3]`: at 1/4, 1/2 and 3/4 of each shot when there are
          three, and likewise for other numbers. On request also 'audio' float32 `[k steps mels]`:
          log-mel of the middle of its sound; a short one is repeated.

        Raises:
          IndexError: there is no such shot.
        """
        wanted = np.asarray(shots).tolist()
        inputs = {shot: self._cache.get(shot) or self._make(shot) for shot in sorted(set(wanted))}
        if self.keep:
            self._cache.update(inputs)
        rows = {"image": np.zeros((len(wanted), self.keyframes, *self.size, 3), np.uint8)}
        if self.audio:
            rows["audio"] = np.zeros((len(wanted), *self.audio), np.float32)
        for name, array in rows.items():
            for row, shot in zip(array, wanted, strict=True):
                row[...] = inputs[shot][name]
        return rows

    def sound(self, shot: int) -> np.ndarray:
        """Return the sound of a shot: float32 `[samples]`, mono, RATE a second.

        Raises:
          IndexError: there is no such shot.
        """
        start_s, end_s = self.seconds[self._check(shot)]
        first = round(start_s * RATE)
        return self._track.block(first, round(end_s * RATE) - first)[0]

    @cached_property
    def _cache(self) -> dict[int, dict[str, np.ndarray]]:
        return {}

    @cached_property
    def _track(self) -> Soundtrack:
        return Soundtrack(self.edit, RATE)

    def _check(self, shot: int) -> int:
        if not 0 <= shot < len(self):
            raise IndexError(f"shot of {self.film} must be in 0..{len(self) - 1}, got {shot}")
        return shot

    def _make(self, shot: int) -> dict[str, np.ndarray]:
        image = {"image": self._draw(shot)}
        return image | ({"audio": self._hear(shot)} if self.audio else {})

    def _hear(self, shot: int) -> np.ndarray:
        from vujax.video.log_mel import LogMel

        steps, mels = self.audio
        hop = round(HOP_S * RATE)
        spectrum = LogMel(rate=RATE, hop=hop, mels=mels, high_hz=RATE / 2)
        sound, wanted = self.sound(shot), (steps - 1) * hop
        start = max(0, len(sound) - wanted) // 2
        return spectrum(np.resize(sound[start : start + wanted], wanted))

    def _draw(self, shot: int) -> np.ndarray:
        first, last = self.frames[self._check(shot)]
        height, width = self.size
        length, screen = int(last) + 1 - int(first), Screen(self.edit, height, width)
        offsets = [k * length // (self.keyframes + 1) for k in range(1, self.keyframes + 1)]
        return np.stack([screen.frame(int(first) + offset) for offset in offsets])


def open_synthetic_films(
    *,
    seed: int = 0,
    split: str = "train",
    films: int = 40,
    first: int = 0,
    minutes: float = 3.0,
    fps: int | str = 24,
    image_size: int | tuple[int, int] = 48,
    frames: int = 3,
    audio: bool = False,
    audio_steps: int = 100,
    mels: int = 64,
    keep: bool = True,
) -> tuple[SyntheticFilm, ...]:
    """Open films as rows of shots, the same for the same arguments.

    Args:
      seed: another seed gives other films.
      split: 'train' or 'validation': other films, the same vocabulary; or one of THEMED_SPLITS of
        `vujax.data.synthetic.world`.
      films: number of films.
      first: number of the first one.
      minutes: mean length of a story; a film's is two thirds to four thirds of it.
      fps: frames per second, such as 24 or '24000/1001'.
      image_size: height and width in pixels, or one number for both.
      frames: keyframes of each shot.
      audio: add 'audio' to the images.
      audio_steps: columns of its spectrogram, HOP_S seconds each (the default is 4 s).
      mels: bands of it.
      keep: cache the inputs in memory (each worker process its own).

    Raises:
      ValueError: for an argument out of range; names it.
    """
    size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    if split not in DEFAULTS:
        raise ValueError(f"unknown split {split!r}; expected one of: {', '.join(DEFAULTS)}")
    if len(size) != 2 or min(size) < 8:
        raise ValueError(f"image_size must be one or two numbers from 8 on, got {image_size}")
    rate = parse_frame_rate(fps)
    for name, value, low, high in (
        ("films", films, 1, 100_000),
        ("first", first, 0, 100_000),
        ("frames", frames, 1, 64),
        ("audio_steps", audio_steps, 2, 10_000),
        ("mels", mels, 1, 512),
        ("minutes", minutes, 0, 600),
        ("fps", rate, 5, 120),
    ):
        if not low <= value <= high:
            raise ValueError(f"{name} must be within {low}..{high}, got {value}")
    numbers = range(first, first + films)
    audio_shape = (audio_steps, mels) if audio else None
    options = dict(minutes=float(minutes), rate=rate, size=size, keyframes=frames, keep=keep)
    return tuple(
        SyntheticFilm(seed=seed, split=split, number=number, audio=audio_shape, **options)
        for number in numbers
    )
