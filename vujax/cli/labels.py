"""`vujax labels list|set|undo|export|import|apply CATALOG ...`: label sets without the page."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vujax.annotate.labels.exports import FORMATS

if TYPE_CHECKING:
    from vujax.annotate.labels.log import LabelLog

LEVELS = ("frame", "shot", "scene", "film")
PICTURES = ("keyframes", "original")
MARKS = {"yes": 1, "no": -1, "unset": 0}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="list the label sets of a catalog")
    mark = actions.add_parser("set", help="label items")
    undo = actions.add_parser("undo", help="undo the last decisions of an author")
    out = actions.add_parser("export", help="export a label set")
    back = actions.add_parser(
        "import", help="import .csv, .jsonl or Label Studio .json into a label set"
    )
    learned = actions.add_parser("apply", help="learn a label, and score all items of the catalog")
    for action in (listing, mark, undo, out, back, learned):
        action.add_argument("catalog", type=Path, metavar="CATALOG", help="catalog folder")
    for action in (mark, undo, out, back, learned):
        action.add_argument("set", metavar="SET", help="name of the label set")
    mark.add_argument("ids", nargs="+", metavar="ID", help="items, such as FILM/s0012, FILM/c003")
    mark.add_argument("--label", required=True, metavar="LABEL", help="label")
    mark.add_argument(
        "--value", choices=[*MARKS], default="yes", help="whether the label holds (default: yes)"
    )
    out.add_argument("--format", required=True, choices=FORMATS.names(), help="output format")
    out.add_argument(
        "--out", required=True, type=Path, metavar="PATH", help="output file or new directory"
    )
    out.add_argument("--labels", nargs="+", metavar="LABEL", help="labels to export (default: all)")
    out.add_argument(
        "--pictures",
        choices=PICTURES,
        help="images of webdataset: keyframes of the catalog, or frames of the original films",
    )
    back.add_argument("file", type=Path, metavar="FILE", help="file to import")
    back.add_argument(
        "--level",
        choices=LEVELS,
        default="shot",
        help="items that rows with times refer to (default: shot)",
    )
    _add_apply_arguments(learned)
    for action in (mark, undo, back):
        action.add_argument("--author", metavar="NAME", help="author (default: the user)")


def _add_apply_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--label", required=True, metavar="LABEL", help="label to learn")
    add(
        "--out",
        required=True,
        type=Path,
        metavar="FILE",
        help="output file: .parquet, .csv or .jsonl",
    )
    add("--level", choices=LEVELS[:3], default="shot", help="items to score (default: shot)")
    add(
        "--encoder",
        default="lite",
        metavar="SPEC",
        help="encoder of the embeddings (default: lite)",
    )
    add("--space", metavar="SPEC", help="text space (default: that of the encoder)")
    add(
        "--query",
        nargs="+",
        default=[],
        metavar="TEXT",
        help="texts to search for too, as on the page",
    )
    add(
        "--not",
        nargs="+",
        default=[],
        metavar="TEXT",
        dest="against",
        help="texts that are not wanted",
    )
    add(
        "--threshold",
        type=float,
        default=0.0,
        metavar="S",
        help="minimum score of chosen items (default: 0)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the action and print its result."""
    actions = {"list": _list, "set": _set, "undo": _undo, "export": _export, "import": _import}
    return (actions | {"apply": _apply})[arguments.action](arguments)


def _list(arguments: argparse.Namespace) -> int:
    from vujax.annotate.labels import sets
    from vujax.annotate.labels.log import LabelLog
    from vujax.annotate.labels.sets import count_labels
    from vujax.catalog import Catalog

    catalog = Catalog(arguments.catalog)
    names = sets.list_label_sets(catalog.path)
    for name in names:
        with LabelLog(sets.label_set_path(catalog.path, name), create=False) as log:
            print(f"{name}: {log.sequence} decisions, {_date(log)}")
            for label, counts in count_labels(log).items():
                print(f"  {label}: {counts.positive} positive, {counts.negative} negative")
    if not names:
        print(f"{catalog.path} has no label set yet; create one with `vujax curate {catalog.path}`")
    return 0


def _date(log: "LabelLog") -> str:
    times = [entry.time for entry in log.state().values()]
    return f"last at {max(times)[:16].replace('T', ' ')} UTC" if times else "all undone"


def _set(arguments: argparse.Namespace) -> int:
    from vujax.annotate.labels import sets
    from vujax.annotate.labels.items import CatalogItems
    from vujax.annotate.labels.log import LabelLog
    from vujax.annotate.labels.sets import build_decisions, resolve_author
    from vujax.catalog import Catalog

    contents = CatalogItems(Catalog(arguments.catalog))
    value = MARKS[arguments.value]
    entries = build_decisions(contents, arguments.ids, arguments.label, value, source="command")
    with LabelLog(sets.label_set_path(arguments.catalog, arguments.set)) as log:
        log.append(entries, author=resolve_author(arguments.author))
    print(f"{arguments.set}: {len(entries)} decision{'s' * (len(entries) != 1)}")
    return 0


def _undo(arguments: argparse.Namespace) -> int:
    from vujax.annotate.labels import sets
    from vujax.annotate.labels.log import LabelLog
    from vujax.annotate.labels.sets import resolve_author
    from vujax.catalog import Catalog

    path = sets.find_label_set(Catalog(arguments.catalog).path, arguments.set)
    author = resolve_author(arguments.author)
    with LabelLog(path, create=False) as log:
        group = log.last_group(author)
        if group is None:
            raise ValueError(f"{arguments.set} has no decisions of {author} to undo")
        changed = log.undo(group, author=author)
    print(f"{arguments.set}: {len(changed)} label{'s' * (len(changed) != 1)} undone")
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from vujax.annotate.labels import sets
    from vujax.annotate.labels.exports import export_labels
    from vujax.annotate.labels.items import CatalogItems
    from vujax.annotate.labels.log import LabelLog
    from vujax.catalog import Catalog

    contents = CatalogItems(Catalog(arguments.catalog))
    with LabelLog(sets.find_label_set(arguments.catalog, arguments.set), create=False) as log:
        done = export_labels(
            contents,
            log,
            arguments.format,
            arguments.out,
            labels=arguments.labels,
            images=arguments.pictures,
        )
    print(f"{done.path}: {done.labels} label{'s' * (done.labels != 1)}")
    _print_notes(done.notes)
    return 0


def _import(arguments: argparse.Namespace) -> int:
    from vujax.annotate.labels import sets
    from vujax.annotate.labels.imports import import_labels
    from vujax.annotate.labels.items import CatalogItems
    from vujax.annotate.labels.log import LabelLog
    from vujax.annotate.labels.sets import resolve_author
    from vujax.catalog import Catalog

    contents = CatalogItems(Catalog(arguments.catalog))
    with LabelLog(sets.label_set_path(arguments.catalog, arguments.set)) as log:
        author = resolve_author(arguments.author)
        done = import_labels(contents, log, arguments.file, author=author, level=arguments.level)
    print(f"{arguments.set}: {done.new} new, {done.known} already known")
    _print_notes(done.notes)
    return 0


def _apply(arguments: argparse.Namespace) -> int:
    from vujax.annotate.app import open_session
    from vujax.annotate.app.export_scores import export_scores

    given = vars(arguments)
    session = open_session(arguments.catalog, arguments.encoder, space=arguments.space)
    names = ("label", "out", "level", "query", "against", "threshold")
    done = export_scores(session, arguments.set, **{name: given[name] for name in names})
    print(f"{arguments.out}: {done.items} {arguments.level}s, {done.chosen} chosen")
    return 0


def _print_notes(notes: tuple[str, ...]) -> None:
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
