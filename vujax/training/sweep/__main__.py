"""`python -m vujax.training.sweep --sweep FILE --workdir DIR [--parallel N | --print]`."""

import argparse
import functools
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from vujax.training.sweep.launch import launch
from vujax.training.sweep.plan import build_command, read_plan
from vujax.training.sweep.plot import build_svg
from vujax.training.sweep.results import Summary, read_results, summarize, to_markdown, write_csv
from vujax.utils.io import check_local, write_text

PROGRAM = ("-m", "vujax.main")


def main(arguments: Sequence[str], program: Sequence[str] = (sys.executable, *PROGRAM)) -> int:
    """Run or print a sweep.

    Args:
      arguments: of the command line.
      program: command that starts one training.

    Returns:
      The exit status: 0, 1 if a run has no result, 130 if a signal stopped the sweep.
    """
    options = _parser().parse_args(arguments)
    check_local(options.workdir)
    plan = read_plan(options.sweep, options.workdir)
    if options.print:
        for run in plan.runs:
            if not run.is_finished:
                print(shlex.join(build_command(plan, run, ("python", *PROGRAM))))
        return 0
    is_complete = options.parallel == 0 or launch(
        plan, program, options.parallel, functools.partial(print, flush=True)
    )
    results = read_results(plan)
    report(summarize(plan, results), options.workdir)
    if not is_complete:
        resume = shlex.join(["python", "-m", "vujax.training.sweep", *arguments])
        left = sum(not run.is_finished for run in plan.runs)
        print(f"stopped with {left} of {len(plan.runs)} runs to do; to resume: {resume}")
        return 130
    return int(any(result.error for result in results))


def report(summary: Summary, directory: Path) -> None:
    """Write table.csv, table.md and plot.svg into `directory`, and print the table."""
    table = to_markdown(summary)
    write_csv(directory / "table.csv", summary)
    for name, text in (("table.md", table), ("plot.svg", build_svg(summary))):
        write_text(directory / name, text)
    print(f"\n{table}\nwritten: {directory}/table.csv, table.md, plot.svg")
    for i, metric in enumerate(summary.metrics):
        if not any(row.own[i] for row in summary.rows):
            print(f"no run has the metric '{metric}' that METRICS names")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m vujax.training.sweep", description=__doc__)
    parser.add_argument(
        "--sweep", required=True, metavar="FILE[:ARG]", help="file that defines sweep()"
    )
    parser.add_argument(
        "--workdir", required=True, type=Path, help="directory of the runs, the table and the plot"
    )
    execution = parser.add_mutually_exclusive_group()
    execution.add_argument(
        "--parallel",
        type=_count,
        default=1,
        metavar="N",
        help="number of parallel runs, each on its share of the cores; 1 where they use an "
        "accelerator; 0 only writes the table (default: 1)",
    )
    execution.add_argument(
        "--print", action="store_true", help="print the command lines of unfinished runs instead"
    )
    return parser


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"invalid number of runs '{text}'; expected 0, 1, 2, ...")
    return int(text)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"error: {error}")
