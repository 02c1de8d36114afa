"""Retrieved pictures: a caption and what the model found for it, right and wrong marked."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from vujax.evals.base import Example
from vujax.report_page.markup import Markup, tag

SHOWN = 5  # pictures a caption
LARGEST = 224  # pixels, of the longer side
PNG_UP_TO = 96  # pixels: small pictures are kept without loss


def gallery(examples: Sequence[Example]) -> list[Markup]:
    """One figure for each caption, best picture first."""
    return [_figure(example) for example in examples]


def data_uri(image: np.ndarray) -> str:
    """A picture `[h w 3]` uint8 as a data URI: PNG if small, else a JPEG of at most 224 pixels."""
    picture = Image.fromarray(np.asarray(image, np.uint8))
    picture.thumbnail((LARGEST, LARGEST))
    kind = "png" if max(picture.size) <= PNG_UP_TO else "jpeg"
    file = io.BytesIO()
    picture.save(file, kind, quality=85, optimize=True)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def _figure(example: Example) -> Markup:
    found = zip(example.images, example.correct, example.scores, strict=True)
    items = [
        _picture(rank, image, bool(correct), float(score))
        for rank, (image, correct, score) in enumerate(list(found)[:SHOWN], start=1)
    ]
    return tag(
        "figure",
        tag("figcaption", "“", tag("q", example.caption), "”"),
        tag("ol", items),
        class_="card found",
    )


def _picture(rank: int, image: np.ndarray, correct: bool, score: float) -> Markup:
    word = "right" if correct else "wrong"
    height, width = image.shape[:2]
    return tag(
        "li",
        tag(
            "img",
            src=data_uri(image),
            alt=f"picture found at rank {rank}, {word}",
            width=width,
            height=height,
            loading="lazy",
            class_="pixels" if max(height, width) <= PNG_UP_TO else None,
        ),
        tag("span", ("✓ " if correct else "✗ ") + word, class_="verdict"),
        tag("span", f"{score:.3f}", class_="note", title="cosine similarity"),
        class_=word,
    )
