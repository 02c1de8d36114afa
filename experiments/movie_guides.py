"""Movies2Scenes on real films without video: all guides, on LVU and movie retrieval.

    VUJAX_DATA=... python experiments/movie_guides.py --work runs/guides --part tune --jobs 2
    VUJAX_DATA=... python experiments/movie_guides.py --work runs/guides --part learn --jobs 2
    VUJAX_DATA=... python experiments/movie_guides.py --work runs/guides --part judge
    VUJAX_DATA=... python experiments/movie_guides.py --work runs/guides --part linear

'learn' trains configs/movies2scenes.py:movieclip on the leak-free pool of Condensed Movies (none
of a movie of LVU's validation lists, nor withheld): MovieCLIP's labels of shots, guided by
genres, synopses of OTHER clips, ratings in MovieLens, their union, and the controls: every other
movie, 10 random ones, the same movie, no movie (augmentation). Five seeds each; 'untrained' are the
same networks before the first step, 'labels' the bag of shot labels, no network. A run is evaluated
on LVU's validation lists of genre, scene, year and director (probes of `vujax.evals.lvu`, penalties
selected within the train list), and on its validation movies, ranked for each other by the mean of
their clips' embeddings: same genres (Jaccard of .5 or more), and the 10 most co-watched.

'tune' holds a fifth of the pool's movies out of training, by a hash, and ranks these for each other
by genre: every guide is trained with the setting of the best mean over TUNED. 'judge' writes tables
and a plot to experiments/results/movie_guides/: intervals are 95%, over seeds and movies; nothing
was selected on the validation lists. Finished runs are retained; `--jobs N` runs N in parallel.

'linear' prints, for each guide, the mean average precision of the same genre among the pool's
held-out fifth and among LVU's validation movies, of the closed form of the guide (no training), and
of the bag of labels.
"""

import argparse
import hashlib
import os
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

sys.path.insert(0, str(Path(__file__).parent.parent))
from configs.movies2scenes import get_config

GUIDES = (
    *("union", "genre", "synopsis", "cowatch"),
    *("all", "random", "same", "augmentation", "untrained", "labels"),
)
LINEAR = ("union", "genre", "synopsis", "cowatch", "same", "union+same", "random")
TASKS = ("genre", "scene", "year", "director")
RECORDED = {  # when the results were recorded
    "method.candidates": 0,
    "method.alone": "augment",
    "model.encoder.pool": "cls",
}
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "warm": {"method.temperature": 0.2},
    "masked": {"method.mask_similar": True},
    "dropped": {"method.drop": 0.5},
    "longer": {"total_steps": 2000},
}
TUNED = ("union", "all", "augmentation")
LONGEST = 32  # shots of a clip


def movies_folder() -> Path:
    """Return the folder of Condensed Movies, MovieCLIP, LVU and MovieLens."""
    if not os.environ.get("VUJAX_DATA"):
        raise ValueError("set VUJAX_DATA to the folder of the real data")
    return Path(os.environ["VUJAX_DATA"]) / "movies"


def clips_of(data: Path) -> dict[str, str]:
    """Return MovieCLIP's lists and the table of Condensed Movies as options of scenes."""
    return dict(
        path=str(data / "movieclip" / "*_labels.txt*"),
        clips=str(data / "condensed_movies" / "clips.csv.gz"),
    )


def config_of(guide: str, seed: int, setting: str) -> ConfigDict:
    """Return the training of one guide; nothing else differs."""
    data, config = movies_folder(), get_config("movieclip")
    config.seed = seed
    config.data.guide = "all" if guide == "untrained" else guide
    config.data.scenes.update(clips_of(data))
    config.data.tables.root = str(data / "condensed_movies")
    config.data.tables.ratings = str(data / "movielens_latest_small_2018")
    config.data.held_out.lvu = str(data / "lvu_1.0")
    config.update_from_flattened_dict(RECORDED | SETTINGS[setting])
    if guide == "untrained":
        config.update_from_flattened_dict(
            {"optimizer.lr": 0.0, "optimizer.warmup_steps": 0, "total_steps": 1}
        )
    return config


def vectors_of(guide: str, config: ConfigDict, folder: Path, scenes: Any) -> np.ndarray:
    """Return embeddings `[n d]` of scenes, of a model, trained if needed, or the bag of labels."""
    from vujax.data.scene_batches import SceneRows
    from vujax.evals.features import extract_scenes
    from vujax.methods import movies2scenes as task
    from vujax.models import release
    from vujax.training import loop
    from vujax.utils.mesh import make_mesh

    if guide == "labels":
        seen = (scenes.inputs(number)["feature"].mean(axis=0) for number in range(len(scenes.keys)))
        return np.stack(list(seen))
    loop.train(config, folder)
    variables, mesh = release.load(folder)[1], make_mesh()
    model = task.build_model(config, mesh)
    rows = SceneRows(scenes, config.inputs.to_dict(), width=LONGEST, most=8)
    encode = lambda v, batch: model.apply(v, batch)[0]  # noqa: E731
    return extract_scenes(encode, variables, rows, batch_size=64, mesh=mesh)


def learn(guide: str, seed: int, work: Path) -> None:
    """Train and evaluate a run; store hits by clip and average precisions by movie."""
    scenes = judged_scenes()
    config = config_of(guide, seed, chosen(work))
    vectors = vectors_of(guide, config, work / f"{guide}-{seed}", scenes)
    found = lvu_hits(scenes, vectors) | movie_ranks(scenes, vectors)
    np.savez(work / f"{guide}-{seed}.npz", **found)


def chosen(work: Path) -> str:
    """Return the setting that ranked the pool's held-out movies best, on average over TUNED."""
    means = {name: np.mean(list(tuned(name, work).values())) for name in SETTINGS}
    return max(means, key=means.get)


def tuned(setting: str, work: Path) -> dict[str, float]:
    """Return the mean average precision of a setting by guide."""
    paths = {guide: work / f"tune-{setting}-{guide}.npz" for guide in TUNED}
    if missing := next((path for path in paths.values() if not path.exists()), None):
        raise FileNotFoundError(f"{missing} is missing: run --part tune first")
    return {guide: float(np.load(path)["same genre/ap"].mean()) for guide, path in paths.items()}


def judged_scenes() -> Any:
    """Return sequences of LVU's listed clips, and of all clips of its validation movies."""
    from vujax.data.datasets.movieclip import open_movieclip
    from vujax.data.movies.holdout import read_listed_clips, read_listed_movies
    from vujax.data.scenes import SceneSubset

    data = movies_folder()
    lvu = data / "lvu_1.0"
    found = open_movieclip(**clips_of(data))
    wanted = read_listed_clips(lvu, "train") | read_listed_clips(lvu, "val")
    movies = read_listed_movies(lvu, "val")
    pairs = (key.split("/") for key in found.keys)
    kept = [n for n, (movie, clip) in enumerate(pairs) if movie in movies or clip in wanted]
    return SceneSubset(found, np.array(kept), LONGEST, "thin")


def lvu_hits(scenes: Any, vectors: np.ndarray) -> dict[str, np.ndarray]:
    """Return hits `[n]` of the validation clips of each task, and the mask of covered ones."""
    from vujax.evals.lvu import LVU, evaluate, group_by_clip

    lvu, clips = LVU.open(movies_folder() / "lvu_1.0"), group_by_clip(scenes.keys, vectors)
    found = {}
    for name in TASKS:
        score = evaluate(lvu[name], clips)
        found |= {f"{name}/hits": score.hits, f"{name}/covered": score.covered}
        found |= {f"{name}/constant": score.constant, f"{name}/movies": np.array(score.movies)}
    return found


def movie_ranks(scenes: Any, vectors: np.ndarray) -> dict[str, np.ndarray]:
    """Return average precisions `[q]` of LVU's validation movies, by genre and by co-watching."""
    from vujax.data.movies.holdout import read_listed_movies

    movies = read_listed_movies(movies_folder() / "lvu_1.0", "val")
    return ranks(scenes, vectors, movies)


def ranks(scenes: Any, vectors: np.ndarray, movies: frozenset[str]) -> dict[str, np.ndarray]:
    """Call `retrieve` among these movies; 'chance' is the score of equal embeddings."""
    from vujax.data.movies.similarity import build_similarity
    from vujax.data.registry import open_tables
    from vujax.evals.movie_retrieval import (
        average_movie_embeddings,
        co_watch_relevance,
        genre_relevance,
        retrieve,
    )

    data = movies_folder()
    table = open_tables(
        "condensed_movies",
        root=str(data / "condensed_movies"),
        ratings=str(data / "movielens_latest_small_2018"),
    ).select(movies)
    place = table.positions()
    there = np.array([scenes.movies[m] in place for m in scenes.movie.tolist()])
    names, number = np.unique(
        [place[scenes.movies[m]] for m in scenes.movie[there].tolist()], return_inverse=True
    )
    ids = [table.ids[n] for n in names.tolist()]
    means = average_movie_embeddings(vectors[there], number)
    genres = [table.genres[n] for n in names.tolist()]
    watched = build_similarity(table, {"cowatch": {}})
    found = {}
    for name, relevant in (
        ("same genre", genre_relevance(genres, "jaccard", 0.5)),
        ("co-watched", co_watch_relevance(watched, ids, 10)),
    ):
        ranked = retrieve(means, relevant)
        found |= {f"{name}/ap": ranked.ap, f"{name}/chance": ranked.random_baseline().ap}
        found |= {f"{name}/recall10": ranked.recall[10]}
    return found


def tune(guide: str, setting: str, work: Path) -> None:
    """Train one seed with a fifth of the pool held out; rank its movies for each other."""
    config = config_of(guide, 0, setting)
    scenes, out = hold_out(config, work)
    name = f"tune-{setting}-{guide}"
    vectors = vectors_of(guide, config, work / name, scenes)
    np.savez(work / f"{name}.npz", **ranks(scenes, vectors, out))


def hold_out(config: ConfigDict, work: Path) -> tuple[Any, frozenset[str]]:
    """Hold a fifth of the pool out of a training; return its scenes and movies."""
    from vujax.data.movies.holdout import read_held_out_movies
    from vujax.data.registry import open_scenes

    options = config.data.scenes.to_dict() | {
        "without": read_held_out_movies(config.data.held_out.lvu)
    }
    pool = open_scenes(**options)
    out = frozenset(
        m for m in pool.movies if int(hashlib.sha1(m.encode()).hexdigest(), 16) % 5 == 0
    )
    held = work / "held.txt"
    if not held.exists():
        held.write_text("\n".join(sorted(out)) + "\n")
    config.data.held_out.list = str(held)
    return open_scenes(**options, movies=sorted(out)), out


def print_linear(work: Path) -> None:
    """Print the scores of the closed form of each guide, and of the bag of labels."""
    from vujax.methods.linear_guide import read_features

    work.mkdir(parents=True, exist_ok=True)
    held, out = hold_out(config_of("union", 0, "plain"), work)
    judged = judged_scenes()
    features = read_features(held), read_features(judged)
    for guide in ("labels", *LINEAR):
        scores = []
        for x, scenes, movies in ((features[0], held, out), (features[1], judged, None)):
            vectors = x if guide == "labels" else embed_linear(guide, x, work, bool(movies))
            if vectors is None:
                continue
            ranked = ranks(scenes, vectors, movies) if movies else movie_ranks(scenes, vectors)
            scores.append(f"{100 * ranked['same genre/ap'].mean():.1f}")
        if scores:
            print(f"{guide}: mAP {' held out, '.join(scores)} on LVU's validation movies")


def embed_linear(guide: str, x: np.ndarray, work: Path, holding_out: bool) -> np.ndarray | None:
    """Return embeddings by a guide's closed form; None where it knows no direction."""
    from vujax.methods.linear_guide import fit_linear_guide, read_features
    from vujax.methods.movies2scenes import open_guided_scenes

    config = config_of(guide, 0, "plain")
    if holding_out:
        config.data.held_out.list = str(work / "held.txt")
    scenes, selected = open_guided_scenes(config)
    try:
        fitted = fit_linear_guide(read_features(scenes), scenes.movie, selected.similar)
    except ValueError as error:
        print(f"{guide}: {error}")
        return None
    return (x - fitted.mean) @ fitted.matrix


def jobs_of(part: str, seeds: int) -> Iterator[tuple[str, list[str]]]:
    """Return (name, arguments) of each run."""
    if part == "tune":
        for setting, guide in product(SETTINGS, TUNED):
            yield f"tune-{setting}-{guide}", ["--tune-one", guide, setting]
        return
    for seed, guide in product(range(seeds), GUIDES):
        if not (guide == "labels" and seed):
            yield f"{guide}-{seed}", ["--learn-one", guide, str(seed)]


def main() -> None:
    """Run the part of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="directory of the runs")
    parser.add_argument("--part", choices=("tune", "learn", "judge", "linear"), default="learn")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1, help="number of parallel runs")
    parser.add_argument("--tune-one", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--learn-one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.tune_one:
        tune(args.tune_one[0], args.tune_one[1], args.work)
    elif args.learn_one:
        learn(args.learn_one[0], int(args.learn_one[1]), args.work)
    elif args.part == "linear":
        print_linear(args.work)
    elif args.part == "judge":
        from experiments.movie_guides_tables import write_tables

        write_tables(args.work, args.seeds)
    else:
        from vujax.training.sweep.launch import run_jobs

        jobs = jobs_of(args.part, args.seeds)
        left = [(n, w) for n, w in jobs if not (args.work / f"{n}.npz").exists()]
        words = ["--work", str(args.work)]
        run_jobs(__file__, [(n, words + w) for n, w in left], args.work, args.jobs)


if __name__ == "__main__":
    main()
