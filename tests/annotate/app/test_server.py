"""Responses of each route: no files outside the catalog, no malformed requests."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.annotate.app.serving import Client, embedded_catalog, run_server, stub_session
from vujax.annotate.labels import sets
from vujax.annotate.labels.log import LabelLog


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return embedded_catalog(tmp_path_factory.mktemp("app"))


@pytest.fixture(scope="module")
def client(made: Path) -> Iterator[Client]:
    with run_server(stub_session(made)) as found:
        yield found


def first(client: Client, level: str = "shot") -> dict:
    return client.post("/api/items", level=level, rows=[0])[0]


def test_the_page_and_its_files(client: Client) -> None:
    status, headers, body = client.request("GET", "/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    for name in ("style.css", "app.js"):
        assert f"/static/{name}".encode() in body
        assert client.request("GET", f"/static/{name}")[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/app.py",
        "/static//etc/passwd",
        "/static/index.html",
        "/picture/..%2f..%2fetc/0/0",
        "/picture/../0/0",
        "/picture/film/-1/0",
        "/picture/film/x/0",
        "/film/..",
        "/film/..%2f..%2fetc%2fpasswd",
        "/film/%2fetc%2fpasswd",
        "/film/",
        "/export/..%2fcatalog.json",
        "/export/../catalog.json",
        "/export/%2fetc%2fpasswd",
        "/labels/boats.jsonl",
        "/catalog.json",
        "/api/none",
    ],
)
def test_nothing_outside(path: str, client: Client) -> None:
    status, _, body = client.request("GET", path)
    assert status == 404
    assert b"root:" not in body
    assert b"vujax catalogue" not in body


def test_pictures(client: Client, made: Path) -> None:
    item = first(client)
    film, shot, keyframe = item["picture"].split("/")
    path = f"/picture/{film}/{int(shot[1:])}/{keyframe}"
    status, headers, body = client.request("GET", path)
    assert (status, headers["content-type"]) == (200, "image/jpeg")
    assert body == stub_session(made).catalog.jpeg(item["picture"])
    for wrong in (f"/picture/{film}/99/0", f"/picture/{film}/0/9", "/picture/none/0/0"):
        assert client.request("GET", wrong)[0] == 404


def test_films_with_ranges(client: Client, made: Path) -> None:
    film = first(client)["film"]
    whole = (made.parent / "in" / "film0.mp4").read_bytes()
    status, headers, body = client.request("GET", f"/film/{film}")
    assert (status, body, headers["content-type"]) == (200, whole, "video/mp4")
    status, headers, body = client.request("GET", f"/film/{film}", range="bytes=10-19")
    assert (status, body) == (206, whole[10:20])
    assert headers["content-range"] == f"bytes 10-19/{len(whole)}"
    assert client.request("GET", f"/film/{film}", range="bytes=999999999-")[0] == 416


def test_films_that_are_not_what_they_were(tmp_path: Path) -> None:
    root = embedded_catalog(tmp_path, 1)
    film, aside = tmp_path / "in" / "film0.mp4", tmp_path / "aside.mp4"
    with run_server(stub_session(root)) as client:
        item = first(client)
        path = f"/film/{item['film']}"

        def why() -> str:
            status, _, body = client.request("GET", path)
            assert status == 404
            assert client.get(f"/api/item?id={item['id']}")["film"]["missing"]
            return json.loads(body)["error"]

        film.rename(aside)
        assert "is not readable; put the file back" in why()
        film.symlink_to(aside)  # out of the folder
        assert "does not lie in" in why()
        film.unlink()
        film.mkdir()
        assert "does not lie in" in why()
        film.rmdir()
        film.write_bytes(b"secret")
        assert "no longer the file that was ingested" in why()
        film.unlink()
        aside.rename(film)
        assert client.request("GET", path)[0] == 200


def test_search_label_undo(client: Client, made: Path) -> None:
    found = client.post(
        "/api/search", level="shot", set="a", terms=[dict(text="blue"), dict(text="red", weight=-1)]
    )
    assert found["items"] == found["of"] == 9
    items = client.post("/api/items", level="shot", rows=found["rows"][:3])
    assert [item["id"].rpartition("/")[2] for item in items] == ["s0002"] * 3
    ids = [item["id"] for item in items]
    said = dict(set="a", label="blue", value=1, query="blue; -red", scores=found["scores"][:3])
    client.post("/api/mark", ids=ids, **said)
    state = client.get("/api/state?set=a")
    assert state["changes"] == [[item, "blue", 1] for item in ids]
    assert client.get("/api/state?set=a&since=3")["changes"] == []
    open_ones = client.post("/api/search", level="shot", set="a", label="blue", status="open")
    assert open_ones["items"] == 6
    assert open_ones["scores"] is None  # nothing to rank by: in order of time
    entry = LabelLog(sets.label_set_path(made, "a")).state()[ids[0], "blue"]
    assert (entry.author, entry.decision.query) == ("ann", "blue; -red")
    assert entry.decision.score == pytest.approx(found["scores"][0])
    assert len(entry.decision.model) == 64
    undone = client.post("/api/undo", set="a")
    assert undone["changes"] == [[item, "blue", 0] for item in ids]
    assert client.post("/api/undo", 400, set="a")["error"] == "you have no decisions to undo"
    redone = client.post("/api/redo", set="a", author="ben", group=undone["group"])
    assert redone["changes"] == state["changes"]
    assert LabelLog(sets.label_set_path(made, "a")).state()[ids[0], "blue"].author == "ben"
    missing = client.post("/api/redo", 404, set="a", group=99)["error"]
    assert missing.endswith("has no undone decision 99; undo it first")
    assert client.post("/api/undo", set="a", author="ben")["changes"] == undone["changes"]


def test_export_and_fetch(client: Client, made: Path) -> None:
    item = first(client)
    client.post("/api/mark", set="b", label="x", value=1, ids=[item["id"]])
    done = client.post("/api/export", set="b", format="csv")
    assert done["file"] == "b-csv-1.csv"
    assert client.post("/api/export", set="b", format="csv")["file"] == "b-csv-2.csv"
    status, headers, body = client.request("GET", "/export/b-csv-1.csv")
    assert (status, body) == (200, (made / "exports" / "b-csv-1.csv").read_bytes())
    assert headers["content-disposition"].startswith("attachment")
    folder = client.post("/api/export", set="b", format="coco", labels=["x"])
    assert (Path(folder["path"]) / "annotations.json").is_file()
    assert folder["file"] is None
    (made / "exports" / "link.csv").symlink_to("/etc/passwd")
    assert client.request("GET", "/export/link.csv")[0] == 404
    none = client.post("/api/export", 400, set="b", format="csv", labels=[])["error"]
    assert none.startswith("no label is chosen")
    error = client.post("/api/export", 400, set="b", format="zip")["error"]
    assert "unknown label format 'zip'" in error
    assert "no label set" in client.post("/api/export", 404, set="none", format="csv")["error"]


GOOD = dict(level="shot", set="a")
BAD = {
    "/api/search": [
        {},
        GOOD | dict(level="film"),
        GOOD | dict(set="../x"),
        GOOD | dict(other=1),
        GOOD | dict(terms="red"),
        GOOD | dict(terms=[dict(text="")]),
        GOOD | dict(terms=[dict(text="red", weight=0)]),
        GOOD | dict(terms=[dict(text="red", weight=True)]),
        GOOD | dict(terms=[dict(text="red", kind="image")]),  # would read any file
        GOOD | dict(terms=[dict(text="x")] * 21),
        GOOD | dict(where="year >"),
        GOOD | dict(where=7),
        GOOD | dict(status="some"),
        GOOD | dict(label="a\nb"),
        GOOD | dict(like=["../x"]),
        GOOD | dict(fold="yes"),
        GOOD | dict(learn=True, label="never used"),
        GOOD | dict(status="doubt", label="never used"),
        GOOD | dict(tags=True, label="x"),
    ],
    "/api/items": [dict(level="shot", rows=[-1]), dict(level="shot", rows=["1"])],
    "/api/mark": [
        dict(set="a", label="x", value=1, ids=[]),
        dict(set="a", label="x", value=2, ids=["f/s0000"]),
        dict(set="a", label="x", value=True, ids=["f/s0000"]),
        dict(set="a", label="", value=1, ids=["f/s0000"]),
        dict(set="a", label="x", value=1, ids=["f/s0000"], scores=["high"]),
        dict(set="a", label="x", value=1, ids=["f/s0000"], scores=[1, 2]),
        dict(set="a", label="x", value=1, ids=["f/s0000"], author="a\nb"),
        dict(set="/etc/passwd", label="x", value=1, ids=["f/s0000"]),
    ],
    "/api/estimate": [dict(ask=GOOD), dict(ask=7, threshold=0), dict(ask=GOOD, threshold=1e999)],
    "/api/sample": [dict(ask=GOOD, threshold=0, count=0)],
    "/api/undo": [dict(set="a", author=7)],
    "/api/redo": [dict(set="a"), dict(set="a", group="1"), dict(set="a", group=-1)],
}


@pytest.mark.parametrize(("path", "body"), [(p, b) for p, bodies in BAD.items() for b in bodies])
def test_malformed(path: str, body: dict, client: Client) -> None:
    assert client.post(path, 400, **body)["error"]


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"{", b"\xff\xfe", b"[" * 100_000, b"null"])
def test_no_object(body: bytes, client: Client) -> None:
    status, _, answer = client.request("POST", "/api/search", body, content_type="application/json")
    assert status == 400
    assert json.loads(answer)["error"] == "a request must be a JSON object"


def test_unknown_things(client: Client) -> None:
    assert (
        "has no film"
        in client.post("/api/mark", 404, set="a", label="x", value=1, ids=["film/s0000"])["error"]
    )
    assert "search again" in client.post("/api/items", 404, level="shot", rows=[10**9])["error"]
    scene = client.post("/api/search", 400, level="scene", set="a")["error"]
    assert scene == "the catalog has no scene embeddings of stub; existing levels: frame, shot"
    where = client.post("/api/search", 404, **GOOD, where="colour = 'red'")["error"]
    assert "unknown column colour; expected one of: film, id" in where
    for path in ("/api/state?set=a&since=x", "/api/state?set=../a", "/api/item?id=", "/api/state"):
        assert client.request("GET", path)[0] == 400
    assert client.request("GET", "/api/item?id=film/s0000")[0] == 404
    assert client.request("GET", "/api/mark")[0] == 405
    assert client.request("POST", "/api/about", b"{}")[0] == 405


def test_zero_results_are_results(client: Client) -> None:
    found = client.post("/api/search", **GOOD, where="duration > 1000")
    assert (found["items"], found["rows"], found["of"]) == (0, [], 9)
    found = client.post("/api/search", **GOOD, where="duration > 1000", terms=[dict(text="red")])
    assert (found["items"], found["rows"]) == (0, [])
    above = dict(ask=GOOD | dict(where="duration > 1000"), threshold=0)
    assert client.post("/api/sample", 400, **above)["error"].startswith(
        "no item reaches the threshold"
    )
    assert client.post("/api/estimate", **above)["reviewed"]["estimate"] is None


def test_a_label_file_that_was_damaged(tmp_path: Path, made: Path) -> None:
    root = Path(shutil.copytree(made, tmp_path / "out"))
    (root / "labels").mkdir(exist_ok=True)
    (root / "labels" / "bad.jsonl").write_text("no log\n")
    (root / "labels" / "link.jsonl").symlink_to("/etc/passwd")
    with run_server(stub_session(root)) as client:
        for name, why in (("bad", "is damaged"), ("link", "is a symbolic link")):
            status, _, body = client.request("GET", f"/api/state?set={name}")
            assert status == 400
            assert why in json.loads(body)["error"]
