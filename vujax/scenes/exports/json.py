"""scenes.json: the complete result, for programs.

`schema` is the version of the layout. Seconds count from the start of the film, `pts` in ticks of
`film.time_base` as in the file, frames from 0; a scene ends where the next one starts. `borders`
holds the times and scores of all shot boundaries.
"""

from dataclasses import asdict
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vujax.scenes.exports.base import SceneExport
from vujax.scenes.types import DetectedScenes, Part
from vujax.utils.io import write_json

SCHEMA = 1


def write(scenes: DetectedScenes, path: Path) -> list[str]:
    """Write the file atomically."""
    write_json(path, to_dict(scenes))
    return []


def to_dict(scenes: DetectedScenes) -> dict[str, Any]:
    """Return the contents of the file."""
    made = {"vujax": version("vujax"), "threshold": scenes.threshold, **scenes.provenance}
    times, scores = list(scenes.boundaries_s), [round(score, 6) for score in scenes.scores]
    parts = {} if scenes.parts is None else {"parts": [_part(part) for part in scenes.parts]}
    return parts | dict(
        kind="vujax scenes",
        schema=SCHEMA,
        film=_film(scenes),
        made=made | {"took_s": {k: round(v, 3) for k, v in scenes.timings_s.items()}},
        scenes=[scene.to_row() for scene in scenes.scenes],
        borders=dict(seconds=times, scores=scores),
        cues=None if scenes.cues is None else [asdict(cue) for cue in scenes.cues],
        notes=list(scenes.notes),
    )


def _film(scenes: DetectedScenes) -> dict[str, Any]:
    clock = scenes.clock
    return dict(
        id=scenes.film,
        path=scenes.path,
        title=scenes.title,
        width=scenes.size[0],
        height=scenes.size[1],
        fps=_fraction(clock.rate),
        time_base=_fraction(clock.time_base),
        start=_fraction(clock.start),
        variable_rate=scenes.variable_rate,
        begin_s=scenes.start_s,
        end_s=scenes.end_s,
        shots=scenes.num_shots,
        reason=scenes.reason,
    )


def _part(part: Part) -> dict[str, Any]:
    return dict(kind=part.kind, title=part.title, begin_s=part.start_s, end_s=part.end_s)


def _fraction(value: Fraction) -> str:
    return f"{value.numerator}/{value.denominator}"


EXPORT = SceneExport(suffix=".json", write=write)
