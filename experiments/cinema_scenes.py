"""Movies2Scenes from pixels on synthetic films: guided positives and controls, held-out films.

    python experiments/cinema_scenes.py --work runs/cinema-scenes --jobs 2
    python experiments/cinema_scenes.py --work runs/cinema-scenes --part judge

configs/movies2scenes.py (cinema) on 60 films of seed 0, 300 steps of 4 rows: positives from films
that are similar by genre, synopsis and co-watching (union), from all films, or from 5 random ones,
and the same network before its first step; five seeds. A linear probe predicts genre and events
from frozen embeddings: it is trained on the scenes of the same 60 films, and scored on 40
validation films (numbers 100 to 139, on which nothing was selected), on complete scenes and on each
of their shots alone, by the same weights. The baselines are the same probe on color histograms, and
random scores. Figures are macro mAP; intervals are 95%, over seeds and films.

Settings, seeds and films were fixed before the first run. Tables and a plot are written to
experiments/results/cinema_scenes/.
"""

import argparse
import sys
from itertools import product
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

sys.path.insert(0, str(Path(__file__).parent.parent))
from configs.movies2scenes import get_config

RESULTS = Path(__file__).with_name("results") / "cinema_scenes"
GUIDES = ("union", "all", "random", "untrained")
LABELS = ("genre", "event")
FILMS = 60
HELD_OUT = dict(split="validation", first=100, films=40)


def config_of(guide: str, seed: int) -> ConfigDict:
    """Return the training of one guide; nothing else differs."""
    config = get_config("cinema")
    config.seed = seed
    config.batch_size = 4  # half of the config's, for the sake of time
    config.data.guide = "all" if guide == "untrained" else guide
    config.method.update(candidates=0, alone="augment")  # when the results were recorded
    if guide == "untrained":
        config.update_from_flattened_dict(
            {"optimizer.lr": 0.0, "optimizer.warmup_steps": 0, "total_steps": 1}
        )
    config.evals = {}
    return config


def learn(guide: str, seed: int, work: Path) -> None:
    """Train one run."""
    from vujax.training import loop

    loop.train(config_of(guide, seed), work / f"{guide}-{seed}")


def read_tags(work: Path, seeds: int) -> None:
    """Store probabilities of the held-out scenes and shots by each run's embeddings."""
    from vujax.evals.scene_tags import SceneTags
    from vujax.methods import movies2scenes as task
    from vujax.models import release
    from vujax.utils.mesh import make_mesh

    config, mesh = config_of("union", 0), make_mesh()
    seen = config.data.scenes.to_dict()
    evaluator = SceneTags(
        task.build_model(config, mesh),
        mesh,
        train=seen,
        validation=seen | HELD_OUT,
        inputs=config.inputs.to_dict(),
        labels=LABELS,
        rows=dict(width=32, most=8),
        single_shots=True,
    )
    for seed, guide in product(range(seeds), GUIDES):
        path = work / f"{guide}-{seed}.npz"
        if path.exists() or not (work / f"{guide}-{seed}" / "release").exists():
            continue
        evaluator(release.load(work / f"{guide}-{seed}")[1])
        found = {
            f"baseline/{baseline}/{name}": np.float64(value)
            for baseline, values in evaluator.baselines.items()
            for name, value in values.items()
        }
        for name, judged in evaluator.judged.items():
            for part in ("scores", "truth", "known", "movie"):
                found[f"{name}/{part}"] = np.asarray(getattr(judged, part))
        np.savez_compressed(path, **found)
        print(path.stem, flush=True)


def judge(work: Path, seeds: int) -> None:
    """Write tables and a plot."""
    from vujax.evals.metrics.multilabel import map_interval
    from vujax.training.sweep.tables import write_intervals, write_rows

    paths = {g: [work / f"{g}-{s}.npz" for s in range(seeds)] for g in GUIDES}
    seeds = min(sum(path.exists() for path in found) for found in paths.values())
    runs = {g: [np.load(path) for path in found[:seeds]] for g, found in paths.items()}
    rows, lines = [], []
    for level, label in product(("", "shots/"), LABELS):
        name = f"{level}{label}"
        first = runs["union"][0]
        truth, known, movie = (first[f"{name}/{part}"] for part in ("truth", "known", "movie"))
        scores = {
            g: np.stack([run[f"{name}/scores"] for run in found]) for g, found in runs.items()
        }
        for guide, own in scores.items():
            row = {"of": "shots alone" if level else "whole scenes", "tags": label, "guide": guide}
            row |= _named("mAP", map_interval(own, truth, movie, known=known))
            for other in ("all", "random", "untrained"):
                if guide != other:
                    less = map_interval(own, truth, movie, known=known, against=scores[other])
                    row |= _named(f"less {other}", less)
                    if guide == "union":
                        lines.append((f"{row['of']}, {label}: union - {other}", *less))
            rows.append(row)
        for baseline in ("chance", "histogram"):
            key = f"baseline/{baseline}/{name}/map"
            if key in first:
                words = {"of": rows[-1]["of"], "tags": label, "guide": baseline}
                rows.append(words | {"mAP": float(first[key])})
    about = f"Macro mAP on 40 held-out made films, {seeds} seeds; 95% over seeds and films."
    write_rows(RESULTS, "table", rows, about)
    write_intervals(RESULTS / "plot.svg", "guided less control, mAP (95%)", lines)


def _named(name: str, found: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip((name, f"{name} low", f"{name} high"), found, strict=True))


def main() -> None:
    """Run the part of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="directory of the runs")
    parser.add_argument("--part", choices=("learn", "judge"), default="learn")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1, help="number of parallel runs")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        learn(args.one[0], int(args.one[1]), args.work)
    elif args.part == "judge":
        read_tags(args.work, args.seeds)
        judge(args.work, args.seeds)
    else:
        from vujax.training.sweep.launch import run_jobs

        names = [(guide, str(seed)) for seed, guide in product(range(args.seeds), GUIDES)]
        left = [n for n in names if not (args.work / "-".join(n) / "release").exists()]
        words = ["--work", str(args.work), "--one"]
        run_jobs(__file__, [("-".join(n), [*words, *n]) for n in left], args.work, args.jobs)


if __name__ == "__main__":
    main()
