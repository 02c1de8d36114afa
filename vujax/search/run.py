"""Search of a catalog: from terms, or from a text, to hits."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vujax.catalog import Catalog
from vujax.catalog.embeddings import open_store
from vujax.encoders import resolve_name
from vujax.search.backends import open_backend
from vujax.search.hits import Hit, search_index, select_rows
from vujax.search.index import Index
from vujax.search.query import (
    Term,
    combine_terms,
    encode_image_file,
    parse_term,
    resolve_templates,
)

if TYPE_CHECKING:
    from vujax.search.backends.base import Report


@dataclass(frozen=True)
class SearchOptions:
    """Options of a search over an index.

    Attributes:
      encoder: of the index's embeddings; encodes images of the query.
      backend: name of the search backend.
      where: filter over metadata; None: all rows.
      templates: wordings of a text; see `query.resolve_templates`.
      top: number of hits.
      per_film: largest number of hits of one film; None: no limit.
      fold: whether only the best frame of a shot is a hit.
    """

    encoder: str = "lite"
    backend: str = "exact"
    where: str | None = None
    templates: Sequence[str] = ("frame",)
    top: int = 20
    per_film: int | None = None
    fold: bool = False


def run_search(
    index: Index, terms: Sequence[Term], options: SearchOptions
) -> tuple[list[Hit], int]:
    """Search an index.

    Args:
      index: to search.
      terms: of the query; what a term of kind 'like' names is not a hit itself.
      options: of the search.

    Returns:
      The hits, best first, and the number of rows that the filter keeps.

    Raises:
      ValueError, KeyError: a term, the filter or an option is wrong.
      ImportError: the backend's package is missing.
    """

    def encode(path: Path) -> np.ndarray:
        from vujax.encoders import open_encoder  # loads weights

        return encode_image_file(path, open_encoder(options.encoder, "frame"), index)

    examples = [index.find_rows(term.text) for term in terms if term.kind == "like"]
    mask = select_rows(index, options.where, np.concatenate(examples) if examples else None)
    hits = search_index(
        index,
        open_backend(options.backend, index),
        combine_terms(terms, index, resolve_templates(options.templates), encode),
        top=options.top,
        mask=None if mask.all() else mask,
        per_film=options.per_film,
        fold=options.fold,
    )
    return hits, int(mask.sum())


def open_index(
    catalog: Catalog,
    level: str,
    encoder: str,
    *,
    space: str | None = None,
    texts: bool = True,
    dtype: str = "float32",
    report: "Report" = lambda done, total: None,
) -> Index:
    """Open the index of a catalog's embeddings, built if it is missing or stale.

    Args:
      catalog: to search.
      level: 'frame', 'shot' or 'scene'.
      encoder: 'lite', or the directory of a model.
      space: text space of the queries; None: the encoder's own.
      texts: whether queries have texts. Without them no text encoder is needed: embeddings of a
        model are compared as they are, which its text space does too. Those of 'lite' stay in its
        text space, so that scores of examples and of texts can be compared.
      dtype: of the stored embeddings: float32, float16 or bfloat16.
      report: called with how many films are indexed, and of how many.

    Raises:
      FileNotFoundError: there are no such embeddings.
      ValueError, OSError, ImportError: see `text_space.open_text_space`.
    """
    from vujax.search.text_space import LITE_SPACES, EncoderSpace, open_text_space  # brings JAX

    if texts or space or encoder in LITE_SPACES:
        opened = open_text_space(space or encoder)
        name = resolve_name(catalog.path, encoder, None if space else opened.digest)
    else:
        name = resolve_name(catalog.path, encoder)
        opened = EncoderSpace(open_store(catalog.path, level, name).model.dim)
    return Index.open(catalog, level, name, opened, dtype, report)


def search(
    catalog: str | Path | Catalog,
    query: str | Sequence[str] = (),
    *,
    exclude: Sequence[str] = (),
    images: Sequence[str | Path] = (),
    like: Sequence[str] = (),
    level: str = "shot",
    top: int = 20,
    encoder: str = "lite",
    backend: str = "exact",
    where: str | None = None,
    per_film: int | None = None,
) -> list[Hit]:
    """Find frames, shots or scenes of a catalog.

    Args:
      catalog: root of the catalog; `vujax.embed` has made its embeddings.
      query: texts to search for; 'a boat:2' weighs twice.
      exclude: texts that count against a hit.
      images: paths of images to search for.
      like: ids of frames, shots or scenes to search for.
      level: 'frame', 'shot' or 'scene'.
      top: number of hits.
      encoder: whose embeddings are searched: 'lite', or the directory of a model.
      backend: 'exact', 'faiss', 'lance', or that of a plug-in.
      where: filter, such as "year > 1990 and genre contains 'Drama'".
      per_film: largest number of hits of one film.

    Returns:
      Hits, best first.

    Raises:
      ValueError, KeyError: an argument is wrong.
      FileNotFoundError: the catalog has no such embeddings.
      ImportError: an extra is missing; names it.
    """
    texts = [query] if isinstance(query, str) else list(query)
    terms = [parse_term(text) for text in texts] + [
        parse_term(text, against=True) for text in exclude
    ]
    terms += [parse_term(str(image), "image") for image in images]
    terms += [parse_term(item, "like") for item in like]
    opened = catalog if isinstance(catalog, Catalog) else Catalog(catalog)
    index = open_index(opened, level, encoder, texts=bool(texts or exclude))
    options = SearchOptions(encoder, backend, where, top=top, per_film=per_film)
    return run_search(index, terms, options)[0]
