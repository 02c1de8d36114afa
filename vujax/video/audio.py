"""Sound of a film: samples at one rate, synchronous with the video.

Sample k is heard k / rate seconds after the start of the film, whatever the file's timestamps are:
a gap between them becomes silence, and where they overlap the later sound is dropped.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from vujax.video.decode import ReadStatus, decode_frames, demux_packets
from vujax.video.probe import (
    AudioStream,
    FilmError,
    isolate_stream,
    open_container,
    probe_film,
    quote_path,
)
from vujax.video.timecode import MAX_GAP_S

TOLERANCE_S = 0.02  # timestamps are rounded; half a video frame is inaudible
MAX_OVERLAP_S = 1.0  # a longer step back is a broken timestamp
RATES = range(1000, 768001)  # Hz; a file that declares another is damaged


class AudioReader:
    """Streaming reader of a film's mono sound: iterate it for blocks, then read `status`.

    Blocks are float32 `[block]` in [-1, 1]; the last one may be shorter.

    Attributes:
      film: headers of the file.
      audio: headers of its audio stream.
      status: outcome of the last iteration; `frames` counts samples, silence included.
    """

    def __init__(self, path: str | Path, *, rate: int = 16000, block: int = 1 << 17) -> None:
        """Read the headers; each iteration opens the file again.

        Args:
          path: path of the film.
          rate: sampling rate of the result in Hz.
          block: samples per block.

        Raises:
          FilmError: the file has no decodable audio stream.
          FileNotFoundError, PermissionError: the file is missing or not readable.
        """
        self.film = probe_film(path)
        if self.film.audio is None:
            raise FilmError(f"{quote_path(self.film.path)} has no sound that can be decoded")
        self.audio: AudioStream = self.film.audio
        self.status = ReadStatus()
        self._rate, self._block = rate, block

    def __iter__(self) -> Iterator[np.ndarray]:
        self.status = ReadStatus()
        for block in _split_blocks(self._pieces(self.status), self._block):
            self.status.frames += len(block)
            yield block
        end_s = float(self.audio.clock.start) + self.status.frames / self._rate
        self.status.close("sound", end_s, self.audio)

    def _pieces(self, status: ReadStatus) -> Iterator[np.ndarray]:
        for piece in read_samples(self.film.path, self.audio, self._rate, "mono", status):
            yield piece[:, 0]


def read_samples(
    path: Path, audio: AudioStream, rate: int, layout: str, status: ReadStatus
) -> Iterator[np.ndarray]:
    """Yield the samples of a stream from the start of the film on, float32 `[n c]` in [-1, 1].

    Args:
      path: path of the film.
      audio: the stream.
      rate: sampling rate of the result in Hz.
      layout: libav's name of its channels, such as 'mono'.
      status: counts damaged packets and repaired timestamps.
    """
    track = _Track(audio, rate, layout)
    with open_container(path) as container:
        stream = isolate_stream(container, audio.index)
        for frame in decode_frames(demux_packets(container, stream, status), stream, status):
            try:
                yield from track.add(frame)
            except (av.FFmpegError, ValueError):  # a layout or format that cannot be mixed
                status.damaged += 1
    yield from track.flush()
    status.repaired = track.repaired


class _Track:
    """Placement of decoded sound on the film's time axis.

    Sound that follows without a gap is one run through one resampler. A run starts at its own
    timestamp, so that rounding errors never add up.
    """

    def __init__(self, audio: AudioStream, rate: int, layout: str) -> None:
        self.repaired = 0
        self._clock, self._rate, self._layout = audio.clock, rate, layout
        self._num_channels = av.AudioLayout(layout).nb_channels
        self._resampler: AudioResampler | None = None
        self._kind: tuple[str, str, int] | None = None  # format, layout and rate of the run
        self._run_start_s = 0.0
        self._num_taken = 0  # samples of the file in the run
        self._shift_s = 0.0  # correction of broken timestamps
        self._position = 0  # number of samples returned so far
        self._num_drop = 0  # samples of the run that come before `_position`

    def add(self, frame: AudioFrame) -> Iterator[np.ndarray]:
        """Take a frame; yield the samples that are now final."""
        if frame.sample_rate not in RATES:
            raise ValueError(f"{frame.sample_rate} samples per second")
        start_s = self._start_s(frame)
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if kind != self._kind or abs(start_s - self._expected_s()) > TOLERANCE_S:
            yield from self.flush()
            yield from self._start_run(start_s, kind)
        self._num_taken += frame.samples
        yield from self._place(self._resampler.resample(frame))

    def flush(self) -> Iterator[np.ndarray]:
        """End the run; yield the samples that its resampler still holds."""
        resampler, self._resampler, self._kind = self._resampler, None, None
        if resampler is not None:
            yield from self._place(resampler.resample(None))

    def _expected_s(self) -> float:
        return self._run_start_s + (self._num_taken / self._kind[2] if self._kind else 0.0)

    def _start_s(self, frame: AudioFrame) -> float:
        """Return the frame's seconds since the start of the film, repairing broken timestamps."""
        expected_s = self._expected_s()
        if frame.pts is None:
            self.repaired += 1
            return expected_s
        start_s = float(self._clock.seconds(frame.pts)) + self._shift_s
        if not -MAX_OVERLAP_S <= start_s - expected_s <= MAX_GAP_S:
            self.repaired += 1
            self._shift_s += expected_s - start_s
            return expected_s
        return start_s

    def _start_run(self, start_s: float, kind: tuple[str, str, int]) -> Iterator[np.ndarray]:
        """Start a run: yield silence before its first sample, or plan to drop its overlap."""
        ahead = round(start_s * self._rate) - self._position
        self._num_drop = max(0, -ahead)
        self._run_start_s, self._num_taken, self._kind = start_s, 0, kind
        # Without the bound libswresample adds the channels of float sound up to more than 1.
        mix = {"rematrix_maxval": "1.0"}
        self._resampler = AudioResampler("flt", self._layout, self._rate, options=mix)
        if ahead > 0:
            self._position += ahead
            yield np.zeros((ahead, self._num_channels), np.float32)

    def _place(self, frames: Iterable[AudioFrame | None]) -> Iterator[np.ndarray]:
        for frame in frames:
            if frame is None:  # a resampler with nothing to do flushes to this
                continue
            samples = frame.to_ndarray().reshape(-1, self._num_channels)
            dropped = min(self._num_drop, len(samples))
            self._num_drop -= dropped
            self._position += len(samples) - dropped
            # Files of floating-point samples may hold anything.
            yield np.nan_to_num(samples[dropped:], posinf=1.0, neginf=-1.0)


def _split_blocks(pieces: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    block, filled = np.empty(size, np.float32), 0
    for piece in pieces:
        while len(piece):
            head = piece[: size - filled]
            block[filled : filled + len(head)] = head
            filled, piece = filled + len(head), piece[len(head) :]
            if filled == size:
                yield block
                block, filled = np.empty(size, np.float32), 0
    if filled:
        yield block[:filled]
