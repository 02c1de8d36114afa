"""`vujax catalog check|show CATALOG`: check a catalog, or show it as a page."""

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser("check", help="check that all files are present and intact")
    check.add_argument("--quick", action="store_true", help="do not decode keyframes")
    show = actions.add_parser("show", help="write a page with the shots of each film")
    show.add_argument(
        "--film",
        nargs="+",
        default=[],
        metavar="ID",
        help="ids of the films to show (default: all)",
    )
    show.add_argument(
        "--out", type=Path, metavar="FILE", help="output file (default: CATALOG/catalog.html)"
    )
    for action in (check, show):
        action.add_argument("catalog", type=Path, metavar="CATALOG", help="catalog folder")


def run(arguments: argparse.Namespace) -> int:
    """Check a catalog, or write its page.

    Returns:
      1 for a damaged catalog, otherwise 0.
    """
    return _check(arguments) if arguments.action == "check" else _show(arguments)


def _check(arguments: argparse.Namespace) -> int:
    from vujax.catalog import schema
    from vujax.catalog.validate import find_problems

    problems = 0
    for problem in find_problems(arguments.catalog, decode_images=not arguments.quick):
        problems += 1
        print(problem, file=sys.stderr)
    films = len(schema.list_films(arguments.catalog))
    count = f"{films} film{'s' * (films != 1)}"
    print(f"{arguments.catalog}: {count}, {problems or 'no'} problem{'s' * (problems != 1)}")
    return 1 if problems else 0


def _show(arguments: argparse.Namespace) -> int:
    from vujax.catalog import Catalog
    from vujax.catalog.page import write_page

    catalog = Catalog(arguments.catalog)
    out = arguments.out or arguments.catalog / "catalog.html"
    print(write_page(catalog, out, arguments.film or None))
    return 0
