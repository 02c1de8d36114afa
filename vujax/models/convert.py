"""Weights of other implementations of CLIP as variables of ours, every tensor accounted for.

Input is a dict of arrays by the original's names, as a safetensors file or a state dict gives it;
nothing here reads files. A transformer's weights come from `from_openai` (the names of OpenAI's
release and of open_clip) or `from_hugging_face`; a ResNet's from `from_openai`.
"""

import re
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from vujax.models.stacking import stack_blocks, unstack_blocks

Tree = dict[str, Any]
Rules = tuple[tuple[str, str], ...]

# Patterns of whole names, and where they go; _PARTS and _leaf then translate the rest of the place.
_OPENAI: Rules = (
    (r"token_embedding\.weight", r"text.token_embedding"),
    (r"positional_embedding", r"text.positions"),
    (r"ln_final\.(.+)", r"text.head.ln.\1"),
    (r"text_projection", r"text.head.projection.kernel"),
    (r"transformer\.resblocks\.(.+)", r"text.transformer.block\1"),
    (r"visual\.class_embedding", r"image.class_token"),
    (r"visual\.positional_embedding", r"image.positions"),
    (r"visual\.ln_pre\.(.+)", r"image.ln_pre.\1"),
    (r"visual\.ln_post\.(.+)", r"image.head.ln.\1"),
    (r"visual\.proj", r"image.head.projection.kernel"),
    (r"visual\.transformer\.resblocks\.(.+)", r"image.transformer.block\1"),
    (r"visual\.((?:conv|bn)\d\..+)", r"image.stem.\1"),
    (r"visual\.layer(\d)\.(.+)", r"image.layer\1_\2"),
    (r"visual\.attnpool\.positional_embedding", r"image.attnpool.positions"),
    (r"visual\.attnpool\.c_proj\.(.+)", r"image.attnpool.out.\1"),
    (r"visual\.attnpool\.(.+)", r"image.attnpool.\1"),
)
_HUGGING_FACE: Rules = (
    (r"text_model\.embeddings\.token_embedding\.weight", r"text.token_embedding"),
    (r"text_model\.embeddings\.position_embedding\.weight", r"text.positions"),
    (r"text_model\.final_layer_norm\.(.+)", r"text.head.ln.\1"),
    (r"text_projection\.weight", r"text.head.projection.weight"),
    (r"text_model\.encoder\.layers\.(.+)", r"text.transformer.block\1"),
    (r"vision_model\.embeddings\.class_embedding", r"image.class_token"),
    (r"vision_model\.embeddings\.patch_embedding\.weight", r"image.patch.weight"),
    (r"vision_model\.embeddings\.position_embedding\.weight", r"image.positions"),
    (r"vision_model\.pre_layrnorm\.(.+)", r"image.ln_pre.\1"),
    (r"vision_model\.post_layernorm\.(.+)", r"image.head.ln.\1"),
    (r"visual_projection\.weight", r"image.head.projection.weight"),
    (r"vision_model\.encoder\.layers\.(.+)", r"image.transformer.block\1"),
)
_PARTS = {
    ".self_attn.": ".attn.",
    ".q_proj.": ".query.",
    ".k_proj.": ".key.",
    ".v_proj.": ".value.",
    ".out_proj.": ".out.",
    ".layer_norm1.": ".ln_1.",
    ".layer_norm2.": ".ln_2.",
    ".c_fc.": ".fc1.",
    ".c_proj.": ".fc2.",
    ".downsample.0.": ".skip_conv.",
    ".downsample.1.": ".skip_bn.",
}
# Buffers that hold no knowledge.
_IGNORED = r".+\.position_ids|.+\.num_batches_tracked|input_resolution|context_length|vocab_size"


def from_openai(tensors: Mapping[str, Any], template: Mapping[str, Any]) -> Tree:
    """Variables from tensors by the names of OpenAI's release, which are open_clip's too.

    Args:
      tensors: arrays by name, of any float dtype.
      template: variables of the model to fill, or their shapes alone, as in
        `jax.eval_shape(model.init, rng, image, tokens)`; with or without scan.

    Returns:
      A tree like `template` of float32 arrays.

    Raises:
      ValueError: a tensor is missing, has no place in the model or another shape there.
    """
    vit = "visual.class_embedding" in tensors
    stem = (r"visual\.conv1\.weight", "image.patch.weight" if vit else "image.stem.conv1.weight")
    return fill(_split_qkv(tensors), (stem, *_OPENAI), template)


def from_hugging_face(tensors: Mapping[str, Any], template: Mapping[str, Any]) -> Tree:
    """Variables from tensors by the names of `transformers.CLIPModel`; see `from_openai`."""
    return fill(tensors, _HUGGING_FACE, template)


def _split_qkv(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Torch's fused 'in_proj_weight' [3d d] and 'in_proj_bias' [3d] become three tensors each."""
    result = {}
    for name, tensor in tensors.items():
        stem, fused, leaf = name.rpartition("in_proj_")
        if not fused:
            result[name] = tensor
            continue
        for part, third in zip("qkv", np.split(np.asarray(tensor), 3), strict=True):
            result[f"{stem}{part}_proj.{leaf}"] = third
    return result


def fill(tensors: Mapping[str, Any], rules: Rules, template: Mapping[str, Any]) -> Tree:
    """Variables of the template's structure from torch's tensors, every one accounted for.

    Args:
      tensors: arrays by the original's names.
      rules: `(pattern of a whole name, its place here)` pairs; the first that matches counts.
      template: variables of the model, as shapes or arrays.

    Raises:
      ValueError: a tensor has no place, another shape, or is missing.
    """
    wanted = flatten_dict(jax.eval_shape(unstack_blocks, template))
    filled = {}
    for name, tensor in tensors.items():
        if re.fullmatch(_IGNORED, name):
            continue
        path, array = _leaf(_place(name, rules), np.asarray(tensor, np.float32))
        if path not in wanted:
            raise ValueError(f"Tensor {name!r} has no place in this model: check its config.")
        if array.shape != wanted[path].shape:
            raise ValueError(
                f"Tensor {name!r} gives {'/'.join(path)} the shape {array.shape}, but this model "
                f"has {wanted[path].shape} there: check its config."
            )
        filled[path] = array
    missing = ["/".join(path) for path in wanted if path not in filled]
    if missing:
        raise ValueError(f"No tensor for {len(missing)} leaves of this model: {missing[0]}, ...")
    variables = unflatten_dict(filled)
    scanned = jax.tree.structure(variables) != jax.tree.structure(dict(template))
    return stack_blocks(variables) if scanned else variables


def _place(name: str, rules: Rules) -> str:
    """Our dotted path for a name, its leaf still the original's."""
    for pattern, place in rules:
        match = re.fullmatch(pattern, name)
        if match:
            name = match.expand(place)
            break
    for old, new in _PARTS.items():
        name = name.replace(old, new)
    return re.sub(r"(block|layer\d_)(\d)\.", r"\g<1>0\2.", name)


def _leaf(place: str, array: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Collection, path and layout: torch's matrices are [out in], its kernels [out in h w]."""
    *path, leaf = place.split(".")
    if leaf.startswith("running_"):
        return ("batch_stats", *path, leaf.removeprefix("running_")), array
    if leaf == "weight":
        leaf = "scale" if array.ndim == 1 else "kernel"
        array = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
    return ("params", *path, leaf), array
