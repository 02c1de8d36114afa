"""Captions from frozen embeddings: cross-entropy of each token, given image and previous tokens.

Nothing is contrasted, so devices communicate only to count the tokens: the loss is the mean over
all tokens of the whole batch, however long the captions of one device are.
"""

import dataclasses
from typing import TYPE_CHECKING

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from vujax.methods.base import (
    Batch,
    Embeddings,
    MethodSpec,
    Metrics,
    StepContext,
    Tree,
    replicated_specs,
)
from vujax.models.caption import END, CaptionDecoder, build_caption_model

if TYPE_CHECKING:
    from vujax.data.captions import CaptionDataset


@dataclasses.dataclass(frozen=True)
class Caption:
    """The language model of a caption decoder, given image embeddings.

    Attributes:
      model: a `vujax.models.caption.CaptionDecoder`.
      label_smoothing: see `cross_entropy`.
    """

    model: nn.Module
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(
                f"method.label_smoothing must be in [0, 1), got {self.label_smoothing}"
            )

    def init(self, rng: jax.Array, batch: Batch) -> tuple[Tree, Tree]:
        """See `vujax.methods.base.Method`; there is no aux state."""
        return self.model.init(rng, batch["vector"], batch["tokens"])["params"], {}

    def init_from_pretrained(self, aux: Tree, variables: Tree) -> Tree:
        """Return `aux` as it is: there is nothing but the parameters."""
        del variables
        return aux

    def layout(self, aux: Tree) -> Tree:
        """Replicate everything."""
        return replicated_specs(aux)

    def embed(self, params: Tree, aux: Tree, batch: Batch, context: StepContext) -> Embeddings:
        """Sum each caption's losses, and count its tokens and its correct predictions."""
        del aux
        keys = jax.vmap(jax.random.fold_in, (None, 0))(context.rng, batch["index"])

        def score(vector: jax.Array, tokens: jax.Array, key: jax.Array) -> dict[str, jax.Array]:
            options = dict(train=True, rngs={"dropout": key})
            logits, _ = self.model.apply({"params": params}, vector[None], tokens[None], **options)
            mask = caption_mask(tokens[None])
            losses = cross_entropy(logits, tokens[None], self.label_smoothing)
            correct = (logits.argmax(axis=-1) == tokens) & mask
            return {
                "loss": jnp.sum(losses * mask),
                "tokens": mask.sum().astype(jnp.float32),
                "correct": correct.sum().astype(jnp.float32),
            }

        return Embeddings(jax.vmap(score)(batch["vector"], batch["tokens"], keys), {})

    def objective(
        self, embeddings: Embeddings, aux: Tree, context: StepContext
    ) -> tuple[jax.Array, tuple[Tree, Metrics]]:
        """Compute the mean loss per token, the token accuracy, and the mean caption length."""
        rows = lax.stop_gradient(embeddings.rows)
        counts = jnp.stack([rows["tokens"].sum(), rows["correct"].sum(), 1.0 * len(rows["tokens"])])
        counts = counts if context.axis_name is None else lax.psum(counts, context.axis_name)
        tokens, correct, captions = counts
        loss = embeddings.rows["loss"].sum() / tokens
        return loss, (aux, {"token_accuracy": correct / tokens, "tokens": tokens / captions})

    def after_update(self, params: Tree, aux: Tree) -> Tree:
        """Return `aux` as it is: nothing is averaged."""
        del params
        return aux


def caption_mask(tokens: jax.Array) -> jax.Array:
    """Return bool `[b l]`: True for tokens of the caption, up to and with its first END."""
    ends = jnp.cumsum(tokens == END, axis=1)
    return ends - (tokens == END) == 0


def cross_entropy(logits: jax.Array, tokens: jax.Array, label_smoothing: float = 0.0) -> jax.Array:
    """Compute the cross-entropy of each token, float32 `[b l]`.

    Args:
      logits: `[b l vocab]`.
      tokens: int `[b l]`.
      label_smoothing: share of the target that is spread evenly over all tokens (Szegedy et al.
        2016, arXiv:1512.00567).
    """
    log_probabilities = jax.nn.log_softmax(logits.astype(jnp.float32))
    target = jnp.take_along_axis(log_probabilities, tokens[..., None], axis=-1)[..., 0]
    return -(1 - label_smoothing) * target - label_smoothing * log_probabilities.mean(axis=-1)


def build_model(config: ConfigDict, mesh: Mesh) -> CaptionDecoder:
    """Build the decoder."""
    del mesh
    return build_caption_model(**config.model.to_dict())


def batch_spec(config: ConfigDict, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
    """See `vujax.data.captions.batch_spec`."""
    from vujax.data import captions

    return captions.batch_spec(config.model.dim, config.model.context, rows)


def open_data(config: ConfigDict) -> "CaptionDataset":
    """Open the pairs of `config.data.sources`, embedded by `config.model.encoder`.

    Raises:
      ValueError: the embeddings have another size than the model reads.
    """
    from vujax.data.captions import CaptionDataset
    from vujax.encoders.pairs import open_pairs

    pairs = open_pairs(config.data.sources.to_dict(), config.model.encoder, config.data.cache)
    if pairs.dim != config.model.dim:
        raise ValueError(
            f"the embeddings have {pairs.dim} dimensions, not model.dim={config.model.dim}: "
            f"set model.dim to {pairs.dim}"
        )
    return CaptionDataset(pairs, vocab=config.model.vocab, context=config.model.context)


SPEC = MethodSpec(
    name="caption",
    method=Caption,
    build_model=build_model,
    batch_spec=batch_spec,
    open_data=open_data,
)
