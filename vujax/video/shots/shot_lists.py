"""Readers of shot lists that somebody else made: MovieNet's files, CMX3600 EDLs, CSV.

- `.txt`: one shot a line, `begin end` in frames counted from 0, both inclusive; more numbers may
  follow, as the keyframes do in MovieNet's files.
- `.edl`: the video events of a CMX3600 list, by their record times. The whole hours of the earliest
  record time are taken off, for programmes start at 01:00:00:00 or so. A gap is a shot of black.
- `.csv`, `.tsv`: a header line, then one shot a line. The begin stands in a column `begin_...` or
  `start_...`, the end, if at all, in `end_...`, where `...` is `s`, `seconds` or `time_seconds`,
  `timecode`, or `frame`; of several, the first of these counts, so PySceneDetect's lists are read
  too. Frames count from 0. An end is the moment at which the shot is over, not its last frame.
  A column `transition` or `kind` may name what leads into the shot.

Shots that are known already, as a detector: nothing is searched, times become frames.

A list gives times (see `shot_lists`); a shot begins at the frame nearest to its time, by the
frames' PTS. Where listed shots leave a gap or overlap, a 'gradual' transition lies. The first shot
begins with the film, and the last one lasts to its end.
"""

import csv
import hashlib
import io
import itertools
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from vujax.video.decode import SMALL_SIZE, Chunk
from vujax.video.probe import VideoStream, quote_path
from vujax.video.shots.base import Transition
from vujax.video.timecode import Clock, nearest_timecode_rate, parse_timecode

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
    """A shot in film time.

    Attributes:
      begin: seconds.
      end: seconds; when it is over. None: when the next one begins.
      kind: of the transition into it.
      blend: seconds of that transition, from `begin` on.
      line: of the file.
    """

    begin: Fraction
    end: Fraction | None
    kind: str
    blend: Fraction
    line: int


def read_shot_list(path: str | Path, rate: Fraction) -> list[ListedShot]:
    """The shots of a list in the order of their begins, which grow.

    Args:
      path: of a .txt, .edl, .csv or .tsv file.
      rate: frames per second that its frame numbers and timecodes count.

    Raises:
      ValueError: it is no such list; names the file, the line and the remedy.
      OSError: it cannot be read.
    """
    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise ValueError(
            f"{quote_path(path)} is no shot list: it must be named .txt, .edl, .csv, .tsv."
        )
    spans: list[ListedShot] = []
    for line, make in reader(_text(path), rate):
        try:
            span = make()
            if spans and span.begin <= spans[-1].begin:
                raise ValueError("its shot begins no later than the one before")
            if span.end is not None and span.end <= span.begin:
                raise ValueError("its shot ends no later than it begins")
        except ValueError as error:
            raise ValueError(
                f"{quote_path(path)}, line {line}: {error}; correct the line or the rate, which is "
                f"{rate} frames per second."
            ) from error
        spans.append(span)
    if not spans:
        raise ValueError(f"{quote_path(path)} lists no shot: give the file that holds the list.")
    return spans


Lines = Iterator[tuple[int, Callable[[], ListedShot]]]

"""The number of a line and what makes its span, or raises ValueError with the reason."""


def _text(path: Path) -> str:
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{quote_path(path)} is too large for a shot list: give another file.")
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{quote_path(path)} is no UTF-8 text: save it as such.") from error


def _frame(text: str) -> int:
    if not FRAME.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no frame number")
    return int(text)


def _seconds(text: str) -> Fraction:
    if not SECONDS.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no number of seconds")
    return Fraction(text)


def _movienet(text: str, rate: Fraction) -> Lines:
    def make(words: list[str], line: int) -> ListedShot:
        if len(words) < 2:
            raise ValueError("it needs a first and a last frame")
        begin, last = (_frame(word) for word in words[:2])
        return ListedShot(begin / rate, (last + 1) / rate, "cut", Fraction(0), line)

    for line, words in enumerate(map(str.split, text.split("\n")), 1):
        if words:
            yield line, lambda words=words, line=line: make(words, line)


def _edl(text: str, rate: Fraction) -> Lines:
    events = []
    drop = False
    for line, row in enumerate(map(str.strip, text.split("\n")), 1):
        if row.startswith("FCM:"):
            drop = row.removeprefix("FCM:").strip() == "DROP FRAME"
        elif row[:1].isdigit():
            match = EVENT.fullmatch(row)
            try:
                event = _event(match, rate, drop, line)
            except ValueError as error:
                yield line, _raising(error)
                return
            if event is not None:
                hour = _timecode(f"{match['begin'][:2]}:00:00:00", rate, drop)
                events.append((event, hour))
    if events:
        events.sort(key=lambda pair: pair[0].begin)
        yield from _programme([event for event, _ in events], start=events[0][1])


def _raising(error: ValueError) -> Callable[[], ListedShot]:
    def make() -> ListedShot:
        raise error

    return make


def _event(match: re.Match | None, rate: Fraction, drop: bool, line: int) -> ListedShot | None:
    """The span of an event; None when it shows nothing new: sound, keys, no length."""
    if match is None:
        raise ValueError("it is no CMX3600 event")
    kind = match["kind"]
    begin, end = (_timecode(match[key], rate, drop) for key in ("begin", "end"))
    picture = "V" in match["channels"] or match["channels"] == "B"
    if not picture or kind.startswith("K") or begin == end:
        return None
    blend = int(match["frames"] or 0) / nearest_timecode_rate(rate) if kind != "C" else Fraction(0)
    return ListedShot(begin, end, KINDS[kind[0]], blend, line)


def _timecode(text: str, rate: Fraction, drop: bool = False) -> Fraction:
    if len(text) > len("00:00:00:00"):
        raise ValueError(f"{text[:40]!r} is not a timecode")
    head, mark, frames = text.rpartition(":")
    if drop and mark and ";" not in text:
        text = f"{head};{frames}"
    counted = nearest_timecode_rate(rate)
    return parse_timecode(text, counted) / counted


def _programme(events: list[ListedShot], start: Fraction) -> Lines:
    """Events counted from the programme's start on, and black where there is none."""
    before: ListedShot | None = None
    for event in events:
        begin, end = event.begin - start, event.end - start
        if before and before.end < begin:
            black = ListedShot(before.end, begin, "cut", Fraction(0), event.line)
            yield event.line, lambda black=black: black
        before = ListedShot(begin, end, event.kind, event.blend, event.line)
        yield event.line, lambda before=before: before


def _table(delimiter: str) -> Callable[[str, Fraction], Lines]:
    def read(text: str, rate: Fraction) -> Lines:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        try:
            header = next(rows, [])
            if header[:1] and header[0].startswith("Timecode List"):  # PySceneDetect's first line
                header = next(rows, [])
            make = _columns([_plain(name) for name in header], rate)
            for row in rows:
                if any(map(str.strip, row)):
                    yield rows.line_num, lambda row=row: make(row, rows.line_num)
        except (csv.Error, ValueError) as error:
            yield max(1, rows.line_num), _raising(ValueError(str(error)))

    return read


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _columns(names: list[str], rate: Fraction) -> Callable[[list[str], int], ListedShot]:
    """What makes a span of a row, by the header's names.

    Raises:
      ValueError: no column says where shots begin.
    """
    parsers = {"frame": lambda text: _frame(text) / rate, "timecode": lambda t: _timecode(t, rate)}
    places = [
        (unit, names.index(f"{word}_{unit}"))
        for unit in UNITS
        for word in ("begin", "start")
        if f"{word}_{unit}" in names
    ]
    if not places:
        raise ValueError("no column is named begin_s, begin_timecode or begin_frame")
    unit, begin = places[0]
    parse = parsers.get(unit, _seconds)
    end = names.index(f"end_{unit}") if f"end_{unit}" in names else None
    kinds = [names.index(word) for word in ("transition", "kind") if word in names]

    def make(row: list[str], line: int) -> ListedShot:
        if len(row) != len(names):
            raise ValueError(f"it has {len(row)} columns and the header has {len(names)}")
        cells = [cell.strip() for cell in row]
        ended = parse(cells[end]) if end is not None else None
        kind = (cells[kinds[0]] if kinds else "").lower() or "cut"
        if not KIND.fullmatch(kind):
            raise ValueError(f"{kind[:40]!r} names no transition")
        return ListedShot(parse(cells[begin]), ended, kind, Fraction(0), line)

    return make


READERS = {".txt": _movienet, ".edl": _edl, ".csv": _table(","), ".tsv": _table("\t")}

Joint = tuple[Fraction, Fraction, str]

"""Seconds at which the old shot is over and the new one is alone; the transition's kind."""


class KnownShots:
    """A `ShotDetector` that says what a file says; it serves one film, or cuts of equal timing.

    Attributes:
      name: with the list's hash and the rate, if one was given.
      size: height and width of the small frames, which it does not look at.
    """

    size = SMALL_SIZE

    def __init__(self, path: str | Path, *, rate: Fraction | None = None) -> None:
        """Takes note of the file; it is read when the film begins.

        Args:
          path: of a .txt (MovieNet), .edl (CMX3600), .csv or .tsv file.
          rate: frames per second that the list counts; the film's own by default.

        Raises:
          ValueError: the rate is not above 0.
          OSError: the file cannot be read.
        """
        if rate is not None and rate <= 0:
            raise ValueError(f"rate={rate} cannot be: give frames per second.")
        self._path, self._rate = Path(path), rate
        if not self._path.is_file():
            raise FileNotFoundError(
                f"{quote_path(self._path)} is no file: give that of a shot list."
            )
        with self._path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self.name = f"known-{digest[:8]}" + (f"-r{rate}" if rate else "")

    def start(self, picture: VideoStream) -> "KnownDetection":
        """Begins with a film.

        Raises:
          ValueError: the file is no shot list; names the file, the line and the remedy.
          OSError: it cannot be read.
        """
        spans = read_shot_list(self._path, self._rate or picture.clock.rate)
        return KnownDetection(
            find_joints(spans, compute_half_frame_s(picture.clock)), picture.clock
        )


def compute_half_frame_s(clock: Clock) -> Fraction:
    """Seconds within which a time belongs to a frame."""
    return 1 / (2 * clock.rate)


def find_joints(spans: list[ListedShot], tolerance: Fraction) -> list[Joint]:
    """The transitions between successive shots; gaps below `tolerance` seconds are none."""
    found: list[Joint] = []
    for old, new in itertools.pairwise(spans):
        over = new.begin if old.end is None else old.end
        if new.blend:
            found.append((new.begin, new.begin + new.blend, new.kind))
        elif abs(over - new.begin) < tolerance:
            found.append((new.begin, new.begin, new.kind))
        else:
            kind = "gradual" if new.kind == "cut" else new.kind
            found.append((min(over, new.begin), max(over, new.begin), kind))
    return found


class KnownDetection:
    """A `Detection`: finds the frames of known times.

    Attributes:
      decided: see `Detection`.
      beyond: after `finish`, how many listed transitions the film was too short for; many of them
        say that it is another film's list, or has another rate.
    """

    def __init__(self, known: list[Joint], clock: Clock) -> None:
        """Begins with a film of this clock."""
        self.decided = 0
        self.beyond = 0
        self._kinds = [kind for _, _, kind in known]
        # The first frame that belongs to each moment, in ticks: it begins half a frame before.
        moments = [second - compute_half_frame_s(clock) for joint in known for second in joint[:2]]
        ticks = (math.ceil((moment + clock.start) / clock.time_base) for moment in moments)
        self._limits = list(itertools.accumulate(ticks, max))
        self._frames: list[int] = []  # of the limits that were passed
        self._arrived = 0

    def add(self, chunk: Chunk) -> list[Transition]:
        """Takes the next frames; the transitions that end among them."""
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
        """After the last chunk: nothing is open, for a transition needs a shot after it."""
        self.decided = self._arrived
        self.beyond = len(self._kinds) - len(self._frames) // 2
        return []

    def _transition(self, i: int) -> Transition:
        over, first = self._frames[2 * i : 2 * i + 2]
        kind = self._kinds[i]
        return Transition(over - 1, first, "cut" if over == first and kind == "gradual" else kind)
