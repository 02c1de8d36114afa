"""Small lists in LVU's layout."""

from pathlib import Path

from vujax.data.movies.holdout import TASKS, WITHHELD_FILE

CLASSES = {0: "nm1", 1: "nm2", 4: "nm3"}  # numbers have gaps, as in the originals
TRAIN, VAL = 60, 24
HEADERS = {
    "like_ratio": "like_count dislike_count",
    "view_count": "view_count",
}


def movie(clip: int) -> str:
    """Three clips are of one movie, those of train and val of different ones."""
    return f"tt{clip // 3:07d}"


def label(task: str, clip: int) -> str:
    if task == "like_ratio":
        return f"{50 + 13 * (clip % 7)} {1 + clip % 5}"
    if task == "view_count":
        return f"{1000 + 977 * clip}"
    number = (0, 1, 4, 0)[clip % 4]
    return f"{number} {chr(92) + 'N' if task == 'writer' and number == 0 else CLASSES[number]}"


def write_lvu(root: Path) -> Path:
    """Clips c0, c1, ... of all tasks: 60 of train, 24 of val."""
    for task in TASKS:
        (root / task).mkdir(parents=True)
        header = f"{HEADERS.get(task, 'class_id class_name')} youtube_id imdb_id"
        for split, clips in (("train", range(TRAIN)), ("val", range(TRAIN, TRAIN + VAL))):
            lines = [f"{label(task, clip)} c{clip} {movie(clip)}" for clip in clips]
            (root / task / f"{split}.csv").write_text("\n".join([header, *lines]) + "\n")
    (root / WITHHELD_FILE).write_text("tt0000900\n")
    return root
