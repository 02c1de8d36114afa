"""The soundtrack of an edited film; any stretch of it can be computed on its own.

Each kind of place has a hum and a hiss, each genre a theme that comes and goes; each shot is a
little louder or softer, and a flash clicks. Sound changes up to a second before or after the
image's scene does, and places recur, so it indicates scenes without giving them away.
"""

from math import pi

import numpy as np

from vujax.data.synthetic.editing import Edit
from vujax.data.synthetic.random import Dice

LOOP = 1 << 17  # samples of hiss before it repeats
BRIDGE_S = 1.0  # greatest lead or lag of the sound at a scene boundary
BLEND_S = 0.3  # of the cross-fade between the sounds of two places
FADE_S = 1.0  # of the theme
RAMP_S = 0.02  # of a level at a cut, so that it does not click
CLICK_S = 0.03
_SCALE = (0, 2, 4, 7, 9, 12)  # semitones above the key


class Soundtrack:
    """The sound of an edited film; sample 0 is heard with frame 0."""

    def __init__(self, edit: Edit, rate: int = 48000, channels: int = 1):
        self.samples = round(edit.frames / edit.fps * rate)
        self._edit, self._rate, self._channels = edit, rate, channels
        self._places = _place_spans(edit)
        self._music = _music_spans(edit)
        starts = np.array([float(clip.start / edit.fps) for clip in edit.clips])
        levels = [_level(edit, k) for k in range(len(starts))]
        # Two points a cut: the level before it and after it.
        self._level_times = np.repeat(starts, 2) + np.tile((0.0, RAMP_S), len(starts))
        self._levels = np.repeat([levels[0], *levels], 2)[1:-1]
        self._hiss: dict[str, np.ndarray] = {}

    def block(self, first: int, count: int) -> np.ndarray:
        """Return samples `first` to first + count - 1, float32 [channels count] in -1..1.

        A function of its arguments alone; stops at the end of the film.
        """
        index = np.arange(first, min(first + count, self.samples))
        t = index / self._rate
        sound = np.zeros((self._channels, len(index)))
        for place, start, end in self._places:
            if _meets(t, start - BLEND_S, end + BLEND_S):
                envelope = _envelope(t, start, end, BLEND_S)
                sound += envelope * self._ambience(place, index, t)
        for start, end in self._music:
            if _meets(t, start - FADE_S, end + FADE_S):
                sound += _envelope(t, start, end, FADE_S) * self._theme(t)
        sound *= np.interp(t, self._level_times, self._levels)
        for flash in self._edit.flashes:
            start = float(flash.first / self._edit.fps)
            if _meets(t, start, start + CLICK_S):
                sound += _click(t - start)
        return np.clip(sound, -1.0, 1.0).astype(np.float32)

    def _ambience(self, place: str, index: np.ndarray, t: np.ndarray) -> np.ndarray:
        dice = Dice(("ambience", place))
        hiss = self._hiss.setdefault(place, _hiss(place, dice.below(6)))
        tones = [(dice.uniform(70, 420), dice.uniform(0.01, 0.04)) for _ in range(3)]
        swell = 1.0 + 0.4 * np.sin(2 * pi * dice.uniform(0.05, 0.6) * t)
        loud = dice.uniform(0.02, 0.08)
        return np.stack(
            [
                loud * hiss[(index + c * LOOP // 3) % LOOP] * swell
                + sum(a * np.sin(2 * pi * hertz * t + 0.7 * c) for hertz, a in tones)
                for c in range(self._channels)
            ]
        )

    def _theme(self, t: np.ndarray) -> np.ndarray:
        """Play eight notes of the genre, repeated; a film has its own key."""
        dice = Dice(("theme", self._edit.film.genre.name))
        beat_s = dice.uniform(0.25, 0.6)
        scale = [dice.pick(_SCALE) for _ in range(8)]
        key = 220.0 * 2.0 ** (Dice((*self._edit.film.key, "key")).below(12) / 12)
        hertz = np.array([key * 2.0 ** (step / 12) for step in scale])
        beat = np.floor(t / beat_s)
        since = t - beat * beat_s
        note = hertz[beat.astype(np.int64) % 8]
        wave = np.sin(2 * pi * note * since) + 0.3 * np.sin(4 * pi * note * since)
        return 0.12 * wave * np.minimum(since / 0.01, 1.0) * np.maximum(1.0 - since / beat_s, 0.0)


def _place_spans(edit: Edit) -> list[tuple[str, float, float]]:
    """Return (place, start, end) of the story's scenes, in seconds.

    Scene boundaries are moved by up to BRIDGE_S.
    """
    spans: list[tuple[str, float, float]] = []
    dice, before = Dice((*edit.film.key, "bridges")), None
    for number, part in enumerate(edit.parts):
        clips = [clip for clip in edit.clips if clip.part == number]
        start, end = (float(f / edit.fps) for f in (clips[0].start, clips[-1].end))
        bridge = dice.uniform(-BRIDGE_S, BRIDGE_S)
        if part.scene is None:
            before = None
            continue
        if before is not None:
            start += bridge
            spans[-1] = (*spans[-1][:2], start)
        before = number
        spans.append((part.scene.place, start, end))
    return spans


def _music_spans(edit: Edit) -> list[tuple[float, float]]:
    """Return the seconds in which the theme is heard; it opens the film.

    They are independent of the scenes.
    """
    dice, end_s = Dice((*edit.film.key, "music")), float(edit.frames / edit.fps)
    spans, time_s = [], 0.0
    while time_s < end_s:
        length = dice.uniform(5, 15)
        spans.append((time_s, time_s + length))
        time_s += length + dice.uniform(5, 25)
    return spans


def _level(edit: Edit, clip: int) -> float:
    return Dice((*edit.film.key, "level", clip)).uniform(0.85, 1.15)


def _meets(t: np.ndarray, start: float, end: float) -> bool:
    return len(t) > 0 and start <= t[-1] and t[0] <= end


def _envelope(t: np.ndarray, start: float, end: float, blend_s: float) -> np.ndarray:
    """Return 1 between start and end, with straight flanks of `blend_s` around both."""
    rise = (t - start) / blend_s + 0.5
    fall = (end - t) / blend_s + 0.5
    return np.clip(np.minimum(rise, fall), 0.0, 1.0)


def _click(t: np.ndarray) -> np.ndarray:
    """Return a burst that starts at t = 0."""
    is_on = (t >= 0) & (t < CLICK_S)
    return np.where(is_on, 0.6 * np.sin(2 * pi * 2500 * t) * (1 - t / CLICK_S), 0.0)


def _hiss(place: str, octaves: int) -> np.ndarray:
    """Return a loop of noise, darker by half the band an octave: float32 [LOOP].

    Its standard deviation is 1.
    """
    raw = np.random.PCG64(Dice(("hiss", place)).integer()).random_raw(LOOP)
    noise = (raw >> np.uint64(40)).astype(np.float32) / np.float32(1 << 24) - np.float32(0.5)
    for octave in range(octaves):
        noise = noise + np.roll(noise, 1 << octave)
    return noise / noise.std()
