"""Training of a tagger on some films, with penalty, thresholds and report from held-out ones."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jax.sharding import Mesh

from vujax.annotate.tagging.resolve import ResolvedLabels, read_embeddings
from vujax.annotate.tagging.tagger import Tagger
from vujax.catalog import Catalog, embeddings
from vujax.encoders import resolve_name
from vujax.evals.folds import find_learnable_tags, hold_out_groups
from vujax.evals.metrics.multilabel import TagScores, map_interval, score_tags
from vujax.evals.multilabel_probe import TaggedFeatures, fit_tag_probe

VALIDATION_SHARE = 0.25  # of films, or of blocks of time
NUM_BLOCKS = 12  # of time, for a single film


class Examples(NamedTuple):
    """The labeled items with embeddings.

    Attributes:
      data: embeddings, positive and known labels.
      groups: films, or blocks of time of the only film, `[n]`.
      group_kind: kind of the groups, in words.
      num_missing: number of labeled items without an embedding.
    """

    data: TaggedFeatures
    groups: np.ndarray
    group_kind: str
    num_missing: int


@dataclass(frozen=True)
class _Split:
    """Training and validation data of the trainable tags.

    Attributes:
      tags: indices of the trainable tags.
      training: training data.
      validation: validation data.
      groups: groups of the validation data.
    """

    tags: np.ndarray
    training: TaggedFeatures
    validation: TaggedFeatures
    groups: np.ndarray


def train_tagger(
    catalog: Catalog,
    labels: ResolvedLabels,
    *,
    encoder: str,
    mesh: Mesh,
    share: float = VALIDATION_SHARE,
    seed: int = 0,
) -> tuple[Tagger, dict[str, Any]]:
    """Train the tags with positives and negatives in both training and validation films.

    The films of the report also select penalty and thresholds, so its metrics are slightly
    optimistic; label further films for an unbiased estimate.

    Args:
      catalog: catalog with embeddings at the level of the labels.
      labels: training labels, see `resolve_labels`.
      encoder: name of the embeddings, name and hash, or directory of the model that made them.
      mesh: mesh; examples are sharded along 'data'.
      share: share of validation films; at least one film validates, and at least one trains.
      seed: seed of their choice.

    Returns:
      The tagger, and a report that JSON can represent.

    Raises:
      FileNotFoundError: the embeddings are missing.
      ValueError: embeddings are damaged or stale, or no tag is trainable.
    """
    name = resolve_name(catalog.path, encoder)
    model = embeddings.open_store(catalog.path, labels.level, name).model
    examples = _read_examples(catalog, model, labels)
    split = _split(labels, examples, share=share, seed=seed)
    choice = fit_tag_probe(split.training, split.validation, mesh=mesh)
    tags = tuple(labels.tags[t] for t in split.tags)
    tagger = Tagger(labels.level, model, tags, choice.probe)
    return tagger, _report(labels, examples, split, tagger) | {"l2": choice.l2}


def _split(labels: ResolvedLabels, examples: Examples, *, share: float, seed: int) -> _Split:
    data, groups = examples.data, examples.groups
    if len(np.unique(groups)) < 2:
        raise ValueError(_explain_untrainable(labels, examples))
    held_out = hold_out_groups(groups, data.truth, data.known, share=share, seed=seed)
    sides = [
        find_learnable_tags(data.truth[rows], data.known[rows]) for rows in (~held_out, held_out)
    ]
    tags = np.flatnonzero(sides[0] & sides[1])
    if not len(tags):
        raise ValueError(_explain_untrainable(labels, examples))
    return _Split(tags, data.take(~held_out, tags), data.take(held_out, tags), groups[held_out])


def _read_examples(
    catalog: Catalog, model: embeddings.EmbeddingModel, labels: ResolvedLabels
) -> Examples:
    """Read the embeddings of all items with a known label."""
    parts, films, times, num_missing = [], [], [], 0
    for items, truth, known in zip(labels.films, labels.truth, labels.known, strict=True):
        indices, vectors = read_embeddings(catalog, model, items)
        labeled = known[indices].any(1)
        num_missing += int(known.any(1).sum() - labeled.sum())
        chosen = indices[labeled]
        parts.append(TaggedFeatures(vectors[labeled], truth[chosen], known[chosen]))
        films += [items.film] * int(labeled.sum())
        times.append(items.seconds[chosen].mean(axis=1))
    data = TaggedFeatures(
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.truth for part in parts]),
        np.concatenate([part.known for part in parts]),
    )
    if len(set(films)) > 1:
        return Examples(data, np.array(films), "films", num_missing)
    rank = np.argsort(np.argsort(np.concatenate(times), kind="stable"))
    blocks = rank * NUM_BLOCKS // max(len(rank), 1)
    return Examples(data, blocks, "blocks of time", num_missing)


def _explain_untrainable(labels: ResolvedLabels, examples: Examples) -> str:
    counts = "; ".join(
        f"{tag!r} is positive for {n['holds']} in {n['in']} and negative for {n['not']} in "
        f"{n['not in']}"
        for tag, n in list(_count_labels(labels, examples).items())[:3]
    )
    return (
        f"no label is trainable: each needs positive and negative {labels.level}s in at least 2 "
        f"{examples.group_kind}, one for training and one for validation; {counts}"
    )


def _count_labels(labels: ResolvedLabels, examples: Examples) -> dict[str, dict[str, int]]:
    """Return the numbers of positives and negatives of each tag, and of their groups."""
    truth, known, groups = examples.data.truth, examples.data.known, examples.groups
    counts = {}
    for t, tag in enumerate(labels.tags):
        positive, negative = truth[:, t] & known[:, t], ~truth[:, t] & known[:, t]
        counts[tag] = {
            "holds": int(positive.sum()),
            "not": int(negative.sum()),
            "in": len(np.unique(groups[positive])),
            "not in": len(np.unique(groups[negative])),
        }
    return counts


def _report(
    labels: ResolvedLabels, examples: Examples, split: _Split, tagger: Tagger
) -> dict[str, Any]:
    validation = split.validation
    scores = tagger.probe.scores(validation.features)
    metrics = score_tags(
        scores, validation.truth, known=validation.known, thresholds=tagger.probe.thresholds
    )
    counts = _count_labels(labels, examples)
    report = metrics.summary() | dict(
        level=labels.level,
        encoder=tagger.model.name,
        digest=tagger.model.digest,
        validated_on=examples.group_kind,
        validation=sorted({str(group) for group in split.groups}),
        examples=dict(train=len(split.training.truth), validation=len(validation.truth)),
        without_vector=examples.num_missing,
        tags=_tag_rows(tagger, metrics, split.training),
        left_out={tag: n for t, (tag, n) in enumerate(counts.items()) if t not in split.tags},
        notes=list(labels.notes),
    )
    if len(report["validation"]) > 2:
        interval = map_interval(scores, validation.truth, split.groups, known=validation.known)
        report["map_95"] = [interval.low, interval.high]
    return report


def _tag_rows(
    tagger: Tagger, metrics: TagScores, training: TaggedFeatures
) -> dict[str, dict[str, float]]:
    """Return the row of each tag in the report."""
    positives = (training.truth & training.known).sum(0)
    return {
        tag: dict(
            ap=float(metrics.ap[t]),
            chance=float(metrics.random_ap[t]),
            f1=float(metrics.f1[t]),
            threshold=float(tagger.probe.thresholds[t]),
            support=int(metrics.support[t]),
            of=int(metrics.known[t]),
            learned_from=int(positives[t]),
        )
        for t, tag in enumerate(tagger.tags)
    }
