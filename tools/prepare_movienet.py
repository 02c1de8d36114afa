"""Writes your own copy of MovieNet's scene part as films to train from.

    python tools/prepare_movienet.py OUT --kind movienet root=scene318 keyframes=240P --side 240
    python tools/prepare_movienet.py OUT --kind bassl root=movienet shot_s=4 --splits pretrain test

Options of the kind (see `vujax.data.movienet` and `vujax.data.bassl`) follow as name=value, the
value as JSON or as plain text. Keyframes are kept as JPEG, those with a shorter side longer than
--side made smaller; features, if there are any, as float32. The same command after an interrupt
goes on where it stopped. Then open them with `open_films("prepared", path=OUT, split="train")`.
"""

import argparse
from pathlib import Path

from tqdm import tqdm

from vujax.data.films import open_films
from vujax.data.options import name_and_value
from vujax.data.prepare import prepare

KINDS = ("bassl", "movienet")
SPLITS = ("train", "val", "test")


def main() -> int:
    """Prepares as the command line says; 1 if a film had to be left out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="folder of the films")
    parser.add_argument("--kind", required=True, choices=KINDS)
    parser.add_argument("options", nargs="*", type=name_and_value, help="name=value of the kind")
    parser.add_argument("--splits", nargs="+", default=SPLITS, help="default: train val test")
    parser.add_argument("--side", type=int, help="longest shorter side of a picture, in pixels")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--allow_missing", action="store_true", help="leave bad films out")
    args = parser.parse_intermixed_args()
    options = dict(args.options)
    try:
        splits = {name: open_films(args.kind, split=name, **options) for name in args.splits}
        shots = {film.film: len(film) for films in splits.values() for film in films}
        with tqdm(total=sum(shots.values()), unit=" shots") as bar:
            facts = prepare(
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
    return _summary(args.out, facts, args.allow_missing)


def _summary(out: Path, facts: dict, allowed: bool) -> int:
    films, left = facts["films"], facts["left_out"]
    for split, names in facts["splits"].items():
        there = [films[name] for name in names if name in films]
        boundaries = sum(film["boundaries"] or 0 for film in there)
        print(
            f"{split}: {len(there)} of {len(names)} films, {sum(f['shots'] for f in there)} shots, "
            f"{boundaries} boundaries"
        )
    for name, reason in sorted(left.items()):
        print(f"left out: {name}: {reason}")
    if left and not allowed:
        print(f"{out} is not complete: repair these films and run again, or give --allow_missing")
    return int(bool(left) and not allowed)


if __name__ == "__main__":
    raise SystemExit(main())
