"""The sound of a catalogue's shots as log-mel spectrograms of one length."""

import io
from dataclasses import dataclass

import av
import numpy as np

from vujax.catalog.reader import Catalog
from vujax.catalog.records import RecordReader
from vujax.video.log_mel import LogMel

WINDOW_S, HOP_S = 0.032, 0.01
MAX_HZ = 14000.0  # as `LogMel` has it, where the sound reaches so far
FULL_SCALE = 1 << 15


@dataclass(frozen=True, eq=False)
class ShotAudio:
    """Where the sound of a film's shots is; picklable.

    Attributes:
      mel: makes the spectrograms.
      samples: length of a shot's sound.
      windows: int64 `[n 2]`, first sample of it and the one after the last, within each shot.
      pieces: int64 `[p 4]`: shot, first sample, number of samples and record, in order.
    """

    mel: LogMel
    samples: int
    windows: np.ndarray
    pieces: np.ndarray

    def spectrogram(self, shot: int, records: RecordReader) -> np.ndarray:
        """Log-mel float32 `[t mels]` of the middle of a shot.

        A shot that is shorter lies in the middle, silence around it; so does one whose sound ends.

        Args:
          shot: its number.
          records: the film's, see `Catalog.flacs`.

        Raises:
          ValueError: a record is damaged.
        """
        begin, end = self.windows[shot].tolist()
        wave = np.zeros(self.samples, np.float32)
        offset = (self.samples - (end - begin)) // 2 - begin
        for _, first, count, record in self.pieces[self.pieces[:, 0] == shot].tolist():
            low, high = max(begin, first), min(end, first + count)
            if low < high:
                found = decode_flac(records[record])[low - first : high - first]
                wave[low + offset : low + offset + len(found)] = found
        return self.mel(wave)


def open_shot_audio(
    catalog: Catalog, film: str, seconds: np.ndarray, length_s: float, mels: int
) -> ShotAudio:
    """The sound of a film's shots; a film without sound is silent.

    Args:
      catalog: that has it.
      film: its id.
      seconds: float64 `[n 2]`, of its shots.
      length_s: how much of each shot is heard.
      mels: bands.

    Raises:
      ValueError: the film has sound, but the catalogue does not have it.
    """
    table = catalog.audio(film)
    if not len(table) and catalog.films(film)["sound"][0].as_py():
        raise ValueError(f"{catalog.path} has no sound of {film}: ingest it again with --audio")
    rate = table["rate"][0].as_py() if len(table) else 16000
    samples = max(1, round(length_s * rate))
    borders = np.maximum(np.round(seconds * rate), 0).astype(np.int64)
    first = np.maximum(borders[:, 0], borders.sum(axis=1) // 2 - samples // 2)
    windows = np.stack([first, np.minimum(borders[:, 1], first + samples)], axis=1)
    columns = [table[name].to_numpy() for name in ("shot", "first_sample", "samples", "record")]
    mel = LogMel(
        rate,
        window=round(WINDOW_S * rate),
        hop=round(HOP_S * rate),
        mels=mels,
        high_hz=min(MAX_HZ, rate / 2),
    )
    return ShotAudio(mel, samples, windows, np.stack(columns, axis=1).astype(np.int64))


def decode_flac(flac: bytes) -> np.ndarray:
    """Mono float32 `[n]` in [-1, 1] of a FLAC file of 16 bits.

    Raises:
      ValueError: it is none.
    """
    try:
        with av.open(io.BytesIO(flac), format="flac") as container:
            frames = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    except (av.FFmpegError, IndexError) as error:
        raise ValueError(
            f"a shot's sound cannot be decoded ({error}): ingest its film again"
        ) from None
    return np.concatenate(frames).astype(np.float32) / FULL_SCALE
