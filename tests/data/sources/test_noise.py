"""Captions moved to other records."""

import pytest

from tests.data.samples import ListSource, record
from vujax.data.sources import ShuffledCaptions


def texts(source):
    return [r["captions"] for r in source]


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_an_exact_share_gets_another_captions(share):
    clean = ListSource(record(i) for i in range(50))
    noisy = ShuffledCaptions(clean, share, seed=3)
    moved = sum(a != b for a, b in zip(texts(clean), texts(noisy), strict=True))
    assert moved == round(share * 50)
    assert sorted(texts(noisy)) == sorted(texts(clean))
    assert [r["key"] for r in noisy] == [r["key"] for r in clean]


def test_the_seed_decides():
    clean = ListSource(record(i) for i in range(50))
    first, again, other = (texts(ShuffledCaptions(clean, 0.4, seed=s)) for s in (0, 0, 1))
    assert first == again != other


def test_wrong_share():
    with pytest.raises(ValueError, match="shuffle_captions must be a share from 0 to 1, got 40"):
        ShuffledCaptions(ListSource([]), 40)
