"""Small films in the formats of MovieNet and BaSSL."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SHOTS = {"tt0000001": 5, "tt0000002": 4, "tt0000003": 3}
LABELS = {"tt0000001": [0, 1, 0, -1], "tt0000002": [1, 0, 0, 1], "tt0000003": [0, 0]}


def picture(shot: int, k: int, size: tuple[int, int] = (40, 20)) -> bytes:
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[:, size[0] // 2 :] = [40 * shot + 20, 60 * k + 40, 200]
    return encoded(pixels)


def encoded(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95)
    return file.getvalue()


def make(root: Path) -> Path:
    """Films of scene318, as MovieNet has them; the second has a label of its last shot."""
    for folder in ("label318", "shot_movie318"):
        (root / "scene318" / folder).mkdir(parents=True)
    for film, shots in SHOTS.items():
        labels = "".join(f"{i:04d} {label}\n" for i, label in enumerate(LABELS[film]))
        (root / "scene318/label318" / f"{film}.txt").write_text(labels)
        rows = [
            f"{30 * i} {30 * i + 29} {30 * i + 7} {30 * i + 15} {30 * i + 22}" for i in range(shots)
        ]
        (root / "scene318/shot_movie318" / f"{film}.txt").write_text("\n".join(rows) + "\n")
        frames = root / "240P_frames" / film
        frames.mkdir(parents=True)
        for shot in range(shots):
            for k in range(3):
                (frames / f"shot_{shot:04d}_img_{k}.jpg").write_bytes(picture(shot, k))
    splits = dict(train=["tt0000001", "tt0000002"], val=[], test=["tt0000003"])
    (root / "scene318/split318.json").write_text(json.dumps(splits))
    write_annotations(root, {"train": splits["train"], "test": splits["test"]})
    return root


def write_annotations(root: Path, films: dict[str, list[str]], **changes: Any) -> None:
    (root / "anno").mkdir(exist_ok=True)
    for split, names in films.items():
        rows = [
            dict(video_id=f, shot_id=f"{i:04d}", num_shot=SHOTS[f], boundary_label=label) | changes
            for f in names
            for i, label in enumerate(LABELS[f])
        ]
        text = "\n".join(json.dumps(row) for row in rows[::-1])
        (root / f"anno/anno.{split}.ndjson").write_text(text + "\n")


def write_features(root: Path, form: str, width: int = 6) -> Path:
    folder = root / form
    folder.mkdir()
    for film, n in SHOTS.items():
        vectors = np.arange(n * width, dtype=np.float32).reshape(n, width)
        if form == "npz":
            np.savez(folder / f"{film}.npz", feature=vectors)
        elif form == "npy":
            np.save(folder / f"{film}.npy", vectors)
        else:
            (folder / film).mkdir()
            for i, vector in enumerate(vectors):
                np.save(folder / film / f"shot_{i:04d}.npy", np.stack([vector - 1, vector + 1]))
    return folder
