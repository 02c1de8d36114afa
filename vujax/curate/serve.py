"""The server of the curation page."""

import secrets
import socket
from collections.abc import Callable, Sequence
from typing import NamedTuple

import uvicorn

from vujax.curate.app import application
from vujax.curate.desk import Desk
from vujax.curate.guard import LOOPBACK

ANYWHERE = ("", "0.0.0.0", "::")


class Prepared(NamedTuple):
    """A server that has its port.

    Attributes:
      server: runs with `server.run(sockets=[listener])`.
      listener: its socket.
      address: to open.
    """

    server: uvicorn.Server
    listener: socket.socket
    address: str


def prepare(
    desk: Desk,
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    names: Sequence[str] = (),
    token: str | None = None,
) -> Prepared:
    """Takes the port.

    Args:
      desk: to serve.
      host: address to listen at. Beyond the loopback every request needs a token.
      port: to listen at; 0: any that is free.
      names: by which browsers may call this server, beside its host name.
      token: that requests need; None: a new one where one is needed.

    Raises:
      OSError: the port is taken, or the address is none of this machine.
    """
    token = token or (None if host in LOOPBACK else secrets.token_urlsafe(24))
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)  # so that the page can be opened before the server runs
    except OSError as error:
        listener.close()
        raise OSError(
            f"{host or 'this machine'}, port {port}, cannot be had ({error.strerror}): name "
            "another --port"
        ) from None
    named = socket.gethostname() if host in ANYWHERE else host
    app = application(desk, names=(*names, named), token=token)
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
    config.timeout_graceful_shutdown = 5
    shown = f"[{named}]" if ":" in named else named
    address = f"http://{shown}:{listener.getsockname()[1]}/"
    return Prepared(
        uvicorn.Server(config), listener, address + (f"?token={token}" if token else "")
    )


def serve(desk: Desk, ready: Callable[[str], None] = print, **where: object) -> None:
    """Serves until it is stopped.

    Args:
      desk: to serve.
      ready: is told the address to open.
      **where: see `prepare`, which says what is raised too.
    """
    prepared = prepare(desk, **where)
    ready(prepared.address)
    with prepared.listener:
        prepared.server.run(sockets=[prepared.listener])
