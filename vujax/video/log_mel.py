"""Log-mel spectrograms: power of sound in frequency bands spaced by perceived pitch.

Two mel scales are supported. 'htk': mel = 2595 log10(1 + Hz / 700), with bands that peak at 1
(Young et al., "The HTK Book"). 'slaney': linear below 1 kHz and logarithmic above, with bands of
equal area (Slaney, "Auditory Toolbox", 1998); it is librosa's default.
"""

import dataclasses
import functools

import numpy as np

SCALES = ("slaney", "htk")
FRAMES_PER_BLOCK = 4096  # frames transformed at a time, so that a whole film fits into memory

_LINEAR_HZ = 1000.0  # where Slaney's scale turns logarithmic ...
_LINEAR_MEL = 15.0  # ... which is this many mels of 200/3 Hz
_LOG_STEP = np.log(6.4) / 27


@dataclasses.dataclass(frozen=True)
class LogMel:
    """Log-mel transform; the defaults are those of PANNs (arXiv:1912.10211) at 32 kHz.

    Attributes:
      rate: sampling rate of the sound in Hz.
      window: samples of a frame, under a Hann window.
      hop: samples between the centers of two frames; frame i is centered at sample i * hop.
      mels: number of bands.
      low_hz: lower edge of the lowest band in Hz.
      high_hz: upper edge of the highest band in Hz.
      scale: 'slaney' or 'htk'.
      floor: minimum power; less counts as this.
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
            raise ValueError(
                f"unknown mel scale {self.scale!r}; expected one of: {', '.join(SCALES)}"
            )
        for name in ("rate", "window", "hop", "mels", "floor"):
            if (value := getattr(self, name)) <= 0:
                raise ValueError(f"{name} of a spectrogram must be positive, got {value}")
        if not 0 <= self.low_hz < self.high_hz <= self.rate / 2:
            raise ValueError(
                f"bands from {self.low_hz} to {self.high_hz} Hz do not fit sound of {self.rate} "
                f"samples per second, which ends at {self.rate / 2:g} Hz; lower high_hz"
            )

    def frames(self, samples: int) -> int:
        """Return the number of frames of `samples` samples, at least one."""
        return 1 + samples // self.hop

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Return ln(power) float32 `[frames mels]`, floored at `floor`, of mono sound.

        The sound is mirrored at both ends to fill the frames.

        Args:
          samples: float `[samples]`.

        Raises:
          ValueError: there are no samples, or they are not mono, not floats or not finite.
        """
        samples = self._checked(samples)
        half = self.window // 2
        padded = np.pad(samples, (half, self.window - half), mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(padded, self.window)[:: self.hop]
        frames = frames[: self.frames(len(samples))]
        bands, hann = _bands(self), _hann(self.window)
        result = np.empty((len(frames), self.mels), np.float32)
        for start in range(0, len(frames), FRAMES_PER_BLOCK):
            spectrum = np.fft.rfft(frames[start : start + FRAMES_PER_BLOCK] * hann)
            power = spectrum.real**2 + spectrum.imag**2
            result[start : start + FRAMES_PER_BLOCK] = np.log(np.maximum(power @ bands, self.floor))
        return result

    def _checked(self, samples: np.ndarray) -> np.ndarray:
        if samples.ndim != 1 or not len(samples):
            raise ValueError(f"sound of shape {samples.shape} is not mono float [samples]")
        if not np.issubdtype(samples.dtype, np.floating):
            raise ValueError(f"sound is {samples.dtype}; divide it into floats in [-1, 1] first")
        if not np.isfinite(samples).all():
            raise ValueError("the sound has samples that are not finite; replace them first")
        return samples.astype(np.float32)


def hz_to_mel(hz: np.ndarray, scale: str) -> np.ndarray:
    """Convert frequencies in Hz to mels."""
    if scale == "htk":
        return 2595.0 * np.log10(1.0 + hz / 700.0)
    above = np.log(np.maximum(hz, _LINEAR_HZ) / _LINEAR_HZ) / _LOG_STEP
    return np.minimum(hz, _LINEAR_HZ) * (_LINEAR_MEL / _LINEAR_HZ) + above


def mel_to_hz(mel: np.ndarray, scale: str) -> np.ndarray:
    """Convert mels to frequencies in Hz."""
    if scale == "htk":
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    above = np.exp(np.maximum(mel - _LINEAR_MEL, 0.0) * _LOG_STEP)
    return np.minimum(mel, _LINEAR_MEL) * (_LINEAR_HZ / _LINEAR_MEL) * above


@functools.lru_cache(maxsize=8)
def _bands(settings: LogMel) -> np.ndarray:
    """Return triangular filters float32 `[window/2+1 mels]`: each band's frequency weights.

    Raises:
      ValueError: a band lies between two frequencies, and would always be silent.
    """
    edges = np.array([settings.low_hz, settings.high_hz])
    low, high = hz_to_mel(edges, settings.scale)
    corners = mel_to_hz(np.linspace(low, high, settings.mels + 2), settings.scale)
    hz = np.arange(settings.window // 2 + 1)[:, None] * (settings.rate / settings.window)
    left, center, right = corners[:-2], corners[1:-1], corners[2:]
    rise, fall = (hz - left) / (center - left), (right - hz) / (right - center)
    bands = np.maximum(np.minimum(rise, fall), 0.0)
    if num_empty := int((~bands.any(axis=0)).sum()):
        raise ValueError(
            f"{num_empty} of {settings.mels} mel bands hold no frequency of a window of "
            f"{settings.window} samples; give fewer mels or a longer window"
        )
    if settings.scale == "slaney":
        bands *= 2.0 / (right - left)
    return bands.astype(np.float32)


@functools.lru_cache(maxsize=8)
def _hann(window: int) -> np.ndarray:
    """Return the periodic Hann window, float32 `[window]`."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)
