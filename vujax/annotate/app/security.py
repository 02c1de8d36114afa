"""ASGI middleware that refuses requests of other hosts, other origins, or without the token.

A foreign page can make a browser send requests to a server on this machine with its cookies (CSRF),
or under a host name of its own that resolves to this machine (DNS rebinding). So the Host header
must name this server, and headers of origin must match it. Other machines need the token.
"""

import hmac
import ipaddress
import json
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 8 << 20
"""Maximum size of a request body: 50,000 ids of 150 characters fit."""

COOKIE = "vujax-curate"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
SECURITY_HEADERS = {
    # Only files of the page run, and it connects only to this server.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-frame-options": "DENY",
}


class RequestRefused(Exception):
    """A refused request, with the status and a message."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class SecurityMiddleware:
    """Middleware that passes on only permitted requests."""

    def __init__(self, app: ASGIApp, names: Iterable[str] = (), token: str | None = None) -> None:
        """Wrap an application.

        Args:
          app: application to protect.
          names: host names of this server other than those of the loopback.
          token: token required in a cookie or the query of every request; None: not required,
            as only this machine can connect.
        """
        self._app, self._token = app, token
        self._names = {name.lower() for name in (*LOOPBACK, *names)}
        self._any_address = token is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse a request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # no web sockets
            return
        send = _with_headers(send)
        try:
            headers = Headers(scope=scope)
            self._check_host(headers)
            self._check_origin(scope, headers)
            if self._check_token(scope, headers):
                await _set_cookie(self._token, send)
                return
            await self._app(scope, _limited(receive, headers), send)
        except RequestRefused as refused:
            await _refuse(refused, send)

    def _check_host(self, headers: Headers) -> None:
        hosts = headers.getlist("host")
        name = _host_name(hosts[0]) if len(hosts) == 1 else None
        if name is None or not (name in self._names or (self._any_address and _is_address(name))):
            raise RequestRefused(403, "unknown host name of this server; open the printed address")

    def _check_origin(self, scope: Scope, headers: Headers) -> None:
        """Refuse requests of pages of other origins; programs send no Origin header."""
        origins = headers.getlist("origin")
        if origins and (len(origins) > 1 or not self._is_own(origins[0], headers["host"], scope)):
            raise RequestRefused(403, "the request comes from another origin")
        site = headers.get("sec-fetch-site", "none")
        opened = headers.get("sec-fetch-mode") == "navigate" and scope["path"] == "/"
        if site not in ("same-origin", "none") and not opened:
            raise RequestRefused(403, "the request comes from another origin")

    def _is_own(self, origin: str, host: str, scope: Scope) -> bool:
        return origin.lower() == f"{scope.get('scheme', 'http')}://{host.lower()}"

    def _check_token(self, scope: Scope, headers: Headers) -> bool:
        """Refuse a request without the token; return True if the token is in the query."""
        if self._token is None:
            return False
        query = parse_qs(scope["query_string"].decode("latin-1"))
        given = query.get("token", [""])[0]
        if scope["path"] == "/" and _is_same(given, self._token):
            return True
        if not _is_same(_cookie(headers), self._token):
            raise RequestRefused(401, "the token is missing or wrong; open the printed address")
        return False


def _is_same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


def _cookie(headers: Headers) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _host_name(host: str) -> str | None:
    """Return the name in a Host header without its port, None for an invalid one."""
    try:
        parts = urlsplit(f"//{host}")
        has_valid_port = parts.port is None or parts.port > 0
    except ValueError:
        return None
    plain = parts.netloc == host and parts.username is None and has_valid_port
    return parts.hostname if plain and not any(c.isspace() for c in host) else None


def _is_address(name: str) -> bool:
    """Return whether a host is an IP address, which DNS cannot rebind."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _limited(receive: Receive, headers: Headers) -> Receive:
    """Refuse too long bodies, whatever Content-Length they declare."""
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
        raise RequestRefused(413, f"a request must have at most {MAX_BODY_BYTES >> 20} MiB")
    size = 0

    async def limited() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MAX_BODY_BYTES:
            raise RequestRefused(413, f"a request must have at most {MAX_BODY_BYTES >> 20} MiB")
        return message

    return limited


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers[name] = value
            headers.setdefault("cache-control", "no-store")
        await send(message)

    return sending


async def _set_cookie(token: str, send: Send) -> None:
    """Store the token in a cookie, and redirect to an address without it."""
    cookie = f"{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict"
    headers = [(b"location", b"/"), (b"set-cookie", cookie.encode()), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _refuse(refused: RequestRefused, send: Send) -> None:
    body = json.dumps({"error": refused.reason}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),  # the rest of a long body is not read
    ]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
