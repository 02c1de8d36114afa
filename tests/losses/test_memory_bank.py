"""InfoNCE against a memory bank, compared with loops over pairs and a dense cross-entropy."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax
from jax.sharding import PartitionSpec as P

from tests.losses.cases import unit
from tests.toy import assert_gradients_close
from vujax.losses.memory_bank import NO_FILM, Bank, Ids, contrast, mask_negatives
from vujax.utils.mesh import AXIS

N, R, D = 16, 40, 6
alone = jax.jit(contrast)  # without a mesh


def ids(rng: np.random.Generator, n: int, row) -> Ids:
    film, shot = rng.integers(0, 3, n), rng.integers(0, 9, n)
    film[rng.random(n) < 0.2] = NO_FILM
    return Ids(*(np.asarray(x, np.int32) for x in (film, shot, row)))


def case(own_rows: bool = True):
    """Draw `(query, key, ids, bank)`: some empty, some of the same films and rows."""
    rng = np.random.default_rng(0)
    query, key, vectors = (unit(rng.normal(size=(n, D))) for n in (N, N, R))
    row = rng.integers(0, N, R) if own_rows else np.full(R, -1)
    return query, key, ids(rng, N, np.arange(N)), Bank(vectors, ids(rng, R, row))


def is_negative(query: Ids, bank: Ids, i: int, j: int, radius: int) -> bool:
    if bank.film[j] == NO_FILM or bank.row[j] == query.row[i]:
        return False
    return query.film[i] != bank.film[j] or abs(query.shot[i] - bank.shot[j]) > radius


def without(radius: int):
    """Return `mask_negatives` with a radius."""
    return functools.partial(mask_negatives, radius=radius)


def negatives(mine: Ids, bank: Ids, radius: int) -> np.ndarray:
    """Bool `[n r]`, one pair after the other."""
    pairs = [[is_negative(mine, bank, i, j, radius) for j in range(R)] for i in range(N)]
    return np.array(pairs)


def dense(query, key, vectors, temperature, *, counts, mask):
    """Cross-entropy of `[n 1+r]` logits, the positive first; queries of no film count not."""
    logits = jnp.concatenate([(query * key).sum(1)[:, None], query @ vectors.T], 1) / temperature
    there = np.concatenate([np.ones((N, 1), bool), mask], axis=1)
    log_p = jax.nn.log_softmax(jnp.where(there, logits, -jnp.inf))[:, 0]
    return -log_p[counts].mean()


@pytest.mark.parametrize("radius", [-1, 0, 3])
def test_masks_are_those_of_the_loop(radius):
    _, _, mine, bank = case()
    want = negatives(mine, bank.ids, radius)
    assert 0 < np.mean(want) < 1
    np.testing.assert_array_equal(mask_negatives(mine, bank.ids, radius=radius), want)


@functools.cache
def whole(radius: int):
    """Compute loss and gradients of the dense form."""
    query, key, mine, bank = case()
    mask = negatives(mine, bank.ids, radius)
    f = functools.partial(dense, counts=mine.film != NO_FILM, mask=mask)
    return jax.jit(jax.value_and_grad(f, argnums=(0, 1, 2, 3)))(query, key, bank.vectors, 0.3)


def on_mesh(mesh, query, key, mine, bank, temperature=0.3, **settings):
    """Compute `((loss, right, positive), gradients)` with rows and bank sharded over devices."""

    def share(query, key, vectors, temperature, ids, bank_ids):
        temperature = lax.pcast(temperature, AXIS, to="varying")

        def loss(query, key, vectors, temperature):
            found = contrast(
                *(query, key, ids, Bank(vectors, bank_ids)),
                **dict(temperature=temperature, axis_name=AXIS) | settings,
            )
            return found.loss, (found.right, found.positive)

        grad = jax.value_and_grad(loss, argnums=(0, 1, 2, 3), has_aux=True)
        (value, aux), (*rows, by_temperature) = grad(query, key, vectors, temperature)
        return (lax.psum(value, AXIS), *aux), (*rows, lax.psum(by_temperature, AXIS))

    divided = P(AXIS)
    mapped = jax.shard_map(
        share,
        mesh=mesh,
        in_specs=(divided, divided, divided, P(), divided, divided),
        out_specs=((P(), divided, divided), (divided, divided, divided, P())),
        check_vma=True,
    )
    return jax.jit(mapped)(query, key, bank.vectors, jnp.float32(temperature), mine, bank.ids)


@pytest.mark.parametrize("radius", [-1, 2])
def test_value_and_gradients_on_one_and_eight_devices(radius, mesh1, mesh8):
    value, grads = whole(radius)
    for mesh in (mesh1, mesh8):
        (loss, _, _), found = on_mesh(mesh, *case(), negatives=without(radius))
        np.testing.assert_allclose(loss, value, rtol=1e-5)
        assert_gradients_close(found, grads, 1e-5)


def test_value_and_gradients_without_a_mesh():
    query, key, mine, bank = case()

    def loss(query, key, vectors, temperature):
        settings = dict(temperature=temperature, negatives=without(2))
        return contrast(query, key, mine, Bank(vectors, bank.ids), **settings).loss

    found = jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2, 3)))(query, key, bank.vectors, 0.3)
    np.testing.assert_allclose(found[0], whole(2)[0], rtol=1e-5)
    assert_gradients_close(found[1], whole(2)[1], 1e-5)


def test_what_it_says_of_each_query(mesh8):
    query, key, mine, bank = case()
    negative = np.array(mask_negatives(mine, bank.ids))
    hardest = np.where(negative, query @ bank.vectors.T, -np.inf).max(axis=1)
    positive = (query * key).sum(axis=1)
    (_, right, found), _ = on_mesh(mesh8, query, key, mine, bank)
    np.testing.assert_allclose(found, positive, rtol=1e-5)
    np.testing.assert_array_equal(right, positive > hardest)
    assert 0 < right.mean() < 1


def plain_ids(n: int, row) -> Ids:
    return Ids(np.zeros(n, np.int32), np.arange(n, dtype=np.int32), np.asarray(row, np.int32))


def test_without_masks_it_is_cross_entropy():
    query, key, _, bank = case()
    mine, theirs = plain_ids(N, range(N)), plain_ids(R, [-1] * R)
    found = alone(query, key, mine, Bank(bank.vectors, theirs), temperature=0.2)
    logits = np.concatenate([(query * key).sum(1, keepdims=True), query @ bank.vectors.T], 1)
    want = optax.softmax_cross_entropy_with_integer_labels(logits / 0.2, np.zeros(N, int)).mean()
    np.testing.assert_allclose(found.loss, want, rtol=1e-6)


def test_keys_of_the_batch_as_negatives_are_info_nce():
    query, key, _, _ = case()
    mine = plain_ids(N, range(N))
    found = alone(query, key, mine, Bank(key, mine), temperature=0.2)
    logits = query @ key.T / 0.2
    want = optax.softmax_cross_entropy_with_integer_labels(logits, np.arange(N)).mean()
    np.testing.assert_allclose(found.loss, want, rtol=1e-6)


def test_both_views_against_all_others_are_nt_xent():
    one, two, _, _ = case()
    both, row = np.concatenate([one, two]), plain_ids(2 * N, [*range(N)] * 2)
    turned = np.concatenate([two, one])
    found = alone(both, turned, row, Bank(both, row), temperature=0.2)
    logits = both @ both.T / 0.2
    np.fill_diagonal(logits, -np.inf)
    partner = np.concatenate([np.arange(N) + N, np.arange(N)])
    want = optax.softmax_cross_entropy_with_integer_labels(logits, partner).mean()
    np.testing.assert_allclose(found.loss, want, rtol=1e-6)


def test_no_negative_at_all_is_no_loss_and_no_gradient(mesh8):
    query, key, mine, bank = case()
    empty = Bank(bank.vectors, bank.ids._replace(film=np.full(R, NO_FILM, np.int32)))
    (loss, _, _), grads = on_mesh(mesh8, query, key, mine, empty)
    assert loss == 0 and optax.global_norm(grads) == 0


def test_no_query_at_all_is_no_loss_and_no_gradient(mesh8):
    query, key, mine, bank = case()
    nobody = mine._replace(film=np.full(N, NO_FILM, np.int32))
    (loss, _, _), grads = on_mesh(mesh8, query, key, nobody, bank)
    assert loss == 0 and optax.global_norm(grads) == 0


@pytest.mark.parametrize("temperature", [1e-3, 1e-6])
def test_tiny_temperatures_give_numbers(temperature, mesh8):
    """Without the greatest logit taken out, exp(1 / t) is infinite."""
    query, key, mine, bank = case()
    (loss, _, _), grads = on_mesh(mesh8, query, key, mine, bank, temperature=temperature)
    chex.assert_tree_all_finite((loss, grads))
    negative = np.array(mask_negatives(mine, bank.ids))
    hardest = np.where(negative, query @ bank.vectors.T, -np.inf).max(axis=1)
    short = np.maximum(hardest - (query * key).sum(axis=1), 0)[mine.film != NO_FILM]
    np.testing.assert_allclose(loss, short.mean() / temperature, rtol=1e-2)


def test_shapes_that_do_not_fit():
    query, key, mine, bank = case()
    wide = Bank(np.zeros((R, D + 1), np.float32), bank.ids)
    with pytest.raises(ValueError, match=r"query \(16, 6\), key \(16, 6\) and bank \(40, 7\)"):
        contrast(query, key, mine, wide, temperature=0.1)
