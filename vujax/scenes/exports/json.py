"""scenes.json: everything that is known, for programs.

`schema` counts versions of the layout. Seconds count from the film's start, `pts` in ticks of
`film.time_base` as the file has them, frames from 0; a scene ends where the next one begins.
`borders` are all borders of shots, `scores` what each of them got.
"""

from dataclasses import asdict
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vujax.scenes.types import Scenes
from vujax.utils.io import write_json

SCHEMA = 1


def write(scenes: Scenes, path: Path) -> list[str]:
    """Writes the file; it appears whole or not at all."""
    write_json(path, contents(scenes))
    return []


def contents(scenes: Scenes) -> dict[str, Any]:
    """What the file holds."""
    made = {"vujax": version("vujax"), "threshold": scenes.threshold, **scenes.made}
    return dict(
        kind="vujax scenes",
        schema=SCHEMA,
        film=_film(scenes),
        made=made | {"took_s": {k: round(v, 3) for k, v in scenes.took.items()}},
        scenes=[
            asdict(scene) | dict(title=scene.title, length_s=scene.length_s, shots=scene.shots)
            for scene in scenes.scenes
        ],
        borders=dict(seconds=list(scenes.borders_s), scores=[round(s, 6) for s in scenes.scores]),
        cues=None if scenes.cues is None else [asdict(cue) for cue in scenes.cues],
        notes=list(scenes.notes),
    )


def _film(scenes: Scenes) -> dict[str, Any]:
    clock = scenes.clock
    return dict(
        id=scenes.film,
        path=scenes.path,
        title=scenes.title,
        width=scenes.size[0],
        height=scenes.size[1],
        fps=_text(clock.rate),
        time_base=_text(clock.time_base),
        start=_text(clock.start),
        variable_rate=scenes.variable_rate,
        begin_s=scenes.begin_s,
        end_s=scenes.end_s,
        shots=scenes.shots,
        reason=scenes.reason,
    )


def _text(value: Fraction) -> str:
    return f"{value.numerator}/{value.denominator}"
