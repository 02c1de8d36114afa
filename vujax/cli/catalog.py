"""`vujax catalog check CATALOG` and `vujax catalog show CATALOG [--film ID ...] [--out FILE]`."""

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser("check", help="is every file there and whole?")
    check.add_argument("--quick", action="store_true", help="do not decode the keyframes")
    show = actions.add_parser("show", help="a page with each film's shots")
    show.add_argument("--film", nargs="+", default=[], metavar="ID", help="only these")
    show.add_argument("--out", type=Path, metavar="FILE", help="of the page (CATALOG/catalog.html)")
    for action in (check, show):
        action.add_argument("catalog", type=Path, metavar="CATALOG", help="folder of the catalogue")


def run(arguments: argparse.Namespace) -> int:
    """Checks, with exit status 1 for a damaged catalogue, or writes the page."""
    return _check(arguments) if arguments.action == "check" else _show(arguments)


def _check(arguments: argparse.Namespace) -> int:
    from vujax.catalog import schema
    from vujax.catalog.validate import find_problems

    found = 0
    for problem in find_problems(arguments.catalog, decode_images=not arguments.quick):
        found += 1
        print(problem, file=sys.stderr)
    films = len(schema.list_films(arguments.catalog))
    count = f"{films} film{'s' * (films != 1)}"
    print(f"{arguments.catalog}: {count}, {found or 'no'} problem{'s' * (found != 1)}")
    return 1 if found else 0


def _show(arguments: argparse.Namespace) -> int:
    from vujax.catalog import Catalog
    from vujax.catalog.page import write_page

    catalog = Catalog(arguments.catalog)
    out = arguments.out or arguments.catalog / "catalog.html"
    print(write_page(catalog, out, arguments.film or None))
    return 0
