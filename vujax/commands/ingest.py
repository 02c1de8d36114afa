"""`vujax ingest FOLDER --out CATALOG`: films to a catalogue of shots and keyframes.

Run again, it passes over the films that the catalogue has, and so finishes what was interrupted.
"""

import argparse
import ast
import functools
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

DETECTORS = ("transnetv2", "adaptive", "content")
AUDIO_RATE = 16000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    add = parser.add_argument
    add("paths", nargs="+", type=Path, metavar="FOLDER_OR_FILE", help="folders, video files")
    add("--out", required=True, type=Path, metavar="CATALOG", help="folder of the catalogue")
    shots = parser.add_argument_group("shots")
    add = shots.add_argument
    how = shots.add_mutually_exclusive_group()
    how.add_argument(
        "--detector", default="transnetv2", metavar="NAME", help=f"{', '.join(DETECTORS)} (first)"
    )
    how.add_argument(
        "--shots",
        type=Path,
        metavar="FILE",
        help="known shots of one film (MovieNet .txt, .edl, .csv, .tsv), or a folder of lists for "
        "each film",
    )
    add(
        "--detector-option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of the detector; may be given several times",
    )
    add = parser.add_argument_group("what is kept").add_argument
    add(
        "--positions",
        type=float,
        nargs="+",
        default=[0.25, 0.5, 0.75],
        metavar="P",
        help="of the keyframes in each shot, 0 its begin and 1 its end (0.25 0.5 0.75)",
    )
    add("--side", type=int, default=224, metavar="PX", help="a keyframe's shorter side (224)")
    add("--quality", type=int, default=90, help="of the keyframes' JPEG (90)")
    add(
        "--audio",
        type=int,
        nargs="?",
        const=AUDIO_RATE,
        metavar="RATE",
        help=f"also keep each shot's sound, mono FLAC ({AUDIO_RATE} Hz)",
    )
    add("--metadata", type=Path, metavar="FILE", help="CSV or Parquet with a column path or film")
    add = parser.add_argument_group("who does it").add_argument
    add("--runner", default="local", choices=["local", "ray"], help="processes here, or Ray")
    add("--workers", type=int, metavar="N", help="films at once (one for each core)")
    add("--host", type=int, metavar="I", help="number of this machine among --hosts, from 0")
    add("--hosts", type=int, metavar="N", help="machines that share the catalogue's folder")
    add(
        "--stall-minutes",
        type=float,
        default=10.0,
        metavar="M",
        help="give a film up that makes no progress for so long (10)",
    )
    add("--strict", action="store_true", help="exit with 1 when anything is not whole")


def run(arguments: argparse.Namespace) -> int:
    """Reads the films; exit status 0 even when some of them are bad, unless --strict."""
    from vujax.ingest.progress import Terminal
    from vujax.ingest.run import Runner, ingest
    from vujax.ingest.settings import Settings

    settings = Settings(
        positions=tuple(arguments.positions),
        side=arguments.side,
        quality=arguments.quality,
        audio_rate=arguments.audio,
    )
    host, hosts = place(arguments.host, arguments.hosts, os.environ)
    runner = Runner(arguments.runner, arguments.workers, 60 * arguments.stall_minutes, host, hosts)
    prepared = ingest(
        arguments.paths,
        arguments.out,
        _detectors(arguments),
        settings,
        metadata=arguments.metadata,
        runner=runner,
    )
    if arguments.shots is not None and arguments.shots.is_file():
        _need_one(prepared.found.sources, arguments.shots)
    if hosts > 1:
        total = len(prepared.found.sources)
        print(f"host {host} of {hosts}: {len(prepared.sources)} of {total} films", file=sys.stderr)
    with Terminal(prepared.sources) as terminal, closing(prepared.events) as events:
        for event in events:
            terminal.show(event)
    print(terminal.summary(prepared.found))
    for line in terminal.reasons(prepared.found):
        print(line)
    bad = len(prepared.found.closed) + sum(bool(o.reason) for o in terminal.outcomes)
    return 1 if arguments.strict and bad else 0


def _need_one(sources: Sequence[Any], shots: Path) -> None:
    if len(sources) > 1:
        raise ValueError(
            f"{shots} holds one film's shots, and there are {len(sources)} films: give --shots a "
            "folder with a list for each"
        )


def place(host: int | None, hosts: int | None, environment: Mapping[str, str]) -> tuple[int, int]:
    """This machine's number and how many there are: the arguments, else what JAX is told.

    Raises:
      ValueError: one of the two is missing or no number.
    """
    if host is None and hosts is None:
        names = ("JAX_PROCESS_ID", "JAX_NUM_PROCESSES")
        told = [environment.get(name, "") for name in names]
        if not any(told):
            return 0, 1
        if not all(text.isdecimal() for text in told):
            raise ValueError(f"{' and '.join(names)} must both be numbers, not {told}")
        return int(told[0]), int(told[1])
    if host is None or hosts is None:
        raise ValueError("--host and --hosts go together")
    return host, hosts


def _detectors(arguments: argparse.Namespace) -> Any:
    from vujax.ingest import detectors

    options = dict(_option(text) for text in arguments.detector_option)
    if arguments.shots is None:
        if arguments.detector == "transnetv2":  # once, here, and not in each worker
            from vujax import weights

            weights.fetch("transnetv2")
        return functools.partial(detectors.named, arguments.detector, options)
    if not arguments.shots.exists():
        raise FileNotFoundError(f"{arguments.shots} does not exist (--shots)")
    return functools.partial(detectors.known, arguments.shots.resolve(), options)


def _option(text: str) -> tuple[str, Any]:
    name, mark, value = text.partition("=")
    if not mark or not name.isidentifier():
        raise ValueError(f"--detector-option {text!r} is not NAME=VALUE")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value
