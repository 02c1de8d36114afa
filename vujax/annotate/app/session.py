"""Requests of the labeling page, without HTTP: a catalog, its embeddings and its labels."""

import functools
import math
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vujax.annotate.app import ranking
from vujax.annotate.app.items import ItemSet
from vujax.annotate.app.ranking import LabelValues, Ranking, estimate_precision
from vujax.annotate.app.requests import (
    ExportRequest,
    ItemsRequest,
    LabelRequest,
    RedoRequest,
    SearchRequest,
    ThresholdRequest,
    UndoRequest,
)
from vujax.annotate.app.thumbnails import KeyframeIndex
from vujax.annotate.labels import sets
from vujax.annotate.labels.exports import FORMATS, export_labels
from vujax.annotate.labels.items import CatalogItems
from vujax.annotate.labels.log import Key, LabelLog
from vujax.annotate.labels.sets import build_decisions, count_labels
from vujax.catalog import Catalog, embeddings
from vujax.catalog.reader import locate_film_file
from vujax.search.index import Index
from vujax.search.text_space import TextSpace
from vujax.utils.formatting import quote_unprintable

NUM_BINS = 80  # of the histogram of scores
NUM_STRIP_SHOTS = 6  # shown before and after an item
MAX_CACHED_RANKINGS = 8
EXPORTS = "exports"

Tags = Mapping[str, Mapping[str, float]]
"""Scores of a tagger, by label and id."""

MAX_TEXT_LENGTH, MAX_LIST_ENTRIES = 500, 50
# Columns of a film that the page does not show.
HIDDEN_COLUMNS = frozenset(
    ("film", "path", "folder", "status", "reason", "detector", "frames", "keyframes", "begin_s")
    + ("rate_num", "rate_den", "time_base_num", "time_base_den", "start_num", "start_den")
    + ("format", "rotation", "variable_rate", "interlaced", "hdr", "bits", "damaged", "repaired")
    + ("title", "codec", "source_timecode")
)


class CurationSession:
    """Labeling of one catalog, safe for several threads."""

    def __init__(
        self,
        catalog: Catalog,
        encoder: str,
        space: TextSpace,
        *,
        author: str = "me",
        tags: Tags | None = None,
        text_search_error: str = "",
    ) -> None:
        """Open the catalog; embeddings are read on first use.

        Args:
          catalog: catalog to label.
          encoder: encoder of the embeddings.
          space: text space.
          author: author of labels where the page names none.
          tags: scores of a tagger.
          text_search_error: reason why text search is not available; '' when it is.

        Raises:
          FileNotFoundError: the catalog has no embeddings of the encoder.
          ValueError: a file is damaged.
        """
        self.catalog, self.encoder, self.space, self.author = catalog, encoder, space, author
        self.tags, self.text_search_error = tags or {}, text_search_error
        self.contents, self.keyframes = CatalogItems(catalog), KeyframeIndex(catalog)
        self.films = {row["film"]: row for row in catalog.films().to_pylist()}
        self.levels = list_levels(catalog, encoder)
        self._logs: dict[str, LabelLog] = {}
        self._lock = threading.RLock()
        self._rankings: OrderedDict[SearchRequest, Ranking] = OrderedDict()

    @functools.lru_cache(8)  # noqa: B019 (a server has one session for all its life)
    def item_set(self, name: str) -> ItemSet:
        """Return the items of a level.

        Raises:
          FileNotFoundError: the level has no embeddings.
        """
        with self._lock:
            return ItemSet.from_index(Index.open(self.catalog, name, self.encoder, self.space))

    def open_log(self, name: str) -> LabelLog:
        """Return a label set, up to date."""
        with self._lock:
            log = self._logs.get(name)
            if log is None:
                log = self._logs[name] = LabelLog(sets.label_set_path(self.catalog.path, name))
        log.refresh()
        return log

    def describe(self) -> dict[str, Any]:
        """Return the facts that the page needs at start."""
        return dict(
            catalog=self.catalog.path.resolve().name,
            films=len(self.films),
            levels=self.levels,
            encoder=self.encoder,
            mute=self.text_search_error,
            sets=sets.list_label_sets(self.catalog.path),
            author=self.author,
            formats=list(FORMATS),
            tags=sorted(self.tags),
        )

    def list_columns(self, name: str) -> dict[str, Any]:
        """Return the names of columns for filters."""
        return dict(columns=ranking.list_filter_columns(self._get_items(name)))

    def search(self, request: SearchRequest) -> dict[str, Any]:
        """Rank items for a request."""
        if request.at is None:
            request = replace(request, at=self.open_log(request.set).sequence)
        level, result = self._get_items(request.level), self.rank(request)
        ranks, more = np.arange(len(result.rows)), np.zeros(0, np.int64)
        if request.fold:
            ranks, more = ranking.fold_duplicates(result, level)
        rows, scores = result.rows[ranks], result.scores
        return dict(
            rows=rows.tolist(),
            scores=None if scores is None else scores[ranks].tolist(),
            more=more.tolist(),
            items=len(result.rows),
            of=len(level),
            at=request.at,
            histogram=_histogram(scores),
            notes=list(result.notes),
        )

    def describe_items(self, request: ItemsRequest) -> list[dict[str, Any]]:
        """Return the facts to show in the grid, for each item."""
        level = self._get_items(request.level)
        if any(row >= len(level) for row in request.rows):
            raise KeyError(f"there are {len(level)} {request.level}s; search again")
        table = level.index.rows.take(list(request.rows)).to_pylist()
        middles = self._middles(request.level, table)
        return [
            dict(
                row=row,
                id=facts["id"],
                film=facts["film"],
                title=self._title(facts["film"]),
                begin=facts["seconds"],
                end=facts["seconds"] if request.level == "frame" else facts["end_s"],
                picture=picture,
            )
            for row, facts, picture in zip(request.rows, table, middles, strict=True)
        ]

    def describe_item(self, item_id: str) -> dict[str, Any]:
        """Return all facts of one item, with its film and adjacent shots."""
        item = self.contents.find(item_id)
        film = self.contents.read_film(item.film)
        shots = [p for p in film.items.values() if p.level == "shot"]
        inside = [
            number
            for number, shot in enumerate(shots)
            if shot.begin_s < max(item.end_s, item.begin_s + 1e-6) and shot.end_s > item.begin_s
        ]
        first, last = (inside[0], inside[-1]) if inside else (0, 0)
        strip = shots[max(0, first - NUM_STRIP_SHOTS) : last + NUM_STRIP_SHOTS + 1][
            : 4 * NUM_STRIP_SHOTS
        ]
        return dict(
            id=item_id,
            level=item.level,
            begin=item.begin_s,
            end=item.end_s,
            pictures=list(item.keyframe_ids[:60]),
            strip=[
                dict(id=s.id, begin=s.begin_s, end=s.end_s, picture=s.keyframe_id) for s in strip
            ],
            film=self._film(item.film),
        )

    def read_labels(self, name: str, since: int) -> dict[str, Any]:
        """Return the labels of a set, or those changed since a sequence."""
        log = self.open_log(sets.check_name(name))
        sequence = log.sequence
        keys = log.list_changes(since) if 0 < since <= sequence else list(log.state())
        return dict(
            sequence=sequence,
            whole=not 0 < since <= sequence,
            labels={label: tuple(counts) for label, counts in count_labels(log).items()},
            changes=[[*key, log.value(key)] for key in keys],
        )

    def add_labels(self, request: LabelRequest) -> dict[str, Any]:
        """Append decisions durably to a label set."""
        decisions = build_decisions(
            self.contents,
            request.ids,
            request.label,
            request.value,
            scores=request.scores,
            source="sample" if request.sampled else "page",
            query=request.query or None,
            model=self._model(request.ids[0]),
        )
        log = self.open_log(request.set)
        group = log.append(decisions, author=request.author or self.author)
        return dict(group=group, sequence=log.sequence)

    def undo(self, request: UndoRequest) -> dict[str, Any]:
        """Undo the last group of decisions of the author."""
        log, author = self.open_log(request.set), request.author or self.author
        group = log.last_group(author)
        if group is None:
            raise ValueError("you have no decisions to undo")
        keys = log.undo(group, author=author)
        return dict(group=group) | _changes(log, keys)

    def redo(self, request: RedoRequest) -> dict[str, Any]:
        """Make the decisions of an undone group again."""
        log = self.open_log(request.set)
        return _changes(log, log.redo(request.group, author=request.author or self.author))

    def estimate_precision(self, request: ThresholdRequest) -> dict[str, Any]:
        """Estimate the precision above a threshold from reviewed items and from a sample."""
        level = self._get_items(request.ask.level)
        values = self._values(request.ask.set, request.label)

        def estimate(rows: Any) -> dict[str, Any]:
            return estimate_precision(values.get(level.ids[row], 0) for row in rows).to_json()

        if any(row >= len(level) for row in request.rows):
            raise KeyError("the sample belongs to another catalog; draw it again")
        return dict(
            reviewed=estimate(self.rank(request.ask).above(request.threshold).tolist()),
            sample=estimate(request.rows) if request.rows else None,
        )

    def draw_sample(self, request: ThresholdRequest) -> dict[str, Any]:
        """Draw random items above a threshold, including reviewed ones."""
        result = self.rank(request.ask)
        rows = result.above(request.threshold)
        if not len(rows):
            raise ValueError("no item reaches the threshold; lower it")
        count = min(request.count, len(rows))
        drawn = np.random.default_rng().choice(len(rows), count, replace=False)
        scores = None if result.scores is None else result.scores[drawn].tolist()
        return dict(rows=rows[drawn].tolist(), scores=scores, items=len(rows))

    def export(self, request: ExportRequest) -> dict[str, Any]:
        """Export a label set into the directory of exports of the catalog."""
        FORMATS.check(request.format)
        sets.find_label_set(self.catalog.path, request.set)
        with self._lock:  # two exports must not choose the same name
            out = _choose_path(self.catalog.path / EXPORTS, request.set, request.format)
            done = export_labels(
                self.contents,
                self.open_log(request.set),
                request.format,
                out,
                labels=request.labels,
                images=request.images or None,
            )
        return dict(
            path=str(done.path.resolve()),
            file=done.path.name if done.path.suffix else None,
            labels=done.labels,
            notes=list(done.notes),
        )

    def find_export(self, name: str) -> Path:
        """Return the path of an exported file.

        Raises:
          KeyError: there is no such export.
        """
        folder = self.catalog.path / EXPORTS
        paths = folder.iterdir() if folder.is_dir() and not folder.is_symlink() else ()
        for path in paths:
            if path.name == name and path.is_file() and not path.is_symlink():
                return path
        raise KeyError(f"there is no export {name[:100]!r}")

    def locate_film(self, film: str) -> Path:
        """Return the path of a film.

        Raises:
          KeyError: the catalog has no such film.
          FileNotFoundError: the file is missing or was replaced.
        """
        if film not in self.films:
            raise KeyError(f"the catalog has no film {film[:100]!r}")
        return locate_film_file(self.films[film])

    def _get_items(self, name: str) -> ItemSet:
        if name not in self.levels:
            raise ValueError(
                f"the catalog has no {name} embeddings of {self.encoder}; existing levels: "
                f"{', '.join(self.levels)}"
            )
        return self.item_set(name)

    def _values(self, name: str, label: str, sequence: int | None = None) -> LabelValues:
        """Return the values of a label by id, after a sequence or now."""
        state = self.open_log(name).state(sequence) if label else {}
        values = {k[0]: e.decision.value for k, e in state.items() if k[1] == label}
        return {item: value for item, value in values.items() if value}

    def rank(self, request: SearchRequest) -> Ranking:
        """Return the ranking of a request at its sequence of the labels, cached."""
        if request.terms and self.text_search_error:
            raise ValueError(self.text_search_error)
        depends = request.learn or request.status != "all"
        at = self.open_log(request.set).sequence if request.at is None else request.at
        key = replace(request, at=at if depends else None, fold=False)
        with self._lock:
            if key in self._rankings:
                self._rankings.move_to_end(key)
                return self._rankings[key]
        values = self._values(request.set, request.label, at) if depends else {}
        result = ranking.rank_items(
            request, self._get_items(request.level), values, self.tags.get(request.label, {})
        )
        with self._lock:
            self._rankings[key] = result
            while len(self._rankings) > MAX_CACHED_RANKINGS:
                self._rankings.popitem(last=False)
        return result

    def _model(self, item: str) -> str | None:
        """Return the digest of the model behind the embedding of an item."""
        return next(
            (
                self.item_set(name).index.model.digest
                for name in self.levels
                if item in self.item_set(name).row_by_id
            ),
            None,
        )

    def _middles(self, name: str, table: list[dict[str, Any]]) -> list[str | None]:
        if name == "frame":
            return [row["id"] for row in table]
        first, last = (
            np.array([row[column] for row in table], np.int64) for column in ("shot", "last_shot")
        )
        films = [row["film"] for row in table]
        indices = self.keyframes.find_middles(films, first, last).tolist()
        return [self.keyframes.id(index) if index >= 0 else None for index in indices]

    def _title(self, film: str) -> str:
        row = self.films.get(film)
        return film if row is None else str(row.get("title") or quote_unprintable(row["path"]))

    def _film(self, film: str) -> dict[str, Any]:
        row = self.contents.read_film(film).row
        try:
            locate_film_file(row)
            missing = ""
        except FileNotFoundError as error:
            missing = str(error)
        return dict(
            id=film,
            title=self._title(film),
            path=quote_unprintable(row["path"]),
            missing=missing,
            facts=describe_film(row),
        )


def list_levels(catalog: Catalog, encoder: str) -> list[str]:
    """Return the levels with embeddings of an encoder."""
    levels, error = [], None
    for name in ("frame", "shot", "scene"):
        try:
            embeddings.open_store(catalog.path, name, encoder)
            levels.append(name)
        except FileNotFoundError as missing:
            error = error or missing
    if not levels:
        raise error
    return levels


def _changes(log: LabelLog, keys: list[Key]) -> dict[str, Any]:
    return dict(sequence=log.sequence, changes=[[*key, log.value(key)] for key in keys])


def _histogram(scores: np.ndarray | None) -> dict[str, Any] | None:
    if scores is None or not len(scores):
        return None
    counts, edges = np.histogram(scores, NUM_BINS)
    return dict(low=float(edges[0]), high=float(edges[-1]), counts=counts.tolist())


def _choose_path(folder: Path, name: str, format: str) -> Path:
    """Return an unused path for an export."""
    if folder.is_symlink():
        raise ValueError(f"{folder} is a symbolic link; delete it")
    suffix = FORMATS.load(format).suffix
    for number in range(1, 10_000):
        out = folder / f"{name}-{format}-{number}{suffix}"
        if not out.exists() and not out.is_symlink():
            return out
    raise ValueError(f"{folder} is full; delete old exports")


def describe_film(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the known facts of the row of a film that are useful to people."""
    known = {k: v for k, v in row.items() if k not in HIDDEN_COLUMNS and v not in (None, "", [])}
    return {name: _to_json(value) for name, value in known.items()}


def _to_json(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, bool | int | float | str):
        return value if not isinstance(value, str) else value[:MAX_TEXT_LENGTH]
    if isinstance(value, list):
        return [_to_json(entry) for entry in value[:MAX_LIST_ENTRIES]]
    return str(value)[:MAX_TEXT_LENGTH]
