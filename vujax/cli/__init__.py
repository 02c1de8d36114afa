"""What the console script `vujax` can do: one file a command, imported when it is asked for.

Each has `add_arguments(parser)` and `run(arguments) -> int`, the exit status. What a user did wrong
or a machine lacks is a ValueError, OSError, KeyError, ImportError or RuntimeError of one sentence.

The console script `vujax`, for people with films.

vujax scenes film.mp4 --out out/
vujax ingest films/ --out catalog/
vujax catalog show catalog/ --out page.html
vujax embed catalog/ --encoder lite
vujax similar catalog/ FILM/s0012
"""

import argparse
import importlib
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version

from vujax.cli import runtime

COMMANDS = {
    "scenes": ("vujax.cli.scenes", "films to scenes, for editors and players"),
    "ingest": ("vujax.cli.ingest", "films to a catalogue of shots and keyframes"),
    "catalog": ("vujax.cli.catalog", "check a catalogue, or show it as a page"),
    "embed": ("vujax.cli.embed", "vectors of a catalogue's keyframes, shots and scenes"),
    "similar": ("vujax.cli.similar", "the shots or scenes that are most like one"),
    "caption": ("vujax.cli.caption", "captions of a catalogue's frames, shots or scenes"),
    "movies": ("vujax.cli.movies", "which movies are alike, by their metadata"),
    "search": ("vujax.cli.search", "frames, shots or scenes that are like a text or picture"),
    "search-recall": ("vujax.cli.search_recall", "what an approximate search would miss"),
    "curate": ("vujax.cli.curate", "find, review and label shots in the browser"),
    "labels": ("vujax.cli.labels", "label sets of a catalogue: list, set, export, import"),
    "tag": ("vujax.cli.tag", "learn tags from labels, and tag a catalogue"),
    "weights": ("vujax.cli.weights", "fetch, import or list weights"),
    "cinema": ("vujax.cli.synthesize", "make films with known shots, scenes and captions"),
}

MISTAKES = (ValueError, OSError, KeyError, ImportError, RuntimeError)

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Returns:
      The exit status: 0, 1 for what went wrong (one sentence on standard error), 2 for arguments
      that cannot be understood, 130 after Ctrl-C.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    parser, run = _parser(arguments[:1])
    options = parser.parse_args(arguments)
    runtime.set_up()
    try:
        return run(options)
    except KeyboardInterrupt:
        print(f"stopped; this goes on: {shlex.join(['vujax', *arguments])}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MISTAKES as error:
        reason = error.args[0] if isinstance(error, KeyError) and error.args else error
        print(f"vujax: error: {reason}", file=sys.stderr)
        return 1


def _parser(
    wanted: Sequence[str],
) -> tuple[argparse.ArgumentParser, Callable[[argparse.Namespace], int] | None]:
    """The parser, in which only the wanted command has its arguments, and what runs that."""
    parser = argparse.ArgumentParser(prog="vujax", description="Films to shots, scenes and labels.")
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
