"""`python -m vujax.data.cinema --out sheet.png` draws a contact sheet of captioned frames;
`python -m vujax.data.cinema films --out films/` writes films.
"""

import argparse
import sys

from vujax.data.cinema.sheet import contact_sheet
from vujax.data.cinema.source import DEFAULTS, CinemaSource


def main() -> int:
    if sys.argv[1:2] == ["films"]:
        return _films(sys.argv[2:])
    parser = argparse.ArgumentParser(description="A contact sheet of the procedural cinema.")
    parser.add_argument("--out", required=True, help="the picture to write, .png")
    parser.add_argument("--split", choices=list(DEFAULTS), default="train")
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--image-size", type=int, default=128, help="pixels, height and width")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    source = CinemaSource(split=args.split, seed=args.seed, image_size=args.image_size)
    contact_sheet(source, args.frames, args.columns).save(args.out)
    print(f"{args.out}: {args.frames} frames, grey captions are generic, red ones swapped")
    return 0


def _films(words: list[str]) -> int:
    from vujax.data.cinema import command  # PyAV is not needed for a contact sheet

    parser = argparse.ArgumentParser(prog="python -m vujax.data.cinema films")
    command.add_arguments(parser)
    args = parser.parse_args(words)
    try:
        return command.run(args)
    except (ValueError, OSError) as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
