"""`vujax scenes FILM --out FOLDER`: scene boundaries of films, for editors and players.

A second run skips films that are ingested and embedded, so another threshold costs seconds.
"""

import argparse
import itertools
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from vujax.cli import runner
from vujax.cli.embed import ENCODER
from vujax.scenes import exports

if TYPE_CHECKING:  # not needed for --help
    from vujax.pipeline.run import RunnerOptions
    from vujax.pipeline.stage import Outcome
    from vujax.scenes.detect import SceneDetectionJob, SceneDetectionResult
    from vujax.scenes.series import SeriesStructure
    from vujax.scenes.stages import BackgroundEncoder, IngestOptions
    from vujax.scenes.types import DetectedScenes

MAX_TABLES = 5  # films with a table; each of the others gets a line
MAX_LINES = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add("paths", nargs="+", type=Path, metavar="FILM", help="films, folders of films or a catalog")
    add("--out", required=True, type=Path, metavar="FOLDER", help="output directory")
    add(
        "--formats",
        nargs="+",
        choices=exports.names(),
        metavar="NAME",
        help=f"output formats (default: {_usual_formats()}; also: {', '.join(exports.ON_REQUEST)})",
    )
    add(
        "--series",
        action="store_true",
        help="treat the films as episodes of a series and find recaps, openings, end credits and "
        "recurring settings",
    )
    add = parser.add_argument_group("output files").add_argument
    add(
        "--title", metavar="TEXT", help="title of the film (default: of its metadata, or file name)"
    )
    add("--reel", default="AX", metavar="NAME", help="source name in EDLs (default: AX)")
    add(
        "--start-timecode",
        metavar="TC",
        help="timecode of the first picture, HH:MM:SS:FF, or HH:MM:SS;FF in drop-frame (default: "
        "the file's, or 00:00:00:00)",
    )
    add(
        "--split",
        action="store_true",
        help="also write a file per scene, FILM-Scene-001, copied from keyframe to keyframe",
    )
    add(
        "--split-exact",
        action="store_true",
        help="also write a file per scene from its first frame on, encoded as H.264 and AAC",
    )
    add(
        "--edl-rate",
        type=parse_rate,
        metavar="FPS",
        help="frames per second of the EDL, such as 25 or 23.976 (default: the film's)",
    )
    add = parser.add_argument_group("scene boundaries").add_argument
    add("--threshold", type=float, metavar="T", help="minimum score, 0 to 1 (default: by the head)")
    add("--scenes", type=int, metavar="N", help="exact number of scenes of each film")
    add(
        "--min-duration",
        type=float,
        metavar="S",
        help="minimum scene length in seconds (default: 1; 0 with --scenes)",
    )
    add(
        "--adapt",
        action="store_true",
        help="train embeddings on these films first, without labels",
    )
    add(
        "--head",
        default="structure",
        metavar="NAME",
        help="boundary scores: structure, probabilities from similarities and durations without "
        "weights; gap, dissimilarity; default, the packaged head; or a trained head's folder "
        "(default: structure)",
    )
    add("--encoder", default="lite", metavar="NAME", help=f"keyframe encoder: {ENCODER}")
    add(
        "--shots",
        default="transnetv2",
        metavar="NAME",
        help="shot detector (transnetv2, adaptive, content), shot-list file or directory "
        "(default: transnetv2)",
    )
    runner.add_arguments(parser, "films processed at once (default: one per core)")


def _usual_formats() -> str:
    return ", ".join(name for name in exports.names() if name not in exports.ON_REQUEST)


def _formats(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Return the formats to write; --split and --split-exact add one."""
    wanted = [name for name in ("split", "split_exact") if getattr(arguments, name)]
    return exports.select([*exports.select(arguments.formats), *wanted])


def parse_rate(text: str) -> Fraction:
    """Parse frames per second: '25', '23.976' or '24000/1001'."""
    from vujax.video.frame_rate import snap_rate

    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if rate <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a frame rate; write 25 or 30000/1001")
    return snap_rate(rate)


def run(arguments: argparse.Namespace) -> int:
    """Detect and write scenes.

    Returns:
      1 when no film has scenes or, with --strict, when one has none; otherwise 0.
    """
    from vujax.scenes.detect import run_scene_detection

    job = _build_job(arguments)
    execution = runner.build_runner(arguments)
    if execution.hosts > 1:
        raise ValueError(
            "scenes are detected on one machine; run `vujax ingest` and `vujax embed` with "
            "--hosts, then `vujax scenes` on their catalog"
        )
    if job.options.adapt:
        print("embeddings are trained on the films after ingest: about a minute", file=sys.stderr)
    tables = itertools.chain([table] * MAX_TABLES, itertools.repeat(lambda film: [_line(film)]))
    report = lambda film: print("\n".join(next(tables)(film)))  # noqa: E731
    result = run_scene_detection(job, WorkerStages(execution), report)
    print(summary(result))
    for line in reasons(result):
        print(line, file=sys.stderr)
    bad = result.failed or result.files.unwritten
    return 1 if not result.films or (arguments.strict and bad) else 0


def _build_job(arguments: argparse.Namespace) -> "SceneDetectionJob":
    from vujax.scenes.detect import SceneDetectionJob
    from vujax.scenes.types import ExportOptions, SceneDetectionOptions

    export = ExportOptions(
        title=arguments.title,
        reel=arguments.reel,
        start_timecode=arguments.start_timecode,
        edl_rate=arguments.edl_rate,
    )
    options = SceneDetectionOptions(
        head=arguments.head,
        threshold=arguments.threshold,
        num_scenes=arguments.scenes,
        min_duration=arguments.min_duration,
        adapt=arguments.adapt,
        export=export,
    )
    return SceneDetectionJob(
        paths=arguments.paths,
        out=arguments.out,
        options=options,
        encoder=arguments.encoder,
        shots=arguments.shots,
        formats=_formats(arguments),
        series=arguments.series,
    )


class WorkerStages:
    """`vujax.scenes.stages.Stages` in worker processes, with a progress display."""

    def __init__(self, execution: "RunnerOptions") -> None:
        self._runner, self.embeds_here = execution, execution.name != "ray"

    def ingest(
        self, paths: Sequence[Path], root: Path, options: "IngestOptions"
    ) -> list["Outcome"]:
        """See `Stages`."""
        from vujax.pipeline.ingest.run import ingest

        prepared = ingest(
            paths, root, options.detectors, runner=self._runner, leave_out=options.exclude
        )
        return runner.follow(prepared, self._runner, "read").outcomes

    def embed(
        self, root: Path, films: Sequence[str], encoder: "BackgroundEncoder"
    ) -> list["Outcome"]:
        """See `Stages`; only Ray uses workers, because one process owns the accelerators here."""
        from vujax.pipeline.embed import embed
        from vujax.pipeline.run import Run
        from vujax.pipeline.sources import SourceListing, build_embed_source
        from vujax.scenes.stages import embed_with_progress

        if not self.embeds_here:
            prepared = embed(root, encoder.make, runner=self._runner)
        else:
            sources = tuple(build_embed_source(root, film) for film in films)
            events = embed_with_progress(sources, encoder.stage())
            prepared = Run(SourceListing(sources, 0, 0), sources, events)
        return runner.follow(prepared, self._runner, "embedded").outcomes


def summary(result: "SceneDetectionResult") -> str:
    """Return the summary of all films."""
    from vujax.utils.formatting import format_clock

    lines = [] if result.series is None else ["", *_series(result.series)]
    total = max(sum(result.timings_s.values()), 1e-9)
    seconds = sum(film.end_s - film.start_s for film in result.films)
    stages = result.timings_s.items()
    shares = ", ".join(f"{name} {s:.1f} s ({s / total:.0%})" for name, s in stages)
    lines += ["", f"{'took':<9} {format_clock(total)}, {seconds / total:.1f}x real time: {shares}"]
    written = result.files.written
    if written:
        folders = ", ".join(sorted({str(path.parent) for path in written}))
        lines.append(f"{'written':<9} {_count(len(written), 'file')} in {folders}")
    for film in result.films:
        lines += [f"{'note':<9} {film.title}: {note}" for note in film.notes]
    return "\n".join(lines)


def _series(structure: "SeriesStructure") -> list[str]:
    """Return a line per episode and per recurring setting."""
    from vujax.utils.formatting import format_short_clock

    lines = []
    for episode in structure.episodes:
        spans = {name: getattr(episode, name) for name in ("recap", "opening", "closing")}
        parts = [
            f"{name} {format_short_clock(span.start_s)} to {format_short_clock(span.end_s)}"
            for name, span in spans.items()
            if span
        ]
        lines.append(f"{episode.film}: {', '.join(parts) or 'no recap, opening or closing'}")
    for group, scenes in structure.returning().items():
        places = ", ".join(f"{film} scene {scene + 1}" for film, scene in scenes)
        lines.append(f"setting {group}: {places}")
    return lines


def table(film: "DetectedScenes") -> list[str]:
    """Return the table of a film's scenes, one line each."""
    from vujax.utils.formatting import format_short_clock

    lines = [_line(film), f"{'scene':>7}{'start':>12}{'end':>12}{'shots':>7}{'score':>7}"]
    for scene in film.scenes:
        times = f"{format_short_clock(scene.start_s):>12}{format_short_clock(scene.end_s):>12}"
        score = "" if scene.score is None else f"{scene.score:.2f}"
        lines.append(f"{scene.number:>7}{times}{scene.num_shots:>7}{score:>7}")
    return lines


def _line(film: "DetectedScenes") -> str:
    from vujax.utils.formatting import format_clock, quote_unprintable

    length = format_clock(film.end_s - film.start_s)
    counts = f"{_count(len(film.scenes), 'scene')}, {_count(film.num_shots, 'shot')}"
    return f"{quote_unprintable(film.title)}: {counts}, {length}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def reasons(result: "SceneDetectionResult") -> list[str]:
    """Return the first failures with their reasons, one line each."""
    from vujax.utils.formatting import quote_unprintable

    lines = [f"error: {quote_unprintable(path)}: {reason}" for path, reason in result.failed]
    lines += [f"not written: {path}: {reason}" for path, reason in result.files.unwritten]
    more = len(lines) - MAX_LINES
    return [*lines[:MAX_LINES], *([f"... and {more} more"] if more > 0 else [])]
