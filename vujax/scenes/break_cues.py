"""Places for breaks: borders of scenes at which nothing is heard or nothing is seen.

A border is silent when the sound within a second of it has a quarter of a second whose mean level
(RMS of the mono mix) is below -50 dB of full scale. It is black when, at one of a few moments
within half a second of it, 98% of the picture is darker than a tenth of the full brightness.
"""

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np

from vujax.scenes.types import Cue, Scene, Scenes
from vujax.video.audio import SoundReader
from vujax.video.probe import FilmError, probe
from vujax.video.seek import StillReader
from vujax.video.timecode import Clock

SILENT_DB = -50.0
SILENT_S = 0.25
AROUND_S = 1.0
STEP_S = 0.05  # of the levels
SOUND_RATE = 16000
QUIETEST_DB = -120.0  # what digital silence is called

DARK = 0.1
BLACK_SHARE = 0.98
MOMENTS_S = (-0.5, -0.25, -0.1, 0.0, 0.1, 0.25, 0.5)  # from the border
SIDE = 48  # pixels of the pictures that are looked at
LUMA = (0.2126, 0.7152, 0.0722)  # BT.709


def find(scenes: Scenes, *, repaired: bool = False) -> tuple[tuple[Cue, ...], list[str]]:
    """The silent or black borders of a film's scenes, and what could not be looked at.

    Args:
      scenes: of the film, whose file is read.
      repaired: its timestamps had to be (`repaired` of its row in the catalogue).

    Raises:
      FilmError: the file is no film.
      FileNotFoundError, PermissionError: it cannot be had.
    """
    borders = scenes.scenes[1:]
    if not borders:
        return (), []
    heard, notes = quiet(scenes.path, [scene.begin_s for scene in borders])
    seen = black(scenes.path, [scene.begin_pts for scene in borders], scenes.clock, repaired)
    rows = zip(borders, heard, seen, strict=True)
    return tuple(_cue(*row) for row in rows if _is_silent(row[1]) or row[2]), notes


def _is_silent(level_db: float | None) -> bool:
    return level_db is not None and level_db < SILENT_DB


def _cue(scene: Scene, level_db: float | None, black: bool) -> Cue:
    place = (scene.number, scene.begin_s, scene.begin_timecode)
    return Cue(*place, level_db, _is_silent(level_db), black)


def quiet(path: str, moments: Sequence[float]) -> tuple[list[float | None], list[str]]:
    """Level of the quietest quarter of a second around each moment, in dB below full scale.

    Args:
      path: of the film.
      moments: seconds since its start.

    Returns:
      The levels, None where there is no sound to read, and the reason for that.
    """
    if probe(path).sound is None:
        return [None] * len(moments), ["The film has no sound: only its picture was looked at."]
    try:
        energy = energies(SoundReader(path, rate=SOUND_RATE))
    except FilmError as error:
        return [None] * len(moments), [f"The sound was not looked at: {error}."]
    width = round(SILENT_S / STEP_S)
    reach = round(AROUND_S / STEP_S)
    # Where the sound ends before the picture, nothing is heard.
    padded = np.pad(energy, (0, 2 * reach + math.ceil(max(moments) / STEP_S)))
    means = np.convolve(padded, np.full(width, 1 / width), "valid")
    middles = [round(moment / STEP_S) for moment in moments]
    quietest = [means[max(0, at - reach) : at + reach - width + 1].min() for at in middles]
    return [decibels(float(value)) for value in quietest], []


def energies(blocks: Iterable[np.ndarray]) -> np.ndarray:
    """Mean square of each STEP_S of sound, float64 `[n]`; the last, shorter step is left out."""
    step, held, found = round(STEP_S * SOUND_RATE), np.zeros(0, np.float32), []
    for block in blocks:
        held = np.concatenate([held, block])
        whole = len(held) // step * step
        found.append(np.square(held[:whole].reshape(-1, step), dtype=np.float64).mean(axis=1))
        held = held[whole:]
    return np.concatenate([np.zeros(0), *found])


def decibels(energy: float) -> float:
    """A mean square to dB of full scale, at least QUIETEST_DB."""
    return max(QUIETEST_DB, 10 * math.log10(max(energy, 1e-30)))


def black(path: str, borders: Sequence[int], clock: Clock, repaired: bool) -> list[bool]:
    """Whether the picture is black around each border.

    Args:
      path: of the film.
      borders: PTS.
      clock: of the film.
      repaired: read it from its beginning, for its timestamps are not to be sought by.
    """
    around = [
        {pts + round(Fraction(s) / clock.time_base) for s in MOMENTS_S} | {pts - clock.frame_ticks}
        for pts in borders
    ]
    reader = StillReader(path, set().union(*around), side=SIDE, seek=not repaired)
    dark = {wanted for wanted, still in reader if is_black(still.image)}
    return [bool(moments & dark) for moments in around]


def is_black(image: np.ndarray) -> bool:
    """Whether nothing is seen on a picture uint8 `[h w 3]`."""
    luma = image.astype(np.float32) @ np.array(LUMA, np.float32) / 255
    return bool((luma < DARK).mean() >= BLACK_SHARE)
