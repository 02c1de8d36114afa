"""scenes.kodi.edl: recap, intro and credits that Kodi skips; copy it to FILM.edl beside the film.

Each line is `start<TAB>end<TAB>3` in seconds; 3 is a commercial break, which Kodi skips once and
keeps on the timeline. Kodi refuses a break that starts where another one ends, so parts that touch
are one break.
"""

from collections.abc import Sequence
from pathlib import Path

from vujax.scenes.exports.base import SceneExport
from vujax.scenes.parts import require_parts
from vujax.scenes.types import DetectedScenes, Part
from vujax.utils.io import write_text

COMMERCIAL_BREAK = 3
MIN_GAP_S = 0.01  # Kodi counts whole milliseconds
MIN_FIRST_S = 5.0  # Kodi ignores a shorter first break


def write(scenes: DetectedScenes, path: Path) -> list[str]:
    """Write the file atomically and return a note about a break that Kodi ignores.

    Raises:
      ValueError: the film was not analyzed as an episode of a series.
    """
    spans = merge_touching(require_parts(scenes))
    lines = [f"{start_s:.3f}\t{end_s:.3f}\t{COMMERCIAL_BREAK}\n" for start_s, end_s in spans]
    write_text(path, "".join(lines))
    if spans and spans[0][1] - spans[0][0] < MIN_FIRST_S:
        return [f"Kodi does not skip the first part, which is shorter than {MIN_FIRST_S:g} s."]
    return []


def merge_touching(parts: Sequence[Part]) -> list[tuple[float, float]]:
    """Return start and end of the parts in seconds, those that touch as one."""
    spans: list[tuple[float, float]] = []
    for part in parts:
        if spans and part.start_s - spans[-1][1] < MIN_GAP_S:
            spans[-1] = (spans[-1][0], max(spans[-1][1], part.end_s))
        else:
            spans.append((part.start_s, part.end_s))
    return spans


EXPORT = SceneExport(suffix=".kodi.edl", write=write)
