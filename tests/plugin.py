"""A package of another author, as a wheel: a method, a search backend and a scene export."""

import base64
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

NAME = "acme_vujax"
SOURCE = '''
"""Extensions of vujax: all rows of a method learn with CLIP's loss, a search by numpy, a list."""

import dataclasses

import numpy as np

from vujax.methods import distill
from vujax.methods.base import MethodSpec
from vujax.scenes.exports.base import SceneExport
from vujax.search.backends.base import Neighbors
from vujax.utils.io import write_text


@dataclasses.dataclass(frozen=True)
class PlainClip(distill.Distill):
    """CLIP's loss; no soft targets."""

    unaligned_end: float = 0.0


METHOD = MethodSpec(
    name="plain_clip",
    method=PlainClip,
    build_model=distill.build_model,
    batch_spec=distill.batch_spec,
    open_data=distill.open_data,
    encoder="distill",
)


class Brute:
    """Exact search by numpy."""

    name = "brute"

    def __init__(self, vectors):
        self.vectors = np.asarray(vectors, np.float32)

    @classmethod
    def open(cls, vectors, folder, report):
        return cls(vectors)

    def search(self, queries, k, mask=None):
        scores = queries @ self.vectors.T
        if mask is not None:
            scores = np.where(mask, scores, -np.inf)
        rows = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return Neighbors(np.take_along_axis(scores, rows, axis=1), rows)


def write_list(scenes, path):
    write_text(path, "".join(f"{s.number} {s.start_s:.3f}\\n" for s in scenes.scenes))
    return []


EXPORT = SceneExport(suffix=".starts.txt", write=write_list)
'''
ENTRY_POINTS = f"""
[vujax.methods]
plain_clip = {NAME}:METHOD
[vujax.search_backends]
brute = {NAME}:Brute
[vujax.scene_exports]
starts = {NAME}:EXPORT
"""


def build_wheel(folder: Path, name: str, source: str, entry_points: str) -> Path:
    """Write a wheel of one module (PEP 427)."""
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
        f"{info}/entry_points.txt": entry_points,
    }
    record = "".join(f"{path},{_digest(text)},{len(text)}\n" for path, text in files.items())
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in (files | {f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}).items():
            archive.writestr(file, text)
    return path


def install(wheel: Path, target: Path) -> None:
    """Install a wheel with pip, without an index."""
    words = ["install", "--quiet", "--no-index", "--no-deps", "--target", str(target), str(wheel)]
    words.append("--disable-pip-version-check")
    subprocess.run([sys.executable, "-m", "pip", *words], check=True)


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).decode().rstrip("=")
