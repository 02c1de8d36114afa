"""The command line `vujax`: one file a command, imported when it is asked for.

    vujax scenes film.mp4 --out out/
    vujax ingest films/ --out catalog/
    vujax search catalog/ "a boat on a lake"

Each command has `add_arguments(parser)` and `run(arguments) -> int`, the exit status. What a user
did wrong or a machine lacks is a ValueError, OSError, KeyError, ImportError or RuntimeError whose
text is one sentence.
"""

import argparse
import contextlib
import importlib
import os
import shlex
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from vujax.cli import deprecation, runtime
from vujax.utils.formatting import EscapedStream, escape_controls
from vujax.utils.io import check_local

COMMANDS = {
    "scenes": ("vujax.cli.scenes", "detect the scenes of films, for editors and players"),
    "ingest": ("vujax.cli.ingest", "read films into a catalog of shots and keyframes"),
    "catalog": ("vujax.cli.catalog", "check a catalog, or show it as a page"),
    "embed": ("vujax.cli.embed", "compute embeddings of keyframes, shots and scenes"),
    "similar": ("vujax.cli.similar", "find the shots or scenes most similar to one"),
    "search": ("vujax.cli.search", "find frames, shots or scenes by text or image"),
    "search-recall": ("vujax.cli.search_recall", "measure the recall of an approximate search"),
    "caption": ("vujax.cli.caption", "caption frames, shots or scenes"),
    "curate": ("vujax.cli.curate", "find, review and label shots in the browser"),
    "labels": ("vujax.cli.labels", "list, set, export and import label sets"),
    "pairs": ("vujax.cli.pairs", "embed image-text pairs, and find wrong captions"),
    "tag": ("vujax.cli.tag", "learn tags from labels, and tag a catalog"),
    "movies": ("vujax.cli.movies", "find similar movies by their metadata"),
    "weights": ("vujax.cli.weights", "fetch, import, export or list weights"),
    "synthesize": ("vujax.cli.synthesize", "render films with known shots, scenes and captions"),
}

USER_ERRORS = (ValueError, OSError, KeyError, ImportError, RuntimeError)
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
      arguments: of the command line; None: those of the process.

    Returns:
      The exit status: 0; 1 after an error, with one sentence on standard error; 2 for arguments
      that cannot be parsed; 130 after Ctrl-C.
    """
    arguments = deprecation.rename_command(sys.argv[1:] if arguments is None else arguments)
    parser, run = build_parser(arguments[:1])
    options = parser.parse_args(arguments)
    assert run is not None  # without a command, parse_args exits
    runtime.set_up(getattr(options, "runtime", None))
    output = EscapedStream(sys.stdout)
    with warnings.catch_warnings(), contextlib.redirect_stdout(output):
        warnings.showwarning = _show_warning
        return _run(run, options, arguments)


def _run(
    run: Callable[[argparse.Namespace], int], options: argparse.Namespace, arguments: Sequence[str]
) -> int:
    try:
        _check_paths(options)
        return run(options)
    except KeyboardInterrupt:
        resume = shlex.join(["vujax", *arguments])
        print(f"interrupted; resume with: {resume}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except USER_ERRORS as error:
        reason = error.args[0] if isinstance(error, KeyError) and error.args else error
        print(escape_controls(f"vujax: error: {reason}"), file=sys.stderr)
        return 1


def _check_paths(options: argparse.Namespace) -> None:
    for value in vars(options).values():
        for path in value if isinstance(value, list | tuple) else [value]:
            if isinstance(path, Path):
                check_local(path)


def build_parser(
    wanted: Sequence[str],
) -> tuple[argparse.ArgumentParser, Callable[[argparse.Namespace], int] | None]:
    """Build the parser; only the wanted command gets its arguments.

    Args:
      wanted: a list of the command's name, or an empty list.

    Returns:
      The parser, and the function that runs the wanted command.
    """
    parser = argparse.ArgumentParser(
        prog="vujax", description="Detect scenes in films, search them, and label them."
    )
    parser.add_argument("--version", action="version", version=f"vujax {version('vujax')}")
    choices = parser.add_subparsers(metavar="COMMAND", required=True)
    run = None
    for name, (module, text) in COMMANDS.items():
        command = choices.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        if [name] == list(wanted):
            imported = importlib.import_module(module)
            imported.add_arguments(command)
            run = imported.run
    return parser, run


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(escape_controls(f"vujax: warning: {message}"), file=sys.stderr)
