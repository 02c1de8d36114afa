"""Captioners: the captions of a catalog's frames, shots and scenes from their embeddings."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
import pyarrow as pa

from vujax.catalog import Catalog
from vujax.catalog.embeddings import to_matrix
from vujax.evals.captioning import build_caption_decoder, decode_captions
from vujax.models import release
from vujax.models.caption import build_caption_model
from vujax.search.captions.bank import MAX_CANDIDATES, Bank, BankMatches, limit_repeats
from vujax.search.captions.calibration import Calibration
from vujax.utils.mesh import make_mesh

LEVELS = ("frame", "shot", "scene")
CAPTIONS = pa.schema(
    {
        "film": pa.string(),
        "title": pa.string(),
        "level": pa.string(),
        "id": pa.string(),
        "begin_s": pa.float64(),  # seconds since the start of the film
        "end_s": pa.float64(),
        "caption": pa.string(),  # null: no caption was good enough
        "score": pa.float32(),  # cosine similarity, or geometric mean of token probabilities
        "chance": pa.float32(),  # calibrated probability of being right; null if not calibrated
        "by": pa.string(),
    }
)


class CaptionBatch(NamedTuple):
    """Captions of several items.

    Attributes:
      captions: one per item; None where none was good enough.
      scores: float `[n]`.
      probabilities: calibrated probabilities of being right, float `[n]`; NaN if unknown.
    """

    captions: list[str | None]
    scores: np.ndarray
    probabilities: np.ndarray


class Captioner(Protocol):
    """Producer of captions for the items of one film.

    Attributes:
      by: name in the column `by`.
    """

    by: str

    def caption(self, vectors: np.ndarray) -> CaptionBatch:
        """Caption items by their embeddings, float32 `[n d]`."""


@dataclass(frozen=True)
class BankCaptioner:
    """Selection of the best caption of a bank.

    Attributes:
      bank: captions, or pairs of images and captions.
      calibration: from scores to probabilities, or None.
      min_score: minimum probability, or score without a calibration, of a caption.
      repeats: maximum number of uses of a caption in one film; None for no limit.
      by: name in the column `by`.
    """

    bank: Bank
    calibration: Calibration | None = None
    min_score: float = -1.0
    repeats: int | None = None
    by: str = "bank"

    def caption(self, vectors: np.ndarray) -> CaptionBatch:
        """See `Captioner`."""
        matches = self.bank.best(vectors, 1 if self.repeats is None else MAX_CANDIDATES)
        columns = np.zeros(len(vectors), int)
        if self.repeats is not None:
            columns = limit_repeats(matches, self.repeats)
        return self._select(matches, columns)

    def _select(self, matches: BankMatches, columns: np.ndarray) -> CaptionBatch:
        """Take the given column of each row, if it is good enough; column -1 is none."""
        rows = np.arange(len(columns))
        scores, indices = matches.scores[rows, columns], matches.indices[rows, columns]
        probabilities = np.full(len(rows), np.nan)
        if self.calibration is not None:
            probabilities = self.calibration(scores)
        compared = scores if self.calibration is None else probabilities
        good = (columns >= 0) & (compared >= self.min_score)
        captions = [
            self.bank.captions[index] if is_good else None
            for index, is_good in zip(indices.tolist(), good.tolist(), strict=True)
        ]
        return CaptionBatch(captions, scores, probabilities)


@dataclass(frozen=True)
class DecoderCaptioner:
    """Captions of a trained decoder; the score is the geometric mean of token probabilities.

    Attributes:
      model: a `vujax.models.caption.CaptionDecoder`.
      variables: variables of `model`.
      beams: number of beams of the search.
      min_score: minimum score of a caption.
      by: name of the decoder.
    """

    model: Any
    variables: Any
    beams: int = 4
    min_score: float = 0.0
    by: str = "decoder"

    @functools.cached_property
    def _decode(self) -> Any:
        return build_caption_decoder(self.model, self.beams, 1.0)

    def caption(self, vectors: np.ndarray) -> CaptionBatch:
        """See `Captioner`.

        Raises:
          ValueError: the embeddings are not of the encoder that the decoder was trained on.
        """
        if vectors.shape[1] != self.model.dim:
            raise ValueError(
                f"the decoder expects embeddings of dim {self.model.dim}, the catalog has dim "
                f"{vectors.shape[1]}; use --encoder {self.model.encoder}"
            )
        mesh = make_mesh(jax.local_devices())
        captions, log_scores = decode_captions(
            self._decode, self.variables, vectors, vocab=self.model.vocab, mesh=mesh
        )
        scores = np.exp(log_scores)
        good = [
            text if text and score >= self.min_score else None
            for text, score in zip(captions, scores.tolist(), strict=True)
        ]
        return CaptionBatch(good, scores, np.full(len(scores), np.nan))


def open_decoder(path: Path, **options: Any) -> DecoderCaptioner:
    """Open the decoder of a work directory or release folder.

    Args:
      path: the folder.
      **options: of `DecoderCaptioner`.

    Raises:
      FileNotFoundError: the folder holds no model.
      ValueError: the model is damaged, or of another method.
    """
    config, variables = release.load_host(path)
    method = config.get("method", {}).get("name")
    if method != "caption":
        raise ValueError(
            f"{path} holds a model of the method {method}, expected a caption decoder; train one "
            "with configs/caption.py"
        )
    folder = release.find(path)
    name = folder.parent.name if folder.name == release.FOLDER else folder.name
    return DecoderCaptioner(build_caption_model(**config["model"]), variables, by=name, **options)


def caption_catalog(
    catalog: Catalog, level: str, encoder: str, captioner: Captioner
) -> Iterator[tuple[str, pa.Table | str]]:
    """Yield each film with its captions, a table of CAPTIONS, or with the reason for having none.

    Args:
      catalog: catalog with embeddings of `level`.
      level: one of LEVELS.
      encoder: name of the embeddings, as for `Catalog.embeddings`.
      captioner: produces the captions.
    """
    titles = _titles(catalog)
    for film in catalog.film_ids():
        try:
            table = catalog.embeddings(level, encoder, film)
            if not len(table):
                yield film, "it has no keyframes"
                continue
            spans = compute_spans(catalog, level, film, table)
            batch = captioner.caption(to_matrix(table))
        except (OSError, ValueError) as error:
            yield film, str(error)
            continue
        yield film, _table(film, titles.get(film) or film, level, spans, batch, captioner.by)


def compute_spans(catalog: Catalog, level: str, film: str, vectors: pa.Table) -> dict[str, list]:
    """Return `id`, `begin_s` and `end_s` of the items of a film that have embeddings.

    A frame lasts from its own time to the next keyframe's, or to the end of its shot.

    Args:
      catalog: catalog of the film.
      level: one of LEVELS.
      film: catalog id.
      vectors: table of the film's embeddings at `level`.
    """
    ids, starts = vectors["id"].to_pylist(), vectors["seconds"].to_pylist()
    if level == "frame":
        shots = catalog.shots(film)
        end_by_shot = dict(zip(shots["shot"].to_pylist(), shots["end_s"].to_pylist(), strict=True))
        shot_ends = [end_by_shot[shot] for shot in vectors["shot"].to_pylist()]
        following = [*starts[1:], float("inf")]
        ends = [min(pair) for pair in zip(shot_ends, following, strict=True)]
        return dict(id=ids, begin_s=starts, end_s=ends)
    items = catalog.items(level, film)
    end_by_id = dict(zip(items["id"].to_pylist(), items["end_s"].to_pylist(), strict=True))
    return dict(id=ids, begin_s=starts, end_s=[end_by_id[key] for key in ids])


def _table(
    film: str, title: str, level: str, spans: dict[str, list], batch: CaptionBatch, by: str
) -> pa.Table:
    rows = len(batch.captions)
    chances = pa.array(batch.probabilities, pa.float32(), from_pandas=True)  # NaN: null
    columns = dict(film=[film] * rows, title=[title] * rows, level=[level] * rows, **spans)
    columns |= dict(caption=batch.captions, score=batch.scores, chance=chances, by=[by] * rows)
    return pa.table(columns).cast(CAPTIONS)


def _titles(catalog: Catalog) -> dict[str, str | None]:
    films = catalog.films()
    if "title" not in films.column_names:
        return {}
    titles = ["" if title is None else str(title) for title in films["title"].to_pylist()]
    return dict(zip(films["film"].to_pylist(), titles, strict=True))
