"""Training of a `TextHead` from frozen features to frozen text embeddings, by PSD or CLIP's loss.

The text side is locked, as in LiT (Zhai et al., CVPR 2022, arXiv:2111.07991): the head has to match
embeddings of a trained language model. The loss is that of `vujax.methods.distill`.
"""

import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vujax.encoders.text_head import TextHead
from vujax.losses import soft_alignment
from vujax.methods.distill import compute_unaligned_share, partition_rows
from vujax.models.layers import l2_normalize
from vujax.models.two_towers import clamp_scale

STD, SCALE = 0.01, 1 / 0.07  # initial kernel std, and initial logit scale (CLIP's)
STD_OFFSET = 0.05  # added to the std of features, of which some are nearly always 0


@dataclass(frozen=True)
class TextHeadConfig:
    """Hyperparameters of the training.

    Attributes:
      unaligned_end: share of unaligned rows at the end, from 0 at the start; 0 is CLIP's loss.
      teacher_temperature: divides the logits of soft targets.
      steps: number of AdamW steps, with cosine decay.
      batch: pairs per step.
      lr: initial learning rate.
      decay: weight decay of the kernel.
      drop: dropout rate of the features.
    """

    unaligned_end: float = 0.4
    teacher_temperature: float = 0.5
    steps: int = 300
    batch: int = 512
    lr: float = 1e-3
    decay: float = 1.0
    drop: float = 0.3


def train_text_head(
    features: np.ndarray, texts: np.ndarray, config: TextHeadConfig, seed: int
) -> TextHead:
    """Train a head on pairs.

    Args:
      features: features of the encoder `lite`, float32 `[n 1280]`.
      texts: unit vectors of the texts, float32 `[n 384]`; row i belongs to row i of `features`.
      config: hyperparameters.
      seed: seed of the initialization, the batches and the dropout.

    Returns:
      The head with a float16 kernel and share 1.

    Raises:
      ValueError: the numbers of rows differ, or there are fewer pairs than a batch.
    """
    if len(features) != len(texts) or len(features) < config.batch:
        raise ValueError(
            f"expected as many features as texts, and at least a batch of {config.batch}, got "
            f"{len(features)} and {len(texts)}"
        )
    mean, std = features.mean(axis=0), features.std(axis=0) + STD_OFFSET
    inputs = (features - mean) / std
    params = _train(inputs, texts, config, seed)
    kernel = (params["kernel"] / std[:, None]).astype(np.float16)  # of unnormalized features
    bias = params["bias"] - mean @ kernel.astype(np.float32)
    return TextHead(kernel, bias.astype(np.float32), {"share": 1.0})


def _train(
    inputs: np.ndarray, texts: np.ndarray, config: TextHeadConfig, seed: int
) -> dict[str, np.ndarray]:
    key, rng = jax.random.key(seed), np.random.default_rng(seed)
    kernel = STD * jax.random.normal(key, (inputs.shape[1], texts.shape[1]))
    params: dict[str, Any] = dict(kernel=kernel, bias=jnp.zeros(texts.shape[1]))
    params["logit_scale"] = jnp.log(jnp.float32(SCALE))
    optimizer, step = _program(
        config.steps, config.lr, config.decay, config.drop, config.teacher_temperature
    )
    state = optimizer.init(params)
    for number in range(config.steps):
        rows = rng.choice(len(inputs), config.batch, replace=False)
        share = compute_unaligned_share(number / config.steps, 0.0, config.unaligned_end)
        draw = jax.random.fold_in(key, number)
        params, state = step(params, state, inputs[rows], texts[rows], draw, share)
    return {name: np.asarray(leaf) for name, leaf in params.items()}


@functools.lru_cache(maxsize=8)  # one program for all seeds and shares
def _program(
    steps: int, lr: float, decay: float, drop: float, teacher_temperature: float
) -> tuple[optax.GradientTransformation, Any]:
    """Build the optimizer and `(params, state, inputs, texts, rng, share) -> (params, state)`."""
    decayed = dict(kernel=True, bias=False, logit_scale=False)
    schedule = optax.cosine_decay_schedule(lr, steps)
    adam = optax.adamw(schedule, weight_decay=decay, mask=decayed)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), adam)

    @jax.jit
    def step(params, state, inputs, texts, rng, share):
        mask = jax.random.bernoulli(jax.random.fold_in(rng, 0), 1 - drop, inputs.shape)
        unaligned = partition_rows(jax.random.fold_in(rng, 1), share, len(inputs), None)

        def loss(params):
            image = l2_normalize(inputs * mask / (1 - drop) @ params["kernel"] + params["bias"])
            scale, soft = clamp_scale(params["logit_scale"]), dict(target="swapped_rows")
            soft |= dict(teacher_temperature=teacher_temperature)
            return soft_alignment(image, texts, scale, unaligned, **soft)

        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    return optimizer, step
