"""`vujax scenes FILM --out FOLDER`: when the scenes of films begin, for editors and players.

Run again, it passes over the films that were read, so another threshold costs no second reading.
"""

import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vujax.cli import runner
from vujax.cli.embed import ENCODER

if TYPE_CHECKING:  # the help needs none of it
    from vujax.pipeline.ingest.film import Outcome
    from vujax.pipeline.ingest.run import Runner
    from vujax.scenes.detect import Result
    from vujax.scenes.stages import Making, Reading
    from vujax.scenes.types import Scenes

MOST_FILMS = 5  # with a table; each of the others gets a line
MOST_LINES = 20
FORMATS = ("csv", "vtt", "ffmetadata", "chapters", "edl", "otio", "json", "html")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    add = parser.add_argument
    add("paths", nargs="+", type=Path, metavar="FILM", help="films, folders, or one catalogue")
    add("--out", required=True, type=Path, metavar="FOLDER", help="of all files that are written")
    add(
        "--formats",
        nargs="+",
        choices=FORMATS,
        default=FORMATS,
        metavar="NAME",
        help=f"to write (all: {', '.join(FORMATS)})",
    )
    add("--series", action="store_true", help="the films are episodes: find what returns in them")
    add = parser.add_argument_group("where scenes begin").add_argument
    add("--threshold", type=float, metavar="T", help="of the scores, 0 to 1 (the head's own)")
    add("--scenes", type=int, metavar="N", help="so many scenes in each film")
    add("--min-duration", type=float, metavar="S", help="seconds of the shortest scene (0)")
    add("--adapt", action="store_true", help="first train vectors on these films, without labels")
    add(
        "--head",
        default="default",
        metavar="NAME",
        help="default, a file, or none: how little the shots around a border are alike",
    )
    add("--encoder", default="lite", metavar="NAME", help=f"of the keyframes: {ENCODER}")
    add(
        "--shots",
        default="transnetv2",
        metavar="NAME",
        help="found by transnetv2 (so unless "
        "told), adaptive or content; or a list of known shots, or a folder of lists",
    )
    runner.add_arguments(parser, "films at once (one for each core)")


def run(arguments: argparse.Namespace) -> int:
    """Writes the scenes; exit status 1 when no film has any, or, with --strict, one has none."""
    from vujax.scenes import exports
    from vujax.scenes.detect import Job
    from vujax.scenes.detect import run as segment
    from vujax.scenes.types import How

    job = Job(
        arguments.paths,
        arguments.out,
        How(
            head=arguments.head,
            threshold=arguments.threshold,
            scenes=arguments.scenes,
            min_duration=arguments.min_duration,
            adapt=arguments.adapt,
        ),
        arguments.encoder,
        arguments.shots,
        exports.check(arguments.formats),
        arguments.series,
    )
    who = runner.runner_of(arguments)
    if who.hosts > 1:
        raise ValueError(
            "scenes are found on one machine: let `vujax ingest` and `vujax embed` share the films "
            "among --hosts, then run `vujax scenes` on their catalogue"
        )
    if job.how.adapt:
        print("vectors are trained on the films once they are read: a minute", file=sys.stderr)
    tables = itertools.chain([table] * MOST_FILMS, itertools.repeat(lambda film: [_line(film)]))
    result = segment(job, Workers(who), lambda film: print("\n".join(next(tables)(film))))
    print(summary(result))
    for line in reasons(result):
        print(line, file=sys.stderr)
    bad = result.failed or result.files.unwritten
    return 1 if not result.films or (arguments.strict and bad) else 0


class Workers:
    """`vujax.scenes.stages.Stages` by workers, whose progress is shown."""

    def __init__(self, who: "Runner") -> None:
        self._who, self.embeds_here = who, who.name != "ray"

    def read(self, paths: Sequence[Path], root: Path, reading: "Reading") -> list["Outcome"]:
        """See `Stages`."""
        from vujax.pipeline.ingest.run import ingest

        left = reading.leave_out
        prepared = ingest(paths, root, reading.detectors, runner=self._who, leave_out=left)
        return runner.follow(prepared, self._who, "read").outcomes

    def embed(self, root: Path, films: Sequence[str], encoder: "Making") -> list["Outcome"]:
        """See `Stages`; only Ray has workers for it, for one process has the accelerators here."""
        from vujax.pipeline.embed import embed
        from vujax.pipeline.ingest.run import Run
        from vujax.pipeline.ingest.sources import Found
        from vujax.scenes.stages import embedding, source_of

        if not self.embeds_here:
            prepared = embed(root, encoder.make, runner=self._who)
        else:
            sources = tuple(source_of(root, film) for film in films)
            events = embedding(sources, encoder.stage())
            prepared = Run(Found(sources, 0, 0), sources, events)
        return runner.follow(prepared, self._who, "embedded").outcomes


def summary(result: "Result") -> str:
    """What came of all films, as a person reads it."""
    from vujax.utils.formatting import format_clock

    lines = [] if result.series is None else ["", *_series(result.series)]
    total = max(sum(result.took.values()), 1e-9)
    seconds = sum(film.end_s - film.begin_s for film in result.films)
    shares = ", ".join(f"{name} {s:.1f} s ({s / total:.0%})" for name, s in result.took.items())
    lines += ["", f"{'took':<9} {format_clock(total)}, {seconds / total:.1f}x real time: {shares}"]
    written = result.files.written
    if written:
        folders = ", ".join(sorted({str(path.parent) for path in written}))
        lines.append(f"{'written':<9} {_count(len(written), 'file')} in {folders}")
    for film in result.films:
        lines += [f"{'note':<9} {film.title}: {note}" for note in film.notes]
    return "\n".join(lines)


def _series(found: Any) -> list[str]:
    """What the episodes of a series have in common, a line each."""
    from vujax.utils.formatting import format_short_clock

    lines = []
    for episode in found.episodes:
        spans = {name: getattr(episode, name) for name in ("recap", "opening", "closing")}
        parts = [
            f"{name} {format_short_clock(span.begin_s)} to {format_short_clock(span.end_s)}"
            for name, span in spans.items()
            if span
        ]
        lines.append(f"{episode.film}: {', '.join(parts) or 'no recap, opening or closing'}")
    for group, scenes in found.returning().items():
        places = ", ".join(f"{film} scene {scene + 1}" for film, scene in scenes)
        lines.append(f"setting {group}: {places}")
    return lines


def table(film: "Scenes") -> list[str]:
    """The scenes of a film, a line each."""
    from vujax.utils.formatting import format_short_clock

    lines = [_line(film), f"{'scene':>7}{'begin':>12}{'end':>12}{'shots':>7}{'score':>7}"]
    for scene in film.scenes:
        times = f"{format_short_clock(scene.begin_s):>12}{format_short_clock(scene.end_s):>12}"
        score = "" if scene.score is None else f"{scene.score:.2f}"
        lines.append(f"{scene.number:>7}{times}{scene.shots:>7}{score:>7}")
    return lines


def _line(film: "Scenes") -> str:
    from vujax.utils.formatting import format_clock, quote_unprintable

    length = format_clock(film.end_s - film.begin_s)
    counts = f"{_count(len(film.scenes), 'scene')}, {_count(film.shots, 'shot')}"
    return f"{quote_unprintable(film.title)}: {counts}, {length}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def reasons(result: "Result") -> list[str]:
    """What could not be done, with the reason; the first lines."""
    from vujax.utils.formatting import quote_unprintable

    lines = [f"error: {quote_unprintable(path)}: {reason}" for path, reason in result.failed]
    lines += [f"not written: {path}: {reason}" for path, reason in result.files.unwritten]
    more = len(lines) - MOST_LINES
    return [*lines[:MOST_LINES], *([f"... and {more} more"] if more > 0 else [])]
