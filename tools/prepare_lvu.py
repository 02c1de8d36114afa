"""Validate your copy of LVU's lists, and write it as one folder of tables.

    python tools/prepare_lvu.py OUT --root lvu_1.0

--root has <task>/train.csv and val.csv of the nine tasks, optionally test.csv, and
withheld_movies.txt where a test list is missing (see `vujax.data.datasets.lvu` and
`vujax.data.movies.holdout`). The output is

    OUT/<task>.parquet          split, youtube_id, imdb_id, the label as published, and target
    OUT/held_out_movies.txt     movies excluded from training on metadata, one IMDb id per line
    OUT/listed_clips.txt        clips whose description must not be read, one id per line: for
                                --scenes of tools/prepare_condensed_movies.py
    OUT/report.json             counts, duplicate clips, movies in several lists

`LVU.open(OUT)` and `python -m vujax.evals.lvu --lvu OUT` read it. An invalid label, a clip with two
labels in one list or a wrong separator is an error with file and line, and nothing is written.
"""

import argparse
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from vujax.data.datasets.lvu import COUNT_COLUMNS, LVU, NO_NAME, SPLITS, LvuTask
from vujax.data.movies.holdout import read_held_out_movies
from vujax.utils.io import write_json, write_parquet, write_text


def build_task_table(task: LvuTask) -> pa.Table:
    """Return the clips of all lists with their labels; a class without a name is null."""
    rows = [(split, clip) for split, clips in task.lists.items() for clip in clips]
    clips = [clip for _, clip in rows]
    columns: dict[str, pa.Array] = dict(
        split=pa.array([split for split, _ in rows], pa.string()),
        youtube_id=pa.array([clip.clip for clip in clips], pa.string()),
        imdb_id=pa.array([clip.movie for clip in clips], pa.string()),
    )
    for name, values in _labels(task).items():
        columns[name] = pa.array(values)
    columns["target"] = pa.array([float(clip.target) for clip in clips], pa.float64())
    return pa.table(columns)


def _labels(task: LvuTask) -> dict[str, list[Any]]:
    clips = task.all()
    if task.is_number:
        return {
            name: [clip.counts[column] for clip in clips]
            for column, name in enumerate(COUNT_COLUMNS[task.name])
        }
    return dict(
        class_id=[int(clip.target) for clip in clips],
        class_name=[None if clip.name == NO_NAME else clip.name for clip in clips],
    )


def build_report(lvu: LVU, held_out: Iterable[str]) -> dict[str, Any]:
    """Return counts and duplicates as plain values."""
    return dict(
        tasks={name: _task_report(task) for name, task in lvu.tasks.items()},
        held_out_movies=len(set(held_out)),
        listed_clips=len(list_clips(lvu)),
    )


def _task_report(task: LvuTask) -> dict[str, Any]:
    facts: dict[str, Any] = dict(
        clips={split: len(clips) for split, clips in task.lists.items()},
        movies={split: len(task.movies(split)) for split in task.lists},
        repeated_lines=dict(task.repeated),
        clips_in_several_lists=_in_several(
            {clip.clip for clip in clips} for clips in task.lists.values()
        ),
        movies_in_several_lists=_in_several(task.movies(split) for split in task.lists),
    )
    if not task.is_number:
        for split, clips in task.lists.items():
            counts = Counter(int(clip.target) for clip in clips)
            named = {f"{k} {name}": counts[k] for k, name in task.classes.items()}
            facts.setdefault("classes", {})[split] = named
    return facts


def _in_several(lists: Iterable[Iterable[str]]) -> int:
    counts = Counter(item for items in lists for item in set(items))
    return sum(count > 1 for count in counts.values())


def list_clips(lvu: LVU) -> list[str]:
    """Return the clips of all lists of all tasks, sorted by id."""
    return sorted({clip.clip for task in lvu.tasks.values() for clip in task.all()})


def main() -> None:
    """Prepare the folder of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="folder of the tables")
    parser.add_argument("--root", type=Path, required=True, help="folder of LVU's lists")
    args = parser.parse_args()
    try:
        lvu, held_out = LVU.open(args.root), sorted(read_held_out_movies(args.root))
        facts = build_report(lvu, held_out)
        for name, task in lvu.tasks.items():
            write_parquet(
                args.out / f"{name}.parquet", build_task_table(task), compression="snappy"
            )
        for name, ids in (("held_out_movies", held_out), ("listed_clips", list_clips(lvu))):
            _write_lines(args.out / f"{name}.txt", ids)
        write_json(args.out / "report.json", facts)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    _summary(args.out, facts)


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    write_text(path, text)


def _summary(out: Path, facts: dict[str, Any]) -> None:
    for name, task in facts["tasks"].items():
        counts = ", ".join(f"{s} {task['clips'][s]}" for s in SPLITS if s in task["clips"])
        print(f"{name}: {counts} clips", end="")
        for key, what in (
            ("clips_in_several_lists", "clips in several lists"),
            ("movies_in_several_lists", "movies in several lists"),
        ):
            print(f"; {task[key]} {what}" if task[key] else "", end="")
        repeated = sum(task["repeated_lines"].values())
        print(f"; {repeated} lines repeated and left out" if repeated else "")
    print(f"{out}: {facts['held_out_movies']} movies to hold out, {facts['listed_clips']} clips")


if __name__ == "__main__":
    main()
