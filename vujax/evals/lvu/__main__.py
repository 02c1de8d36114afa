"""The command: scores of the nine tasks as a table, see the package."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vujax.data.datasets.lvu import LVU, LvuTask
from vujax.data.movies.holdout import TASKS
from vujax.evals.lvu import compare
from vujax.evals.lvu.clip_embeddings import (
    TEXT_GRID,
    Vectors,
    embed_texts,
    read_clip_embeddings,
    read_own_descriptions,
    read_shot_labels,
    read_synopses,
)
from vujax.evals.lvu.score import FOLDS, TaskScore, evaluate
from vujax.utils.io import write_json

LABELS, SYNOPSIS, LEAK = "bag of shot labels", "synopsis", "LEAK: the clip's own description"
Row = tuple[str, list[TaskScore]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = _parser()
    args = parser.parse_args(arguments)
    if not (args.vectors or args.condensed):
        parser.error("give --vectors to score, or --condensed for the baselines alone")
    if args.movieclip and not args.condensed:
        parser.error("--movieclip needs --condensed, whose table lists the clips")
    if args.against and not args.vectors:
        parser.error("--against needs --vectors")
    try:
        _report(args)
    except (ValueError, OSError) as error:
        parser.error(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m vujax.evals.lvu", description="Score frozen embeddings of clips on LVU."
    )
    add = parser.add_argument
    add("--lvu", type=Path, required=True, help="folder of the lists, or output of prepare_lvu.py")
    add("--vectors", type=Path, nargs="+", default=[], help=".npz or .parquet file of each seed")
    add(
        "--against",
        type=Path,
        nargs="+",
        default=[],
        help="files of another model, for the paired difference",
    )
    add("--condensed", type=Path, help="folder of Condensed Movies, for baselines of words")
    add(
        "--movieclip",
        nargs="+",
        default=[],
        help="lists of MovieCLIP, for the baseline of shot labels",
    )
    add(
        "--tasks",
        nargs="+",
        choices=TASKS,
        default=TASKS,
        metavar="TASK",
        help="tasks to score (default: all)",
    )
    add("--report", default="val", help="list to score: val or test (default: val)")
    add(
        "--choose",
        default=FOLDS,
        help="source of the penalty: folds of train, or val (default: folds)",
    )
    add("--folds", type=int, default=5, help="number of folds (default: 5)")
    add("--seed", type=int, default=0, help="of the folds (default: 0)")
    add("--json", type=Path, help="file for all hits")
    return parser


def _report(args: argparse.Namespace) -> None:
    tasks = [LVU.open(args.lvu)[name] for name in args.tasks]
    options = dict(report=args.report, choose=args.choose, folds=args.folds, seed=args.seed)
    ours, theirs = (
        list(map(read_clip_embeddings, paths)) for paths in (args.vectors, args.against)
    )
    labels = read_shot_labels(args.movieclip, args.condensed) if args.movieclip else None
    rows: list[Row] = []
    pairs = []
    for task in tasks:
        runs = [
            [evaluate(task, vectors, **options) for vectors in seeds] for seeds in (ours, theirs)
        ]
        rows += [(name, own) for name, own in zip(("ours", "theirs"), runs, strict=True) if own]
        pairs += [tuple(runs)] if all(runs) else []
        rows += _baselines(task, args.condensed, labels, options)
        print(f"{task.name}: done", flush=True)
    print(compare.format_table(rows))
    if pairs:
        print(
            f"\nours - theirs, on the clips that both cover\n\n{compare.format_pair_table(pairs)}"
        )
    firsts = {runs[0].task: runs[0] for _, runs in reversed(rows)}
    print("\n" + "\n".join(compare.format_notes([firsts[task.name] for task in tasks])))
    if args.json:
        write_json(args.json, [compare.row_to_json(name, runs) for name, runs in rows])


def _baselines(
    task: LvuTask, condensed: Path | None, labels: Vectors | None, options: Mapping[str, Any]
) -> Iterator[Row]:
    if labels is not None:
        yield LABELS, [evaluate(task, labels, **options)]
    if condensed is None:
        return
    clips = {clip.clip: clip.movie for clip in task.all()}
    words = dict(standardize=False, grid=TEXT_GRID, **options)
    for name, texts in (
        (SYNOPSIS, read_synopses(condensed, clips)),
        (LEAK, read_own_descriptions(condensed, clips)),
    ):
        yield name, [evaluate(task, embed_texts(texts), **words)]


if __name__ == "__main__":
    main()
