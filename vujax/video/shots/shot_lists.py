"""Shot lists as a detector: readers of MovieNet files, CMX3600 EDLs and CSV tables.

- `.txt`: one shot per line, `start end` in frames counted from 0, both inclusive; more numbers may
  follow, such as the keyframes in MovieNet's files.
- `.edl`: the video events of a CMX3600 list, by their record times. The first picture has the
  film's source timecode if the earliest record time is not before it; else the whole hour of that
  time, because programs start at 01:00:00:00 or so, if it is in the hour's first five minutes; else
  that time itself. Times after midnight follow those before it. A gap is a black shot.
- `.csv`, `.tsv`: a header line, then one shot per line. The start stands in a column `begin_...` or
  `start_...`, the end, if any, in `end_...`, where `...` is `s`, `seconds` or `time_seconds`,
  `timecode`, or `frame`; the first of these that is present counts, so that PySceneDetect's lists
  can be read too. Frames count from 0. An end is the moment at which the shot is over, not its last
  frame. A column `transition` or `kind` may name the transition into the shot.

Seconds count from the film's start, that of its earliest stream; frames and timecodes count from
the first picture. Times become frames by their PTS: a shot starts at the frame nearest to its time.
Where listed shots leave a gap or overlap, there is a 'gradual' transition. The first shot starts
with the film, and the last one lasts to its end.
"""

import csv
import hashlib
import io
import itertools
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from vujax.video.decode import SMALL_SIZE, Chunk
from vujax.video.probe import VideoStream, quote_path
from vujax.video.shots.base import Transition
from vujax.video.shots.list_times import ListTimes
from vujax.video.timecode import Clock, nearest_timecode_rate

MAX_BYTES = 1 << 26
FRAME = re.compile(r"[0-9]{1,9}")
SECONDS = re.compile(r"[0-9]{1,7}(?:\.[0-9]{1,12})?")
EVENT = re.compile(
    r"(?P<number>[0-9]{1,6})\s+\S+\s+(?P<channels>\S+)\s+(?P<kind>C|D|W[0-9]{3}|KB?|KO)"
    r"(?:\s+(?P<frames>[0-9]{1,3}))?"
    r"\s+\S+\s+\S+\s+(?P<begin>[0-9:;]+)\s+(?P<end>[0-9:;]+)"
)
KIND = re.compile(r"[a-z][a-z0-9 _-]{0,31}")
KINDS = {"C": "cut", "D": "dissolve", "W": "wipe"}
UNITS = ("s", "seconds", "time_seconds", "timecode", "frame")


@dataclass(frozen=True)
class ListedShot:
    """Shot of a list, in film time.

    Attributes:
      start: start in seconds.
      end: end in seconds; None for the start of the next shot.
      kind: kind of the transition into the shot.
      transition_s: seconds of that transition, from `start` on.
      line: line number in the file.
      from_first: whether times count from the first picture, as frames and timecodes do, and not
        from the start of the film.
    """

    start: Fraction
    end: Fraction | None
    kind: str
    transition_s: Fraction
    line: int
    from_first: bool = False


def read_shot_list(path: str | Path, rate: Fraction, source_timecode: str = "") -> list[ListedShot]:
    """Read the shots of a list, in order of their starts, which increase.

    Args:
      path: path of a .txt, .edl, .csv or .tsv file.
      rate: frames per second of its frame numbers and timecodes.
      source_timecode: timecode of the film's first picture; '' if it has none.

    Raises:
      ValueError: the file is not a valid list; names the file, the line and the remedy.
      OSError: the file is not readable.
    """
    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise ValueError(
            f"{quote_path(path)} is not a shot list; expected one of: {', '.join(READERS)}"
        )
    spans: list[ListedShot] = []
    for line, make in reader(_text(path), ListTimes(rate, source_timecode)):
        try:
            span = make()
            if spans and span.start <= spans[-1].start:
                raise ValueError("its shot starts no later than the one before")
            if span.end is not None and span.end <= span.start:
                raise ValueError("its shot ends no later than it starts")
        except ValueError as error:
            raise ValueError(
                f"{quote_path(path)}, line {line}: {error}; correct the line or the rate, which is "
                f"{rate} frames per second"
            ) from error
        spans.append(span)
    if not spans:
        raise ValueError(f"{quote_path(path)} lists no shot; give the file that holds the list")
    return spans


Lines = Iterator[tuple[int, Callable[[], ListedShot]]]

"""Line numbers, each with a function that returns the shot or raises ValueError."""


def _text(path: Path) -> str:
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{quote_path(path)} is too large for a shot list; give another file")
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{quote_path(path)} is not UTF-8 text; save it as UTF-8") from error


def _frame(text: str) -> int:
    if not FRAME.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a frame number")
    return int(text)


def _seconds(text: str) -> Fraction:
    if not SECONDS.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a number of seconds")
    return Fraction(text)


def _movienet(text: str, times: ListTimes) -> Lines:
    rate = times.rate

    def make(words: list[str], line: int) -> ListedShot:
        if len(words) < 2:
            raise ValueError("it needs a first and a last frame")
        start, last = (_frame(word) for word in words[:2])
        return ListedShot(start / rate, (last + 1) / rate, "cut", Fraction(0), line, True)

    for line, words in enumerate(map(str.split, text.split("\n")), 1):
        if words:
            yield line, lambda words=words, line=line: make(words, line)


def _edl(text: str, times: ListTimes) -> Lines:
    events: list[ListedShot] = []
    drop = False
    for line, row in enumerate(map(str.strip, text.split("\n")), 1):
        if row.startswith("FCM:"):
            drop = row.removeprefix("FCM:").strip() == "DROP FRAME"
        elif row[:1].isdigit():
            match = EVENT.fullmatch(row)
            try:
                event = _event(match, times, drop, line)
            except ValueError as error:
                yield line, _raising(error)
                return
            if event is not None:
                events.append(event)
    if events:
        events = _unwrap(events, times.day_s(drop))
        yield from _rebase(events, times.origin_s(events[0].start, drop))


def _unwrap(events: list[ListedShot], day_s: Fraction) -> list[ListedShot]:
    """Return events by their start; those after midnight follow those before it."""
    first = events[0].start

    def later(seconds: Fraction, than: Fraction) -> Fraction:
        return seconds + day_s if than - seconds > day_s / 2 else seconds

    moved = [replace(event, start=later(event.start, first)) for event in events]
    moved = [replace(event, end=later(event.end, event.start)) for event in moved]
    return sorted(moved, key=lambda event: event.start)


def _raising(error: ValueError) -> Callable[[], ListedShot]:
    def make() -> ListedShot:
        raise error

    return make


def _event(match: re.Match | None, times: ListTimes, drop: bool, line: int) -> ListedShot | None:
    """Return the shot of an event; None for sound, keys and events without length."""
    if match is None:
        raise ValueError("it is not a CMX3600 event")
    kind = match["kind"]
    start, end = (times.timecode_s(match[key], drop) for key in ("begin", "end"))
    has_video = "V" in match["channels"] or match["channels"] == "B"
    if not has_video or kind.startswith("K") or start == end:
        return None
    frames = int(match["frames"] or 0) if kind != "C" else 0
    transition_s = frames / nearest_timecode_rate(times.rate)
    return ListedShot(start, end, KINDS[kind[0]], transition_s, line, True)


def _rebase(events: list[ListedShot], origin: Fraction) -> Lines:
    """Yield the events, counted from the start of the program, and black shots in the gaps."""
    before: ListedShot | None = None
    for event in events:
        start, end = event.start - origin, event.end - origin
        if before and before.end < start:
            black = ListedShot(before.end, start, "cut", Fraction(0), event.line, True)
            yield event.line, lambda black=black: black
        before = replace(event, start=start, end=end)
        yield event.line, lambda before=before: before


def _table(delimiter: str) -> Callable[[str, ListTimes], Lines]:
    def read(text: str, times: ListTimes) -> Lines:
        quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
        lines = io.StringIO(text, newline="")
        rows = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)
        try:
            header = next(rows, [])
            if header[:1] and header[0].startswith("Timecode List"):  # PySceneDetect's first line
                header = next(rows, [])
            make = _columns([_plain(name) for name in header], times)
            for row in rows:
                if any(map(str.strip, row)):
                    yield rows.line_num, lambda row=row: make(row, rows.line_num)
        except (csv.Error, ValueError) as error:
            yield max(1, rows.line_num), _raising(ValueError(str(error)))

    return read


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _columns(names: list[str], times: ListTimes) -> Callable[[list[str], int], ListedShot]:
    """Return the parser of a row with these column names.

    Raises:
      ValueError: no column holds the start of a shot.
    """
    parsers = {
        "frame": lambda text: _frame(text) / times.rate,
        "timecode": lambda text: times.since_source_s(times.timecode_s(text)),
    }
    places = [
        (unit, names.index(f"{word}_{unit}"))
        for unit in UNITS
        for word in ("begin", "start")
        if f"{word}_{unit}" in names
    ]
    if not places:
        raise ValueError("no column is named begin_s, begin_timecode or begin_frame")
    unit, start = places[0]
    parse = parsers.get(unit, _seconds)
    end = names.index(f"end_{unit}") if f"end_{unit}" in names else None
    kinds = [names.index(word) for word in ("transition", "kind") if word in names]

    def make(row: list[str], line: int) -> ListedShot:
        if len(row) != len(names):
            raise ValueError(f"it has {len(row)} columns and the header has {len(names)}")
        cells = [cell.strip() for cell in row]
        end_s = parse(cells[end]) if end is not None else None
        kind = (cells[kinds[0]] if kinds else "").lower() or "cut"
        if not KIND.fullmatch(kind):
            raise ValueError(f"{kind[:40]!r} names no transition")
        return ListedShot(
            parse(cells[start]), end_s, kind, Fraction(0), line, from_first=unit in parsers
        )

    return make


READERS = {".txt": _movienet, ".edl": _edl, ".csv": _table(","), ".tsv": _table("\t")}

Joint = tuple[Fraction, Fraction, str, bool]
"""Seconds at which the old shot is over and the new one is alone; the kind of the transition; and
whether the seconds count from the first picture."""


class KnownShots:
    """`ShotDetector` that returns the shots of a list, for one film or cuts of equal timing.

    Attributes:
      name: name with the list's hash, and the rate if one was given.
      size: height and width of the small frames, which it ignores.
    """

    size = SMALL_SIZE

    def __init__(self, path: str | Path, *, rate: Fraction | None = None) -> None:
        """Hash the file; it is parsed when a film starts.

        Args:
          path: path of a .txt (MovieNet), .edl (CMX3600), .csv or .tsv file.
          rate: frames per second of the list; None for those of the film.

        Raises:
          ValueError: the rate is not positive.
          OSError: the file is not readable.
        """
        if rate is not None and rate <= 0:
            raise ValueError(f"rate must be positive, got {rate}")
        self._path, self._rate = Path(path), rate
        if not self._path.is_file():
            name = quote_path(self._path)
            raise FileNotFoundError(f"{name} is not a file; give the path of a shot list")
        with self._path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self.name = f"known-{digest[:8]}" + (f"-r{rate}" if rate else "")

    def start(self, video: VideoStream) -> "KnownDetection":
        """Start the detection of one film.

        Raises:
          ValueError: the file is not a valid list; names the file, the line and the remedy.
          OSError: the file is not readable.
        """
        rate = self._rate or video.clock.rate
        spans = read_shot_list(self._path, rate, video.timecode)
        joints = find_joints(spans, compute_half_frame_s(video.clock))
        return KnownDetection(joints, video.clock)


class KnownDetection:
    """`Detection` of the frames at known times.

    Attributes:
      decided: see `Detection`.
      beyond: after `finish`, the number of listed transitions past the end of the film; many of
        them suggest another film's list, or another rate.
    """

    def __init__(self, known: list[Joint], clock: Clock) -> None:
        """Start with the transitions of a list and the film's clock."""
        self.decided = 0
        self.beyond = 0
        self._kinds = [joint[2] for joint in known]
        self._known, self._clock = known, clock
        self._limits: list[int] | None = None
        self._frames: list[int] = []  # of the limits that were passed
        self._arrived = 0

    def add(self, chunk: Chunk) -> list[Transition]:
        """Take the next frames; return the transitions that end among them."""
        if self._limits is None:
            self._limits = self._find_limits(int(chunk.pts[0]))
        done, had = len(self._frames), len(self._frames) // 2
        passed = int(np.searchsorted(self._limits, chunk.pts[-1], "right"))
        places = np.searchsorted(chunk.pts, self._limits[done:passed])
        self._frames += (self._arrived + places).tolist()
        self._arrived += len(chunk.pts)
        is_open = len(self._frames) % 2
        self.decided = self._frames[-1] if is_open else self._arrived
        found = (self._transition(i) for i in range(had, len(self._frames) // 2))
        return [t for t in found if t.last >= 0]

    def finish(self) -> list[Transition]:
        """Return no transition: an open one needs a shot after it."""
        self.decided = self._arrived
        self.beyond = len(self._kinds) - len(self._frames) // 2
        return []

    def _find_limits(self, first_pts: int) -> list[int]:
        """Return the first tick that belongs to the frame of each moment: half a frame before."""
        clock, half = self._clock, compute_half_frame_s(self._clock)
        origins = {False: clock.start, True: first_pts * clock.time_base}
        moments = [
            second + origins[joint[3]] - half for joint in self._known for second in joint[:2]
        ]
        ticks = (math.ceil(moment / clock.time_base) for moment in moments)
        return list(itertools.accumulate(ticks, max))

    def _transition(self, i: int) -> Transition:
        over, first = self._frames[2 * i : 2 * i + 2]
        kind = self._kinds[i]
        return Transition(over - 1, first, "cut" if over == first and kind == "gradual" else kind)


def find_joints(spans: list[ListedShot], tolerance: Fraction) -> list[Joint]:
    """Return the transitions between consecutive shots, ignoring gaps below `tolerance` seconds."""
    found: list[Joint] = []
    for old, new in itertools.pairwise(spans):
        over = new.start if old.end is None else old.end
        if new.transition_s:
            joint = (new.start, new.start + new.transition_s, new.kind)
        elif abs(over - new.start) < tolerance:
            joint = (new.start, new.start, new.kind)
        else:
            kind = "gradual" if new.kind == "cut" else new.kind
            joint = (min(over, new.start), max(over, new.start), kind)
        found.append((*joint, new.from_first))
    return found


def compute_half_frame_s(clock: Clock) -> Fraction:
    """Return half the duration of a frame, in seconds."""
    return 1 / (2 * clock.rate)
