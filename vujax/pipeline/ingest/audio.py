"""Storage of each shot's sound as FLAC: mono, at one rate, in pieces of at most a minute."""

import io
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import av
import numpy as np

from vujax.catalog.records import RecordWriter
from vujax.video.audio import AudioReader

PIECE_S = 60
FULL_SCALE = 32767


def write_shot_audio(
    reader: AudioReader,
    film: str,
    shots: Sequence[dict[str, Any]],
    writer: RecordWriter,
    rate: int,
) -> Iterator[tuple[float, list[dict[str, Any]]]]:
    """Read a film's sound once and write it shot by shot.

    Args:
      reader: reader of the sound.
      film: id of the film.
      shots: rows of its shots.
      writer: writer of the FLAC files.
      rate: sampling rate of the reader in Hz.

    Yields:
      Seconds read so far, and the new rows of the audio table.
    """
    held, offset = np.zeros(0, np.float32), 0  # `offset`: the film's sample at held[0]
    pieces = _split_shots(shots, rate)
    piece = next(pieces, None)
    for block in reader:
        held, rows = np.concatenate([held, block]), []
        while piece and offset + len(held) >= piece.end:
            rows += _write_piece(film, piece, piece.cut(held, offset), rate, writer)
            piece = next(pieces, None)
        drop = len(held) if piece is None else min(max(piece.start - offset, 0), len(held))
        held, offset = held[drop:], offset + drop
        yield offset / rate, rows
    rows = []
    while piece and piece.start < offset + len(held):  # the sound ends before the video
        rows += _write_piece(film, piece, piece.cut(held, offset), rate, writer)
        piece = next(pieces, None)
    yield offset / rate, rows


class _Piece(NamedTuple):
    """Piece of a shot's sound: samples `start` to `end` - 1 of the film."""

    shot: int
    number: int
    start: int
    end: int

    def cut(self, samples: np.ndarray, offset: int) -> np.ndarray:
        """Return the piece's part of samples that start at the film's sample `offset`."""
        return samples[max(self.start - offset, 0) : max(self.end - offset, 0)]


def _split_shots(shots: Sequence[dict[str, Any]], rate: int) -> Iterator[_Piece]:
    for shot in shots:
        start, end = (max(0, round(Fraction(shot[key]) * rate)) for key in ("begin_s", "end_s"))
        for number, first in enumerate(range(start, end, PIECE_S * rate)):
            yield _Piece(shot["shot"], number, first, min(end, first + PIECE_S * rate))


def _write_piece(
    film: str, piece: _Piece, samples: np.ndarray, rate: int, writer: RecordWriter
) -> list[dict[str, Any]]:
    if not len(samples):
        return []
    record = writer.write(encode_flac(samples, rate))
    place = dict(film=film, shot=piece.shot, piece=piece.number, first_sample=piece.start)
    return [place | dict(samples=len(samples), rate=rate, record=record)]


def encode_flac(samples: np.ndarray, rate: int) -> bytes:
    """Encode float32 `[n]` in [-1, 1] as a 16-bit FLAC file."""
    pcm = np.round(np.clip(samples, -1, 1) * FULL_SCALE).astype(np.int16)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=rate, layout="mono")
        stream.codec_context.format = "s16"
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        resampler = av.AudioResampler("s16", "mono", rate, frame_size=4096)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return buffer.getvalue()
