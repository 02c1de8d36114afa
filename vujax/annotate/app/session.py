"""Everything that the page can ask for, without HTTP: a catalogue, its vectors and its labels.

What the page tells of a film beside its title: metadata and some facts, as JSON has them.
"""

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
from vujax.annotate.app.precision import estimate_precision
from vujax.annotate.app.ranking import LabelValues, Ranking
from vujax.annotate.app.requests import (
    ExportRequest,
    ItemsRequest,
    LabelRequest,
    SearchRequest,
    ThresholdRequest,
    UndoRequest,
)
from vujax.annotate.app.thumbnails import KeyframeIndex
from vujax.annotate.labels import sets
from vujax.annotate.labels.exports import FORMATS, export_labels
from vujax.annotate.labels.items import CatalogItems
from vujax.annotate.labels.log import LabelLog
from vujax.annotate.labels.sets import build_decisions, count_labels
from vujax.catalog import Catalog, embeddings
from vujax.catalog.reader import locate_film_file
from vujax.search.index import Index
from vujax.search.text_space import TextSpace
from vujax.utils.formatting import quote_unprintable

NUM_BINS = 80  # of the histogram of scores

NUM_STRIP_SHOTS = 6  # shots before and after an item

EXPORTS = "exports"

MAX_CACHED_RANKINGS = 8  # rankings

Tags = Mapping[str, Mapping[str, float]]

"""Scores of a tagger, by label and id."""


class CurationSession:
    """What one server works on; safe in several threads."""

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
        """Opens the catalogue; vectors are read when they are first asked for.

        Args:
          catalog: to curate.
          encoder: whose vectors.
          space: that texts are compared in.
          author: of labels, where the page names none.
          tags: of a tagger.
          text_search_error: why texts cannot be searched for; '' when they can.

        Raises:
          FileNotFoundError: the catalogue has no vectors of the encoder.
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

    @functools.lru_cache(8)  # noqa: B019 (a server has one session, for as long as it runs)
    def item_set(self, name: str) -> ItemSet:
        """A level, from its vectors.

        Raises:
          FileNotFoundError: it has none.
        """
        with self._lock:
            return ItemSet.from_index(Index.open(self.catalog, name, self.encoder, self.space))

    def open_log(self, name: str) -> LabelLog:
        """A label set, up to date."""
        with self._lock:
            log = self._logs.get(name)
            if log is None:
                log = self._logs[name] = LabelLog(sets.label_set_path(self.catalog.path, name))
        log.refresh()
        return log

    def describe(self) -> dict[str, Any]:
        """What the page must know to begin."""
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
        """Columns that a filter may name."""
        return dict(columns=ranking.list_filter_columns(self._known(name)))

    def search(self, ask: SearchRequest) -> dict[str, Any]:
        """Ranks."""
        ask = replace(ask, at=self.open_log(ask.set).sequence) if ask.at is None else ask
        level, found = self._known(ask.level), self.rank(ask)
        places, more = np.arange(len(found.rows)), np.zeros(0, np.int64)
        if ask.fold:
            places, more = ranking.fold_duplicates(found, level)
        rows, scores = found.rows[places], found.scores
        return dict(
            rows=rows.tolist(),
            scores=None if scores is None else scores[places].tolist(),
            more=more.tolist(),
            items=len(found.rows),
            of=len(level),
            at=ask.at,
            histogram=_histogram(scores),
            notes=list(found.notes),
        )

    def describe_items(self, wanted: ItemsRequest) -> list[dict[str, Any]]:
        """What is shown of items."""
        level = self._known(wanted.level)
        if any(row >= len(level) for row in wanted.rows):
            raise KeyError(f"there are {len(level)} {wanted.level}s: search again")
        table = level.index.rows.take(list(wanted.rows)).to_pylist()
        middles = self._middles(wanted.level, table)
        return [
            dict(
                row=row,
                id=facts["id"],
                film=facts["film"],
                title=self._title(facts["film"]),
                begin=facts["seconds"],
                end=facts["seconds"] if wanted.level == "frame" else facts["end_s"],
                picture=picture,
            )
            for row, facts, picture in zip(wanted.rows, table, middles, strict=True)
        ]

    def describe_item(self, item: str) -> dict[str, Any]:
        """All that is known of one item: its film, and the shots around it."""
        place = self.contents.find(item)
        film = self.contents.read_film(place.film)
        shots = [p for p in film.items.values() if p.level == "shot"]
        inside = [
            number
            for number, shot in enumerate(shots)
            if shot.begin_s < max(place.end_s, place.begin_s + 1e-6) and shot.end_s > place.begin_s
        ]
        first, last = (inside[0], inside[-1]) if inside else (0, 0)
        around = shots[max(0, first - NUM_STRIP_SHOTS) : last + NUM_STRIP_SHOTS + 1][
            : 4 * NUM_STRIP_SHOTS
        ]
        return dict(
            id=item,
            level=place.level,
            begin=place.begin_s,
            end=place.end_s,
            pictures=list(place.keyframe_ids[:60]),
            strip=[
                dict(id=s.id, begin=s.begin_s, end=s.end_s, picture=s.keyframe_id) for s in around
            ],
            film=self._film(place.film),
        )

    def read_labels(self, name: str, since: int) -> dict[str, Any]:
        """What holds in a set, or what changed of it since a sequence."""
        log = self.open_log(sets.check_name(name))
        sequence = log.sequence
        keys = log.list_changes(since) if 0 < since <= sequence else list(log.state())
        return dict(
            sequence=sequence,
            whole=not 0 < since <= sequence,
            labels={label: tuple(counts) for label, counts in count_labels(log).items()},
            changes=[[*key, log.value(key)] for key in keys],
        )

    def add_labels(self, mark: LabelRequest) -> dict[str, Any]:
        """Writes decisions down; they are on the disk when this returns."""
        made = build_decisions(
            self.contents,
            mark.ids,
            mark.label,
            mark.value,
            scores=mark.scores,
            source="sample" if mark.sampled else "page",
            query=mark.query or None,
            model=self._model(mark.ids[0]),
        )
        log = self.open_log(mark.set)
        group = log.append(made, author=mark.author or self.author)
        return dict(group=group, sequence=log.sequence)

    def undo(self, undo: UndoRequest) -> dict[str, Any]:
        """Takes the author's last decisions back."""
        log, author = self.open_log(undo.set), undo.author or self.author
        group = log.last_group(author)
        if group is None:
            raise ValueError("there is nothing of yours to undo")
        keys = log.undo(group, author=author)
        return dict(sequence=log.sequence, changes=[[*key, log.value(key)] for key in keys])

    def estimate_precision(self, above: ThresholdRequest) -> dict[str, Any]:
        """How many are right above a threshold: of what was reviewed, and of a sample."""
        level = self._known(above.ask.level)
        values = self._values(above.ask.set, above.label)

        def of(rows: Any) -> dict[str, Any]:
            return estimate_precision(values.get(level.ids[row], 0) for row in rows).to_json()

        if any(row >= len(level) for row in above.rows):
            raise KeyError("the sample is of another catalogue: draw it again")
        return dict(
            reviewed=of(self.rank(above.ask).above(above.threshold).tolist()),
            sample=of(above.rows) if above.rows else None,
        )

    def draw_sample(self, above: ThresholdRequest) -> dict[str, Any]:
        """Items drawn at random from all above a threshold, those that were reviewed too."""
        found = self.rank(above.ask)
        rows = found.above(above.threshold)
        if not len(rows):
            raise ValueError("nothing lies above the threshold: lower it")
        count = min(above.count, len(rows))
        drawn = np.random.default_rng().choice(len(rows), count, replace=False)
        scores = None if found.scores is None else found.scores[drawn].tolist()
        return dict(rows=rows[drawn].tolist(), scores=scores, items=len(rows))

    def export(self, wanted: ExportRequest) -> dict[str, Any]:
        """Exports a set into the catalogue's folder of exports."""
        FORMATS.check(wanted.format)
        sets.find_label_set(self.catalog.path, wanted.set)
        with self._lock:  # two of one name must not meet
            out = _free(self.catalog.path / EXPORTS, wanted.set, wanted.format)
            done = export_labels(
                self.contents,
                self.open_log(wanted.set),
                wanted.format,
                out,
                labels=wanted.labels or None,
                images=wanted.images or None,
            )
        return dict(
            path=str(done.path.resolve()),
            file=done.path.name if done.path.suffix else None,
            labels=done.labels,
            notes=list(done.notes),
        )

    def find_export(self, name: str) -> Path:
        """A file that was exported.

        Raises:
          KeyError: there is none of this name.
        """
        folder = self.catalog.path / EXPORTS
        there = folder.iterdir() if folder.is_dir() and not folder.is_symlink() else ()
        for path in there:
            if path.name == name and path.is_file() and not path.is_symlink():
                return path
        raise KeyError(f"there is no export {name[:100]!r}")

    def locate_film(self, film: str) -> Path:
        """The file of a film.

        Raises:
          KeyError: the catalogue has no such film.
          FileNotFoundError: the film is not where it was, or no longer what it was.
        """
        if film not in self.films:
            raise KeyError(f"the catalogue has no film {film[:100]!r}")
        return locate_film_file(self.films[film])

    def _known(self, name: str) -> ItemSet:
        if name not in self.levels:
            there = ", ".join(self.levels)
            raise ValueError(
                f"the catalogue has no {name} vectors of {self.encoder}: it has {there}"
            )
        return self.item_set(name)

    def _values(self, name: str, label: str, at: int | None = None) -> LabelValues:
        """What is known of a label, or was after a sequence, by id."""
        state = self.open_log(name).state(at) if label else {}
        values = {k[0]: e.decision.value for k, e in state.items() if k[1] == label}
        return {item: value for item, value in values.items() if value}

    def rank(self, ask: SearchRequest) -> Ranking:
        """The ranking of a request, as the labels were then; the last ones are kept."""
        if ask.terms and self.text_search_error:
            raise ValueError(self.text_search_error)
        depends = ask.learn or ask.status != "all"
        at = self.open_log(ask.set).sequence if ask.at is None else ask.at
        key = replace(ask, at=at if depends else None, fold=False)
        with self._lock:
            if key in self._rankings:
                self._rankings.move_to_end(key)
                return self._rankings[key]
        values = self._values(ask.set, ask.label, at) if depends else {}
        found = ranking.rank_items(
            ask, self._known(ask.level), values, self.tags.get(ask.label, {})
        )
        with self._lock:
            self._rankings[key] = found
            while len(self._rankings) > MAX_CACHED_RANKINGS:
                self._rankings.popitem(last=False)
        return found

    def _model(self, item: str) -> str | None:
        """Digest of the model whose vectors an item was found by."""
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
        spans = [
            np.array([row[column] for row in table], np.int64) for column in ("shot", "last_shot")
        ]
        places = self.keyframes.find_middles([row["film"] for row in table], *spans).tolist()
        return [self.keyframes.id(place) if place >= 0 else None for place in places]

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
    """Levels that have vectors of an encoder."""
    found, why = [], None
    for name in ("frame", "shot", "scene"):
        try:
            embeddings.open_store(catalog.path, name, encoder)
            found.append(name)
        except FileNotFoundError as error:
            why = why or error
    if not found:
        raise why
    return found


def _histogram(scores: np.ndarray | None) -> dict[str, Any] | None:
    if scores is None or not len(scores):
        return None
    counts, edges = np.histogram(scores, NUM_BINS)
    return dict(low=float(edges[0]), high=float(edges[-1]), counts=counts.tolist())


def _free(folder: Path, name: str, format: str) -> Path:
    """A name that nothing has yet."""
    if folder.is_symlink():
        raise ValueError(f"{folder} is a link: delete it")
    suffix = FORMATS.load(format).suffix
    for number in range(1, 10_000):
        out = folder / f"{name}-{format}-{number}{suffix}"
        if not out.exists() and not out.is_symlink():
            return out
    raise ValueError(f"{folder} is full: delete old exports")


MAX_TEXT_LENGTH, MAX_LIST_ENTRIES = 500, 50

HIDDEN_COLUMNS = frozenset(
    ("film", "path", "folder", "status", "reason", "detector", "frames", "keyframes", "begin_s")
    + ("rate_num", "rate_den", "time_base_num", "time_base_den", "start_num", "start_den")
    + ("format", "rotation", "variable_rate", "interlaced", "hdr", "bits", "damaged", "repaired")
    + ("title", "codec")
)


def describe_film(row: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of a film's row that are known and of use to people."""
    known = {k: v for k, v in row.items() if k not in HIDDEN_COLUMNS and v not in (None, "", [])}
    return {name: _plain(value) for name, value in known.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, bool | int | float | str):
        return value if not isinstance(value, str) else value[:MAX_TEXT_LENGTH]
    if isinstance(value, list):
        return [_plain(one) for one in value[:MAX_LIST_ENTRIES]]
    return str(value)[:MAX_TEXT_LENGTH]
