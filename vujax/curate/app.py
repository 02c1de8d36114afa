"""The desk with HTTP: what is asked for by which address, and what is said when that fails."""

from collections.abc import Awaitable, Callable
from importlib import resources
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from vujax.curate import asks
from vujax.curate.desk import Desk
from vujax.curate.guard import Guard, Refused

STATIC = {
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
"""All files of the page but its HTML; nothing else is ever read."""

# What browsers play, by suffix; others are offered all the same.
VIDEO = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/mp4", ".webm": "video/webm"}
WRONG = (ValueError, KeyError, FileNotFoundError)


def application(desk: Desk, *, names: tuple[str, ...] = (), token: str | None = None) -> ASGIApp:
    """The whole application.

    Args:
      desk: that it serves.
      names: of this server, see `Guard`.
      token: that every request must bring; None: none.
    """
    routes = [
        Route("/", _page),
        Route("/static/{name}", _static),
        _get("/api/about", lambda request: desk.about()),
        _get("/api/columns", lambda request: desk.columns(_query(request, "level"))),
        _get("/api/item", lambda request: desk.item(_query(request, "id"))),
        _get("/api/state", lambda request: desk.state(*_state(request))),
        _post("/api/search", lambda body: desk.search(asks.Ask.read(body))),
        _post("/api/items", lambda body: desk.items(asks.Rows.read(body))),
        _post("/api/mark", lambda body: desk.mark(asks.Mark.read(body))),
        _post("/api/undo", lambda body: desk.undo(asks.Undo.read(body))),
        _post("/api/estimate", lambda body: desk.estimate(asks.Above.read(body))),
        _post("/api/sample", lambda body: desk.sample(asks.Above.read(body))),
        _post("/api/export", lambda body: desk.write(asks.Write.read(body))),
        Route("/picture/{film}/{shot:int}/{keyframe:int}", _picture(desk)),
        Route("/film/{film}", _film(desk)),
        Route("/export/{name}", _export(desk)),
    ]
    handlers = {Refused: _refused, **dict.fromkeys(WRONG, _wrong), OSError: _failed}
    return Guard(Starlette(routes=routes, exception_handlers=handlers), names, token)


async def _page(request: Request) -> Response:
    return Response(_file("index.html"), media_type="text/html")


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC:
        raise Refused(404, "there is no such file")
    return Response(_file(name), media_type=STATIC[name])


def _file(name: str) -> bytes:
    return (resources.files("vujax.curate") / "static" / name).read_bytes()


def _get(path: str, answer: Callable[[Request], Any]) -> Route:
    async def get(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(answer, request))

    return Route(path, get)


def _post(path: str, answer: Callable[[dict[str, Any]], Any]) -> Route:
    """An answer to a body of JSON; other kinds, such as a form can send, are refused."""

    async def post(request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refused(415, "a request is an object in JSON (application/json)")
        data = await request.body()
        return JSONResponse(await run_in_threadpool(lambda: answer(asks.parse(data))))

    return Route(path, post, methods=["POST"])


def _query(request: Request, name: str) -> str:
    value = request.query_params.get(name, "")
    if not 0 < len(value) < 400:
        raise ValueError(f"the request lacks `{name}`")
    return value


def _state(request: Request) -> tuple[str, int]:
    since = request.query_params.get("since", "0")
    if not since.isascii() or not since.isdecimal() or len(since) > 15:
        raise ValueError("`since` is a whole number from 0")
    return _query(request, "set"), int(since)


def _picture(desk: Desk) -> Callable[[Request], Awaitable[Response]]:
    async def picture(request: Request) -> Response:
        wanted = (request.path_params[name] for name in ("film", "shot", "keyframe"))
        data = await run_in_threadpool(desk.pictures.jpeg, *wanted)
        kept = {"cache-control": "private, max-age=3600"}
        return Response(data, media_type="image/jpeg", headers=kept)

    return picture


def _film(desk: Desk) -> Callable[[Request], Awaitable[Response]]:
    async def film(request: Request) -> Response:
        path: Path = await run_in_threadpool(desk.film_path, request.path_params["film"])
        kind = VIDEO.get(path.suffix.lower(), "application/octet-stream")
        return FileResponse(path, media_type=kind)  # answers ranges

    return film


def _export(desk: Desk) -> Callable[[Request], Awaitable[Response]]:
    async def exported(request: Request) -> Response:
        path = await run_in_threadpool(desk.exported, request.path_params["name"])
        return FileResponse(path, media_type="application/octet-stream", filename=path.name)

    return exported


async def _refused(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": error.reason}, error.status)


async def _wrong(request: Request, error: Exception) -> Response:
    status = 400 if isinstance(error, ValueError) else 404
    reason = error.args[0] if isinstance(error, KeyError) and error.args else str(error)
    return JSONResponse({"error": str(reason)}, status)


async def _failed(request: Request, error: Exception) -> Response:
    """A disk that is full, say: nothing was written, and the page must know."""
    return JSONResponse({"error": str(error)}, 500)
