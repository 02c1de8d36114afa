"""Log-mel spectrograms of one length of a catalog's shots."""

import io
from dataclasses import dataclass

import av
import numpy as np

from vujax.catalog.reader import Catalog
from vujax.catalog.records import RecordReader
from vujax.video.log_mel import LogMel

WINDOW_S, HOP_S = 0.032, 0.01
MAX_HZ = 14000.0  # the default of `LogMel`; lower for sound of a lower rate
FULL_SCALE = 1 << 15


@dataclass(frozen=True, eq=False)
class ShotAudio:
    """Location of the sound of a film's shots; picklable.

    Attributes:
      mel: transform to log-mel spectrograms.
      samples: number of samples per shot.
      windows: int64 `[n 2]`, start and end of the samples to use of each shot.
      pieces: int64 `[p 4]`: shot, first sample, number of samples and record, in order.
    """

    mel: LogMel
    samples: int
    windows: np.ndarray
    pieces: np.ndarray

    def spectrogram(self, shot: int, records: RecordReader) -> np.ndarray:
        """Return the log-mel spectrogram float32 `[t mels]` of the middle of a shot.

        A shorter shot, or one whose sound ends early, is padded with silence on both sides.

        Args:
          shot: number of the shot.
          records: records of the film, see `Catalog.flacs`.

        Raises:
          ValueError: a record is damaged.
        """
        start, end = self.windows[shot].tolist()
        wave = np.zeros(self.samples, np.float32)
        offset = (self.samples - (end - start)) // 2 - start
        for _, first, count, record in self.pieces[self.pieces[:, 0] == shot].tolist():
            low, high = max(start, first), min(end, first + count)
            if low < high:
                samples = decode_flac(records[record])[low - first : high - first]
                wave[low + offset : low + offset + len(samples)] = samples
        return self.mel(wave)


def open_shot_audio(
    catalog: Catalog, film: str, seconds: np.ndarray, length_s: float, mels: int
) -> ShotAudio:
    """Open the sound of a film's shots; a film without sound is silent.

    Args:
      catalog: catalog of the film.
      film: id of the film.
      seconds: start and end of its shots, float64 `[n 2]`.
      length_s: seconds to use of each shot.
      mels: number of bands.

    Raises:
      ValueError: the film has sound, but the catalog was made without it.
    """
    table = catalog.audio(film)
    if not len(table) and catalog.films(film)["sound"][0].as_py():
        raise ValueError(f"{catalog.path} has no sound of {film}; ingest it again with --audio")
    rate = table["rate"][0].as_py() if len(table) else 16000
    samples = max(1, round(length_s * rate))
    edges = np.maximum(np.round(seconds * rate), 0).astype(np.int64)
    first = np.maximum(edges[:, 0], edges.sum(axis=1) // 2 - samples // 2)
    windows = np.stack([first, np.minimum(edges[:, 1], first + samples)], axis=1)
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
    """Decode a 16-bit FLAC file to mono float32 `[n]` in [-1, 1].

    Raises:
      ValueError: the data is not a FLAC file.
    """
    try:
        with av.open(io.BytesIO(flac), format="flac") as container:
            frames = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    except (av.FFmpegError, IndexError) as error:
        raise ValueError(
            f"a shot's sound cannot be decoded ({error}); ingest its film again"
        ) from None
    return np.concatenate(frames).astype(np.float32) / FULL_SCALE
