"""Log-mel spectrograms of sound: how loud it is in bands spaced as the ear hears pitch.

Two spacings are in use, and named here. 'htk': mel = 2595 log10(1 + Hz / 700), bands that peak at 1
(Young et al., "The HTK Book"). 'slaney': linear below 1 kHz, logarithmic above, bands of equal area
(Slaney, "Auditory Toolbox", 1998), which is librosa's default.
"""

import dataclasses
import functools

import numpy as np

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
                raise ValueError(
                    f"The spectrogram's {name} {getattr(self, name)} must be positive."
                )
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
