"""Captions for a catalogue's frames, shots and scenes, from the vectors that it has of them."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
import pyarrow as pa

from vujax import encoders
from vujax.catalog import Catalog
from vujax.catalog.embeddings import to_matrix
from vujax.encoders.pairs import open_encoder
from vujax.evals.captioning import build_caption_decoder, decode_captions
from vujax.models import release
from vujax.models.caption import build_caption_model
from vujax.search.captions.bank import DEPTH, Bank, Best, without_repeats
from vujax.search.captions.calibration import Calibration
from vujax.utils.mesh import make_mesh

LEVELS = ("frame", "shot", "scene")
COLUMNS = pa.schema(
    {
        "film": pa.string(),
        "title": pa.string(),
        "level": pa.string(),
        "id": pa.string(),
        "begin_s": pa.float64(),  # since the film's start
        "end_s": pa.float64(),
        "caption": pa.string(),  # null: none was good enough
        "score": pa.float32(),  # cosine, or the mean chance of a token
        "chance": pa.float32(),  # of being right; null without a calibration
        "by": pa.string(),
    }
)


class Said(NamedTuple):
    """Captions of some items, None for none; their scores and chances `[n]`, NaN if unknown."""

    captions: list[str | None]
    scores: np.ndarray
    chances: np.ndarray


class Speaker(Protocol):
    """Says something of each item of one film.

    Attributes:
      by: what it is, for those who read the captions.
    """

    by: str

    def say(self, vectors: np.ndarray) -> Said:
        """Captions of vectors float32 `[n d]`."""


@dataclass(frozen=True)
class BankSpeaker:
    """The best of a bank.

    Attributes:
      bank: of captions, or of pairs.
      calibration: from cosines to chances, or None.
      least: smallest chance, or cosine without a calibration, of a caption.
      repeats: how often a film may have one caption; None: as often as it is the best.
    """

    bank: Bank
    calibration: Calibration | None = None
    least: float = -1.0
    repeats: int | None = None
    by: str = "bank"

    def say(self, vectors: np.ndarray) -> Said:
        """See `Speaker`."""
        best = self.bank.best(vectors, 1 if self.repeats is None else DEPTH)
        columns = np.zeros(len(vectors), int)
        if self.repeats is not None:
            columns = without_repeats(best, self.repeats)
        return self._said(best, columns)

    def _said(self, best: Best, columns: np.ndarray) -> Said:
        rows = np.arange(len(columns))
        scores, places = best.scores[rows, columns], best.places[rows, columns]
        known = self.calibration is not None
        chances = self.calibration(scores) if known else np.full(len(rows), np.nan)
        good = (columns >= 0) & ((chances if known else scores) >= self.least)
        captions = [
            self.bank.captions[place] if fine else None
            for place, fine in zip(places.tolist(), good.tolist(), strict=True)
        ]
        return Said(captions, scores, chances)


@dataclass(frozen=True)
class DecoderSpeaker:
    """A trained decoder. A caption's score is the geometric mean of its tokens' chances.

    Attributes:
      model: a `vujax.models.caption.CaptionDecoder`.
      variables: of it.
      beams: of the search.
      least: smallest score of a caption.
      by: name of the decoder.
    """

    model: Any
    variables: Any
    beams: int = 4
    least: float = 0.0
    by: str = "decoder"

    @functools.cached_property
    def _encode(self) -> Any:
        return build_caption_decoder(self.model, self.beams, 1.0)

    def say(self, vectors: np.ndarray) -> Said:
        """See `Speaker`.

        Raises:
          ValueError: the vectors are not those that it learned from.
        """
        if vectors.shape[1] != self.model.dim:
            raise ValueError(
                f"the decoder reads vectors of {self.model.dim} numbers, those of the catalogue "
                f"have {vectors.shape[1]}: use --encoder {self.model.encoder}"
            )
        mesh = make_mesh(jax.local_devices())
        captions, scores = decode_captions(
            self._encode, self.variables, vectors, vocab=self.model.vocab, mesh=mesh
        )
        chances = np.exp(scores)
        good = [
            text if text and chance >= self.least else None
            for text, chance in zip(captions, chances.tolist(), strict=True)
        ]
        return Said(good, chances, np.full(len(chances), np.nan))


def open_decoder(path: Path, **options: Any) -> DecoderSpeaker:
    """The decoder of a workdir or release folder.

    Raises:
      FileNotFoundError: there is no model.
      ValueError: it is damaged, or of another method.
    """
    config, variables = release.load_host(path)
    if config.get("method", {}).get("name") != "caption":
        raise ValueError(
            f"{path} holds no caption decoder but a model of "
            f"{config.get('method', {}).get('name')}: train one with configs/caption.py"
        )
    folder = release.find(path)
    name = folder.parent.name if folder.name == release.FOLDER else folder.name
    return DecoderSpeaker(build_caption_model(**config["model"]), variables, by=name, **options)


def catalog_name(spec: str) -> str:
    """The name under which a catalogue has the vectors of `--encoder`."""
    if spec in encoders.RELEASED or not Path(spec).is_dir():
        return spec
    return open_encoder(spec).name


def captions_by_film(
    catalog: Catalog, level: str, encoder: str, speaker: Speaker
) -> Iterator[tuple[str, pa.Table | str]]:
    """`(film, captions)` of all films of a catalogue, of COLUMNS; or why a film has none.

    Args:
      catalog: with vectors of that level.
      level: one of LEVELS.
      encoder: name of the vectors' encoder, as `Catalog.vectors` takes it.
      speaker: says something of each item.
    """
    titles = _titles(catalog)
    for film in catalog.film_ids():
        try:
            found = catalog.embeddings(level, encoder, film)
            if not len(found):
                yield film, "it has no keyframes"
                continue
            spans = spans_of(catalog, level, film, found)
            said = speaker.say(to_matrix(found))
        except (OSError, ValueError) as error:
            yield film, str(error)
            continue
        yield film, _table(film, titles.get(film) or film, level, spans, said, speaker.by)


def _table(
    film: str, title: str, level: str, spans: dict[str, list], said: Said, by: str
) -> pa.Table:
    rows = len(said.captions)
    chances = pa.array(said.chances, pa.float32(), from_pandas=True)  # NaN: null
    columns = dict(film=[film] * rows, title=[title] * rows, level=[level] * rows, **spans)
    columns |= dict(caption=said.captions, score=said.scores, chance=chances, by=[by] * rows)
    return pa.table(columns).cast(COLUMNS)


def _titles(catalog: Catalog) -> dict[str, str | None]:
    films = catalog.films()
    if "title" not in films.column_names:
        return {}
    titles = ["" if title is None else str(title) for title in films["title"].to_pylist()]
    return dict(zip(films["film"].to_pylist(), titles, strict=True))


def spans_of(catalog: Catalog, level: str, film: str, vectors: pa.Table) -> dict[str, list]:
    """`id`, `begin_s` and `end_s` of what a film has vectors of, in their order.

    A frame's caption lasts from its own time to the next keyframe's, or to the end of its shot.

    Args:
      catalog: of the film.
      level: one of LEVELS.
      film: its id.
      vectors: the film's, of that level.
    """
    ids, begins = vectors["id"].to_pylist(), vectors["seconds"].to_pylist()
    if level == "frame":
        shots = catalog.shots(film)
        ends_of = dict(zip(shots["shot"].to_pylist(), shots["end_s"].to_pylist(), strict=True))
        shot_ends = [ends_of[shot] for shot in vectors["shot"].to_pylist()]
        following = [*begins[1:], float("inf")]
        ends = [min(pair) for pair in zip(shot_ends, following, strict=True)]
        return dict(id=ids, begin_s=begins, end_s=ends)
    table = catalog.shots(film) if level == "shot" else catalog.scenes(film)
    times = dict(zip(*(table[name].to_pylist() for name in ("id", "end_s")), strict=True))
    return dict(id=ids, begin_s=begins, end_s=[times[key] for key in ids])
