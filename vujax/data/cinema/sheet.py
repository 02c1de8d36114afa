"""A contact sheet: frames of a source with their captions below, noise marked by colour."""

import textwrap

from PIL import Image, ImageDraw, ImageFont

from vujax.data.cinema.source import CinemaSource

INK = {"none": (235, 235, 235), "generic": (150, 150, 150), "swapped": (255, 120, 100)}
PAPER = (24, 25, 28)
MARGIN = 12  # pixels around and between the frames
LINES = 4  # of caption that fit below a frame


def contact_sheet(source: CinemaSource, frames: int, columns: int) -> Image.Image:
    """The first `frames` records of a source, `columns` to a row.

    True captions are light, generic ones grey, swapped ones red.
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
