"""Beam search against brute force, greedy decoding and a plain search, on tiny vocabularies."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vujax.models.caption import beam_search, build_caption_model, create_cache

END, VOCAB, LENGTH, ROWS = 0, 3, 4, 5
# Log-odds of the next token after up to LENGTH - 1 tokens, for each row: all differ.
TABLE = np.random.default_rng(0).normal(size=(ROWS, *[VOCAB + 1] * (LENGTH - 1), VOCAB)) * 1.5


def chances(row: int, begun: tuple[int, ...]) -> np.ndarray:
    """Log probabilities after these tokens; place VOCAB of the table stands for none yet."""
    logits = TABLE[(row, *begun, *[VOCAB] * (LENGTH - 1 - len(begun)))]
    return logits - np.log(np.exp(logits).sum())


def step(cache, tokens, place):
    """Compute the same from a cache that holds row and tokens."""
    begun = cache["begun"].at[:, place].set(tokens)
    logits = jnp.asarray(TABLE, jnp.float32)[(cache["row"], *begun[:, : LENGTH - 1].T)]
    return logits, {"begun": begun, "row": cache["row"]}


@functools.partial(jax.jit, static_argnames=("beams", "power"))
def searched(beams: int, power: float):
    cache = {"begun": jnp.full((ROWS, LENGTH), VOCAB), "row": jnp.arange(ROWS)}
    first = jnp.asarray(TABLE, jnp.float32)[:, VOCAB, VOCAB, VOCAB]
    options = dict(beams=beams, length=LENGTH, end=END, power=power)
    return beam_search(step, first, cache, **options)


def all_sequences(row: int, power: float) -> list[tuple[float, tuple[int, ...]]]:
    """Return every sequence with its score, best first."""
    found = {}
    for tokens in itertools.product(range(VOCAB), repeat=LENGTH):
        tokens = tokens[: tokens.index(END) + 1] if END in tokens else tokens
        total = sum(chances(row, tokens[:i])[token] for i, token in enumerate(tokens))
        found[tokens] = total / len(tokens) ** power
    return sorted(((score, tokens) for tokens, score in found.items()), reverse=True)


def plain_search(row: int, beams: int, power: float) -> list[tuple[float, tuple[int, ...]]]:
    """Beam search in lists: all continuations, the best are kept."""
    kept = [(0.0, ())]
    for _ in range(LENGTH):
        grown = []
        for total, tokens in kept:
            if END in tokens:
                grown.append((total, tokens))
                continue
            more = chances(row, tokens)
            grown += [(total + more[token], (*tokens, token)) for token in range(VOCAB)]
        kept = sorted(grown, key=lambda x: -x[0] / len(x[1]) ** power)[:beams]
    return [(total / len(tokens) ** power, tokens) for total, tokens in kept]


def filled(tokens: tuple[int, ...]) -> list[int]:
    return [*tokens, *[END] * (LENGTH - len(tokens))]


@pytest.mark.parametrize("power", [0.0, 0.7, 1.0])
def test_enough_beams_find_what_brute_force_finds(power):
    every = len(all_sequences(0, power))
    tokens, scores = searched(every, power)
    for row in range(ROWS):
        wanted = all_sequences(row, power)
        np.testing.assert_allclose(scores[row], [score for score, _ in wanted], rtol=1e-4)
        assert tokens[row].tolist() == [filled(found) for _, found in wanted]


@pytest.mark.parametrize("beams", [1, 2, 3])
@pytest.mark.parametrize("power", [0.0, 1.0])
def test_few_beams_find_what_a_plain_search_finds(beams, power):
    tokens, scores = searched(beams, power)
    for row in range(ROWS):
        wanted = plain_search(row, beams, power)
        assert tokens[row].tolist() == [filled(found) for _, found in wanted]
        np.testing.assert_allclose(scores[row], [score for score, _ in wanted], rtol=1e-4)


def test_one_beam_is_greedy():
    tokens, _ = searched(1, 1.0)
    for row in range(ROWS):
        begun = ()
        while len(begun) < LENGTH and END not in begun:
            begun += (int(chances(row, begun).argmax()),)
        assert tokens[row, 0].tolist() == filled(begun)


def test_more_beams_than_sequences():
    every = len(all_sequences(0, 1.0))
    _, scores = searched(every + 4, 1.0)
    assert np.isfinite(scores[:, :every]).all() and (scores[:, every:] == -np.inf).all()


@pytest.mark.long
def test_the_decoders_captions_have_the_scores_that_it_gives_them():
    model = build_caption_model(dim=6, vocab=9, context=5, prefix=2, width=8, layers=1, heads=2)
    vectors = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    params = jax.jit(model.init)(jax.random.key(0), vectors, np.zeros((4, 5), np.int32))["params"]
    variables = {"params": jax.tree.map(lambda p: 5 * p, params)}
    tokens, scores = model.search(variables, vectors, beams=3, power=0.0)
    logits, _ = model.apply(variables, vectors, tokens[:, 0])
    own = jnp.take_along_axis(jax.nn.log_softmax(logits), tokens[:, 0][..., None], axis=2)[..., 0]
    counted = np.cumsum(tokens[:, 0] == END, axis=1) - (tokens[:, 0] == END) == 0
    np.testing.assert_allclose((own * counted).sum(axis=1), scores[:, 0], rtol=1e-4)
    assert create_cache(model, 4)["transformer"].keys() == {"block00"}
