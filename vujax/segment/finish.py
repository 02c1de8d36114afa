"""The end of the road for one film: its scenes, into the catalogue and into files."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from vujax.catalog import Catalog, vectors
from vujax.catalog import scenes as kept
from vujax.segment import cues, exports
from vujax.segment.film import ShotVectors, divide, scenes_of
from vujax.segment.scene import Scenes
from vujax.segment.settings import Head, How

ONE = "scenes"  # name of the files when there is one film
ONE_PAGE = "report"


@dataclass
class Files:
    """What a run wrote.

    Attributes:
      written: files.
      unwritten: path and reason of those that could not be.
    """

    written: list[Path] = field(default_factory=list)
    unwritten: list[tuple[Path, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Finish:
    """Divides films and writes what was found.

    Attributes:
      catalog: that they are in.
      how: borders are found.
      head: that `how` names.
      out: folder of the files; None: none are written.
      formats: of `exports.FORMATS`.
      is_only: there is one film, whose files need not bear its name.
      files: takes note of what is written.
    """

    catalog: Catalog
    how: How
    head: Head | None
    out: Path | None
    formats: Sequence[str]
    is_only: bool
    files: Files

    def __call__(self, shots: ShotVectors, seen: np.ndarray, took: Mapping[str, float]) -> Scenes:
        """The scenes of a film.

        Args:
          shots: of it.
          seen: float32 `[shots d]`, by which borders are scored.
          took: seconds that came before.

        Raises:
          ValueError: it cannot have as many scenes as are wished for.
        """
        begun = time.perf_counter()
        division = divide(seen, shots.seconds, self.how, self.head)
        scenes = scenes_of(self.catalog, shots, division, self.how.facts(self.head))
        scenes = self._with_cues(scenes)
        self._keep(scenes)
        if self.out is not None:
            scenes = self._write(scenes, seen, dict(took), begun)
        return replace(scenes, took=dict(took) | {"rest": time.perf_counter() - begun})

    def _with_cues(self, scenes: Scenes) -> Scenes:
        row = self.catalog.films(scenes.film).to_pylist()[0]
        try:
            found, notes = cues.find(scenes, repaired=bool(row["repaired"]))
        except (ValueError, OSError) as error:
            note = f"Places for breaks were not looked for: {error}."
            return replace(scenes, notes=(*scenes.notes, note))
        return replace(scenes, cues=found, notes=(*scenes.notes, *notes))

    def _keep(self, scenes: Scenes) -> None:
        """Writes the scenes into the catalogue."""
        about = dict(film=scenes.film, threshold=scenes.threshold)
        about |= {name: scenes.made[name] for name in ("encoder", "head")}
        rows = [
            about
            | dict(scene=scene.number - 1)
            | {name: getattr(scene, name) for name in kept.COLUMNS.names if hasattr(scene, name)}
            for scene in scenes.scenes
        ]
        source = vectors.source(self.catalog.manifest(scenes.film))
        kept.write(self.catalog.path, scenes.film, source, rows, dict(scenes.made))

    def _write(
        self, scenes: Scenes, seen: np.ndarray, took: dict[str, float], begun: float
    ) -> Scenes:
        """Writes the formats; those that say all come last and know what the others lack."""
        stem = self._stem(scenes.film)
        for name in (name for name in exports.FORMATS if name in self.formats):
            one = ONE_PAGE if name == exports.PAGE else ONE
            path = exports.path_of(scenes, name, self.out, one if self.is_only else stem)
            scenes = replace(scenes, took=took | {"rest": time.perf_counter() - begun})
            try:
                notes = self._format(name, scenes, seen, path)
            except (ValueError, OSError) as error:
                reason = getattr(error, "strerror", None) or str(error)
                self.files.unwritten.append((path, reason))
                notes = [f"{path.name} could not be written: {reason}."]
            else:
                self.files.written.append(path)
            scenes = replace(scenes, notes=(*scenes.notes, *notes))
        return scenes

    def _format(self, name: str, scenes: Scenes, seen: np.ndarray, path: Path) -> list[str]:
        if name != exports.PAGE:
            return exports.writer(name)(scenes, path)
        from vujax.scene_page import write_page

        beside = [file for file in self.files.written if file.parent == path.parent]
        mine = [file.name for file in beside if self.is_only or file.stem == path.stem]
        write_page(self.catalog, scenes, seen, path, mine)
        return []

    def _stem(self, film: str) -> str:
        """The film's slug; its id where another film of the catalogue has the same slug."""
        slug = film.rpartition("-")[0]
        namesakes = [one for one in self.catalog.ids() if one.rpartition("-")[0] == slug]
        return slug if len(namesakes) == 1 else film
