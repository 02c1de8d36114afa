"""ShotCoL from pixels and audio of synthetic films, with its controls.

    python experiments/cinema_shotcol.py --work runs/cinema_shotcol

Trains configs/shotcol.py on 40 films without labels in each mode: instance (the shot itself in
another view), random neighbor, nearest neighbor (ShotCoL); and ShotCoL on keyframes, audio, and
both. Scores 20 films of another seed (HELD_OUT), on which nothing was selected, by the gap score of
the encoder's embeddings: 1 - the best cosine of 4 shots before and 4 after a boundary. The
training-free baseline is color histograms.

Writes under experiments/results/cinema_shotcol/: macro AP and paired differences, 95% intervals
over films and seeds. `--work` retains finished runs, so that the same command resumes.
"""

import argparse
import json
import runpy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from vujax.data.films import Film
from vujax.data.registry import open_films
from vujax.data.shot_similarity import compute_gap_scores
from vujax.evals.metrics.boundaries import FilmScores, compute_baselines
from vujax.evals.scene_boundaries import GapBoundaries, compute_untrained_features
from vujax.methods import shotcol
from vujax.models import release
from vujax.training import loop
from vujax.training.sweep.tables import Runs, build_paired_rows, write_intervals, write_rows
from vujax.utils.io import write_json
from vujax.utils.mesh import make_mesh

RESULTS = Path(__file__).with_name("results") / "cinema_shotcol"
HELD_OUT = dict(kind="cinema", seed=1000, split="validation", films=20)
CONTROLS = ("histogram", "instance", "random")
MODES = {mode: ("cinema", {"method.mode": mode}) for mode in ("instance", "random", "nearest")}
SENSES = {"pictures": ("cinema", {}), "sound": ("sound", {}), "both": ("both", {})}


def config_of(name: str, overrides: dict[str, Any], seed: int) -> ConfigDict:
    """Return a config of configs/shotcol.py without evaluations."""
    config = runpy.run_path("configs/shotcol.py")["get_config"](name)
    config.update_from_flattened_dict(overrides | {"seed": seed})
    config.evals = ConfigDict()
    return config


def held_out(config: ConfigDict) -> dict[str, Any]:
    """Open the held-out films, with the inputs of the config's encoder."""
    return config.data.films.main.to_dict() | HELD_OUT


class Study:
    """Cached runs."""

    def __init__(self, work: Path) -> None:
        self._work = work

    def runs(self, config: str, overrides: dict[str, Any], seeds: int) -> Runs:
        """Return scores of the held-out films, for each seed."""
        return [self._run(config, overrides, seed) for seed in range(seeds)]

    def _run(self, name: str, overrides: dict[str, Any], seed: int) -> list[FilmScores]:
        config = config_of(name, overrides, seed)
        workdir = self._work / "-".join([name, config.method.mode, str(seed)])
        kept, films = workdir / "held_out.json", held_out(config)
        if not kept.exists():
            loop.train(config, workdir)
            mesh, (_, variables) = make_mesh(), release.load(workdir)
            model = shotcol.build_model(config, mesh)
            score = GapBoundaries(model, mesh, films={"main": films}, batch_size=64)
            score(variables)
            write_json(kept, [film.scores.tolist() for film in score.scores])
        return scored(open_films(**films), json.loads(kept.read_text()))


def scored(films: Sequence[Film], scores: Sequence[Any]) -> list[FilmScores]:
    """Return scores with the films' labels and times."""
    return [FilmScores.from_film(f, s) for f, s in zip(films, scores, strict=True)]


def raw(films: Sequence[Film]) -> dict[str, Runs]:
    """Score features without training."""
    names = compute_untrained_features(films[0])
    return {
        name: [
            scored(
                films,
                [compute_gap_scores(compute_untrained_features(film)[name]) for film in films],
            )
        ]
        for name in names
    }


def table(study: Study, seeds: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of both studies, and of the baselines that see no image."""
    films = open_films(**held_out(config_of("cinema", {}, 0)))
    colours = raw(films)
    modes = {mode: study.runs(name, changes, seeds) for mode, (name, changes) in MODES.items()}
    yield from build_paired_rows(colours | modes, CONTROLS, column="vectors")
    senses = {
        sense: study.runs(name, changes, min(seeds, 3)) for sense, (name, changes) in SENSES.items()
    }
    yield from build_paired_rows(senses, ("pictures", "sound"), column="vectors")
    for name, values in compute_baselines(colours["histogram"][0]).items():
        yield {"vectors": f"{name} (no pictures)", "macro/ap": values["macro/ap"]}


def main() -> None:
    """Run what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    rows = list(table(Study(args.work), args.seeds))
    write_rows(RESULTS, "table", rows)
    lines = [(r["vectors"], r["macro/ap"], r["low"], r["high"]) for r in rows if "low" in r]
    write_intervals(RESULTS / "plot.svg", "Macro AP of held-out cinema films", lines)
    for row in rows:
        print(json.dumps(row))


if __name__ == "__main__":
    main()
