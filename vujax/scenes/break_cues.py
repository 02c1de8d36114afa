"""Break cues: scene boundaries at which the sound is silent or the image is black.

A boundary is silent if, within one second of it, the level (RMS of the mono mix) of a quarter of a
second is below -50 dBFS. It is black if, at one of a few moments within half a second of it, 98% of
the pixels are darker than a tenth of full brightness. The limits are our choice.
"""

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np

from vujax.scenes.types import BreakCue, DetectedScenes, Scene
from vujax.utils.arrays import find_runs
from vujax.video.audio import AudioReader
from vujax.video.decode import FrameReader
from vujax.video.probe import FilmError, probe_film
from vujax.video.seek import StillReader
from vujax.video.timecode import Clock

SILENT_DB = -50.0
SILENT_S = 0.25
AROUND_S = 1.0
STEP_S = 0.05  # resolution of the levels
SOUND_RATE = 16000
QUIETEST_DB = -120.0  # level of digital silence

DARK = 0.1
BLACK_SHARE = 0.98
MOMENTS_S = (-0.5, -0.25, -0.1, 0.0, 0.1, 0.25, 0.5)  # relative to the boundary
SIDE = 48  # pixels of the decoded frames
LUMA = (0.2126, 0.7152, 0.0722)  # BT.709


def find_break_cues(
    scenes: DetectedScenes, *, repaired: bool = False
) -> tuple[tuple[BreakCue, ...], list[str]]:
    """Find the silent or black scene boundaries of a film.

    Args:
      scenes: scenes of the film, whose file is read.
      repaired: whether its timestamps were repaired (`repaired` of its row in the catalog).

    Returns:
      The cues, and notes about what could not be measured.

    Raises:
      FilmError: the file is not a film.
      FileNotFoundError, PermissionError: the file cannot be opened.
    """
    starts = scenes.scenes[1:]
    if not starts:
        return (), []
    levels, notes = measure_quietest(scenes.path, [scene.start_s for scene in starts])
    pts = [scene.start_pts for scene in starts]
    black = detect_black(scenes.path, pts, scenes.clock, repaired)
    cues = [_cue(scene, db, dark) for scene, db, dark in zip(starts, levels, black, strict=True)]
    return tuple(cue for cue in cues if cue.silent or cue.black), notes


def _cue(scene: Scene, level_db: float | None, black: bool) -> BreakCue:
    return BreakCue(
        scene=scene.number,
        seconds=scene.start_s,
        timecode=scene.start_timecode,
        level_db=level_db,
        silent=level_db is not None and level_db < SILENT_DB,
        black=black,
    )


def measure_quietest(path: str, moments: Sequence[float]) -> tuple[list[float | None], list[str]]:
    """Measure the level of the quietest quarter of a second around each moment, in dBFS.

    Args:
      path: path of the film.
      moments: seconds since its start.

    Returns:
      The levels, None without readable sound, and notes with the reason.
    """
    if probe_film(path).audio is None:
        return [None] * len(moments), ["The film has no sound: break cues use the image only."]
    try:
        energy = compute_energies(AudioReader(path, rate=SOUND_RATE))
    except FilmError as error:
        return [None] * len(moments), [f"The sound was not analyzed: {error}."]
    width = round(SILENT_S / STEP_S)
    reach = round(AROUND_S / STEP_S)
    # Sound that ends before the image is followed by silence.
    padded = np.pad(energy, (0, 2 * reach + math.ceil(max(moments) / STEP_S)))
    means = np.convolve(padded, np.full(width, 1 / width), "valid")
    middles = [round(moment / STEP_S) for moment in moments]
    quietest = [means[max(0, mid - reach) : mid + reach - width + 1].min() for mid in middles]
    return [to_decibels(float(value)) for value in quietest], []


def find_silences(path: str, end_s: float) -> list[tuple[float, float]]:
    """Find the silent intervals of a film, of at least SILENT_S, in seconds since its start.

    Args:
      path: path of the film.
      end_s: end of its image; where sound ends before it, silence follows.

    Raises:
      FilmError: the film has no sound, or it cannot be read.
    """
    energy = compute_energies(AudioReader(path, rate=SOUND_RATE))
    missing = max(0, round(end_s / STEP_S) - len(energy))
    energy = np.concatenate([energy, np.zeros(missing)])
    width = round(SILENT_S / STEP_S)
    if len(energy) < width:
        return []
    means = np.convolve(energy, np.full(width, 1 / width), "valid")
    starts = means < 10 ** (SILENT_DB / 10)
    silent = np.convolve(starts, np.ones(width), "full") > 0
    return [(start * STEP_S, stop * STEP_S) for start, stop in find_runs(silent)]


def find_black(path: str) -> list[tuple[int, int]]:
    """Find the black intervals of a film: timestamps of the first frame, and of the one after.

    The whole film is decoded.

    Raises:
      FilmError: the film has no image, or it cannot be read.
    """
    reader = FrameReader(path, every_s=None)
    dark, times = [], []
    for chunk in reader:
        luma = chunk.small.astype(np.float32) @ np.array(LUMA, np.float32) / 255
        dark.append((luma < DARK).mean(axis=(1, 2)) >= BLACK_SHARE)
        times.append(chunk.pts)
    if not times:
        return []
    pts = np.concatenate(times)
    edges = np.append(pts, pts[-1] + reader.video.clock.frame_ticks)
    return [(int(edges[a]), int(edges[b])) for a, b in find_runs(np.concatenate(dark))]


def compute_energies(blocks: Iterable[np.ndarray]) -> np.ndarray:
    """Compute the mean square of each full STEP_S of sound, float64 `[n]`."""
    step, pending, energies = round(STEP_S * SOUND_RATE), np.zeros(0, np.float32), []
    for block in blocks:
        pending = np.concatenate([pending, block])
        complete = len(pending) // step * step
        steps = pending[:complete].reshape(-1, step)
        energies.append(np.square(steps, dtype=np.float64).mean(axis=1))
        pending = pending[complete:]
    return np.concatenate([np.zeros(0), *energies])


def to_decibels(energy: float) -> float:
    """Convert a mean square to dBFS, at least QUIETEST_DB."""
    return max(QUIETEST_DB, 10 * math.log10(max(energy, 1e-30)))


def detect_black(path: str, boundaries: Sequence[int], clock: Clock, repaired: bool) -> list[bool]:
    """Return whether the image is black around each boundary.

    Args:
      path: path of the film.
      boundaries: timestamps in ticks.
      clock: clock of the film.
      repaired: whether timestamps were repaired, so that seeking is impossible.
    """
    around = [
        {pts + round(Fraction(s) / clock.time_base) for s in MOMENTS_S} | {pts - clock.frame_ticks}
        for pts in boundaries
    ]
    moments = {moment for moments in around for moment in moments}
    reader = StillReader(path, moments, side=SIDE, seek=not repaired)
    dark = {wanted for wanted, still in reader if is_black(still.image)}
    return [bool(moments & dark) for moments in around]


def is_black(image: np.ndarray) -> bool:
    """Return whether an image, uint8 `[h w 3]`, is black."""
    luma = image.astype(np.float32) @ np.array(LUMA, np.float32) / 255
    return bool((luma < DARK).mean() >= BLACK_SHARE)
