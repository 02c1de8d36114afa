"""Movies2Scenes on themed synthetic films, where meaning is not the palette, from frozen features.

    python experiments/cinema_themes.py --work runs/themes --part embed
    python experiments/cinema_themes.py --work runs/themes --part run --minutes 60
    python experiments/cinema_themes.py --work runs/themes --part judge
    python experiments/cinema_themes.py --work runs/themes --part compare

The films are those of `vujax synthesize --split themed-train`: genres share palettes, each film has
a grade of its own, and a theme is two places that do not look similar. 'embed' computes features of
the middle frame of each shot by `lite`, and its color histogram. 'run' trains what is missing of
RUNS until the minutes of CPU time are spent. 'judge' ranks, for each scene of held-out films, the
scenes of the OTHER held-out films, and writes the mean average precision of the same theme, with t
intervals over films, beside the color histogram, the features themselves and the closed forms.
'steps' measures the CPU time of a step with 4 candidates and with all, interleaved. The protocol is
in experiments/results/cinema_themes/PROTOCOL.md.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

sys.path.insert(0, str(Path(__file__).parent.parent))
from configs.movies2scenes import get_config
from experiments.movie_candidates import find_missing

SIZE = 128  # pixels
TRAIN = dict(split="themed-train", films=200, minutes=2.0)
TUNE = dict(split="themed-train", films=40, first=200, minutes=2.0)
TEST = dict(split="themed-validation", films=100, minutes=2.0)
GUIDED = (("union", 1), ("same", 1), ("random", 1), ("union", 4), ("union", 0))
GUIDED += (("genre", 1), ("same", 0), ("oracle:theme", 1))
ARMS = tuple((guide, n, "feature") for guide, n in GUIDED)
ARMS += (("union", 1, "bag"), ("same", 1, "bag"))
RUNS = tuple((*arm, seed) for seed in range(5) for arm in ARMS)
LINEAR = ("union", "genre", "synopsis", "cowatch", "same", "random", "oracle:theme")
OUTPUTS = ("scene", "projection")


def name_run(guide: str, candidates: int, key: str, seed: int) -> str:
    """Return the name of a run's files."""
    return f"{guide.replace(':', '-')}-{candidates or 'all'}-{key}-{seed}"


def open_scenes(options: dict[str, Any], work: Path, key: str = "feature") -> Any:
    """Open scenes whose shots have embeddings: their own, or the mean of their scene ('bag')."""
    from vujax.data.synthetic.dataset_scenes import open_synthetic_scenes

    return open_synthetic_scenes(**options, features=str(work / "features"), key=key)


def embed(work: Path) -> None:
    """Write features, bags and color histograms of the shots of all films."""
    import jax.numpy as jnp

    from vujax.data.scenes import find_scene_runs
    from vujax.data.synthetic.dataset_shots import open_synthetic_films
    from vujax.encoders.lite import LiteEncoder
    from vujax.evals.histogram_baseline import color_histogram

    encoder, folder = LiteEncoder(), work / "features"
    folder.mkdir(parents=True, exist_ok=True)
    for options in (TRAIN, TUNE, TEST):
        for film in open_synthetic_films(**options, image_size=SIZE, frames=1, keep=False):
            path = folder / f"{film.film}.npz"
            if path.exists():
                continue
            images = film.inputs(np.arange(len(film)))["image"][:, 0]
            padded = np.zeros((-(-len(images) // 16) * 16, *images.shape[1:]), np.uint8)
            padded[: len(images)] = images
            parts = [encoder.encode(padded[n : n + 16]) for n in range(0, len(padded), 16)]
            feature = np.concatenate([np.asarray(part) for part in parts])[: len(images)]
            bag = np.empty_like(feature)
            for _, first, end in find_scene_runs((film,)).tolist():
                bag[first:end] = feature[first:end].mean(axis=0)
            colors = np.asarray(color_histogram(jnp.asarray(padded)))[: len(images)]
            np.savez(path, feature=feature, bag=bag, colors=colors)


def build_config(guide: str, candidates: int, key: str, seed: int, work: Path) -> ConfigDict:
    """Return the training of one guide; nothing else differs."""
    config = get_config("catalog")
    config.seed = seed
    config.model.encoder.update(max_shots=32, pool="mean")
    config.data.scenes = dict(kind="cinema", **TRAIN, features=str(work / "features"), key=key)
    config.data.tables = dict(kind="cinema", **TRAIN)
    config.data.channels = dict(genre=dict(), synopsis=dict(), cowatch=dict())
    config.data.update(guide=guide, width=32, most=8)
    config.batch_size = 8
    config.method.update(queue=1408, candidates=candidates, alone="skip")
    config.total_steps = 600
    config.evals = {}
    return config


def embed_network(config: ConfigDict, folder: Path, *judged: Any) -> list[dict[str, np.ndarray]]:
    """Train if needed; return the embeddings `[n d]` of each of some scenes, by output."""
    import jax.numpy as jnp

    from vujax.data.scene_batches import SceneRows
    from vujax.evals.features import extract_scenes
    from vujax.methods import movies2scenes as task
    from vujax.models import release
    from vujax.training import loop
    from vujax.utils.mesh import make_mesh

    if not release.is_model(folder):
        loop.train(config, folder)
    mesh, variables = make_mesh(), release.load(folder)[1]
    model = task.build_model(config, mesh)
    encode = lambda v, batch: jnp.concatenate(model.apply(v, batch), axis=-1)  # noqa: E731
    found = []
    for scenes in judged:
        rows = SceneRows(scenes, config.inputs.to_dict(), width=32, most=8)
        both = extract_scenes(encode, variables, rows, batch_size=16, mesh=mesh)
        parts = np.split(both, [model.encoder.dim], axis=1)
        found.append(dict(zip(OUTPUTS, parts, strict=True)))
    return found


def score_theme(scenes: Any, vectors: np.ndarray) -> np.ndarray:
    """Return the average precision `[n]` of the same theme among scenes of other films."""
    from vujax.evals.movie_retrieval import retrieve

    themes = np.array([next(iter(labels)) for labels in scenes.labels["theme"]])
    return retrieve(vectors, lambda items: themes[items, None] == themes, groups=scenes.movie).ap


def select_middle_shots(scenes: Any) -> Any:
    """Return scenes of one shot each: the middle one."""
    from vujax.data.scenes import FilmScenes

    middle = (scenes.runs[:, 1] + scenes.runs[:, 2]) // 2
    runs = np.stack([scenes.runs[:, 0], middle, middle + 1], axis=1)
    return FilmScenes(scenes.films, runs, scenes.names, scenes.labels)


def run_missing(work: Path, minutes: float) -> None:
    """Train and evaluate what is missing, until the CPU minutes are spent."""
    tests = {key: open_scenes(TEST, work, key) for key in ("feature", "bag")}
    runs = {work / f"{name_run(guide, n, k, s)}.npz": (guide, n, k, s) for guide, n, k, s in RUNS}
    for path, (guide, candidates, key, seed) in find_missing(runs, minutes):
        config = build_config(guide, candidates, key, seed, work)
        shots = select_middle_shots(tests["feature"])
        found = embed_network(config, work / path.stem, tests[key], shots)
        values = {
            f"{level}/{output}": score_theme(tests[key], vectors)
            for level, outputs in zip(("scenes", "shots"), found, strict=True)
            for output, vectors in outputs.items()
        }
        np.savez(path, **values)
        print(
            f"{path.stem}: theme {100 * values['scenes/scene'].mean():.1f}, "
            f"{time.process_time():.0f} s of CPU time",
            flush=True,
        )


def main() -> None:
    """Run the part of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="directory of the runs")
    parser.add_argument("--part", choices=("embed", "run", "judge", "compare"), default="run")
    parser.add_argument("--minutes", type=float, default=60.0, help="CPU minutes (default: 60)")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    if args.part == "embed":
        embed(args.work)
    elif args.part == "run":
        run_missing(args.work, args.minutes)
    else:
        from experiments import cinema_themes_tables as tables

        {"judge": tables.write_tables, "compare": tables.print_comparisons}[args.part](args.work)


if __name__ == "__main__":
    main()
