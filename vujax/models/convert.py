"""Conversion of the weights of other CLIP implementations; every tensor must have its place.

Input is a dict of arrays by the original's names, as a safetensors file or a state dict gives it;
nothing here reads files. A transformer's weights come from `from_openai` (the names of OpenAI's
release and of open_clip), `from_hugging_face` or `from_siglip`; a ResNet's from `from_openai`.

`find_sources` determines the source of each leaf from names and shapes alone, and `read_leaf`
converts one leaf, so a model need not be in memory twice. `build_tensors` is the way back, by the
same tables.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from vujax.models.transformer import stack_blocks, unstack_blocks

Tree = dict[str, Any]
Path = tuple[str, ...]
Rules = tuple[tuple[str, str], ...]

# Patterns of complete names, and their paths here; _PARTS and _leaf then translate the rest. The
# groups of a pattern are those of its path, in order: `_invert_rule` reads them backwards.
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
    (r"visual\.attnpool\.c_proj\.(.+)", r"image.attnpool.out_proj.\1"),
    (r"visual\.attnpool\.(.+)", r"image.attnpool.\1"),
)
HUGGING_FACE: Rules = (
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
SIGLIP: Rules = (
    (r"text_model\.head\.(.+)", r"text.head.projection.\1"),
    (r"vision_model\.embeddings\.patch_embedding\.(.+)", r"image.patch.\1"),
    (r"vision_model\.post_layernorm\.(.+)", r"image.head.ln_post.\1"),
    (r"vision_model\.head\.layernorm\.(.+)", r"image.head.ln.\1"),
    (r"vision_model\.head\.attention\.(.+_proj\..+)", r"image.head.\1"),
    (r"vision_model\.head\.(probe|mlp\..+)", r"image.head.\1"),
    *HUGGING_FACE,
)
_ATTENTION = {
    ".q_proj.": ".query.",
    ".k_proj.": ".key.",
    ".v_proj.": ".value.",
    ".out_proj.": ".out.",
}
_HUGGING_FACE_PARTS = _ATTENTION | {
    ".self_attn.": ".attn.",
    ".layer_norm1.": ".ln_1.",
    ".layer_norm2.": ".ln_2.",
}
_OPENAI_PARTS = _ATTENTION | {
    ".c_fc.": ".fc1.",
    ".c_proj.": ".fc2.",
    ".downsample.0.": ".skip_conv.",
    ".downsample.1.": ".skip_bn.",
}
_PARTS = _HUGGING_FACE_PARTS | _OPENAI_PARTS
# Buffers without learned values.
IGNORED_TENSORS = (
    r".+\.position_ids|.+\.num_batches_tracked|input_resolution|context_length|vocab_size"
)


class Resampling(NamedTuple):
    """Resampling of learned positions for images of another size.

    Attributes:
      kernel: weights of samples at a distance, in samples.
      antialias: True widens the kernel where the grid shrinks, and leaves out samples beyond the
        edge; False repeats those of the edge.
    """

    kernel: Callable[[np.ndarray], np.ndarray]
    antialias: bool


def cubic_kernel(x: np.ndarray, a: float) -> np.ndarray:
    """Return Keys' cubic convolution kernel (1981) at `x`."""
    x = np.abs(x)
    inner = ((a + 2) * x - (a + 3)) * x**2 + 1
    outer = a * (((x - 5) * x + 8) * x - 4)
    return np.where(x <= 1, inner, np.where(x < 2, outer, 0.0))


def linear_kernel(x: np.ndarray) -> np.ndarray:
    """Return the weights of linear interpolation at `x`."""
    return np.maximum(1 - np.abs(x), 0.0)


RESAMPLINGS = {
    "clip": Resampling(partial(cubic_kernel, a=-0.75), antialias=False),
    "siglip": Resampling(partial(cubic_kernel, a=-0.75), antialias=False),
    "siglip2": Resampling(linear_kernel, antialias=True),
    "open_clip": Resampling(partial(cubic_kernel, a=-0.5), antialias=True),
}
"""Those of transformers' models of each type, and of open_clip; the values of a are torch's."""


def build_resampling(size: int, target: int, resampling: Resampling) -> np.ndarray:
    """Build the matrix `[target size]` that resamples `size` samples to `target`, float64."""
    scale = size / target
    stretch = max(scale, 1.0) if resampling.antialias else 1.0
    centers = (np.arange(target) + 0.5) * scale - 0.5
    taps = np.arange(-2, size + 2)  # a kernel of four samples reaches two beyond an edge
    weights = resampling.kernel((taps - centers[:, None]) / stretch)
    inside = weights[:, 2:-2].copy()
    if resampling.antialias:
        return inside / inside.sum(1, keepdims=True)
    inside[:, 0] += weights[:, :2].sum(1)
    inside[:, -1] += weights[:, -2:].sum(1)
    return inside


def resize_positions(
    positions: np.ndarray, grid: tuple[int, int], target: tuple[int, int], resampling: Resampling
) -> np.ndarray:
    """Resize learned positions `[n d]` from a grid of patches to another, float32.

    Args:
      positions: row by row; those before the grid, of a class token, are unchanged.
      grid: rows and columns of patches.
      target: wanted rows and columns.
      resampling: one of RESAMPLINGS.
    """
    first = len(positions) - grid[0] * grid[1]
    patches = positions[first:].reshape(grid[0], grid[1], -1).astype(np.float64)
    rows = build_resampling(grid[0], target[0], resampling)
    columns = build_resampling(grid[1], target[1], resampling)
    resized = np.einsum("ri,cj,ijd->rcd", rows, columns, patches, optimize=True)
    flat = resized.reshape(target[0] * target[1], -1)
    return np.concatenate([positions[:first], flat]).astype(np.float32)


class Naming(NamedTuple):
    """Names of another implementation's tensors, for both directions.

    Attributes:
      rules: `(pattern of a complete name, its path here)` pairs; the first match applies.
      parts: parts of names, and ours.
      fused: pattern that starts the names whose query, key and value are one tensor.
      scalar: shape of a single number.
    """

    rules: Rules
    parts: Mapping[str, str]
    fused: str
    scalar: tuple[int, ...] = ()


class Source(NamedTuple):
    """Source of the values of a leaf.

    Attributes:
      tensor: the original's name.
      third: 0, 1 or 2 of a fused query-key-value tensor [3d ...]; None: all of it.
      axes: permutation of its axes.
      shape: of the leaf.
      change: applied to the leaf last; None: nothing.
    """

    tensor: str
    third: int | None
    axes: tuple[int, ...]
    shape: tuple[int, ...]
    change: Callable[[np.ndarray], np.ndarray] | None = None


def from_openai(tensors: Mapping[str, Any], template: Mapping[str, Any]) -> Tree:
    """Convert tensors with the names of OpenAI's release and of open_clip.

    Args:
      tensors: arrays by name, of any float dtype.
      template: variables of the model to fill, or their shapes, as in
        `jax.eval_shape(model.init, rng, image, tokens)`; with or without scan.

    Returns:
      A tree like `template` of float32 arrays.

    Raises:
      ValueError: a tensor is missing, unexpected, or of another shape.
    """
    return fill_variables(tensors, get_openai_rules(tensors), template)


def from_hugging_face(tensors: Mapping[str, Any], template: Mapping[str, Any]) -> Tree:
    """Convert tensors with the names of `transformers.CLIPModel`; see `from_openai`."""
    return fill_variables(tensors, HUGGING_FACE, template)


def from_siglip(tensors: Mapping[str, Any], template: Mapping[str, Any]) -> Tree:
    """Convert tensors with the names of `transformers.SiglipModel`; see `from_openai`."""
    return fill_variables(tensors, SIGLIP, template)


def get_openai_rules(names: Iterable[str]) -> Rules:
    """Return the rules for OpenAI's names; a ViT's and a ResNet's first layer share a name."""
    vit = "visual.class_embedding" in names
    stem = (r"visual\.conv1\.weight", "image.patch.weight" if vit else "image.stem.conv1.weight")
    return (stem, *_OPENAI)


CLIP_NAMING = Naming(HUGGING_FACE, _HUGGING_FACE_PARTS, r"(?!)")
SIGLIP_NAMING = Naming(SIGLIP, _HUGGING_FACE_PARTS, r"vision_model\.head\.attention\.", (1,))
OPENAI_NAMINGS = {
    kind: Naming(get_openai_rules(names), _OPENAI_PARTS, r"(?:visual\.)?transformer\.resblocks\.")
    for kind, names in {"vit": ["visual.class_embedding"], "resnet": []}.items()
}
"""Those of OpenAI's release and of open_clip, by the kind of the image tower."""


def fill_variables(tensors: Mapping[str, Any], rules: Rules, template: Mapping[str, Any]) -> Tree:
    """Convert torch's tensors to variables of the template's structure.

    Args:
      tensors: arrays by the original's names.
      rules: `(pattern of a complete name, its path here)` pairs; the first match applies.
      template: variables of the model, as shapes or arrays.

    Raises:
      ValueError: a tensor is missing, unexpected, or of another shape.
    """
    sources = find_sources({name: np.shape(x) for name, x in tensors.items()}, rules, template)
    leaves = {path: read_leaf(tensors[source.tensor], source) for path, source in sources.items()}
    variables = unflatten_dict(leaves)
    structures = [jax.tree.structure(tree) for tree in (variables, dict(template))]
    scanned = structures[0] != structures[1]  # type: ignore[operator]
    return stack_blocks(variables) if scanned else variables


def find_sources(
    shapes: Mapping[str, tuple[int, ...]], rules: Rules, template: Mapping[str, Any]
) -> dict[Path, Source]:
    """Find the source of each leaf of an unstacked model, by its path.

    Args:
      shapes: of the tensors, by the original's names.
      rules: see `fill`.
      template: see `fill`.

    Raises:
      ValueError: a tensor is missing, unexpected, or of another shape.
    """
    wanted = flatten_dict(jax.eval_shape(unstack_blocks, template))
    sources = {}
    for tensor, shape in shapes.items():
        if re.fullmatch(IGNORED_TENSORS, tensor):
            continue
        for name, third in _thirds(tensor):
            path, source = _leaf(_translate_name(name, rules), tensor, third, tuple(shape))
            if path not in wanted:
                raise ValueError(f"tensor {tensor!r} has no place in this model: check its config")
            sources[path] = _check_fit(path, source, wanted[path].shape)
    missing = ["/".join(path) for path in wanted if path not in sources]
    if missing:
        raise ValueError(
            f"no tensor for {len(missing)} leaves of this model, the first of them: {missing[0]}; "
            "check its config"
        )
    return sources


def read_leaf(tensor: Any, source: Source) -> np.ndarray:
    """Convert `tensor` to its leaf, float32, in our layout."""
    array = np.asarray(tensor)
    if source.third is not None:
        array = np.split(array, 3)[source.third]
    leaf = np.asarray(array, np.float32).transpose(source.axes)
    return (leaf if source.change is None else source.change(leaf)).reshape(source.shape)


def build_tensors(variables: Mapping[str, Any], naming: Naming) -> dict[str, np.ndarray]:
    """Convert variables to another implementation's tensors: the inverse of `fill_variables`.

    Args:
      variables: of a model, with or without scan.
      naming: of the other implementation.

    Returns:
      Arrays by name, of the variables' dtype.

    Raises:
      ValueError: a variable has no counterpart.
    """
    leaves = flatten_dict(unstack_blocks(dict(variables)))
    named = dict(_build_tensor(path, np.asarray(leaf), naming) for path, leaf in leaves.items())
    tensors: dict[str, np.ndarray] = {}
    for name, tensor in named.items():
        third = re.fullmatch(rf"({naming.fused}.*)([qkv])_proj\.(\w+)", name)
        if third is None:
            tensors[name] = tensor
        elif third[2] == "q":
            thirds = [named[f"{third[1]}{part}_proj.{third[3]}"] for part in "qkv"]
            tensors[f"{third[1]}in_proj_{third[3]}"] = np.concatenate(thirds)
    find_sources({n: x.shape for n, x in tensors.items()}, naming.rules, variables)
    return tensors


def _build_tensor(path: Path, leaf: np.ndarray, naming: Naming) -> tuple[str, np.ndarray]:
    """Return a leaf's name and tensor, in torch's layout."""
    collection, *parts, last = path
    names = ("weight", last) if last in ("kernel", "scale") else (last,)
    if collection == "batch_stats":
        names = (f"running_{last}",)
    for name in names:
        original = _find_name(".".join([*parts, name]), naming)
        if original is None:
            continue
        if name == "weight" and leaf.ndim > 1:
            leaf = leaf.transpose((3, 2, 0, 1) if leaf.ndim == 4 else (1, 0))
        return original, leaf.reshape(leaf.shape or naming.scalar)
    raise ValueError(f"{'/'.join(path)} has no counterpart in the names of that format")


def _find_name(place: str, naming: Naming) -> str | None:
    """Return the original's name of our dotted path, or None."""
    place = re.sub(r"(block|layer\d_)0(\d)\.", r"\1\2.", place)
    for original, own in naming.parts.items():
        place = place.replace(own, original)
    for original, own in naming.rules:
        pattern, name = _invert_rule(original, own)
        match = pattern.fullmatch(place)
        if match:
            return match.expand(name)
    return None if "." in place else place


@cache
def _invert_rule(pattern: str, place: str) -> tuple[re.Pattern[str], str]:
    """Return the pattern of a rule's paths, and the template of their names."""
    groups = re.findall(r"\((?!\?)(?:[^()]|\([^()]*\))*\)", pattern)
    name = pattern
    for number, group in enumerate(groups, 1):
        name = name.replace(group, rf"\{number}", 1)
    pieces = re.split(r"\\(\d)", place)
    inverse = [groups[int(x) - 1] if i % 2 else re.escape(x) for i, x in enumerate(pieces)]
    return re.compile("".join(inverse)), name.replace(r"\.", ".")


def _thirds(tensor: str) -> list[tuple[str, int | None]]:
    """Split the name of a fused tensor, 'in_proj_weight' or 'in_proj_bias' [3d ...], in three."""
    stem, fused, leaf = tensor.rpartition("in_proj_")
    if not fused:
        return [(tensor, None)]
    return [(f"{stem}{part}_proj.{leaf}", third) for third, part in enumerate("qkv")]


def _translate_name(name: str, rules: Rules) -> str:
    """Translate a name to our dotted path; its leaf is still the original's."""
    for pattern, place in rules:
        match = re.fullmatch(pattern, name)
        if match:
            name = match.expand(place)
            break
    for old, new in _PARTS.items():
        name = name.replace(old, new)
    return re.sub(r"(block|layer\d_)(\d)\.", r"\g<1>0\2.", name)


def _leaf(
    place: str, tensor: str, third: int | None, shape: tuple[int, ...]
) -> tuple[Path, Source]:
    """Return a leaf's path and source; torch has matrices [out in] and kernels [out in h w]."""
    *path, leaf = place.split(".")
    if third is not None and shape[0] % 3 == 0:
        shape = (shape[0] // 3, *shape[1:])
    axes = tuple(range(len(shape)))
    if leaf.startswith("running_"):
        path, leaf = ["batch_stats", *path], leaf.removeprefix("running_")
    else:
        path = ["params", *path]
    if leaf == "weight":
        leaf = "scale" if len(shape) == 1 else "kernel"
        axes = (2, 3, 1, 0) if len(shape) == 4 else axes[::-1]
    return (*path, leaf), Source(tensor, third, axes, tuple(shape[axis] for axis in axes))


def _check_fit(path: Path, source: Source, shape: tuple[int, ...]) -> Source:
    """Check that a source fits a leaf's shape.

    A scalar may be stored as [1], and the kernel of patches as a matrix of flattened ones.
    """
    flat = (math.prod(shape[:-1]), *shape[-1:]) if path[-2:] == ("patch", "kernel") else shape
    if source.shape in (shape, flat) or (shape == () and source.shape == (1,)):
        return source._replace(shape=shape)
    raise ValueError(
        f"tensor {source.tensor!r} gives {'/'.join(path)} the shape {source.shape}, but this model "
        f"expects {shape}: check its config"
    )
