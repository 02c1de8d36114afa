"""What the commands that do something with many films share: who does it, and what is shown."""

import argparse
import os
import sys
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the help needs none of it
    from vujax.pipeline.ingest.run import Run, Runner
    from vujax.pipeline.ingest.sources import Found
    from vujax.pipeline.workers.progress import Terminal


def add_arguments(parser: argparse.ArgumentParser, workers: str) -> None:
    """Declares who does it.

    Args:
      parser: of the command.
      workers: what --workers counts.
    """
    add = parser.add_argument_group("who does it").add_argument
    add("--runner", default="local", choices=["local", "ray"], help="processes here, or Ray")
    add("--workers", type=int, metavar="N", help=workers)
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


def runner_of(arguments: argparse.Namespace) -> "Runner":
    """Who does it.

    Raises:
      ValueError: that cannot be.
    """
    from vujax.pipeline.ingest.run import Runner

    host, hosts = place(arguments.host, arguments.hosts, os.environ)
    return Runner(arguments.runner, arguments.workers, 60 * arguments.stall_minutes, host, hosts)


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


def follow(prepared: "Run", runner: "Runner", deed: str) -> "Terminal":
    """Does it, and shows how far it is, then the table; `reasons` of the result are next."""
    from vujax.pipeline.workers.progress import Terminal

    if runner.hosts > 1:
        share, total = len(prepared.sources), len(prepared.found.sources)
        print(f"host {runner.host} of {runner.hosts}: {share} of {total} films", file=sys.stderr)
    with Terminal(prepared.sources, deed) as terminal, closing(prepared.events) as events:
        for event in events:
            terminal.show(event)
    print(terminal.summary(prepared.found))
    return terminal


def finish(terminal: "Terminal", found: "Found", strict: bool) -> int:
    """Names what is not whole; the exit status."""
    for line in terminal.reasons(found):
        print(line)
    bad = bool(found.closed) or any(outcome.reason for outcome in terminal.outcomes)
    return 1 if strict and bad else 0
