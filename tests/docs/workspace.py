"""A folder with all that the pages' commands name: films, a catalog, labels, pairs, models.

Everything is synthetic and small, and most of it is made by the commands themselves.
"""

import csv
import shutil
import tarfile
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path

from tests.docs.commands import run_command

LINKED = ("configs", "experiments", "tools")
TITLES = [
    ("film-0000.mp4", "The Lake", "1995", "Drama|Romance", "A boat crosses a lake at night."),
    ("film-0001.mp4", "The Hill", "2003", "Drama", "A guitar is found on a hill."),
]
PAIRS = 32  # of images and captions


def build(root: Path, repository: Path) -> None:
    """Fill `root`, which becomes the current folder of the commands."""
    for name in LINKED:
        (root / name).symlink_to(repository / name)
    run(root, "vujax synthesize --films 2 --out films/")
    run(root, "vujax synthesize --series 2 --out season1/")
    shutil.copy(root / "films" / "film-0000.mp4", root / "film.mp4")
    write_table(root / "titles.csv", ["path", "title", "year", "genres", "synopsis"], TITLES)
    run(root, "vujax ingest films/ --out catalog/ --metadata titles.csv")
    run(root, "vujax embed catalog/ --encoder lite")
    run(root, "vujax scenes catalog/ --out scenes/ --formats json")
    run(root, "vujax embed catalog/ --encoder lite --level scene")
    run(root, "vujax scenes film.mp4 --out out/")
    write_labels(root)
    write_shot_lists(root)
    write_movies(root / "movies")
    write_pairs(root)
    train_models(root)


def run(root: Path, command: str) -> None:
    """Run one command in `root`."""
    run_command(command.split(), root)


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def film_id(root: Path) -> str:
    """Return the id that stands for FILM in the pages."""
    from vujax.catalog import Catalog

    return Catalog(root / "catalog").films()["film"][0].as_py()


def write_labels(root: Path) -> None:
    """Write labels of shots and of scenes, and the label set `boats`: every other has a boat."""
    from vujax.catalog import Catalog

    catalog = Catalog(root / "catalog")
    shots, scenes = (table["id"].to_pylist() for table in (catalog.shots(), catalog.scenes()))
    for name, ids in (("labels.csv", shots), ("scene_labels.csv", scenes)):
        rows = [(item, "boat", int(number % 2 == 0)) for number, item in enumerate(ids)]
        write_table(root / name, ["id", "label", "value"], rows)
    ids = " ".join(shots[:6:2])
    run(root, f"vujax labels set catalog/ boats {ids} --label boat")
    run(root, f"vujax labels set catalog/ boats {' '.join(shots[1:6:2])} --label boat --value no")


def write_shot_lists(root: Path) -> None:
    """Write shots.csv for film.mp4, and lists/ for films/."""
    from vujax.catalog import Catalog

    catalog = Catalog(root / "catalog")
    for film in catalog.films().to_pylist():
        shots = catalog.shots(film["film"]).to_pylist()
        rows = [(f"{shot['begin_s']:.3f}", f"{shot['end_s']:.3f}") for shot in shots]
        name = Path(film["path"]).with_suffix(".csv").name
        write_table(root / "lists" / name, ["start_s", "end_s"], rows)
    shutil.copy(root / "lists" / "film-0000.csv", root / "shots.csv")


def write_movies(folder: Path) -> None:
    """Write tables of movies and ratings."""
    titles = ["The Lake", "The Hill", "The Road", "The Sea", "The Town"]
    genres = ["Drama|Romance", "Drama", "Action", "Drama|Romance", "Comedy|Romance"]
    rows = [(f"m{n}", *pair) for n, pair in enumerate(zip(titles, genres, strict=True))]
    write_table(folder / "movies.csv", ["id", "title", "genres"], rows)
    watched = [(f"u{user}", f"m{(user + step) % 5}") for user in range(12) for step in (0, 1, 3)]
    write_table(folder / "ratings.csv", ["user", "movie"], watched)


def write_pairs(root: Path) -> None:
    """Write still.jpg and image-text pairs as shards, as tables, and their captions alone."""
    from vujax.catalog import Catalog

    catalog = Catalog(root / "catalog")
    ids = catalog.keyframes()["id"].to_pylist()
    images = [catalog.jpeg(ids[number % len(ids)]) for number in range(PAIRS)]
    captions = [
        f"a {'boat' if number % 2 else 'guitar'} number {number}" for number in range(PAIRS)
    ]
    (root / "still.jpg").write_bytes(images[0])
    (root / "images").mkdir()
    (root / "shards").mkdir()
    with tarfile.open(root / "shards" / "00000.tar", "w") as tar:
        for number, (image, caption) in enumerate(zip(images, captions, strict=True)):
            (root / "images" / f"{number:04d}.jpg").write_bytes(image)
            add_member(tar, f"{number:04d}.jpg", image)
            add_member(tar, f"{number:04d}.txt", caption.encode())
    rows = [(f"images/{number:04d}.jpg", text) for number, text in enumerate(captions)]
    for name in ("pairs.csv", "captioned.csv"):
        write_table(root / name, ["image", "caption"], rows)
    (root / "captions.txt").write_text("".join(f"{text}\n" for text in captions[:8]))
    (root / "queries.txt").write_text("a boat\na guitar\nsnow\n")


def add_member(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    """Add a file to a tar archive."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, BytesIO(data))


def train_models(root: Path) -> None:
    """Train an image-text model, which also stands for imported ones, and a caption decoder."""
    run(root, "python -m vujax.main --config=configs/distill.py --workdir=runs/mine")
    for name in ("clip", "siglip"):
        shutil.copytree(root / "runs" / "mine" / "release", root / "models" / name / "release")
    run(root, "python -m vujax.main --config=configs/caption.py --workdir=runs/caption")
