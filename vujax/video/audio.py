"""A film's sound: mono, at one rate, in step with the picture.

Sample k is heard k / rate seconds after the film's start, whatever the file's timestamps do: where
they leave a gap there is silence, where they overlap the later sound gives way.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from vujax.video.clock import MOST_GAP_S
from vujax.video.decode import Ended, decoded, packets
from vujax.video.probe import FilmError, Sound, named, only, open_film, probe

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
