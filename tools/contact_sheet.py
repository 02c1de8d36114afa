"""Draw a contact sheet of captioned synthetic frames: `python tools/contact_sheet.py --out FILE`.

True captions are light, generic ones gray, swapped ones red.
"""

import argparse
import textwrap

from PIL import Image, ImageDraw, ImageFont

from vujax.data.synthetic.dataset_images import DEFAULTS, SyntheticImages

INK = {"none": (235, 235, 235), "generic": (150, 150, 150), "swapped": (255, 120, 100)}
PAPER = (24, 25, 28)
MARGIN = 12  # pixels around and between the frames
LINES = 4  # of caption that fit below a frame


def draw_contact_sheet(source: SyntheticImages, frames: int, columns: int) -> Image.Image:
    """Draw the first `frames` records of a source, `columns` to a row.

    True captions are light, generic ones gray, swapped ones red.
    """
    font = ImageFont.load_default(size=12)
    width = source.image_size + MARGIN
    height = source.image_size + LINES * 15 + MARGIN
    rows = -(-frames // columns)
    sheet = Image.new("RGB", (columns * width + MARGIN, rows * height + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    for i in range(frames):
        x, y = MARGIN + i % columns * width, MARGIN + i // columns * height
        record, noise = source[i], source.truth(i).noise[0]
        sheet.paste(Image.fromarray(record["image"]), (x, y))
        text = "\n".join(textwrap.wrap(record["captions"][0], source.image_size // 6)[:LINES])
        draw.text((x, y + source.image_size + 2), text, INK[noise], font)
    return sheet


def main() -> None:
    """Draw the sheet of the command line."""
    parser = argparse.ArgumentParser(description="contact sheet of synthetic frames")
    parser.add_argument("--out", required=True, help="output image, .png")
    parser.add_argument("--split", choices=list(DEFAULTS), default="train")
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--image-size", type=int, default=128, help="height and width in pixels")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    source = SyntheticImages(split=args.split, seed=args.seed, image_size=args.image_size)
    draw_contact_sheet(source, args.frames, args.columns).save(args.out)
    print(f"{args.out}: {args.frames} frames, gray captions are generic, red ones swapped")


if __name__ == "__main__":
    main()
