"""One-pass reading of a film: shots, keyframes and sound, in memory independent of its length."""

from collections.abc import Iterable
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
from vujax.pipeline.stage import Report
from vujax.video.audio import AudioReader
from vujax.video.decode import FrameReader, ReadStatus
from vujax.video.probe import FilmError, FilmInfo
from vujax.video.shots.base import Shot, ShotAssembler, ShotDetector
from vujax.video.timecode import Clock


@dataclass
class FilmReading:
    """Result of reading a film.

    Attributes:
      film: headers of the file.
      status: outcome of reading its frames.
      start_pts: timestamp of the first frame.
      end_pts: end of the last frame's display.
      shots: rows of the shots table.
      keyframes: rows of the keyframes table.
      audio: rows of the audio table.
      audio_reason: what is missing of the requested sound; '' if it is complete.
    """

    film: FilmInfo
    status: ReadStatus = field(default_factory=ReadStatus)
    start_pts: int = 0
    end_pts: int = 0
    shots: list[dict[str, Any]] = field(default_factory=list)
    keyframes: list[dict[str, Any]] = field(default_factory=list)
    audio: list[dict[str, Any]] = field(default_factory=list)
    audio_reason: str = ""


def read_film(
    path: Path,
    film: str,
    *,
    detector: ShotDetector,
    settings: IngestSettings,
    staging: Staging,
    report: Report,
) -> FilmReading:
    """Read a film, and write its keyframes and sound into `staging`.

    Args:
      path: path of the file.
      film: id of the film.
      detector: shot detector.
      settings: keyframe, frame size and audio settings.
      staging: staging folder of the film.
      report: called with the seconds of film that are done.

    Raises:
      FilmError: the file is not a film, or has no decodable frame.
      FileNotFoundError, PermissionError: the file is missing or not readable.
    """
    reader = FrameReader(path, size=detector.size, every_s=settings.every_s, side=settings.side)
    with (
        RecordWriter(staging.path("keyframes")) as writer,
        CandidateBuffer(staging.folder, settings.quality) as candidates,
    ):
        clock = reader.video.clock
        selector = KeyframeSelector(film, clock, settings.positions, writer)
        reading = _read_shots(reader, detector, selector, candidates, report)
        can_seek = not reading.status.repaired
        for seconds in selector.fetch(path, settings.side, settings.quality, can_seek):
            report(seconds)
        reading.keyframes = selector.rows
    if settings.audio_rate is not None:
        _read_audio(path, film, reading, settings.audio_rate, staging, report)
    return reading


class FrameTimes:
    """Timestamps (PTS) of a film's latest frames, by frame number.

    Attributes:
      frames: number of frames added so far.
    """

    def __init__(self) -> None:
        self.frames = 0
        self._first, self._pts = 0, np.zeros(0, np.int64)

    def add(self, pts: np.ndarray) -> None:
        """Append the timestamps of the next frames."""
        self._pts = np.concatenate([self._pts, pts])
        self.frames += len(pts)

    def __getitem__(self, frame: int) -> int:
        """Return the PTS of a frame, or of the nearest known one if it was dropped or not read."""
        return int(self._pts[min(max(frame - self._first, 0), len(self._pts) - 1)])

    def forget(self, before: int) -> None:
        """Drop the frames before this one."""
        drop = min(max(before - self._first, 0), len(self._pts) - 1)
        self._pts, self._first = self._pts[drop:].copy(), self._first + drop


def _read_shots(
    reader: FrameReader,
    detector: ShotDetector,
    selector: KeyframeSelector,
    candidates: CandidateBuffer,
    report: Report,
) -> FilmReading:
    clock = reader.video.clock
    detection, assembler, times = detector.start(reader.video), ShotAssembler(), FrameTimes()
    reading = FilmReading(reader.film)

    def add(shots: Iterable[Shot]) -> None:
        for shot in shots:
            has_next = shot.end < times.frames
            end_pts = times[shot.end] if has_next else times[shot.end - 1] + clock.frame_ticks
            row = _build_shot_row(
                selector.film, len(reading.shots), shot, end_pts=end_pts, times=times, clock=clock
            )
            reading.shots.append(row)
            selector.add(row["shot"], row["begin_pts"], end_pts, candidates)
            candidates.forget(end_pts)
            times.forget(shot.start)  # the next shot's transition starts in this one

    for chunk in reader:
        times.add(chunk.pts)
        for still in chunk.candidates:
            candidates.add(still)
        transitions = detection.add(chunk)
        add(assembler.add(transitions, detection.decided, times.frames))
        report(float(clock.seconds(int(chunk.pts[-1]))))
    add(assembler.finish(detection.finish() if times.frames else (), times.frames))
    reading.status = reader.status
    if reading.shots:
        reading.start_pts = reading.shots[0]["begin_pts"]
        reading.end_pts = reading.shots[-1]["end_pts"]
    return reading


def _build_shot_row(
    film: str, number: int, shot: Shot, *, end_pts: int, times: FrameTimes, clock: Clock
) -> dict[str, Any]:
    start_pts, transition = times[shot.start], shot.transition
    row = dict(
        film=film,
        shot=number,
        id=str(Id(film, number)),
        first_frame=shot.start,
        last_frame=shot.end - 1,
        begin_pts=start_pts,
        end_pts=end_pts,
        time_base_num=clock.time_base.numerator,
        time_base_den=clock.time_base.denominator,
        begin_s=float(clock.seconds(start_pts)),
        end_s=float(clock.seconds(end_pts)),
    )
    if transition is None:
        return row
    return row | dict(
        transition=transition.kind,
        transition_score=transition.score,
        transition_last_frame=transition.last,
        transition_first_frame=transition.first,
        transition_begin_pts=times[transition.last],
        transition_end_pts=times[transition.first],
    )


def _read_audio(
    path: Path, film: str, reading: FilmReading, rate: int, staging: Staging, report: Report
) -> None:
    """Add the sound; missing or damaged sound does not affect the rest of the film."""
    if reading.film.audio is None:
        return
    try:
        reader = AudioReader(path, rate=rate)
        with RecordWriter(staging.path("audio")) as writer:
            for seconds, rows in write_shot_audio(reader, film, reading.shots, writer, rate):
                reading.audio += rows
                report(seconds)
        reading.audio_reason = reader.status.reason
    except FilmError as error:
        reading.audio_reason = str(error)
        staging.path("audio").unlink(missing_ok=True)
