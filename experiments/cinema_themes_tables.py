"""Table and plot of cinema_themes.py."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from experiments import cinema_themes as themes
from vujax.evals.metrics.bootstrap import Interval, student_interval
from vujax.training.sweep.tables import TableRow, write_intervals, write_rows

RESULTS = Path(__file__).with_name("results") / "cinema_themes"
SEEDS = 5
LEVELS = ("scenes", "shots")
CONTROLS = ("same movie, n 1, network", "lite features", "color histogram")
ABOUT = (
    "Mean average precision in percent of scenes of the same theme among the scenes of the other "
    "99 held-out films; 95% t intervals over films, of the mean over seeds. n 0: all permitted "
    "scenes. 'bag': each shot of a scene is given as the mean of the scene, to the same network."
)
Scores = dict[str, np.ndarray]


def average_films(values: np.ndarray, movie: np.ndarray) -> np.ndarray:
    """Return the mean over the scenes of each film: `[... n]` -> `[... films]`."""
    films = np.arange(movie.max() + 1) == movie[:, None]
    return values @ (films / films.sum(axis=0))


def measure_features(scenes: Any, work: Path, key: str) -> np.ndarray:
    """Return the mean of an array of the shots of each scene, float64 `[n f]`."""
    arrays = [np.load(work / "features" / f"{film.film}.npz")[key] for film in scenes.films]
    rows = (arrays[film][first:end] for film, first, end in scenes.runs.tolist())
    return np.stack([row.astype(np.float64).mean(axis=0) for row in rows])


def embed_baselines(levels: dict[str, Any], work: Path) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Yield the names and embeddings of what was not trained, for each level."""
    from vujax.methods.linear_guide import fit_linear_guide, fit_whitening, read_features
    from vujax.methods.movies2scenes import open_guided_scenes

    for name, key in (("color histogram", "colors"), ("lite features", "feature")):
        yield name, [measure_features(scenes, work, key) for scenes in levels.values()]
    features = [measure_features(scenes, work, "feature") for scenes in levels.values()]
    for guide in themes.LINEAR:
        scenes, selected = open_guided_scenes(themes.build_config(guide, 1, "feature", 0, work))
        x = read_features(scenes)
        if guide == themes.LINEAR[0]:
            white = fit_whitening(x, len(x) // 16)
            yield "lite features, whitened", [(f - white.mean) @ white.matrix for f in features]
        try:
            fitted = fit_linear_guide(x, scenes.movie, selected.similar)
        except ValueError as error:
            print(f"closed form, {guide}: {error}")
            continue
        yield f"closed form, {guide}", [(f - fitted.mean) @ fitted.matrix for f in features]


def collect(work: Path) -> tuple[dict[str, Scores], int]:
    """Return scores `[seeds films]` of each row by level and output, and the number of films."""
    scenes = themes.open_scenes(themes.TEST, work)
    levels = dict(zip(LEVELS, (scenes, themes.select_middle_shots(scenes)), strict=True))
    average = lambda values: average_films(values, scenes.movie)  # noqa: E731
    found = {
        name: {
            f"{level}/scene": average(themes.score_theme(scenes, vectors))[None]
            for level, vectors in zip(LEVELS, parts, strict=True)
        }
        for name, parts in embed_baselines(levels, work)
    }
    for guide, n, key in themes.ARMS:
        names = (themes.name_run(guide, n, key, seed) for seed in range(SEEDS))
        runs = [np.load(work / f"{name}.npz") for name in names if (work / f"{name}.npz").exists()]
        if runs:
            of_bag = ", bag" if key == "bag" else ""
            name = f"{'same movie' if guide == 'same' else guide}, n {n}{of_bag}, network"
            found[name] = {k: average(np.stack([r[k] for r in runs])) for k in runs[0].files}
    return found, len(scenes.movies)


def compare(own: np.ndarray, other: np.ndarray | None = None) -> Interval:
    """Return the mean over films, in percent, or its difference from another row's."""
    less = 0.0 if other is None else other.mean(axis=0)
    return student_interval(100 * (own.mean(axis=0) - less))


def write_tables(work: Path) -> None:
    """Write the table and the plot."""
    found, films = collect(work)
    rows: list[TableRow] = []
    for name, scores in found.items():
        for kind, values in scores.items():
            spread = 100 * values.mean(axis=1).std(ddof=1) if len(values) > 1 else None
            row: TableRow = {"run": name, "kind": kind, "seeds": len(values), "films": films}
            row |= dict(zip(("mAP", "low", "high"), compare(values), strict=True))
            row |= {"sd over seeds": "" if spread is None else spread}
            for control in CONTROLS:
                other = found.get(control, {}).get(kind, found.get(control, {}).get("scenes/scene"))
                if control != name and other is not None:
                    less = compare(values, other)
                    row |= {f"less {control}": less.estimate}
                    row |= {f"less {control} low": less.low, f"less {control} high": less.high}
            rows.append(row)
    write_rows(RESULTS, "table", rows, ABOUT)
    lines = [(name, *compare(scores["scenes/scene"])) for name, scores in found.items()]
    write_intervals(RESULTS / "plot.svg", "same theme, mAP in percent (95% over films)", lines)


def print_comparisons(work: Path) -> None:
    """Print paired differences of networks, with t intervals over films and over seeds."""
    movie = themes.open_scenes(themes.TEST, work).movie
    first, four, same = (("union", 1, "feature"), ("union", 4, "feature"), ("same", 1, "feature"))
    pairs = [(first, same), (four, same), (four, first), (("union", 0, "feature"), first)]
    for own, other in (*pairs, (first, ("union", 1, "bag"))):
        paths = [
            [work / f"{themes.name_run(*arm, seed)}.npz" for arm in (own, other)]
            for seed in range(SEEDS)
        ]
        both = [[np.load(path) for path in each] for each in paths if all(p.exists() for p in each)]
        for kind in ("scenes/scene", "scenes/projection", "shots/scene") if both else ():
            ours, theirs = (
                average_films(np.stack([runs[n][kind] for runs in both]), movie) for n in (0, 1)
            )
            seeds = [100 * values.mean(axis=1) for values in (ours, theirs)]
            films, spread = compare(ours, theirs), student_interval(seeds[0] - seeds[1])
            print(
                f"{kind}: {own} - {other}: {films.estimate:+.1f} over films "
                f"[{films.low:.1f}, {films.high:.1f}], over seeds [{spread.low:.1f}, "
                f"{spread.high:.1f}]; {seeds[0].round(1)}, {seeds[1].round(1)}"
            )
