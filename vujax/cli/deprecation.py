"""Old words of the command line: they work for one release, with a warning that names the new."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

COMMANDS = {"cinema": "synthesize"}
"""Commands that were renamed: old name, new name."""


class _OldOption(argparse.Action):
    """A store action that warns."""

    def __init__(self, option_strings: Sequence[str], dest: str, new: str, **options: Any) -> None:
        super().__init__(option_strings, dest, **options)
        self.new = new

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Store the value and name the new option."""
        del parser
        _warn(str(option_string), self.new)
        setattr(namespace, self.dest, values)


def add_old_option(parser: argparse.ArgumentParser, old: str, new: str) -> None:
    """Accept the old name of an option that takes one value; help texts do not show it.

    Args:
      parser: that has the option under its new name already.
      old: such as '--searcher'.
      new: such as '--backend'.
    """
    (option,) = (action for action in parser._actions if new in action.option_strings)
    parser.add_argument(
        old,
        action=_OldOption,
        new=new,
        dest=option.dest,
        choices=option.choices,
        type=option.type,
        default=argparse.SUPPRESS,
        help=argparse.SUPPRESS,
    )


def rename_command(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with an old name of a command replaced; warn if there is one."""
    if not arguments or arguments[0] not in COMMANDS:
        return list(arguments)
    old, new = arguments[0], COMMANDS[arguments[0]]
    _warn(f"`vujax {old}`", f"`vujax {new}`")
    return [new, *arguments[1:]]


def _warn(old: str, new: str) -> None:
    print(f"vujax: warning: {old} is deprecated; use {new}", file=sys.stderr)
