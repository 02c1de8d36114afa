"""Models by their name on the hub, a stand-in on loopback: only needed files are requested."""

import http.server
import json
import os
import subprocess
import sys
import threading
import urllib.parse

import pytest

from tests.models.pretrained import originals
from vujax.models import release
from vujax.models.pretrained import huggingface

COMMIT = "c" * 40


class Hub(http.server.BaseHTTPRequestHandler):
    """The hub's answers about the one repository org/model, the folder `self.server.folder`."""

    def do_GET(self):
        path = urllib.parse.urlsplit(self.path).path
        api, files = "/api/models/org/model", f"/org/model/resolve/{COMMIT}/"
        if path in (api, f"{api}/revision/{COMMIT}"):
            names = sorted(p.name for p in self.server.folder.iterdir())
            siblings = [{"rfilename": name} for name in names]
            siblings.append({"rfilename": "onnx/config.json"})
            info = {"id": "org/model", "sha": COMMIT, "siblings": siblings, "private": False}
            self.answer(json.dumps(info).encode(), "application/json")
        elif path == f"{api}/tree/{COMMIT}":
            found = sorted(self.server.folder.iterdir())
            rows = [{"path": p.name, "size": p.stat().st_size} for p in found]
            rows.append({"path": "onnx/config.json", "size": 2})
            tree = [{"type": "file", "oid": "0" * 40} | row for row in rows]
            self.answer(json.dumps(tree).encode(), "application/json")
        elif path.startswith(files) and (file := self.server.folder / path[len(files) :]).is_file():
            self.server.asked.add(file.name)
            self.answer(file.read_bytes(), "application/octet-stream")
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    do_HEAD = do_GET

    def answer(self, data, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{len(data)}"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    made.folder, made.asked = tmp_path / "repository", set()
    made.folder.mkdir()
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def run(tmp_path, port, *words, module=("-m", "vujax.cli", "weights", "import")):
    """Run `vujax weights import ...`, or another module, in a process whose hub is at `port`."""
    env = os.environ | {"HF_ENDPOINT": f"http://127.0.0.1:{port}", "HF_HOME": str(tmp_path / "hf")}
    env |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "JAX_PLATFORMS": "cpu"}
    env |= {"VUJAX_CACHE": str(tmp_path / "cache"), "HF_HUB_DISABLE_TELEMETRY": "1"}
    command = [sys.executable, *module, *words]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)


@pytest.mark.parity
def test_a_model_comes_by_its_name(server, tmp_path):
    parameters = sum(x.numel() for x in originals.siglip(server.folder).parameters())
    (server.folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    for name in ("pytorch_model.bin", "onnx.safetensors", "open_clip_model.safetensors", "run.py"):
        (server.folder / name).write_bytes(b"not asked for")
    done = run(tmp_path, server.server_port, "org/model")
    assert done.returncode == 0, done.stderr
    assert f"org/model: {parameters:,} parameters imported, licence apache-2.0" in done.stdout
    folder = tmp_path / "cache" / "models" / "org--model"
    assert f"Model: {folder / 'release'}" in done.stdout
    config, _ = release.load(folder)
    assert config["imported"]["source"] == "org/model"
    assert {"model.safetensors", "config.json", "tokenizer.json", "README.md"} <= server.asked
    assert all(name.endswith((".json", ".md")) for name in server.asked - {"model.safetensors"})


@pytest.mark.parity
@pytest.mark.multiprocess
def test_a_name_on_the_hub_is_an_encoder_and_is_imported_once(server, tmp_path):
    originals.siglip(server.folder)
    program = """
import numpy as np, vujax
from vujax import encoders
model = vujax.load_model("org/model")
print(model.name, model.encode_text(["a red boat"]).shape, model.dim)
opened = encoders.make_opener("org/model")()
print(opened.name, encoders.resolve_name(None, "org/model").startswith("org--model"))
"""
    first = run(tmp_path, server.server_port, "-c", program, module=())
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines() == ["org--model (1, 32) 32", "org--model True"]
    folder = tmp_path / "cache" / "models" / "org--model"
    assert f"org/model: cached in {folder} (licence not stated)" in first.stderr
    second = run(tmp_path, 9, "-c", program, module=())  # nobody listens there
    assert second.stdout == first.stdout
    assert "importing" not in second.stderr


@pytest.mark.parity
def test_a_model_of_pickles_and_one_that_is_not_there(server, tmp_path):
    for name in ("pytorch_model.bin", "config.json"):
        (server.folder / name).write_text("{}")
    done = run(tmp_path, server.server_port, "org/model")
    assert done.returncode == 1
    assert "org/model holds its weights as pytorch_model.bin, and a pickle" in done.stderr
    assert not server.asked
    done = run(tmp_path, server.server_port, "org/other")
    assert done.returncode == 1
    assert "org/other is not a local path, and the hub failed" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parity
def test_no_hub_to_reach(tmp_path):
    done = run(tmp_path, 9, "org/model")  # nobody listens there
    assert done.returncode == 1
    assert "download its folder elsewhere and give that" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_extra_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"pip install 'vujax\[hub\]'"):
        huggingface.fetch_repository("org/model")


def test_only_what_is_needed_is_wanted():
    names = {"config.json", "model.safetensors.index.json", "README.md", "model.fp16.safetensors"}
    names |= {"model-00001-of-00002.safetensors", "flax_model.msgpack", "spiece.model"}
    unwanted = {"model.fp16.safetensors", "flax_model.msgpack"}
    assert set(huggingface.select_files("x/y", names)) == names - unwanted
    assert "spiece.model" not in huggingface.select_files("x/y", names | {"tokenizer.json"})
    assert "model-00001-of-00002.safetensors" not in huggingface.select_files(
        "x/y", names | {"model.safetensors"}
    )


def test_what_is_here_is_no_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert huggingface.is_hub_name("org/model.v1-x")
    for path in ("model", "/org/model", "./org/model", "../model", "a/b/c", "org/", "org/-x"):
        assert not huggingface.is_hub_name(path)
    (tmp_path / "org" / "model").mkdir(parents=True)
    assert not huggingface.is_hub_name("org/model")
