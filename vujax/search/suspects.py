"""Ranking of image-text pairs by how wrong their captions seem."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pyarrow as pa

from vujax.data.feature_pairs import FeaturePairs, read_feature_pairs
from vujax.data.records import BadSample, Record
from vujax.data.sources import open_source
from vujax.encoders import RELEASED
from vujax.encoders.base import locate_model
from vujax.encoders.feature_pairs import KIND, open_feature_pairs
from vujax.evals.retrieval import CaptionGroups, group_captions
from vujax.evals.suspects import PairScores, evaluate_suspects, score_pairs
from vujax.models import release
from vujax.models.feature_towers import build_feature_towers
from vujax.models.two_towers import clamp_scale
from vujax.training.cross_fit import TowerSettings, cross_fit, score_with_towers
from vujax.utils.arrays import l2_normalize

LABEL = "wrong caption"
SUSPECTS = pa.schema(
    {
        "rank": pa.int32(),
        "id": pa.string(),  # key of the image
        "label": pa.string(),  # with id and score, a table of tags for `vujax curate --tags`
        "score": pa.float32(),  # minus the mean log probability; higher is more suspicious
        "caption": pa.string(),
        "better": pa.string(),  # the most probable other caption of the pairs
        "image_to_text": pa.float32(),  # log probability of the caption, given the image
        "text_to_image": pa.float32(),  # log probability of the image, given the caption
        "better_log_probability": pa.float32(),  # of `better`, given the image
        "wrong": pa.bool_(),  # known truth; null where it is not known
    }
)
TRUE = ("1", "true", "yes")

Sources = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, eq=False)
class Suspects:
    """Pairs with their scores.

    Attributes:
      pairs: the pairs.
      captions: their captions, equal ones grouped.
      scores: of every caption of every image.
      judge: who judged, in words.
    """

    pairs: FeaturePairs
    captions: CaptionGroups
    scores: PairScores
    judge: str

    @property
    def wrong(self) -> np.ndarray | None:
        """Known truth of every caption, bool `[m]`, or None."""
        known = self.pairs.shuffled
        return None if known is None else known[self.captions.owner]

    def rank(self) -> np.ndarray:
        """Return the captions' numbers, int64 `[m]`, the most suspicious first."""
        return np.argsort(-self.scores.suspicion, kind="stable")

    def evaluate(self) -> dict[str, float]:
        """Return the scores of `evaluate_suspects`; empty where the truth is not known."""
        return {} if self.wrong is None else evaluate_suspects(self.scores.suspicion, self.wrong)

    def build_table(self) -> pa.Table:
        """Return the table of SUSPECTS, the most suspicious first."""
        order = self.rank()
        scores = self.scores.take(order)
        flat = [caption for own in self.pairs.captions for caption in own]
        wrong = [None] * len(order) if self.wrong is None else self.wrong[order].tolist()
        columns = {
            "rank": np.arange(1, len(order) + 1),
            "id": [self.pairs.images.keys[i] for i in self.captions.owner[order]],
            "label": [LABEL] * len(order),
            "score": scores.suspicion,
            "caption": [flat[i] for i in order],
            "better": [self.captions.texts[i] for i in scores.best],
            "image_to_text": scores.image_to_text,
            "text_to_image": scores.text_to_image,
            "better_log_probability": scores.best_log_probability,
            "wrong": wrong,
        }
        return pa.table({f.name: pa.array(columns[f.name], f.type) for f in SUSPECTS})

    def select_clean(
        self, share: float | None = None, threshold: float | None = None
    ) -> np.ndarray:
        """Return bool `[m]`: the captions that stay.

        Args:
          share: of the captions that are left out, the most suspicious ones; or
          threshold: score from which captions are left out.

        Raises:
          ValueError: not exactly one of both is given, or nothing stays.
        """
        check_cut(share, threshold)
        if share is None:
            stays = self.scores.suspicion < threshold
        else:
            stays = np.ones(len(self.captions.rows), bool)
            stays[self.rank()[: round(share * len(stays))]] = False
        if not stays.any():
            raise ValueError(f"no caption has a score below the threshold {threshold}")
        return stays


def check_cut(share: float | None, threshold: float | None) -> None:
    """Check which captions are to be left out, before anything is judged.

    Args:
      share: of the captions, in [0, 1); or
      threshold: score from which captions are left out.

    Raises:
      ValueError: not exactly one of both is given, or the share is out of range.
    """
    if (share is None) == (threshold is None):
        raise ValueError("give a share or a threshold of the captions that are left out")
    if share is not None and not 0 <= share < 1:
        raise ValueError(f"the share that is left out must be in [0, 1), got {share}")


def find_suspects(
    sources: Sources,
    encoder: str,
    *,
    text_encoder: str = "",
    cache: str | None = None,
    folds: int | None = None,
    truth: str = "",
    report: Callable[[int], Any] = lambda fold: None,
) -> Suspects:
    """Judge the captions of pairs.

    Args:
      sources: of `vujax.encoders.feature_pairs.open_feature_pairs`.
      encoder: directory of towers on features or of an image-text model, which judges; or, with
        `folds`, any encoder of images.
      text_encoder: encoder of the captions, with `folds`; '' for the one that goes with `encoder`.
      cache: folder to cache embeddings in; None for no cache.
      folds: number of towers that are trained here, each judging pairs that it has not seen; None:
        the model itself judges.
      truth: JSON field or column that is true for wrong pairs, of sources of records; '' looks for
        none.
      report: called with the number of folds that are done.

    Raises:
      ValueError: the encoder cannot judge, features of another encoder, or too few pairs.
      FileNotFoundError, OSError, ImportError: something cannot be opened.
    """
    path = Path(encoder) if encoder in RELEASED else locate_model(encoder)
    config = {} if encoder in RELEASED else release.read_config(release.find(path))
    if not config and folds is None:
        raise ValueError(
            f"{encoder} cannot judge captions by itself: name a trained model, or give a number of "
            "folds to train towers on its features"
        )
    pairs = _open_pairs(sources, config, encoder, text_encoder, cache)
    if len(pairs) < 2:
        raise ValueError(f"{len(pairs)} pair cannot be judged: a caption is compared with others")
    if truth:
        pairs = replace(pairs, shuffled=read_truth(sources, pairs.images.keys, truth))
    if folds is None:
        scores, judge = _score(pairs, config, path), f"{encoder}"
    else:
        scores = cross_fit(pairs, folds, _settings(config), report)
        judge = f"{folds} towers on {encoder}, cross-fitted"
    return Suspects(pairs, group_captions(pairs.captions), scores, judge)


def _open_pairs(
    sources: Sources, config: Mapping[str, Any], encoder: str, text_encoder: str, cache: str | None
) -> FeaturePairs:
    """Open the pairs with the embeddings that the judge takes."""
    if "frozen" not in config:
        return open_feature_pairs(sources, encoder, text_encoder, cache)
    frozen = {side: config["frozen"][side]["encoder"] for side in ("image", "text")}
    if all(frozen.values()):
        return open_feature_pairs(sources, frozen["image"], frozen["text"], cache)
    if any(options["kind"] != KIND for options in sources.values()) or len(sources) != 1:
        raise ValueError(
            f"{encoder} was trained on embeddings of an unknown encoder: name one file of such "
            "features, .npz or .parquet"
        )
    return read_feature_pairs(next(iter(sources.values()))["path"])


def _score(pairs: FeaturePairs, config: Mapping[str, Any], path: Path) -> PairScores:
    """Score the pairs by a released model."""
    _, variables = release.load_host(path)
    if "frozen" in config:
        return score_with_towers(pairs, build_feature_towers(**config["model"]), variables)
    captions = group_captions(pairs.captions)
    _, first = np.unique(captions.rows, return_index=True)
    images, texts = l2_normalize(pairs.images.embeddings), l2_normalize(pairs.texts[first])
    if images.shape[1] != texts.shape[1]:
        raise ValueError(
            f"{path} has no common space of images and texts: give a number of folds to train "
            "towers on its features"
        )
    scale = float(clamp_scale(jnp.asarray(variables["params"]["logit_scale"])))
    return score_pairs(images, texts, captions, scale)


def _settings(config: Mapping[str, Any]) -> TowerSettings:
    """Return the settings of towers like those of a release, or the defaults."""
    if "frozen" not in config:
        return TowerSettings()
    method = {key: value for key, value in config["method"].items() if key != "name"}
    sizes = {key: config["model"][key] for key in ("hidden", "embed_dim")}
    return TowerSettings(method=method, **sizes)


def read_truth(sources: Sources, keys: Sequence[str], field: str) -> np.ndarray:
    """Read which records of sources are known to be wrong, bool `[n]`.

    Args:
      sources: of records; `vectors` and `features` have no fields.
      keys: of the images.
      field: JSON field or column; 1, true and yes are true.

    Raises:
      ValueError: a record does not have the field.
    """
    values = {key: record.get("fields", {}).get(field) for key, record in iterate_records(sources)}
    missing = next((key for key in keys if values.get(key) is None), None)
    if missing is not None:
        raise ValueError(f"'{missing}' has no field '{field}' that marks wrong captions (--truth)")
    return np.array([str(values[key]).strip().lower() in TRUE for key in keys], bool)


def iterate_records(sources: Sources) -> Iterator[tuple[str, Record]]:
    """Yield `(key, record)` of every readable record; files of embeddings have none."""
    for options in sources.values():
        if options["kind"] in (KIND, "vectors"):
            continue
        source = open_source(**options)
        for place in range(len(source)):
            try:
                record: Record = source[place]
            except BadSample:
                continue
            yield record["key"], record
