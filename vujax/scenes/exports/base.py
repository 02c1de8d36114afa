"""The interface of scene exports."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vujax.scenes.types import DetectedScenes
from vujax.video.frame_rate import EDITOR_RATES

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


def note_frame_rate(scenes: DetectedScenes, file: str, programs: str) -> list[str]:
    """Return a note if a file counts frames at a rate that varies, or that programs may not have.

    Args:
      scenes: of the film.
      file: what counts, such as 'OTIO timeline'.
      programs: those that open it.
    """
    rate = f"{float(scenes.clock.rate):.5g} frames/s"
    if scenes.variable_rate:
        return [f"The film's frame rate varies: the {file} counts {rate}."]
    if scenes.clock.rate not in EDITOR_RATES:
        return [f"The {file} has the film's {rate}, which {programs} may not have."]
    return []
