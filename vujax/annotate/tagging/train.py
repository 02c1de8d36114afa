"""Training of a tagger: on some films, with penalty, thresholds and report from the others."""

from typing import Any, NamedTuple

import numpy as np
from jax.sharding import Mesh

from vujax.annotate.tagging.resolve import Said, vectors_of
from vujax.annotate.tagging.tagger import Tagger
from vujax.catalog import Catalog, embeddings
from vujax.evals.folds import find_learnable_tags, hold_out_groups
from vujax.evals.metrics.multilabel import TagScores, map_interval, score_tags
from vujax.evals.multilabel_probe import TaggedFeatures, fit_tag_probe

SHARE = 0.25  # of the films, or blocks, that validate
BLOCKS = 12  # of time, where there is one film


class Examples(NamedTuple):
    """The labelled items that have vectors.

    Attributes:
      data: vectors, truth and what is known.
      groups: `[n]`, films, or blocks of time of the only film.
      by: what the groups are, in words.
      bare: how many labelled items have no vector.
    """

    data: TaggedFeatures
    groups: np.ndarray
    by: str
    bare: int


def train(
    catalog: Catalog, said: Said, *, encoder: str, mesh: Mesh, share: float = SHARE, seed: int = 0
) -> tuple[Tagger, dict[str, Any]]:
    """Learns the tags that have examples and counterexamples on both sides.

    Penalty and thresholds are chosen on the films that the report is about, so it is a little too
    kind: two choices and no more were made there. Label some other films to know better.

    Args:
      catalog: with vectors of the labels' level.
      said: see `resolve`.
      encoder: name of the vectors, or name and hash.
      mesh: examples are divided along 'data'.
      share: of the films that validate; at least one does, and one does not.
      seed: of their choice.

    Returns:
      The tagger, and a report as JSON may hold it.

    Raises:
      FileNotFoundError: there are no such vectors.
      ValueError: vectors are damaged or stale, or no tag can be learned.
    """
    model = embeddings.open_store(catalog.path, said.level, encoder).model
    examples = _examples(catalog, model, said)
    data, groups = examples.data, examples.groups
    if len(np.unique(groups)) < 2:
        raise ValueError(_nothing(said, examples))
    out = hold_out_groups(groups, data.truth, data.known, share=share, seed=seed)
    sides = [find_learnable_tags(data.truth[rows], data.known[rows]) for rows in (~out, out)]
    kept = np.flatnonzero(sides[0] & sides[1])
    if not len(kept):
        raise ValueError(_nothing(said, examples))
    parts = data.take(~out, kept), data.take(out, kept)
    choice = fit_tag_probe(*parts, mesh=mesh)
    tagger = Tagger(said.level, model, tuple(said.tags[t] for t in kept), choice.probe)
    return tagger, _report(said, examples, out, kept, tagger, parts) | {"l2": choice.l2}


def _examples(catalog: Catalog, model: embeddings.EmbeddingModel, said: Said) -> Examples:
    """Of items of which anything is known."""
    rows, names, times, bare = [], [], [], 0
    for items, truth, known in zip(said.films, said.truth, said.known, strict=True):
        places, found = vectors_of(catalog, model, items)
        some = known[places].any(1)
        bare += int(known.any(1).sum() - some.sum())
        rows.append((found[some], truth[places[some]], known[places[some]]))
        names += [items.film] * int(some.sum())
        times.append(items.seconds[places[some]].mean(axis=1))
    data = TaggedFeatures(*(np.concatenate(column) for column in zip(*rows, strict=True)))
    if len(set(names)) > 1:
        return Examples(data, np.array(names), "films", bare)
    place = np.argsort(np.argsort(np.concatenate(times), kind="stable"))
    return Examples(data, place * BLOCKS // max(len(place), 1), "blocks of time", bare)


def _nothing(said: Said, examples: Examples) -> str:
    counts = _counts(said, examples)
    some = "; ".join(
        f"{tag!r} holds of {n['holds']} in {n['in']} and not of {n['not']} in {n['not in']}"
        for tag, n in list(counts.items())[:3]
    )
    return (
        f"no label can be learned: each needs {said.level}s of which it holds, and of which it is "
        f"known not to hold, in at least 2 {examples.by}, one to learn from and one to validate "
        f"with; {some}"
    )


def _counts(said: Said, examples: Examples) -> dict[str, dict[str, int]]:
    """Of each tag: items of which it holds and does not, and in how many groups."""
    truth, known, groups = examples.data.truth, examples.data.known, examples.groups
    found = {}
    for t, tag in enumerate(said.tags):
        holds, fails = truth[:, t] & known[:, t], ~truth[:, t] & known[:, t]
        found[tag] = {"holds": int(holds.sum()), "not": int(fails.sum())}
        found[tag] |= {
            "in": len(np.unique(groups[holds])),
            "not in": len(np.unique(groups[fails])),
        }
    return found


def _report(
    said: Said,
    examples: Examples,
    out: np.ndarray,
    kept: np.ndarray,
    tagger: Tagger,
    parts: tuple[TaggedFeatures, TaggedFeatures],
) -> dict[str, Any]:
    learned, held = parts
    scores = tagger.probe.scores(held.features)
    thresholds = tagger.probe.thresholds
    found = score_tags(scores, held.truth, known=held.known, thresholds=thresholds)
    counts = _counts(said, examples)
    groups = examples.groups[out]
    report = found.summary() | dict(
        level=said.level,
        encoder=tagger.model.name,
        digest=tagger.model.digest,
        validated_on=examples.by,
        validation=sorted({str(group) for group in groups}),
        examples=dict(train=len(learned.truth), validation=len(held.truth)),
        without_vector=examples.bare,
        tags=_rows(tagger, found, learned),
        left_out={tag: n for t, (tag, n) in enumerate(counts.items()) if t not in kept},
        notes=list(said.notes),
    )
    if len(report["validation"]) > 2:
        interval = map_interval(scores, held.truth, groups, known=held.known)
        report["map_95"] = [interval.low, interval.high]
    return report


def _rows(tagger: Tagger, found: TagScores, learned: TaggedFeatures) -> dict[str, dict[str, float]]:
    """A row of the report for each tag."""
    positives = (learned.truth & learned.known).sum(0)
    return {
        tag: dict(
            ap=float(found.ap[t]),
            chance=float(found.random_ap[t]),
            f1=float(found.f1[t]),
            threshold=float(tagger.probe.thresholds[t]),
            support=int(found.support[t]),
            of=int(found.known[t]),
            learned_from=int(positives[t]),
        )
        for t, tag in enumerate(tagger.tags)
    }
