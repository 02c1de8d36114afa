"""Commands run on artifacts of an earlier vujax, each reduced to a value that JSON can hold.

`record.py` wrote down the values with the commit that made the artifacts; the tests compare them
with those of today. Only the command line and formats on disk are used, so that the same file runs
with both.
"""

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from safetensors.numpy import load_file

import vujax
from vujax import cli

EDL_NOTE = re.compile(r"\* (?!FROM CLIP NAME|COMMENT)")
FIXTURE = Path(__file__).parents[1] / "fixtures" / "before_redesign"
CONFIGS = Path(vujax.__file__).parents[1] / "configs"
FILM = "film-0000-d8ecf0bb"
TIME = 1_750_000_000
"""Modification time of every file in seconds; the key of a search index holds it."""

TRAINING = (
    "--config.evals={}",
    "--config.log_steps=1",
    "--config.optimizer.warmup_steps=0",
    "--config.total_steps=4",
    "--config.checkpoint_steps=2",
    "--config.data.films={'main': {'kind': 'catalog', 'path': 'catalog', 'frames': 1, "
    "'image_size': 32}}",
    "--config.inputs.image=(1, 32, 32, 3)",
    "--config.model.encoder.image={'encoder': 'resnet', 'variant': 'RN18', "
    "'blocks': (1, 1, 1, 1), 'width': 2, 'pool': 'stack', 'frames': 1, 'image_size': 32, "
    "'norm': 'group'}",
    "--config.model.projection=(6,)",
    "--config.data.neighbours=2",
    "--config.data.block=2",
    "--config.method.queue=16",
    "--config.method.temperature=1.0",
    "--config.optimizer.lr=1e-3",
    "--config.batch_size=4",
)


def copy(folder: Path) -> Path:
    """Copy the artifacts into a folder, with the modification times that they were made with."""
    root = Path(shutil.copytree(FIXTURE, folder / "artifacts"))
    for path in root.rglob("*"):
        os.utime(path, (TIME, TIME))
    return root


def run(*words: str | Path) -> str:
    """Run a `vujax` command, which must end with status 0; return its standard output."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = cli.main([str(word) for word in words])
    assert status == 0, (words, out.getvalue())
    return out.getvalue()


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read a file of one JSON object a line."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def check(root: Path) -> Any:
    """Compare every file of the catalog with its manifest."""
    return bool(run("catalog", "check", root / "catalog"))


def search_text(root: Path) -> Any:
    """Search shots by a text in the index that is there."""
    words = ["a lake", "--level", "shot", "--top", "5"]
    run("search", root / "catalog", *words, "--out", root / "found.jsonl")
    return [read_rows(root / "found.jsonl"), _index(root)]


def search_similar(root: Path) -> Any:
    """Search shots by a shot, with a filter over the films' metadata."""
    words = ["--like", f"{FILM}/s0003", "--where", "year > 1990 and genre contains 'Drama'"]
    run("search", root / "catalog", *words, "--top", "5", "--out", root / "found.jsonl")
    return read_rows(root / "found.jsonl")


def _index(root: Path) -> list[Any]:
    """Return the files of the search indices, and whether each is as old as the artifacts."""
    folder = root / "catalog" / "index"
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [[str(path.relative_to(folder)), path.stat().st_mtime == TIME] for path in files]


def similar_shots(root: Path) -> Any:
    """Find the shots nearest to one."""
    return _ranked(run("similar", root / "catalog", f"{FILM}/s0003", "--top", "5"), "s")


def similar_scenes(root: Path) -> Any:
    """Find the scenes nearest to one."""
    return _ranked(run("similar", root / "catalog", f"{FILM}/c001"), "c")


def _ranked(table: str, letter: str) -> list[Any]:
    """Return (cosine, id) of each row of a printed table; the query itself has no cosine."""
    pattern = rf"^\s*(\d\.\d+)?\s.*({FILM}/{letter}\d+)"
    found = [re.search(pattern, line) for line in table.splitlines()]
    return [[float(row[1]) if row[1] else None, row[2]] for row in found if row]


def scenes(root: Path) -> Any:
    """Detect scenes in the catalog again; return every file for other programs."""
    return _scenes(root, "--head", "default", "--scenes", "4")


def scenes_by_release(root: Path) -> Any:
    """Detect scenes with the boundary head of a release."""
    head = root / "releases" / "boundary"
    return _scenes(root, "--head", head, "--threshold", "0.5", "--min-duration", "0")


def _scenes(root: Path, *words: str | Path) -> dict[str, str]:
    """Return the text of each file, but for run times, folders, the version and notes."""
    formats = ["csv", "vtt", "ffmetadata", "edl", "otio", "json"]
    run("scenes", root / "catalog", "--out", root / "again", *words, "--formats", *formats)
    texts = {path.name: path.read_text("utf-8") for path in sorted((root / "again").iterdir())}
    text = re.sub(r'"took_s": \{[^}]*\}', "", texts["scenes.json"])
    texts["scenes.json"] = re.sub(r'"notes": \[[^\]]*\]', '"notes": []', text)
    lines = texts["scenes.edl"].splitlines(keepends=True)
    texts["scenes.edl"] = "".join(line for line in lines if not EDL_NOTE.match(line))
    return {name: _neutral(text, root) for name, text in texts.items()}


def _neutral(text: str, root: Path) -> str:
    return re.sub(r'"vujax": "[^"]*"', "", text).replace(str(root), "ROOT")


def labels(root: Path) -> Any:
    """Export the label set in the formats that are text; add a label to its log, and undo it."""
    catalog, log = root / "catalog", root / "catalog" / "labels" / "places.jsonl"
    texts = {}
    for form in ("csv", "jsonl", "label_studio", "coco"):
        out = root / "exports" / f"places.{form}"
        out.parent.mkdir(exist_ok=True)
        run("labels", "export", catalog, "places", "--format", form, "--out", out)
    for path in sorted((root / "exports").rglob("*")):
        if path.suffix in (".csv", ".jsonl", ".json", ".xml"):
            texts[str(path.relative_to(root / "exports"))] = path.read_text("utf-8")
    before = log.read_bytes()
    added = ["--label", "lake", "--author", "reviewer"]
    run("labels", "set", catalog, "places", f"{FILM}/s0007", *added)
    run("labels", "undo", catalog, "places", "--author", "reviewer")
    after = log.read_bytes()
    run("labels", "export", catalog, "places", "--format", "csv", "--out", root / "d.csv")
    assert after.startswith(before), "the log was rewritten"
    assert (root / "d.csv").read_text("utf-8") == texts["places.csv"]
    lines = [json.loads(line) for line in after[len(before) :].splitlines()]
    listed = re.findall(r"\d+", run("labels", "list", catalog))
    return {"exports": texts, "log": [{**line, "time": ""} for line in lines], "list": listed}


def tags(root: Path) -> Any:
    """Apply the tagger."""
    run("tag", "apply", root / "catalog", "--tagger", root / "tagger", "--out", root / "t.jsonl")
    return read_rows(root / "t.jsonl")


def resume(root: Path) -> Any:
    """Resume the training that stopped at step 2 of 4, on one device."""
    flags = "--xla_force_host_platform_device_count=1"
    config = f"--config={CONFIGS / 'shotcol.py'}:cinema"
    command = [sys.executable, "-m", "vujax.main", config, "--workdir=workdir", *TRAINING]
    env = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    before = (root / "workdir" / "metrics.jsonl").read_text()
    subprocess.run(command, cwd=root, env=env, check=True, timeout=300)
    lines = (root / "workdir" / "metrics.jsonl").read_text()
    assert lines.startswith(before), "the training started anew"
    finished = load_file(root / "workdir" / "release" / "weights.safetensors")
    kept = load_file(root / "releases" / "shotcol" / "release" / "weights.safetensors")
    assert finished.keys() == kept.keys()
    for name, weight in kept.items():
        np.testing.assert_allclose(finished[name], weight, atol=1e-5, err_msg=name)
    config = json.loads((root / "workdir" / "release" / "config.json").read_text())
    assert config["method"].pop("soft_temperature") == 0.1  # of a mode that 0.1.0 lacked
    return {"loss": [json.loads(line)["loss"] for line in lines.splitlines()], "config": config}


def embed_image_text(root: Path) -> Any:
    """Embed keyframes with an image-text model, and search them by text with its tokenizer."""
    encoder = root / "releases" / "distill"
    embeddings = _embed(root, encoder)
    words = ["a red boat", "--level", "frame", "--encoder", encoder, "--top", "3"]
    run("search", root / "catalog", *words, "--out", root / "found.jsonl")
    return [embeddings, read_rows(root / "found.jsonl")]


def embed_shots(root: Path) -> Any:
    """Embed shots with a ShotCoL model."""
    return _embed(root, root / "releases" / "shotcol")


def embed_scenes(root: Path) -> Any:
    """Embed shots and scenes with a Movies2Scenes model, which reads embeddings of `lite`."""
    encoder = root / "releases" / "movies2scenes"
    _embed(root, encoder)
    return _embed(root, encoder, "--level", "scene")


def _embed(root: Path, encoder: Path, *words: str) -> dict[str, list[list[float]]]:
    """Return the embeddings of an encoder by the path of their file."""
    run("embed", root / "catalog", "--encoder", encoder, "--workers", "1", *words)
    folder = root / "catalog" / "vectors"
    files = sorted(folder.glob(f"*/{encoder.name}-*/*.parquet"))
    columns = {str(f.relative_to(folder)): pq.read_table(f)["vector"].to_pylist() for f in files}
    return {
        path: np.round(np.asarray(column, np.float64), 7).tolist()
        for path, column in columns.items()
    }


def captions(root: Path) -> Any:
    """Caption keyframes with a decoder."""
    words = ["--decoder", root / "releases" / "caption", "--level", "frame", "--beams", "1"]
    run("caption", root / "catalog", *words, "--out", root / "c.jsonl")
    return read_rows(root / "c.jsonl")


OPERATIONS: dict[str, Callable[[Path], Any]] = {
    operation.__name__: operation
    for operation in (
        check,
        search_text,
        search_similar,
        similar_shots,
        similar_scenes,
        scenes,
        scenes_by_release,
        labels,
        tags,
        resume,
        embed_image_text,
        embed_shots,
        embed_scenes,
        captions,
    )
}
