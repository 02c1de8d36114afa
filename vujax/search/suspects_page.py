"""Page of suspicious captions: the image, its caption, and what the model would say instead.

It runs no script, loads nothing, and shows any caption as text.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vujax.catalog.page import build_thumbnail_uri
from vujax.data.images import decode_image
from vujax.data.records import BadSample
from vujax.evals.suspects import FIRST
from vujax.search.suspects import Sources, Suspects, iterate_records
from vujax.utils.html.document import Markup, document, percent, tag
from vujax.utils.io import write_text

SIZE = (144, 144)  # of a thumbnail, in pixels


def write_page(suspects: Suspects, path: Path, *, images: Sources, count: int = FIRST) -> Path:
    """Write the page atomically.

    Args:
      suspects: the ranked pairs.
      path: path of the page.
      images: sources of records that hold the images by key; others are shown without images.
      count: number of suspects that are shown.
    """
    rows = suspects.build_table().slice(0, count).to_pylist()
    uris = _read_thumbnails(images, {row["id"] for row in rows})
    title = "Suspicious captions"
    body = [
        tag("header", tag("h1", title), tag("dl", _tiles(suspects), class_="tiles")),
        tag(
            "main",
            tag("p", _note(suspects, len(rows)), class_="note"),
            tag("div", [_article(row, uris.get(row["id"])) for row in rows], class_="suspects"),
        ),
    ]
    page = document(f"{title}: vujax pairs", body, ["vujax.catalog", "vujax.search"])
    return write_text(path, page)


def _tiles(suspects: Suspects) -> list[Markup]:
    facts = {"Captions": f"{len(suspects.captions.rows):,}", "Judge": suspects.judge}
    if known := suspects.evaluate():
        facts["Known to be wrong"] = percent(known["wrong"])
        facts["AUC"] = f"{known['auc']:.3f}"
        facts[f"Wrong among the first {FIRST}"] = percent(known[f"precision@{FIRST}"])
    return [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items()]


def _note(suspects: Suspects, count: int) -> str:
    words = (
        f"The {count} most suspicious captions. P is the probability that the model gives to the "
        "caption among all different captions, and to the image among the images that have other "
        "captions."
    )
    if suspects.wrong is not None:
        words += " Right and wrong are the known truth."
    return words


def _article(row: Mapping[str, Any], uri: str | None) -> Markup:
    verdict = None
    if row["wrong"] is not None:
        name = "wrong" if row["wrong"] else "right"
        verdict = tag("span", name, class_=f"verdict {name}")
    words = [
        tag("h3", f"{row['rank']}. {row['caption']}"),
        verdict,
        tag("p", tag("b", "Rather: "), row["better"]),
        tag(
            "p",
            f"P of the caption {_probability(row['image_to_text'])}, of the image "
            f"{_probability(row['text_to_image'])}; of the other caption "
            f"{_probability(row['better_log_probability'])}",
            class_="note num",
        ),
        tag("code", row["id"]),
    ]
    image = (
        tag("span", class_="none") if uri is None else tag("img", src=uri, alt="", loading="lazy")
    )
    return tag("article", image, tag("div", words))


def _probability(log: float) -> str:
    return f"{np.exp(log):.2g}"


def _read_thumbnails(images: Sources, keys: set[str]) -> dict[str, str]:
    """Return the data URIs of the images with these keys, of those that can be decoded."""
    uris: dict[str, str] = {}
    for key, record in iterate_records(images):
        if key in keys and key not in uris:
            try:
                uris[key] = build_image_uri(record["image"])
            except BadSample:
                continue
    return uris


def build_image_uri(image: bytes | np.ndarray) -> str:
    """Return the thumbnail of an image file, or of uint8 `[h w 3]`, as a data URI."""
    pixels = decode_image(image) if isinstance(image, bytes) else image
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return build_thumbnail_uri(buffer.getvalue(), SIZE)
