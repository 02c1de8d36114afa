"""The counter of bad samples."""

import pytest

from vujax.data.records import BadSampleCounter


def test_a_share_of_what_was_seen_is_allowed():
    bad = BadSampleCounter(0.01)
    bad.add(8, ["'a' is broken"])
    bad.check()  # a share of 8 examples says nothing yet
    bad.add(992, ["'b' is broken"] * 9)
    bad.check()
    bad.add(0, ["'b' is broken"])
    with pytest.raises(
        ValueError, match=r"11 bad samples in 1000 .*max_bad=0.01.*'a' is broken; 'b'"
    ):
        bad.check()


def test_zero_allows_none():
    bad = BadSampleCounter(0.0)
    bad.check()
    bad.add(10**6, ["'a' is broken"])
    with pytest.raises(ValueError, match="'a' is broken"):
        bad.check()


def test_counts_of_all_hosts_are_what_counts():
    bad = BadSampleCounter(0.01)
    bad.check(count=10, seen=1000)
    with pytest.raises(ValueError, match=r"11 bad samples in 1000 examples .* none on this host"):
        bad.check(count=11, seen=1000)


def test_each_problem_is_a_warning_once(caplog):
    bad = BadSampleCounter(1.0)
    bad.add(8, ["'a' is broken", "'b' is broken"])
    bad.add(8, ["'a' is broken"])
    assert [r.getMessage() for r in caplog.records] == [
        "bad sample replaced by another: 'a' is broken",
        "bad sample replaced by another: 'b' is broken",
    ]
    assert (bad.count, bad.seen) == (3, 16)


def test_a_share_above_one_is_refused():
    with pytest.raises(ValueError, match="max_bad must be a share"):
        BadSampleCounter(5)
