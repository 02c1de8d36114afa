"""Ids: unique spelling, parsing; slugs of hostile names."""

from pathlib import Path

import pytest

from vujax.catalog.ids import MIB, Id, compute_fingerprint, make_slug, make_slugs


@pytest.mark.parametrize(
    ("text", "one"),
    [
        ("my-film-1a2b3c4d", Id("my-film-1a2b3c4d")),
        ("f/s0012", Id("f", shot=12)),
        ("f/s12345", Id("f", shot=12345)),
        ("f/c003", Id("f", scene=3)),
        ("f/s0012/1", Id("f", shot=12, keyframe=1)),
    ],
)
def test_ids_are_read_as_they_are_written(text: str, one: Id) -> None:
    assert Id.parse(text) == one
    assert str(one) == text


def test_zeros_may_be_left_out() -> None:
    assert str(Id.parse("f/s7/2")) == "f/s0007/2"


@pytest.mark.parametrize("text", ["", "f/", "f/x1", "f/s", "f/c1/1", "../f/s1", "f g", "f/s1/1/1"])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an id"):
        Id.parse(text)


def test_slugs_are_words_of_any_script() -> None:
    assert make_slug('Sub Folder/It\'s "A"\nFilm.v2.mp4') == "sub-folder-it-s-a-film-v2"
    assert make_slug("фильм 映画.mkv") == "фильм-映画"
    assert make_slug("!!!.mp4") == "film"
    assert len(make_slug("映" * 200 + ".mp4").encode()) <= 120
    assert Id.parse(make_slug("映画 & фильм.mp4"))


def test_paths_with_one_slug_are_told_apart() -> None:
    words = make_slugs(["a b.mp4", "a-b.mp4", "c.mp4"])
    assert len(set(words.values())) == 3
    assert words["c.mp4"] == "c"
    assert words["a b.mp4"] == make_slugs(["z.mp4", "a b.mp4", "a-b.mp4"])["a b.mp4"]


def test_a_fingerprint_sees_size_head_and_tail(tmp_path: Path) -> None:
    def of(data: bytes) -> str:
        (tmp_path / "f").write_bytes(data)
        return compute_fingerprint(tmp_path / "f")

    base = bytes(3 * MIB)
    prints = {of(base), of(base + b"\0"), of(b"\1" + base[1:]), of(base[:-1] + b"\1")}
    assert len(prints) == 4
    middle = base[: MIB + 5] + b"\1" + base[MIB + 6 :]
    assert of(middle) == of(base)
    assert all(len(p) == 8 for p in prints)


def test_an_id_says_of_which_level_it_is():
    levels = {"f": "film", "f/c003": "scene", "f/s0012": "shot", "f/s0012/1": "frame"}
    assert {text: Id.parse(text).level for text in levels} == levels
