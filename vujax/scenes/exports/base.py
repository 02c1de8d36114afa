"""The interface of scene exports."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vujax.scenes.types import DetectedScenes

Write = Callable[[DetectedScenes, Path], list[str]]


@dataclass(frozen=True)
class SceneExport:
    """A file format for scenes.

    Attributes:
      suffix: of the file, such as '.csv'; or a function from the film's path to it.
      write: `(scenes, path) -> notes`; writes the file atomically and returns a sentence for each
        thing that the format cannot hold. Times count from the film's start, 0 s.
      names_film: whether the file carries the film's name in a run with one film too.
    """

    suffix: str | Callable[[str], str]
    write: Write
    names_film: bool = False

    def path(self, scenes: DetectedScenes, folder: Path, stem: str) -> Path:
        """Return the path of the file for a film.

        Args:
          scenes: of the film.
          folder: output directory.
          stem: file name without suffix.
        """
        suffix = self.suffix if isinstance(self.suffix, str) else self.suffix(scenes.path)
        return folder / f"{stem}{suffix}"
