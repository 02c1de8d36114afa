"""`vujax curate CATALOG`: find, review and label frames, shots and scenes in the browser."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add("catalog", type=Path, metavar="CATALOG", help="catalog folder")
    add(
        "--encoder",
        default="lite",
        metavar="SPEC",
        help="encoder of the embeddings: lite, or a model folder (default: lite)",
    )
    add("--space", metavar="SPEC", help="text space (default: that of the encoder)")
    add("--tags", type=Path, metavar="FILE", help="tags of `vujax tag apply`")
    add("--author", metavar="NAME", help="author of the labels (default: the user)")
    add(
        "--port",
        type=int,
        default=8765,
        metavar="N",
        help="port to listen on; 0 for any (default: 8765)",
    )
    add(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address to listen on; others than the default need a token (default: 127.0.0.1)",
    )
    add(
        "--name",
        action="append",
        default=[],
        metavar="NAME",
        help="accepted host name of this server; repeatable",
    )
    add(
        "--token",
        metavar="TEXT",
        help="token that requests need (default: a new one unless the host is this machine)",
    )
    add("--open", action="store_true", help="open the page in the browser")


def run(arguments: argparse.Namespace) -> int:
    """Serve the labeling page until Ctrl-C."""
    try:
        from vujax.annotate.app.server import serve
    except ImportError as error:
        raise ImportError(
            f"the labeling page needs {error.name}; run pip install 'vujax[curate]'"
        ) from None
    from vujax.annotate.app import open_session

    if arguments.token is not None and len(arguments.token) < 16:
        raise ValueError("--token must have at least 16 characters; leave it out to get one")
    session = open_session(
        arguments.catalog,
        arguments.encoder,
        space=arguments.space,
        author=arguments.author,
        tags=arguments.tags,
    )
    if session.text_search_error:
        print(f"note: {session.text_search_error}", flush=True)

    def ready(address: str) -> None:
        print(f"{address}  (stop with Ctrl-C; labels are saved immediately)", flush=True)
        if arguments.open:
            import webbrowser

            webbrowser.open(address)

    serve(
        session,
        host=arguments.host,
        port=arguments.port,
        names=arguments.name,
        token=arguments.token,
        ready=ready,
    )
    return 0
