"""In-process server of the labeling page, an HTTP client, and embedded catalogs, for tests."""

import contextlib
import hashlib
import http.client
import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from tests.annotate.labels.labeled_catalog import add_scenes
from tests.encoders.stub import Stub, catalogue
from vujax.annotate.app.server import bind_server
from vujax.annotate.app.session import CurationSession
from vujax.annotate.labels import sets
from vujax.annotate.labels.log import LabelLog
from vujax.catalog import Catalog
from vujax.pipeline.embed import EmbedJob, EmbedStage, embed

COLORS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1)}


class ColorSpace:
    """Text space of the stub's embeddings that knows three colors."""

    name, dim = "colors", 6
    digest = hashlib.sha256(b"colors").hexdigest()

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Encode the colors that a text names, or all of them when it names none."""
        found = [
            np.sum([rgb for name, rgb in COLORS.items() if name in text] or [(1, 1, 1)], axis=0)
            for text in texts
        ]
        return _unit(np.concatenate([found, found], axis=1).astype(np.float32))

    def map_embeddings(self, vectors: np.ndarray) -> np.ndarray:
        """Normalize embeddings."""
        return _unit(np.asarray(vectors, np.float32))


def _unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def embedded_catalog(folder: Path, films: int = 3) -> Path:
    """Build a catalog with embeddings of keyframes and shots, and with scenes."""
    root = catalogue(folder, films)
    stage = EmbedStage(EmbedJob(root, Stub, batch=4))
    for source in embed(root, Stub).sources:
        stage(source)
    add_scenes(Catalog(root))
    return root


def stub_session(root: Path, **options: Any) -> CurationSession:
    """Open a session on an embedded catalog."""
    return CurationSession(Catalog(root), "stub", ColorSpace(), author="ann", **options)


@dataclass
class Client:
    """HTTP client of a server."""

    host: str
    port: int

    def request(
        self, method: str, path: str, body: bytes | None = None, **headers: str | None
    ) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body; a header that is None is not sent."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        try:
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.putrequest(method, path, skip_host="host" in given)
            if body is not None and "content-length" not in given:
                connection.putheader("content-length", str(len(body)))
            for name, value in given.items():
                if value is not None:
                    connection.putheader(name, value)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.endheaders(body)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, found, answer.read()
        finally:
            connection.close()

    def get(self, path: str, **headers: str | None) -> Any:
        """Return the JSON of a successful response."""
        status, _, body = self.request("GET", path, **headers)
        assert status == 200, body
        return json.loads(body)

    def post(self, path: str, expected: int = 200, /, **body: Any) -> Any:
        """Return the JSON of the response to an object."""
        data = json.dumps(body).encode()
        found, _, answer = self.request("POST", path, data, content_type="application/json")
        assert found == expected, answer
        return json.loads(answer)


@contextlib.contextmanager
def run_server(session: CurationSession, **options: Any) -> Iterator[Client]:
    """Run a server for the duration of the block."""
    prepared = bind_server(session, **{"port": 0} | options)
    sockets = [prepared.listener]
    thread = threading.Thread(target=prepared.server.run, kwargs={"sockets": sockets}, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not prepared.server.started and time.monotonic() < until:
        time.sleep(0.01)
    try:
        yield Client("127.0.0.1", urlsplit(prepared.address).port)
    finally:
        prepared.server.should_exit = True
        thread.join(20)
        prepared.listener.close()


def label_values(root: Path, name: str = "labels") -> dict:
    """Return the values of a label set by id and label, without unknown ones."""
    found = LabelLog(sets.label_set_path(root, name)).state()
    return {key: entry.decision.value for key, entry in found.items() if entry.decision.value}
