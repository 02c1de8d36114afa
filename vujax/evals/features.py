"""Embeddings of a whole data set, in its order, equal on any number of devices.

One jitted function encodes a batch whose rows are divided among the devices and replicates its
result, so one device, eight devices and several hosts run the same lines. `image_encoder` and
`text_encoder` are a model's two towers as functions of a batch, one function object per model.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.sharding import Mesh, Sharding

from vujax.models.tokenizers.clip import Tokenizer, tokenize
from vujax.utils.mesh import make_global_batch, replicated_sharding, row_sharding

if TYPE_CHECKING:  # it imports grain, which takes a second
    from vujax.data.scene_batches import SceneRows

Variables = Any

Encode = Callable[[Variables, Mapping[str, jax.Array]], jax.Array]

"""`(variables, batch) -> [b d]`. Keep one function object: each new one is compiled again."""

BOOKKEEPING = ("mask", "position", "label")


def extract(
    encode: Encode,
    variables: Variables,
    batches: Iterable[Mapping[str, np.ndarray]],
    *,
    mesh: Mesh,
) -> dict[str, np.ndarray]:
    """Encode every example of `batches` once.

    Args:
      encode: computes embeddings from a batch; it may not mix rows.
      variables: its first argument.
      batches: this host's rows of each batch: the inputs of `encode`, `mask` `[b]` (False =
        padding), `position` `[b]` (the example's index in the data set) and, optionally, `label`
        `[b]`. All hosts give the same number of batches of the same sizes, divisible by their
        devices.
      mesh: devices to use, along 'data'.

    Returns:
      `embeddings` `[n d]` float32, `position` `[n]` = 0 .. n-1 and `label` `[n]` if the batches
      have it, in the data set's order, equal on all hosts.

    Raises:
      ValueError: no example, or the positions are not 0 .. n-1, each once.
    """
    step = _encode_everywhere(encode, mesh)
    parts, pending = [], None
    for batch in batches:
        numeric = {k: v for k, v in batch.items() if isinstance(v, np.ndarray)}
        submitted = step(variables, make_global_batch(mesh, numeric))
        if pending is not None:  # fetched one batch late: the device never waits for the host
            parts.append(_real_rows(pending))
        pending = submitted
    if pending is None:
        raise ValueError("no batch to encode; check that the evaluation's source is not empty")
    parts.append(_real_rows(pending))
    return _in_order({k: np.concatenate([part[k] for part in parts]) for k in parts[0]})


@functools.lru_cache(maxsize=32)
def _encode_everywhere(encode: Encode, mesh: Mesh) -> Callable[..., dict[str, jax.Array]]:
    def step(variables: Variables, batch: dict[str, jax.Array]) -> dict[str, jax.Array]:
        columns = {k: batch[k] for k in BOOKKEEPING if k in batch}
        return columns | {"embeddings": encode(variables, batch).astype(np.float32)}

    # Replicated results: the gather over devices and hosts is the compiler's.
    return jax.jit(step, out_shardings=replicated_sharding(mesh))


def _real_rows(result: dict[str, jax.Array]) -> dict[str, np.ndarray]:
    fetched = jax.device_get(result)
    mask = fetched.pop("mask").astype(bool)
    return {k: v[mask] for k, v in fetched.items()}


def _in_order(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    order = np.argsort(rows["position"], kind="stable")
    rows = {k: v[order] for k, v in rows.items()}
    if not np.array_equal(rows["position"], np.arange(len(order))):
        raise ValueError(
            f"an evaluation must see each example once, but {len(order)} rows carry positions "
            f"{rows['position'].min(initial=0)} to {rows['position'].max(initial=0)} with gaps or "
            "repeats; check host= and hosts= of the batches"
        )
    return rows


def extract_texts(
    encode: Encode,
    variables: Variables,
    texts: Sequence[str],
    *,
    mesh: Mesh,
    batch_size: int = 256,
    tokenizer: Tokenizer = tokenize,
) -> np.ndarray:
    """Encode texts as `extract` does: `[n d]` float32.

    `encode` reads `tokens` `[b context]`.
    """
    batches = text_batches(
        texts, batch_size=padded_size(len(texts), batch_size, mesh), tokenizer=tokenizer
    )
    return extract(encode, variables, batches, mesh=mesh)["embeddings"]


def text_batches(
    texts: Sequence[str], *, batch_size: int, tokenizer: Tokenizer
) -> Iterator[dict[str, np.ndarray]]:
    """Yield this host's rows of batches of `batch_size` texts, the last one padded."""
    rows = batch_size // jax.process_count()
    first = rows * jax.process_index()
    for start in range(0, len(texts), batch_size):
        position = start + first + np.arange(rows, dtype=np.int32)
        mask = position < len(texts)
        chosen = [texts[p] if real else "" for p, real in zip(position, mask, strict=True)]
        yield {"tokens": tokenizer(chosen), "mask": mask, "position": position}


def read_batches(
    read: Callable[[np.ndarray], dict[str, np.ndarray]], count: int, batch_size: int
) -> Iterator[dict[str, np.ndarray]]:
    """Yield this host's rows of batches of examples 0 .. count-1.

    The last batch is filled up with the last example.

    Args:
      read: returns the arrays of the examples at some positions.
      count: number of examples.
      batch_size: examples of a batch, of all hosts together.
    """
    rows = batch_size // jax.process_count()
    first = rows * jax.process_index()
    for start in range(0, count, batch_size):
        position = start + first + np.arange(rows, dtype=np.int32)
        mask = position < count
        yield read(np.minimum(position, count - 1)) | {"mask": mask, "position": position}


def padded_size(examples: int, batch_size: int, mesh: Mesh) -> int:
    """Return the batch size to use, a multiple of the mesh's devices.

    It is no larger than the number of examples needs.
    """
    return -(-min(batch_size, max(examples, 1)) // mesh.size) * mesh.size


def place(value: np.ndarray, sharding: Sharding) -> jax.Array:
    """Build a global array from a value that every host holds in full."""
    value = np.asarray(value)
    return jax.make_array_from_callback(value.shape, sharding, lambda index: value[index])


def place_rows(value: np.ndarray, mesh: Mesh, *, fill: float = 0) -> jax.Array:
    """Divide the rows of `value` `[n ...]` among the devices.

    Rows are padded with `fill` to a multiple of the devices.
    """
    value = np.asarray(value)
    padding = np.full((-len(value) % mesh.size, *value.shape[1:]), fill, value.dtype)
    return place(np.concatenate([value, padding]), row_sharding(mesh))


@functools.lru_cache(maxsize=16)
def image_encoder(model: Any, feature: str | None = None) -> Encode:
    """Return a function `(variables, {'image': [b h w 3]}) -> [b d]`.

    Cached, so that several evaluations of one model share a compiled function.

    Args:
      model: a linen module with `encode_image(image) -> (embedding, out)`.
      feature: None for the embedding, or the name of an array `[b ...]` in `out`; the axes after
        the first are flattened.
    """

    def encode(variables, batch):
        embedding, out = model.apply(variables, batch["image"], method="encode_image")
        if feature is None:
            return embedding
        if feature not in out:
            raise ValueError(
                f"the model has no feature {feature!r}; expected one of: {', '.join(sorted(out))}"
            )
        return out[feature].reshape(len(embedding), -1)

    return encode


@functools.lru_cache(maxsize=16)
def text_encoder(model: Any) -> Encode:
    """Return a function `(variables, {'tokens': [b context]}) -> [b d]`.

    It is cached as that of `image_encoder`.
    """

    def encode(variables, batch):
        return model.apply(variables, batch["tokens"], method="encode_text")[0]

    return encode


EncodeRows = Callable[[Variables, Mapping[str, jax.Array]], jax.Array]

"""`(variables, rows [r w ...]) -> [r s d]`. Keep one function object: each is compiled once."""


def extract_scenes(
    encode: EncodeRows, variables: Variables, rows: "SceneRows", *, batch_size: int, mesh: Mesh
) -> np.ndarray:
    """Encode every scene once.

    Args:
      encode: computes embeddings from a batch of `vujax.data.scene_batches`.
      variables: its first argument.
      rows: the scenes.
      batch_size: rows of a batch, of all hosts together.
      mesh: devices to use, along 'data'.

    Returns:
      float32 `[n d]`, in the order of `rows.scenes`, equal on all hosts.
    """
    size = padded_size(rows.examples, batch_size, mesh)
    arrays = extract(encode, variables, _scene_batches(rows, size), mesh=mesh)
    scene = arrays["label"].reshape(-1)
    embeddings = arrays["embeddings"].reshape(len(scene), -1)
    index = np.flatnonzero(scene >= 0)
    return embeddings[index[np.argsort(scene[index], kind="stable")]]


def _scene_batches(rows: "SceneRows", size: int) -> Iterator[dict[str, Any]]:
    """Yield this host's rows under the names that `extract` reads, empty rows too."""
    hosts, host = jax.process_count(), jax.process_index()
    batches = rows.eval_batches(batch_size=size, host=host, hosts=hosts)
    try:
        for batch in batches:
            mask = np.ones(len(batch["index"]), bool)
            yield batch | {"mask": mask, "position": batch["index"], "label": batch["scene"]}
    finally:
        batches.close()
