"""`vujax tag train|apply CATALOG`: learn tags from labels, and tag a catalog.

Labels are a CSV file with `id,label` or `video,label,start,end`; see vujax.annotate.tagging.labels.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vujax.utils.formatting import measure_columns

NONE = "none"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    train = actions.add_parser("train", help="learn tags from labels and evaluate them")
    train.add_argument("catalog", type=Path, metavar="CATALOG", help="catalog folder")
    add = train.add_argument
    add(
        "--labels",
        type=Path,
        required=True,
        metavar="FILE",
        help="labels: CSV or Parquet with id,label or video,label,start,end (seconds, for items "
        "whose middle is in between); a column value with 0 or -1 marks negatives",
    )
    add(
        "--encoder",
        required=True,
        metavar="NAME",
        help="encoder of the embeddings, as for `vujax embed`",
    )
    add("--level", default="shot", metavar="LEVEL", help="frame, shot or scene (default: shot)")
    add("--out", type=Path, required=True, metavar="TAGGER", help="output directory of the tagger")
    add(
        "--reviewed",
        nargs="+",
        metavar="FILM",
        help="fully labeled films, whose other items are negatives (default: the films with "
        f"labels); {NONE}: only rows with value 0 or -1 are negatives",
    )
    add(
        "--seed", type=int, default=0, metavar="N", help="seed of the validation split (default: 0)"
    )
    apply = actions.add_parser("apply", help="tag all films of a catalog")
    apply.add_argument("catalog", type=Path, metavar="CATALOG", help="catalog folder")
    apply.add_argument("--tagger", type=Path, required=True, metavar="TAGGER", help="tagger folder")
    apply.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="output file: .parquet, .csv or .jsonl",
    )


def run(arguments: argparse.Namespace) -> int:
    """Train or apply a tagger."""
    return _train(arguments) if arguments.action == "train" else _apply(arguments)


def _train(arguments: argparse.Namespace) -> int:
    from vujax.annotate.tagging.labels import read_labels
    from vujax.annotate.tagging.resolve import resolve_labels
    from vujax.annotate.tagging.tagger import check_folder, save_tagger
    from vujax.annotate.tagging.train import train_tagger
    from vujax.catalog import Catalog
    from vujax.utils.mesh import make_mesh

    check_folder(arguments.out)
    catalog, labels = Catalog(arguments.catalog), read_labels(arguments.labels)
    resolved = resolve_labels(catalog, arguments.level, labels, _reviewed(arguments.reviewed))
    options = dict(encoder=arguments.encoder, mesh=make_mesh(), seed=arguments.seed)
    tagger, report = train_tagger(catalog, resolved, **options)
    save_tagger(arguments.out, tagger, report)
    for line in report_lines(report):
        print(line)
    print(f"{'written':<12} {arguments.out}")
    return 0


def _reviewed(named: Sequence[str] | None) -> tuple[str, ...] | None:
    if named is None:
        return None
    if NONE in named and len(named) > 1:
        raise ValueError(f"--reviewed {NONE} excludes films; remove one of them")
    return () if NONE in named else tuple(named)


def report_lines(report: Mapping[str, Any]) -> list[str]:
    """Format a report as lines of text."""
    header = ["tag", "AP", "chance", "F1", "threshold", "positives", "of", "trained on"]
    numbers = ("ap", "chance", "f1")
    counts = ("support", "of", "learned_from")
    rows = [
        [tag, *(f"{row[key]:.3f}" for key in numbers), f"{row['threshold']:.3g}"]
        + [str(row[key]) for key in counts]
        for tag, row in report["tags"].items()
    ]
    mean = [f"{report[key]:.3f}" for key in ("map", "f1")]
    chance = sum(row["chance"] for row in report["tags"].values()) / len(rows)
    rows.append(["mean", mean[0], f"{chance:.3f}", mean[1], "", "", "", ""])
    return [*_columns([header, *rows]), *_facts(report)]


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align the first column to the left and the others to the right."""
    widths = measure_columns(rows)
    return [
        "  ".join(
            f"{cell:<{width}}" if place == 0 else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _facts(report: Mapping[str, Any]) -> list[str]:
    validation, examples = report["validation"], report["examples"]
    by, level = report["validated_on"], report["level"]
    lines = [
        f"{'trained on':<12} {examples['train']} {level}s",
        f"{'evaluated on':<12} {examples['validation']} {level}s of {len(validation)} other {by}, "
        "which also select the penalty and thresholds",
    ]
    if "map_95" in report:
        low, high = report["map_95"]
        lines.append(f"{'mean AP':<12} 95% interval over {by}: {low:.3f} to {high:.3f}")
    for tag, n in report["left_out"].items():
        lines.append(
            f"{'left out':<12} {tag}: too few examples: {n['holds']} positives in {n['in']} {by}, "
            f"{n['not']} negatives in {n['not in']}"
        )
    if report["without_vector"]:
        lines.append(
            f"{'left out':<12} {report['without_vector']} labeled {level}s have no embedding"
        )
    return lines + [f"{'note':<12} {note}" for note in report["notes"]]


def _apply(arguments: argparse.Namespace) -> int:
    from vujax.annotate.tagging.tagger import apply_tagger, load_tagger
    from vujax.catalog import Catalog

    tagger = load_tagger(arguments.tagger)
    done = apply_tagger(tagger, Catalog(arguments.catalog), arguments.out)
    rows = [["tag", "chosen", "of"]]
    rows += [[tag, str(n), str(done.items)] for tag, n in done.chosen.items()]
    for line in _columns(rows):
        print(line)
    films = f"{done.films} film{'s' * (done.films != 1)}"
    without = f"; {done.without} without {tagger.level}s to tag" if done.without else ""
    print(
        f"{'written':<12} {done.items * len(tagger.tags)} rows of {films}{without}: {arguments.out}"
    )
    return 0
