"""Events of synthetic films as tags, the rare ones as moderation tags, through `vujax tag`.

    python experiments/cinema_moderation.py --work runs/moderation

Uses the commands of the product: `vujax synthesize` creates 24 films of seed 7, `vujax ingest` and
`vujax embed --encoder lite` a catalog of them; the events in shots of 18 films are written as
labels in seconds; `vujax tag train` trains on them, and `vujax tag apply` tags all films. The other
6 films are scored against their ground truth: average precision of each event, and the macro mAP of
all and of the three with the fewest labels (events in fewer than 4% of labeled shots, as planned,
do not occur). The random baseline is a tag's share. Intervals are 95%, over the 6 films. Nothing
was selected on these.
"""

import argparse
import csv
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from vujax.catalog import Catalog
from vujax.cli import main as vujax
from vujax.data.synthetic.ground_truth import FilmTruth, read_truth
from vujax.evals.metrics.multilabel import map_interval, score_tags
from vujax.training.sweep.tables import write_rows

RESULTS = Path(__file__).with_name("results") / "cinema_moderation"
FILMS, HELD_OUT, SEED, MINUTES = 24, 6, 7, 1
RARE = 3


def call(*words: object) -> None:
    """Run a command of the console script, which must succeed."""
    if status := vujax([str(word) for word in words]):
        raise RuntimeError(f"vujax {' '.join(map(str, words))} ended with status {status}")


def prepare(work: Path) -> tuple[Path, Path]:
    """Create the films and their catalog; return both folders."""
    films, catalog = work / "films", work / "catalog"
    call("cinema", "--films", FILMS, "--seed", SEED, "--minutes", MINUTES, "--out", films)
    call("ingest", films, "--out", catalog, "--detector", "content")
    call("embed", catalog, "--encoder", "lite", "--level", "shot")
    return films, catalog


def spans(truth: FilmTruth) -> Iterator[tuple[str, float, float]]:
    """Return `(event, start, end)` in seconds of each shot with an event."""
    for shot in truth.shots:
        if shot.event:
            yield shot.event, float(shot.first / truth.fps), float((shot.last + 1) / truth.fps)


def write_labels(path: Path, truths: dict[str, FilmTruth]) -> Counter:
    """Write all events of some films as labels; count the shots of each."""
    counts: Counter = Counter()
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["video", "label", "start", "end"])
        for video, truth in truths.items():
            for event, start, end in spans(truth):
                writer.writerow([video, event, f"{start:.4f}", f"{end:.4f}"])
                counts[event] += 1
    return counts


def held_out(catalog: Catalog, tags: Path, truths: dict[str, FilmTruth]) -> tuple:
    """Return `(tags, scores [n t], truth [n t], film [n])` of the shots of some films."""
    table = pq.read_table(tags)
    names = sorted(set(table["label"].to_pylist()))
    paths = {row["film"]: row["path"] for row in catalog.films().to_pylist()}
    rows: dict[str, dict] = {}
    for row in table.to_pylist():
        video = paths[row["film"]]
        if video in truths:
            item = rows.setdefault(row["id"], {"film": row["film"], "scores": {}, "row": row})
            item["scores"][row["label"]] = row["score"]
    scores = [[item["scores"][name] for name in names] for item in rows.values()]
    true = [events_at(truths[paths[item["film"]]], item["row"]) for item in rows.values()]
    right = [[name in found for name in names] for found in true]
    return names, np.array(scores), np.array(right), [item["film"] for item in rows.values()]


def events_at(truth: FilmTruth, row: dict) -> set[str]:
    """Return the events whose midpoint is in a shot of the catalog, as `vujax tag` counts them."""
    inside = lambda start, end: row["begin_s"] <= (start + end) / 2 < row["end_s"]  # noqa: E731
    middle = (row["begin_s"] + row["end_s"]) / 2
    return {
        event for event, start, end in spans(truth) if inside(start, end) or start <= middle < end
    }


def main() -> None:
    """Run the experiment of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, required=True)
    work = parser.parse_args().work
    work.mkdir(parents=True, exist_ok=True)
    films, catalog = prepare(work)
    stems = [f"film-{number:04d}" for number in range(FILMS)]
    truths = {f"{stem}.mp4": read_truth(films / f"{stem}.truth.json") for stem in stems}
    learned = dict(list(truths.items())[:-HELD_OUT])
    counts = write_labels(work / "labels.csv", learned)
    tagger, tags = work / "tagger", work / "tags.parquet"
    if tagger.exists():
        shutil.rmtree(tagger)
    labels = work / "labels.csv"
    call("tag", "train", catalog, "--labels", labels, "--encoder", "lite", "--out", tagger)
    call("tag", "apply", catalog, "--tagger", tagger, "--out", tags)
    others = {video: truth for video, truth in truths.items() if video not in learned}
    names, scores, right, film = held_out(Catalog(catalog), tags, others)
    report(counts, names, scores, right, film)


def report(
    counts: Counter, names: list[str], scores: np.ndarray, right: np.ndarray, film: list[str]
) -> None:
    """Write the table, and print it."""
    fewest = sorted(names, key=counts.get)[:RARE]
    rare = np.array([name in fewest for name in names])
    found = score_tags(scores, right)
    rows = []
    for name, which in (("all events", np.ones(len(names), bool)), ("rare events", rare)):
        groups = np.array(film)
        interval = map_interval(scores[:, which], right[:, which], groups)
        chance = right[:, which].mean(0)
        row = {"tags": name, "count": int(which.sum()), "mAP": interval.estimate}
        row |= {"low": interval.low, "high": interval.high}
        rows.append(row | {"chance": float(chance[right[:, which].any(0)].mean())})
    for place, name in enumerate(names):
        row = {"tags": name, "count": int(right[:, place].sum()), "mAP": float(found.ap[place])}
        rows.append(row | {"chance": float(right[:, place].mean()), "rare": bool(rare[place])})
    about = f"{len(film)} shots of {HELD_OUT} held-out made films; events of shots, lite vectors."
    write_rows(RESULTS, "table", rows, about)
    print((RESULTS / "table.md").read_text())


if __name__ == "__main__":
    main()
