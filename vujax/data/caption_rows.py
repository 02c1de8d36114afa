"""Batches of vectors and tokens: the batch of step k is a pure function of (seed, k)."""

import grain
import jax
import numpy as np

from vujax.data.bad import BadSamples
from vujax.data.mixture import fold
from vujax.data.short_tokens import ShortTokens
from vujax.data.stream import WRAP, Batch, TrainBatches, drawn, host_part, iterate
from vujax.data.vector_pairs import VectorPairs


def shapes(dim: int, context: int, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
    """The arrays of a batch of `rows` examples."""
    return {
        "vector": jax.ShapeDtypeStruct((rows, dim), np.float32),
        "tokens": jax.ShapeDtypeStruct((rows, context), np.int32),
        "index": jax.ShapeDtypeStruct((rows,), np.int32),
    }


class CaptionRows:
    """Pairs as training examples; an example is a picture, with one of its captions.

    Attributes:
      pairs: the pictures that have captions.
      examples: how many: what an epoch is.
      short: cuts captions into tokens.
    """

    def __init__(self, pairs: VectorPairs, *, vocab: int, context: int) -> None:
        """Cuts all captions into tokens.

        Args:
          pairs: those without a caption are left out.
          vocab: of `ShortTokens`.
          context: tokens of a caption, its end counted.

        Raises:
          ValueError: no picture has a caption.
        """
        self.pairs = pairs.captioned()
        self.examples = len(self.pairs)
        if not self.examples:
            raise ValueError("no picture has a caption to learn from: name other data.sources")
        texts = [text for own in self.pairs.captions for text in own]
        self.short = ShortTokens(vocab)
        self._tokens = self.short.encode(texts, context)
        self._counts = np.array([len(own) for own in self.pairs.captions])
        self._first = np.cumsum(self._counts) - self._counts

    def train_batches(
        self, *, batch_size: int, seed: int, start_step: int = 0, host: int = 0, hosts: int = 1
    ) -> TrainBatches:
        """This host's rows of the batches of steps `start_step`, `start_step + 1`, ...

        Args:
          batch_size: rows of one batch on all hosts together.
          seed: of the order and of which caption of a picture is taken.
          start_step: first step.
          host: this host's number.
          hosts: how many there are; host h has the h-th part of each batch.

        Returns:
          An endless iterator, with `close()`, of dicts as `shapes` says, b = batch_size / hosts.

        Raises:
          ValueError: batch_size does not divide among the hosts.
        """
        rows, mine = host_part(batch_size, host, hosts, start_step)
        places: grain.MapDataset = drawn(self.examples, fold(seed, "order of captions"))
        chosen = fold(seed, "choice of captions")
        batches = places.batch(rows)[mine].map(lambda which: self._load(*which, chosen))
        return TrainBatches(iterate(batches, workers=0), BadSamples(0.0), alone=hosts == 1)

    def _load(self, positions: np.ndarray, examples: np.ndarray, seed: int) -> Batch:
        # One generator a position, so that batch sizes and hosts change nothing.
        dice = [np.random.default_rng([seed, int(position)]).random() for position in positions]
        which = (np.array(dice) * self._counts[examples]).astype(np.int64)
        return {
            "vector": self.pairs.vectors[examples],
            "tokens": self._tokens[self._first[examples] + which],
            "index": (positions % WRAP).astype(np.int32),
        }
