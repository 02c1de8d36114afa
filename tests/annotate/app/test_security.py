"""Access control: requests of other origins or hosts, or without the token, are refused."""

import socket
from collections.abc import Iterator

import pytest

from tests.annotate.app.serving import Client, embedded_catalog, run_server, stub_session
from tests.configs import ROOT
from vujax.annotate.app.security import MAX_BODY_BYTES
from vujax.annotate.app.session import CurationSession

TOKEN = "a-token-of-this-test"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> CurationSession:
    return stub_session(embedded_catalog(tmp_path_factory.mktemp("guard"), 1))


@pytest.fixture(scope="module")
def client(work: CurationSession) -> Iterator[Client]:
    with run_server(work) as found:
        yield found


@pytest.fixture(scope="module")
def far(work: CurationSession) -> Iterator[Client]:
    """A server for others, asked from here."""
    with run_server(work, host="0.0.0.0", token=TOKEN, names=["films.example"]) as found:
        yield found


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "127.0.0.1:9999", "[::1]"])
def test_the_names_of_this_machine(host: str, client: Client) -> None:
    assert client.request("GET", "/api/about", host=host)[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.nip.example",
        "192.168.0.7",  # nobody on the network is to reach it by this
        "user@localhost",
        "localhost/x",
        "localhost:x",
        "localhost evil",
        "",
        None,
    ],
)
def test_a_foreign_host(host: str | None, client: Client) -> None:
    for path in ("/", "/api/about", "/static/app.js"):
        status, _, body = client.request("GET", path, host=host)
        assert status in (400, 403)
        assert b"catalog" not in body


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1", "http://localhost"],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_foreign_origin(origin: str, method: str, client: Client) -> None:
    body = b'{"set": "a", "label": "x", "value": 1, "ids": ["x"]}' if method == "POST" else None
    path = "/api/mark" if method == "POST" else "/api/about"
    given = dict(origin=origin, content_type="application/json")
    assert client.request(method, path, body, **given)[0] == 403


def test_its_own_origin(client: Client) -> None:
    host = f"127.0.0.1:{client.port}"
    status, _, _ = client.request("GET", "/api/about", host=host, origin=f"http://{host}")
    assert status == 200


def test_what_a_browser_says_of_its_requests(client: Client) -> None:
    def get(path: str, site: str, mode: str) -> int:
        return client.request("GET", path, sec_fetch_site=site, sec_fetch_mode=mode)[0]

    assert get("/api/about", "same-origin", "cors") == 200
    assert get("/", "cross-site", "navigate") == 200  # a link to the page
    assert get("/api/about", "cross-site", "navigate") == 403
    assert get("/api/about", "cross-site", "no-cors") == 403  # an <img> elsewhere
    assert get("/api/about", "same-site", "cors") == 403  # another port of this machine


def test_forms_cannot_label(client: Client) -> None:
    body = b'{"set": "a", "label": "x", "value": 1, "ids": ["x"]}'
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None):
        assert client.request("POST", "/api/mark", body, content_type=kind)[0] == 415


def test_long_bodies(client: Client) -> None:
    kind = dict(content_type="application/json")
    said = client.request(
        "POST", "/api/mark", b"{}", content_length=str(MAX_BODY_BYTES + 1), **kind
    )
    assert said[0] == 413
    assert client.request("POST", "/api/mark", b"", content_length="-1", **kind)[0] in (400, 413)
    # One that does not say how long it is.
    with socket.create_connection((client.host, client.port), 30) as connection:
        head = "POST /api/mark HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        connection.sendall(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
        chunk = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
        try:
            for _ in range((MAX_BODY_BYTES >> 20) + 1):
                connection.sendall(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert connection.recv(100).startswith(b"HTTP/1.1 413")
    assert client.get("/api/about")["films"] == 1  # it is well


def test_every_answer_forbids_what_is_foreign(client: Client) -> None:
    for path in ("/", "/api/about", "/static/app.js", "/none"):
        _, headers, _ = client.request("GET", path)
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers


def test_no_token(far: Client) -> None:
    for path in ("/", "/api/about", "/static/app.js", "/picture/x/0/0", "/?token=", "/?token=x"):
        status, _, body = far.request("GET", path)
        assert status == 401
        assert b"catalog" not in body
    for cookie in ("vujax-curate=x", "vujax-curate=", "x", f"other={TOKEN}", 'vujax-curate="'):
        assert far.request("GET", "/api/about", cookie=cookie)[0] == 401
    # A token in the address of anything but the page would lie in histories and logs.
    assert far.request("GET", f"/api/about?token={TOKEN}")[0] == 401


def test_the_token_becomes_a_cookie(far: Client) -> None:
    status, headers, _ = far.request("GET", f"/?token={TOKEN}")
    assert (status, headers["location"]) == (303, "/")
    cookie, *about = headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict"} <= set(about)
    assert far.request("GET", "/api/about", cookie=cookie)[0] == 200
    for host, status in (("films.example", 200), ("10.0.0.7:80", 200), ("evil.example", 403)):
        assert far.request("GET", "/api/about", cookie=cookie, host=host)[0] == status


def test_another_address_always_needs_a_token(work: CurationSession) -> None:
    from vujax.annotate.app.server import bind_server

    prepared = bind_server(work, host="0.0.0.0", port=0)
    assert len(prepared.address.partition("?token=")[2]) >= 32
    prepared.listener.close()


def test_a_port_that_is_taken(work: CurationSession) -> None:
    from vujax.annotate.app.server import bind_server

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=r"is not available .*; choose another --port"):
            bind_server(work, port=port)


def test_the_page_loads_nothing_from_elsewhere() -> None:
    folder = ROOT / "vujax" / "annotate" / "app" / "static"
    for path in folder.iterdir():
        text = path.read_text("utf-8")
        assert "http://" not in text.replace("http://www.w3.org/", "")
        assert "https://" not in text
        for dangerous in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "eval(",
            "document.write",
        ):
            assert dangerous not in text
