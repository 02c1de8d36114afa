"""HTTP server of the labeling page: routes, error responses, and the socket."""

import secrets
import socket
from collections.abc import Awaitable, Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from vujax.annotate.app import requests
from vujax.annotate.app.security import LOOPBACK, RequestRefused, SecurityMiddleware
from vujax.annotate.app.session import CurationSession

STATIC_TYPES = {
    "style.css": "text/css",
    "icon.svg": "image/svg+xml",
    "app.js": "text/javascript",
    "dom.js": "text/javascript",
    "server.js": "text/javascript",
    "grid.js": "text/javascript",
    "detail.js": "text/javascript",
    "labels.js": "text/javascript",
    "query.js": "text/javascript",
    "threshold.js": "text/javascript",
    "dialogs.js": "text/javascript",
    "keys.js": "text/javascript",
}
"""Media types of all static files but the HTML; no other file is ever read."""

# Media types of files that browsers play, by suffix; others are served as bytes.
VIDEO_TYPES = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/mp4", ".webm": "video/webm"}

ANY_ADDRESS = ("", "0.0.0.0", "::")

CLIENT_ERRORS = (ValueError, KeyError, FileNotFoundError)


def build_app(
    session: CurationSession, *, names: tuple[str, ...] = (), token: str | None = None
) -> ASGIApp:
    """Build the application.

    Args:
      session: session to serve.
      names: host names of this server, see `SecurityMiddleware`.
      token: token required in every request; None: not required.
    """
    routes = [
        Route("/", _page),
        Route("/static/{name}", _static),
        _get("/api/about", lambda request: session.describe()),
        _get("/api/columns", lambda request: session.list_columns(_query(request, "level"))),
        _get("/api/item", lambda request: session.describe_item(_query(request, "id"))),
        _get("/api/state", lambda request: _read_labels(session, request)),
        _post("/api/search", lambda body: session.search(requests.SearchRequest.from_json(body))),
        _post(
            "/api/items", lambda body: session.describe_items(requests.ItemsRequest.from_json(body))
        ),
        _post("/api/mark", lambda body: session.add_labels(requests.LabelRequest.from_json(body))),
        _post("/api/undo", lambda body: session.undo(requests.UndoRequest.from_json(body))),
        _post("/api/redo", lambda body: session.redo(requests.RedoRequest.from_json(body))),
        _post(
            "/api/estimate",
            lambda body: session.estimate_precision(requests.ThresholdRequest.from_json(body)),
        ),
        _post(
            "/api/sample",
            lambda body: session.draw_sample(requests.ThresholdRequest.from_json(body)),
        ),
        _post("/api/export", lambda body: session.export(requests.ExportRequest.from_json(body))),
        Route("/picture/{film}/{shot:int}/{keyframe:int}", _picture(session)),
        Route("/film/{film}", _film(session)),
        Route("/export/{name}", _export(session)),
    ]
    handlers = {
        RequestRefused: _refused,
        **dict.fromkeys(CLIENT_ERRORS, _client_error),
        OSError: _server_error,
    }
    return SecurityMiddleware(Starlette(routes=routes, exception_handlers=handlers), names, token)


async def _page(request: Request) -> Response:
    return Response(_file("index.html"), media_type="text/html")


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC_TYPES:
        raise RequestRefused(404, "no such file")
    return Response(_file(name), media_type=STATIC_TYPES[name])


def _file(name: str) -> bytes:
    return (resources.files("vujax.annotate.app") / "static" / name).read_bytes()


def _get(path: str, answer: Callable[[Request], Any]) -> Route:
    async def get(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(answer, request))

    return Route(path, get)


def _post(path: str, answer: Callable[[dict[str, Any]], Any]) -> Route:
    """Build a route for JSON bodies; other types, such as those of forms, are refused."""

    async def post(request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise RequestRefused(415, "a request must be a JSON object (application/json)")
        data = await request.body()
        return JSONResponse(await run_in_threadpool(lambda: answer(requests.parse_body(data))))

    return Route(path, post, methods=["POST"])


def _query(request: Request, name: str) -> str:
    value = request.query_params.get(name, "")
    if not 0 < len(value) < 400:
        raise ValueError(f"the request needs `{name}`, of at most 400 characters")
    return value


def _read_labels(session: CurationSession, request: Request) -> dict[str, Any]:
    since = request.query_params.get("since", "0")
    if not since.isascii() or not since.isdecimal() or len(since) > 15:
        raise ValueError("`since` must be an integer from 0")
    return session.read_labels(_query(request, "set"), int(since))


def _picture(session: CurationSession) -> Callable[[Request], Awaitable[Response]]:
    async def picture(request: Request) -> Response:
        params = request.path_params
        data = await run_in_threadpool(
            session.keyframes.read_jpeg, params["film"], params["shot"], params["keyframe"]
        )
        headers = {"cache-control": "private, max-age=3600"}
        return Response(data, media_type="image/jpeg", headers=headers)

    return picture


def _film(session: CurationSession) -> Callable[[Request], Awaitable[Response]]:
    async def film(request: Request) -> Response:
        path: Path = await run_in_threadpool(session.locate_film, request.path_params["film"])
        kind = VIDEO_TYPES.get(path.suffix.lower(), "application/octet-stream")
        return FileResponse(path, media_type=kind)  # supports ranges

    return film


def _export(session: CurationSession) -> Callable[[Request], Awaitable[Response]]:
    async def exported(request: Request) -> Response:
        path = await run_in_threadpool(session.find_export, request.path_params["name"])
        return FileResponse(path, media_type="application/octet-stream", filename=path.name)

    return exported


async def _refused(request: Request, error: RequestRefused) -> Response:
    return JSONResponse({"error": error.reason}, error.status)


async def _client_error(request: Request, error: Exception) -> Response:
    status = 400 if isinstance(error, ValueError) else 404
    reason = error.args[0] if isinstance(error, KeyError) and error.args else str(error)
    return JSONResponse({"error": str(reason)}, status)


async def _server_error(request: Request, error: Exception) -> Response:
    """Report a failed write, for example on a full disk, so that the page sends it again."""
    return JSONResponse({"error": str(error)}, 500)


class BoundServer(NamedTuple):
    """A server with an open port.

    Attributes:
      server: server, to run with `server.run(sockets=[listener])`.
      listener: its socket.
      address: address of the page.
    """

    server: uvicorn.Server
    listener: socket.socket
    address: str


def bind_server(
    session: CurationSession,
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    names: Sequence[str] = (),
    token: str | None = None,
) -> BoundServer:
    """Open the port of a server.

    Args:
      session: session to serve.
      host: address to listen on; all but the loopback require a token.
      port: port to listen on; 0: any free one.
      names: accepted host names besides that of this machine.
      token: required token; None: a new one where one is required.

    Raises:
      OSError: the port is in use, or the address does not belong to this machine.
    """
    token = token or (None if host in LOOPBACK else secrets.token_urlsafe(24))
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)  # browsers can connect before the server runs
    except OSError as error:
        listener.close()
        raise OSError(
            f"{host or 'this machine'}, port {port}, is not available ({error.strerror}); choose "
            "another --port"
        ) from None
    named = socket.gethostname() if host in ANY_ADDRESS else host
    app = build_app(session, names=(*names, named), token=token)
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
    config.timeout_graceful_shutdown = 5
    shown = f"[{named}]" if ":" in named else named
    address = f"http://{shown}:{listener.getsockname()[1]}/"
    return BoundServer(
        uvicorn.Server(config), listener, address + (f"?token={token}" if token else "")
    )


def serve(session: CurationSession, ready: Callable[[str], None] = print, **options: Any) -> None:
    """Serve until interrupted.

    Args:
      session: session to serve.
      ready: called with the address of the page.
      **options: see `bind_server`, also for exceptions.
    """
    bound = bind_server(session, **options)
    ready(bound.address)
    with bound.listener:
        bound.server.run(sockets=[bound.listener])
