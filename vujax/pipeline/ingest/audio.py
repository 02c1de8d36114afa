"""The sound of each shot as FLAC: mono, at one rate, in pieces of at most a minute."""

import io
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

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
    """Reads a film's sound once and writes it shot by shot.

    Args:
      reader: of the sound.
      film: its id.
      shots: rows of its shots.
      writer: of the FLAC files.
      rate: samples per second that the reader gives.

    Yields:
      Seconds read so far, and the rows that are new.
    """
    held, at = np.zeros(0, np.float32), 0  # `at`: the film's sample that `held` begins with
    pieces = _pieces(shots, rate)
    piece = next(pieces, None)
    for block in reader:
        held, rows = np.concatenate([held, block]), []
        while piece and at + len(held) >= piece[3]:
            rows += _write(film, piece, held, at, rate, writer)
            piece = next(pieces, None)
        drop = len(held) if piece is None else min(max(piece[2] - at, 0), len(held))
        held, at = held[drop:], at + drop
        yield at / rate, rows
    rows = []
    while piece and piece[2] < at + len(held):  # it ends before the picture, here or long ago
        rows += _write(film, piece, held, at, rate, writer)
        piece = next(pieces, None)
    yield at / rate, rows


def _pieces(shots: Sequence[dict[str, Any]], rate: int) -> Iterator[tuple[int, int, int, int]]:
    """Shot, number of the piece, and its first sample and the one after its last."""
    for shot in shots:
        begin, end = (max(0, round(Fraction(shot[key]) * rate)) for key in ("begin_s", "end_s"))
        for number, first in enumerate(range(begin, end, PIECE_S * rate)):
            yield shot["shot"], number, first, min(end, first + PIECE_S * rate)


def _write(
    film: str,
    piece: tuple[int, int, int, int],
    held: np.ndarray,
    at: int,
    rate: int,
    writer: RecordWriter,
) -> list[dict[str, Any]]:
    shot, number, first, end = piece
    samples = held[max(first - at, 0) : max(end - at, 0)]
    if not len(samples):
        return []
    record = writer.write(encode_flac(samples, rate))
    place = dict(film=film, shot=shot, piece=number, first_sample=first, samples=len(samples))
    return [place | dict(rate=rate, record=record)]


def encode_flac(samples: np.ndarray, rate: int) -> bytes:
    """float32 `[n]` in [-1, 1] as a FLAC file of 16 bits."""
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
