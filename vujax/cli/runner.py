"""Options and progress display of the commands that process many films."""

import argparse
import os
import sys
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING

from vujax.utils.system import RUNTIMES

if TYPE_CHECKING:  # not needed for --help
    from vujax.pipeline.run import Run, RunnerOptions
    from vujax.pipeline.sources import SourceListing
    from vujax.pipeline.workers.progress import ProgressDisplay


def add_arguments(parser: argparse.ArgumentParser, workers: str) -> None:
    """Declare the execution options.

    Args:
      parser: the command's parser.
      workers: help of --workers.
    """
    add = parser.add_argument_group("execution").add_argument
    add(
        "--runner",
        default="local",
        choices=["local", "ray"],
        help="local processes or a Ray cluster (default: local)",
    )
    add("--workers", type=int, metavar="N", help=workers)
    add("--host", type=int, metavar="I", help="index of this machine among --hosts, from 0")
    add("--hosts", type=int, metavar="N", help="number of machines that share the catalog folder")
    add(
        "--stall-minutes",
        type=float,
        default=10.0,
        metavar="M",
        help="minutes without progress after which a film is given up (default: 10)",
    )
    add(
        "--runtime",
        choices=RUNTIMES,
        help="runtime of released networks on a CPU (default: auto: openvino where it is "
        "installed, else jax)",
    )
    add("--strict", action="store_true", help="exit with status 1 if any film is incomplete")


def build_runner(arguments: argparse.Namespace) -> "RunnerOptions":
    """Build the runner from the execution options.

    Raises:
      ValueError: an option is invalid.
    """
    from vujax.pipeline.run import RunnerOptions

    host, hosts = resolve_host(arguments.host, arguments.hosts, os.environ)
    return RunnerOptions(
        name=arguments.runner,
        workers=arguments.workers,
        stall_s=60 * arguments.stall_minutes,
        host=host,
        hosts=hosts,
    )


def resolve_host(
    host: int | None, hosts: int | None, environment: Mapping[str, str]
) -> tuple[int, int]:
    """Return this machine's index and the number of machines, by default from JAX's variables.

    Raises:
      ValueError: one of the two is missing or not a number.
    """
    if host is None and hosts is None:
        names = ("JAX_PROCESS_ID", "JAX_NUM_PROCESSES")
        values = [environment.get(name, "") for name in names]
        if not any(values):
            return 0, 1
        if not all(text.isdecimal() for text in values):
            raise ValueError(f"{' and '.join(names)} must both be numbers, got {values}")
        return int(values[0]), int(values[1])
    if host is None or hosts is None:
        raise ValueError("--host and --hosts must be given together")
    return host, hosts


def follow(prepared: "Run", execution: "RunnerOptions", verb: str) -> "ProgressDisplay":
    """Run the work, show progress and print the summary.

    Args:
      prepared: the work.
      execution: the runner.
      verb: past participle for the summary, such as 'read'.
    """
    from vujax.pipeline.workers.progress import ProgressDisplay

    if execution.hosts > 1:
        share, total = len(prepared.sources), len(prepared.listing.sources)
        place = f"host {execution.host} of {execution.hosts}"
        print(f"{place}: {share} of {total} films", file=sys.stderr)
    with ProgressDisplay(prepared.sources, verb) as terminal, closing(prepared.events) as events:
        for event in events:
            terminal.show(event)
    print(terminal.summary(prepared.listing))
    return terminal


def finish(terminal: "ProgressDisplay", found: "SourceListing", strict: bool) -> int:
    """Print what is incomplete and return the exit status."""
    for line in terminal.reasons(found):
        print(line)
    bad = bool(found.unreadable) or any(outcome.reason for outcome in terminal.outcomes)
    return 1 if strict and bad else 0
