"""`vujax curate CATALOG`: find, review and label frames, shots and scenes in the browser."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    add = parser.add_argument
    add("catalog", type=Path, metavar="CATALOG", help="folder of the catalogue")
    add(
        "--encoder", default="lite", metavar="SPEC", help="whose vectors: lite, or a model's folder"
    )
    add("--space", metavar="SPEC", help="where texts are compared (that of the encoder)")
    add("--tags", type=Path, metavar="FILE", help="what a tagger found (`vujax tag apply`)")
    add("--author", metavar="NAME", help="of the labels (you)")
    add("--port", type=int, default=8765, metavar="N", help="to listen at (8765; 0: any)")
    add("--host", default="127.0.0.1", metavar="ADDRESS", help="to listen at; others need a token")
    add("--name", action="append", default=[], metavar="NAME", help="a name of this server")
    add("--token", metavar="TEXT", help="that requests need (a new one beyond this machine)")
    add("--open", action="store_true", help="open the page in the browser")


def run(arguments: argparse.Namespace) -> int:
    """Serves the page until Ctrl-C."""
    try:
        from vujax.annotate.app.server import serve
    except ImportError as error:
        raise ImportError(f"the page needs {error.name}: pip install 'vujax[curate]'") from None
    from vujax.annotate.app import open_desk

    if arguments.token is not None and len(arguments.token) < 16:
        raise ValueError("a token has at least 16 characters: leave --token out to get one")
    desk = open_desk(
        arguments.catalog,
        arguments.encoder,
        space=arguments.space,
        author=arguments.author,
        tags=arguments.tags,
    )
    if desk.mute:
        print(f"note: {desk.mute}", flush=True)

    def ready(address: str) -> None:
        print(f"{address}  (Ctrl-C ends it; labels are on the disk at once)", flush=True)
        if arguments.open:
            import webbrowser

            webbrowser.open(address)

    serve(
        desk,
        host=arguments.host,
        port=arguments.port,
        names=arguments.name,
        token=arguments.token,
        ready=ready,
    )
    return 0
