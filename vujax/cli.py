"""The console script `vujax`, for people with films.

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
from collections.abc import Sequence
from importlib.metadata import version

from vujax.commands import before_jax

COMMANDS = {
    "scenes": ("vujax.commands.scenes", "films to scenes, for editors and players"),
    "ingest": ("vujax.commands.ingest", "films to a catalogue of shots and keyframes"),
    "catalog": ("vujax.commands.catalog", "check a catalogue, or show it as a page"),
    "embed": ("vujax.commands.embed", "vectors of a catalogue's keyframes, shots and scenes"),
    "similar": ("vujax.commands.similar", "the shots or scenes that are most like one"),
    "caption": ("vujax.commands.caption", "captions of a catalogue's frames, shots or scenes"),
    "movies": ("vujax.commands.movies", "which movies are alike, by their metadata"),
    "search": ("vujax.commands.search", "frames, shots or scenes that are like a text or picture"),
    "search-recall": ("vujax.commands.search_recall", "what an approximate search would miss"),
    "curate": ("vujax.commands.curate", "find, review and label shots in the browser"),
    "labels": ("vujax.commands.labels", "label sets of a catalogue: list, set, export, import"),
    "tag": ("vujax.commands.tag", "learn tags from labels, and tag a catalogue"),
    "weights": ("vujax.commands.weights", "fetch, import or list weights"),
    "cinema": ("vujax.data.cinema.command", "make films with known shots, scenes and captions"),
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
    before_jax.set_up()
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


def _parser(wanted: Sequence[str]) -> tuple[argparse.ArgumentParser, object]:
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


if __name__ == "__main__":
    sys.exit(main())
