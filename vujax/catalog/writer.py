"""A film's parts on their way into the catalogue: made aside, then renamed, the manifest last."""

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
    """A folder for one film's parts; `commit` puts them into the catalogue.

    It is named after the film, the machine and the process, so that what a killed process left can
    be told from what is being made.
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
        """Where to make a part, a key of `layout.PARTS`."""
        return self.folder / part

    def commit(self, manifest: Mapping[str, Any], keep: Mapping[str, Any] | None = None) -> None:
        """Puts the film into the catalogue in place of what is there.

        Killed in the midst of it, the film has no manifest, so it is not in the catalogue and the
        next run makes it again.

        Args:
          manifest: of the film; `files` is added here.
          keep: the old manifest, when the parts that were not made again stay as they are.
        """
        made = {
            name: describe_file(self.path(name))
            for name in schema.PARTS
            if self.path(name).exists()
        }
        kept = dict(keep["files"]) if keep else {}
        schema.manifest_path(self._root, self._film).unlink(missing_ok=True)
        if not keep:
            remove_derived(self._root, self._film)
        for name in schema.PARTS:
            target = schema.part_path(self._root, name, self._film)
            if name in made:
                target.parent.mkdir(exist_ok=True)
                self.path(name).replace(target)
                sync_folder(target.parent)  # before a manifest names it
            elif name not in kept:
                target.unlink(missing_ok=True)
        path = schema.manifest_path(self._root, self._film)
        # Made in the staging folder too, so that a kill leaves nothing among the manifests.
        ready = write_json(self.folder / path.name, {**manifest, "files": kept | made})
        path.parent.mkdir(exist_ok=True)
        publish(ready, path)


def describe_file(path: Path) -> dict[str, Any]:
    """Size and sha256 of a file, which is safely on the disk after this."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
        return {
            "bytes": path.stat().st_size,
            "sha256": hashlib.file_digest(file, "sha256").hexdigest(),
        }


def read_manifest(root: Path, film: str) -> dict[str, Any] | None:
    """A film's manifest; None when the film is not in the catalogue, or its manifest is damaged."""
    try:
        found = json.loads(schema.manifest_path(root, film).read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("files"), dict) else None


def remove_film(root: Path, film: str) -> None:
    """Takes a film out of the catalogue."""
    schema.manifest_path(root, film).unlink(missing_ok=True)
    for name in reversed(schema.PARTS):
        schema.part_path(root, name, film).unlink(missing_ok=True)
    remove_derived(root, film)


def remove_derived(root: Path, film: str) -> None:
    """Removes what later commands made of a film's shots."""
    for pattern in schema.DERIVED:
        for path in root.glob(pattern.format(film)):
            path.unlink(missing_ok=True)


def sweep_staging(root: Path, film: str | None = None) -> None:
    """Removes what killed processes of this machine left; of one film, those of any machine.

    A film is made on one machine only, so what another one left of it is left for good.
    """
    here = socket.gethostname()
    for folder in (root / schema.STAGING).glob(f"*{SEPARATOR}*{SEPARATOR}*"):
        owned, host, process = folder.name.rsplit(SEPARATOR, 2)
        dead = process.isdecimal() and host == here and not is_process_alive(int(process))
        if dead or (owned == film and host != here):
            shutil.rmtree(folder, ignore_errors=True)
