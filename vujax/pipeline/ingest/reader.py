"""One pass through a film: its shots and keyframes, in memory that does not grow with it.

When a film's latest frames are shown.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vujax.catalog.ids import Id
from vujax.catalog.records import RecordWriter
from vujax.catalog.writer import Staging
from vujax.pipeline.ingest.audio import write_shot_audio
from vujax.pipeline.ingest.keyframes import CandidateBuffer, KeyframeSelector
from vujax.pipeline.ingest.settings import IngestSettings
from vujax.video.audio import AudioReader
from vujax.video.decode import FrameReader, ReadStatus
from vujax.video.probe import FilmError, FilmInfo
from vujax.video.shots.base import Shot, ShotAssembler, ShotDetector
from vujax.video.timecode import Clock


class FrameTimes:
    """PTS of a film's latest frames, by number."""

    def __init__(self) -> None:
        self.frames = 0
        self._first, self._pts = 0, np.zeros(0, np.int64)

    def add(self, pts: np.ndarray) -> None:
        """Takes the next frames."""
        self._pts = np.concatenate([self._pts, pts])
        self.frames += len(pts)

    def __getitem__(self, frame: int) -> int:
        """PTS of a frame; of the nearest known one where it is forgotten or not read."""
        return int(self._pts[min(max(frame - self._first, 0), len(self._pts) - 1)])

    def forget(self, before: int) -> None:
        """Drops the frames before this one."""
        drop = min(max(before - self._first, 0), len(self._pts) - 1)
        self._pts, self._first = self._pts[drop:].copy(), self._first + drop


Report = Callable[[float], None]

"""Told the seconds of film that are done, often: who calls it not for long hangs."""


@dataclass
class FilmReading:
    """What a pass gave.

    Attributes:
      film: what the file is.
      ended: how reading its frames ended.
      begin_pts: of its first frame.
      end_pts: of its last frame, with the time for which that is shown.
      shots: rows of the table.
      keyframes: rows of the table.
      audio: rows of the table.
      sound_reason: why the sound that was asked for is not whole.
    """

    film: FilmInfo
    ended: ReadStatus = field(default_factory=ReadStatus)
    begin_pts: int = 0
    end_pts: int = 0
    shots: list[dict[str, Any]] = field(default_factory=list)
    keyframes: list[dict[str, Any]] = field(default_factory=list)
    audio: list[dict[str, Any]] = field(default_factory=list)
    sound_reason: str = ""


def read_film(
    path: Path,
    film: str,
    detector: ShotDetector,
    settings: IngestSettings,
    staging: Staging,
    report: Report,
) -> FilmReading:
    """Reads a film; the keyframes and the sound are then files of `staging`.

    Raises:
      FilmError: it is no film, or has no picture that can be decoded.
      FileNotFoundError, PermissionError: the file cannot be had.
    """
    reader = FrameReader(path, size=detector.size, every_s=settings.every_s, side=settings.side)
    with (
        RecordWriter(staging.path("keyframes")) as writer,
        CandidateBuffer(staging.folder, settings.quality) as candidates,
    ):
        clock = reader.video.clock
        keyframes = KeyframeSelector(film, clock, settings.positions, writer)
        reading = _pictures(reader, film, detector, keyframes, candidates, report)
        seek = not reading.status.repaired
        for seconds in keyframes.fetch(path, settings.side, settings.quality, seek):
            report(seconds)
        reading.keyframes = keyframes.rows
    if settings.audio_rate is not None:
        _sound(path, film, reading, settings.audio_rate, staging, report)
    return reading


def _pictures(
    reader: FrameReader,
    film: str,
    detector: ShotDetector,
    keyframes: KeyframeSelector,
    candidates: CandidateBuffer,
    report: Report,
) -> FilmReading:
    clock = reader.video.clock
    detection, closing, times = detector.start(reader.video), ShotAssembler(), FrameTimes()
    reading = FilmReading(reader.film)

    def close(shots: Iterable[Shot]) -> None:
        for shot in shots:
            ending = shot.end < times.frames
            end = times[shot.end] if ending else times[shot.end - 1] + clock.frame_ticks
            row = _row(film, len(reading.shots), shot, end, times, clock)
            reading.shots.append(row)
            keyframes.add(row["shot"], row["begin_pts"], end, candidates)
            candidates.forget(end)
            times.forget(shot.begin)  # the next one's transition begins in this one

    for chunk in reader:
        times.add(chunk.pts)
        for still in chunk.candidates:
            candidates.add(still)
        found = detection.add(chunk)
        close(closing.add(found, detection.decided, times.frames))
        report(float(clock.seconds(int(chunk.pts[-1]))))
    close(closing.finish(detection.finish() if times.frames else (), times.frames))
    reading.status = reader.status
    if reading.shots:
        reading.begin_pts = reading.shots[0]["begin_pts"]
        reading.end_pts = reading.shots[-1]["end_pts"]
    return reading


def _row(
    film: str, number: int, shot: Shot, end: int, times: FrameTimes, clock: Clock
) -> dict[str, Any]:
    begin, into = times[shot.begin], shot.into
    row = dict(
        film=film,
        shot=number,
        id=str(Id(film, number)),
        first_frame=shot.begin,
        last_frame=shot.end - 1,
        begin_pts=begin,
        end_pts=end,
        time_base_num=clock.time_base.numerator,
        time_base_den=clock.time_base.denominator,
        begin_s=float(clock.seconds(begin)),
        end_s=float(clock.seconds(end)),
    )
    if into is None:
        return row
    return row | dict(
        transition=into.kind,
        transition_score=into.score,
        transition_last_frame=into.last,
        transition_first_frame=into.first,
        transition_begin_pts=times[into.last],
        transition_end_pts=times[into.first],
    )


def _sound(
    path: Path, film: str, reading: FilmReading, rate: int, staging: Staging, report: Report
) -> None:
    """Adds the sound; a film without, or with damaged sound, is not worse for it."""
    if reading.film.audio is None:
        return
    try:
        reader = AudioReader(path, rate=rate)
        with RecordWriter(staging.path("audio")) as writer:
            for seconds, rows in write_shot_audio(reader, film, reading.shots, writer, rate):
                reading.audio += rows
                report(seconds)
        reading.sound_reason = reader.status.reason
    except FilmError as error:
        reading.sound_reason = str(error)
        staging.path("audio").unlink(missing_ok=True)
