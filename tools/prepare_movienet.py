"""Write the scene part of your copy of MovieNet as films for training.

    python tools/prepare_movienet.py OUT --kind movienet root=scene318 keyframes=240P --side 240
    python tools/prepare_movienet.py OUT --kind bassl root=movienet shot_s=4 --splits pretrain test
    python tools/prepare_movienet.py OUT --kind movienet root=scene318 --tags annotation

Options of the kind (see `vujax.data.datasets.movienet` and `vujax.data.datasets.bassl`) follow as
name=value, the value as JSON or as plain text. Keyframes are stored as JPEG, resized so that the
shorter side is at most --side; features, if there are any, as float32. The same command resumes
after an interrupt. Then open them with `open_films("prepared", path=OUT,
split="train")`.

--allow_missing leaves out each film whose labels, shots or images are missing or damaged, and names
it; missing labels at the end of a film are 0, with a warning.

--tags names the folder of MovieNet's annotations (tt0120885.json ...), whose place and action tags
become labels of scenes: `open_scenes("prepared", path=OUT, by="tags")`. Their format is
unverified, see `vujax.data.datasets.movienet`; --ends selects the end of their ranges of shots.
"""

import argparse
from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from vujax.data.datasets.movienet import ENDS, TAGS, tag_table
from vujax.data.datasets.prepare import prepare_films
from vujax.data.registry import open_films
from vujax.utils.io import write_parquet
from vujax.utils.validation import name_and_value

KINDS = ("bassl", "movienet")
SPLITS = ("train", "val", "test")


def main() -> int:
    """Prepare the films of the command line; return 1 if a film had to be left out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="folder of the films")
    parser.add_argument("--kind", required=True, choices=KINDS)
    parser.add_argument("options", nargs="*", type=name_and_value, help="name=value of the kind")
    parser.add_argument(
        "--splits", nargs="+", default=SPLITS, help="splits (default: train val test)"
    )
    parser.add_argument("--side", type=int, help="maximum shorter side of an image, in pixels")
    parser.add_argument("--workers", type=int, default=1, help="number of processes")
    parser.add_argument("--allow_missing", action="store_true", help="leave out bad films")
    parser.add_argument("--tags", type=Path, help="folder of MovieNet's annotations")
    parser.add_argument(
        "--ends", choices=ENDS, default=ENDS[0], help="end of their ranges of shots"
    )
    args = parser.parse_intermixed_args()
    options = dict(args.options)
    try:
        skip = {"skip_unreadable": True} if args.allow_missing and args.kind == "movienet" else {}
        splits = {
            name: open_films(args.kind, split=name, **options, **skip) for name in args.splits
        }
        shots = {film.film: len(film) for films in splits.values() for film in films}
        tags = args.tags and tag_table(args.tags, shots, args.ends)  # before the slow part
        with tqdm(total=sum(shots.values()), unit=" shots") as bar:
            facts = prepare_films(
                splits,
                args.out,
                origin={"kind": args.kind, **options},
                side=args.side,
                workers=args.workers,
                allow_missing=args.allow_missing,
                progress=bar.update,
            )
    except (ValueError, FileNotFoundError) as error:
        parser.error(str(error))
    if tags:
        _write_tags(args.out, tags[0], facts["films"], len(tags[1]))
    return _summary(args.out, facts, args.allow_missing)


def _write_tags(out: Path, table: pa.Table, films: Collection[str], bare: int) -> None:
    """Write the tags of the prepared films, and print their counts."""
    table = table.filter(pc.is_in(table["film"], pa.array(list(films), pa.string())))
    write_parquet(out / TAGS, table, compression="snappy")
    acted = sum(map(bool, table["action"].to_pylist()))
    print(
        f"tags: {len(table)} scenes of {len(set(table['film'].to_pylist()))} films, "
        f"{len(table) - table['place'].null_count} with a place, {acted} with actions; "
        f"{bare} films have no annotation"
    )


def _summary(out: Path, facts: dict, allowed: bool) -> int:
    films, left = facts["films"], facts["left_out"]
    for split, names in facts["splits"].items():
        prepared = [films[name] for name in names if name in films]
        boundaries = sum(film["boundaries"] or 0 for film in prepared)
        print(
            f"{split}: {len(prepared)} of {len(names)} films, "
            f"{sum(f['shots'] for f in prepared)} shots, {boundaries} boundaries"
        )
    for name, reason in sorted(left.items()):
        print(f"left out: {name}: {reason}")
    if left and not allowed:
        print(f"{out} is not complete: repair these films and run again, or add --allow_missing")
    return int(bool(left) and not allowed)


if __name__ == "__main__":
    raise SystemExit(main())
