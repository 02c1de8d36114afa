"""Writing of films to a catalog: parts are staged, then renamed into place, the manifest last."""

import hashlib
import json
import os
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from vujax.catalog import schema
from vujax.utils.io import publish, sync_folder, write_json
from vujax.utils.system import is_process_alive

SEPARATOR = "~"  # in no film id


class Staging:
    """Staging folder of one film's parts; `commit` moves them into the catalog.

    It is named after the film, the machine and the process, so that the leftovers of a killed
    process can be told from work in progress.

    Attributes:
      folder: path of the staging folder.
    """

    def __init__(self, root: Path, film: str) -> None:
        self._root, self._film = root, film
        owner = SEPARATOR.join((film, socket.gethostname(), str(os.getpid())))
        self.folder = root / schema.STAGING / owner

    def __enter__(self) -> Self:
        sweep_staging(self._root, self._film)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        return self

    def __exit__(self, *error: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, part: str) -> Path:
        """Return the path at which to write a part, a key of `schema.PARTS`."""
        return self.folder / part

    def commit(self, manifest: Mapping[str, Any], keep: Mapping[str, Any] | None = None) -> None:
        """Replace the film in the catalog.

        If the process is killed on the way, the film has no manifest; it is then not in the
        catalog, and the next run ingests it again.

        Args:
          manifest: manifest of the film; `files` is added here.
          keep: old manifest, to keep the parts that were not staged again.
        """
        staged = {
            name: describe_file(self.path(name))
            for name in schema.PARTS
            if self.path(name).exists()
        }
        retained = dict(keep["files"]) if keep else {}
        schema.manifest_path(self._root, self._film).unlink(missing_ok=True)
        if not keep:
            remove_derived(self._root, self._film)
        for name in schema.PARTS:
            target = schema.part_path(self._root, name, self._film)
            if name in staged:
                target.parent.mkdir(exist_ok=True)
                self.path(name).replace(target)
                sync_folder(target.parent)  # before a manifest names it
            elif name not in retained:
                target.unlink(missing_ok=True)
        path = schema.manifest_path(self._root, self._film)
        # Staged too, so that a kill leaves no temporary file among the manifests.
        ready = write_json(self.folder / path.name, {**manifest, "files": retained | staged})
        path.parent.mkdir(exist_ok=True)
        publish(ready, path)


def describe_file(path: Path) -> dict[str, Any]:
    """Flush a file to the disk, and return its size and sha256."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
        return {
            "bytes": path.stat().st_size,
            "sha256": hashlib.file_digest(file, "sha256").hexdigest(),
        }


def read_manifest(root: Path, film: str) -> dict[str, Any] | None:
    """Read a film's manifest; None if it is damaged, or the film is not in the catalog."""
    try:
        found = json.loads(schema.manifest_path(root, film).read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("files"), dict) else None


def remove_film(root: Path, film: str) -> None:
    """Remove a film from the catalog."""
    schema.manifest_path(root, film).unlink(missing_ok=True)
    for name in reversed(schema.PARTS):
        schema.part_path(root, name, film).unlink(missing_ok=True)
    remove_derived(root, film)


def remove_derived(root: Path, film: str) -> None:
    """Remove the scenes and embeddings of a film."""
    for pattern in schema.DERIVED:
        for path in root.glob(pattern.format(film)):
            path.unlink(missing_ok=True)


def sweep_staging(root: Path, film: str | None = None) -> None:
    """Remove the staging folders of killed processes of this machine, or of one film.

    A film is ingested on one machine only, so another machine's folder of it is abandoned.

    Args:
      root: folder of the catalog.
      film: film whose folders of other machines are removed too; None for none.
    """
    here = socket.gethostname()
    for folder in (root / schema.STAGING).glob(f"*{SEPARATOR}*{SEPARATOR}*"):
        owned, host, process = folder.name.rsplit(SEPARATOR, 2)
        dead = process.isdecimal() and host == here and not is_process_alive(int(process))
        if dead or (owned == film and host != here):
            shutil.rmtree(folder, ignore_errors=True)
