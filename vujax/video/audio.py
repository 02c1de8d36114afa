"""A film's sound: mono, at one rate, in step with the picture.

Sample k is heard k / rate seconds after the film's start, whatever the file's timestamps do: where
they leave a gap there is silence, where they overlap the later sound gives way.

Log-mel spectrograms of sound: how loud it is in bands spaced as the ear hears pitch.

Two spacings are in use, and named here. 'htk': mel = 2595 log10(1 + Hz / 700), bands that peak at 1
(Young et al., "The HTK Book"). 'slaney': linear below 1 kHz, logarithmic above, bands of equal area
(Slaney, "Auditory Toolbox", 1998), which is librosa's default.
"""

import dataclasses
import functools
from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from vujax.video.decode import Ended, decoded, packets
from vujax.video.probe import FilmError, Sound, named, only, open_film, probe
from vujax.video.timecode import MOST_GAP_S

TOLERANCE_S = 0.02  # timestamps are rounded; half a frame of film nobody hears

MOST_OVERLAP_S = 1.0  # a longer step back is a broken timestamp

RATES = range(1000, 768001)  # Hz; a file that declares another is damaged


class SoundReader:
    """Streams a film's sound; iterate it for blocks, then ask `ended` how it went.

    Blocks are float32 `[block]` in [-1, 1], the last one may be shorter.

    Attributes:
      film: what the file is.
      sound: its audio stream.
      ended: how the last iteration ended; `frames` counts samples, silence included.
    """

    def __init__(self, path: str | Path, *, rate: int = 16000, block: int = 1 << 17) -> None:
        """Opens nothing for long: each iteration reads the file anew.

        Args:
          path: of the film.
          rate: samples per second of the result.
          block: samples per block.

        Raises:
          FilmError: the file has no sound that can be decoded.
          FileNotFoundError, PermissionError: the file cannot be had.
        """
        self.film = probe(path)
        if self.film.sound is None:
            raise FilmError(f"{named(self.film.path)} has no sound that can be decoded")
        self.sound: Sound = self.film.sound
        self.ended = Ended()
        self._rate, self._block = rate, block

    def __iter__(self) -> Iterator[np.ndarray]:
        self.ended = Ended()
        for block in _blocks(self._pieces(self.ended), self._block):
            self.ended.frames += len(block)
            yield block
        end_s = float(self.sound.clock.start) + self.ended.frames / self._rate
        self.ended.close("sound", end_s, self.sound)

    def _pieces(self, ended: Ended) -> Iterator[np.ndarray]:
        track = _Track(self.sound, self._rate)
        with open_film(self.film.path) as container:
            stream = only(container, self.sound.index)
            for frame in decoded(packets(container, stream, ended), stream, ended):
                try:
                    yield from track.add(frame)
                except (av.FFmpegError, ValueError):  # a layout or format that cannot be mixed
                    ended.damaged += 1
        yield from track.flush()
        ended.repaired = track.repaired


class _Track:
    """Puts decoded sound in its place.

    Sound that follows without a gap is one run through one resampler. A run begins at its own
    timestamp, so that errors of rounding never add up.
    """

    def __init__(self, sound: Sound, rate: int) -> None:
        self.repaired = 0
        self._clock, self._rate = sound.clock, rate
        self._resampler: AudioResampler | None = None
        self._kind: tuple[str, str, int] | None = None
        self._begun_s = 0.0  # of the run
        self._taken = 0  # samples of the file in the run
        self._shift_s = 0.0  # what broken timestamps are corrected by
        self._at = 0  # samples given out
        self._drop = 0  # samples of the run that come before `_at`

    def add(self, frame: AudioFrame) -> Iterator[np.ndarray]:
        """The samples that can be given out now that `frame` is known."""
        if frame.sample_rate not in RATES:
            raise ValueError(f"{frame.sample_rate} samples per second")
        begins_s = self._begins(frame)
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if kind != self._kind or abs(begins_s - self._expected_s()) > TOLERANCE_S:
            yield from self.flush()
            yield from self._begin(begins_s, kind)
        self._taken += frame.samples
        yield from self._place(self._resampler.resample(frame))

    def flush(self) -> Iterator[np.ndarray]:
        """Ends the run: what its resampler still holds."""
        resampler, self._resampler, self._kind = self._resampler, None, None
        if resampler is not None:
            yield from self._place(resampler.resample(None))

    def _expected_s(self) -> float:
        return self._begun_s + (self._taken / self._kind[2] if self._kind else 0.0)

    def _begins(self, frame: AudioFrame) -> float:
        """Seconds from the film's start to the frame's, its timestamp mended if it is broken."""
        expected_s = self._expected_s()
        if frame.pts is None:
            self.repaired += 1
            return expected_s
        begins_s = float(self._clock.seconds(frame.pts)) + self._shift_s
        if not -MOST_OVERLAP_S <= begins_s - expected_s <= MOST_GAP_S:
            self.repaired += 1
            self._shift_s += expected_s - begins_s
            return expected_s
        return begins_s

    def _begin(self, begins_s: float, kind: tuple[str, str, int]) -> Iterator[np.ndarray]:
        """Starts a run: silence up to its first sample, or samples to drop up to what is out."""
        ahead = round(begins_s * self._rate) - self._at
        self._drop = max(0, -ahead)
        self._begun_s, self._taken, self._kind = begins_s, 0, kind
        # Without the bound libswresample adds the channels of float sound up to more than 1.
        mix = {"rematrix_maxval": "1.0"}
        self._resampler = AudioResampler("flt", "mono", self._rate, options=mix)
        if ahead > 0:
            self._at += ahead
            yield np.zeros(ahead, np.float32)

    def _place(self, frames: Iterable[AudioFrame | None]) -> Iterator[np.ndarray]:
        for frame in frames:
            if frame is None:  # a resampler with nothing to do flushes to this
                continue
            samples = frame.to_ndarray().reshape(-1)
            dropped = min(self._drop, len(samples))
            self._drop -= dropped
            self._at += len(samples) - dropped
            # Files of floating point samples may hold anything.
            yield np.nan_to_num(samples[dropped:], posinf=1.0, neginf=-1.0)


def _blocks(pieces: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    block, filled = np.empty(size, np.float32), 0
    for piece in pieces:
        while len(piece):
            part = piece[: size - filled]
            block[filled : filled + len(part)] = part
            filled, piece = filled + len(part), piece[len(part) :]
            if filled == size:
                yield block
                block, filled = np.empty(size, np.float32), 0
    if filled:
        yield block[:filled]


SCALES = ("slaney", "htk")

BLOCK = 4096  # frames transformed at a time, so that a whole film fits into memory

_LINEAR_HZ = 1000.0  # where Slaney's scale turns logarithmic ...

_LINEAR_MEL = 15.0  # ... which is this many mels of 200/3 Hz

_LOG_STEP = np.log(6.4) / 27


@dataclasses.dataclass(frozen=True)
class LogMel:
    """What a spectrogram is made with; the defaults are PANNs' (arXiv:1912.10211) at 32 kHz.

    Attributes:
      rate: of the sound, samples per second.
      window: samples of a frame, under a Hann window.
      hop: samples from one frame's centre to the next; frame i's is sample i * hop.
      mels: bands.
      low_hz: where the lowest band begins.
      high_hz: where the highest ends.
      scale: 'slaney' or 'htk'.
      floor: power below which sound counts as this.
    """

    rate: int = 32000
    window: int = 1024
    hop: int = 320
    mels: int = 64
    low_hz: float = 50.0
    high_hz: float = 14000.0
    scale: str = "slaney"
    floor: float = 1e-10

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise ValueError(f"Unknown mel scale {self.scale!r}: give one of {', '.join(SCALES)}.")
        for name in ("rate", "window", "hop", "mels", "floor"):
            if getattr(self, name) <= 0:
                raise ValueError(f"The {name} of a spectrogram must be positive.")
        if not 0 <= self.low_hz < self.high_hz <= self.rate / 2:
            raise ValueError(
                f"Bands from {self.low_hz} to {self.high_hz} Hz do not fit sound of {self.rate} "
                f"samples per second, which ends at {self.rate / 2:g} Hz: lower high_hz."
            )

    def frames(self, samples: int) -> int:
        """How many frames so many samples (at least one) give."""
        return 1 + samples // self.hop

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Mono sound float [samples] -> ln(power) float32 [frames mels], floored at `floor`.

        At both ends the sound is mirrored to fill the frames.

        Raises:
          ValueError: no samples, another shape, integers, or values that are not finite.
        """
        samples = self._checked(samples)
        half = self.window // 2
        padded = np.pad(samples, (half, self.window - half), mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(padded, self.window)[:: self.hop]
        frames = frames[: self.frames(len(samples))]
        bands, hann = _bands(self), _hann(self.window)
        result = np.empty((len(frames), self.mels), np.float32)
        for start in range(0, len(frames), BLOCK):
            spectrum = np.fft.rfft(frames[start : start + BLOCK] * hann)
            power = spectrum.real**2 + spectrum.imag**2
            result[start : start + BLOCK] = np.log(np.maximum(power @ bands, self.floor))
        return result

    def _checked(self, samples: np.ndarray) -> np.ndarray:
        if samples.ndim != 1 or not len(samples):
            raise ValueError(f"Sound of shape {samples.shape} is not mono float [samples].")
        if not np.issubdtype(samples.dtype, np.floating):
            raise ValueError(f"Sound is {samples.dtype}: divide it into floats in [-1, 1] first.")
        if not np.isfinite(samples).all():
            raise ValueError("The sound has samples that are not finite: replace them first.")
        return samples.astype(np.float32)


def to_mel(hz: np.ndarray, scale: str) -> np.ndarray:
    """Frequencies in mels."""
    if scale == "htk":
        return 2595.0 * np.log10(1.0 + hz / 700.0)
    above = np.log(np.maximum(hz, _LINEAR_HZ) / _LINEAR_HZ) / _LOG_STEP
    return np.minimum(hz, _LINEAR_HZ) * (_LINEAR_MEL / _LINEAR_HZ) + above


def to_hz(mel: np.ndarray, scale: str) -> np.ndarray:
    """The inverse of `to_mel`."""
    if scale == "htk":
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    above = np.exp(np.maximum(mel - _LINEAR_MEL, 0.0) * _LOG_STEP)
    return np.minimum(mel, _LINEAR_MEL) * (_LINEAR_HZ / _LINEAR_MEL) * above


@functools.lru_cache(maxsize=8)
def _bands(settings: LogMel) -> np.ndarray:
    """Triangles, float32 [window/2+1 mels]: each band's weights of the frequencies.

    Raises:
      ValueError: a band lies between two frequencies, and would always be silent.
    """
    ends = np.array([settings.low_hz, settings.high_hz])
    low, high = to_mel(ends, settings.scale)
    corners = to_hz(np.linspace(low, high, settings.mels + 2), settings.scale)
    hz = np.arange(settings.window // 2 + 1)[:, None] * (settings.rate / settings.window)
    left, centre, right = corners[:-2], corners[1:-1], corners[2:]
    rise, fall = (hz - left) / (centre - left), (right - hz) / (right - centre)
    bands = np.maximum(np.minimum(rise, fall), 0.0)
    if not bands.any(axis=0).all():
        raise ValueError(
            f"Of {settings.mels} mel bands {int((~bands.any(axis=0)).sum())} hold no frequency of "
            f"a window of {settings.window} samples: give fewer mels or a longer window."
        )
    if settings.scale == "slaney":
        bands *= 2.0 / (right - left)
    return bands.astype(np.float32)


@functools.lru_cache(maxsize=8)
def _hann(window: int) -> np.ndarray:
    """The periodic Hann window, float32 [window]."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)
