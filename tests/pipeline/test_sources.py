"""Search for films in a folder, and their slugs."""

import os
from pathlib import Path

import pytest

from vujax.pipeline.run import RunnerOptions
from vujax.pipeline.sources import find_films


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def test_films_of_a_folder_in_order(tmp_path: Path) -> None:
    touch(tmp_path, "b.MP4", "a/c.mkv", 'a/it\'s "x"\ny.ts', "._b.mp4", ".hidden/d.mp4", "n.txt")
    touch(tmp_path, "catalog/e.mp4")
    found = find_films([tmp_path], leave_out=tmp_path / "catalog")
    assert [s.path for s in found.sources] == ["a/c.mkv", 'a/it\'s "x"\ny.ts', "b.MP4"]
    assert [s.slug for s in found.sources] == ["a-c", "a-it-s-x-y", "b"]
    assert (found.num_others, found.num_links) == (1, 0)
    assert {s.folder for s in found.sources} == {str(tmp_path)}


def test_names_that_are_alike_stay_apart(tmp_path: Path) -> None:
    touch(tmp_path, "x/film.mp4", "y/film.mp4", "film.mp4", "film.mkv")
    slugs = [s.slug for s in find_films([tmp_path]).sources]
    assert len(set(slugs)) == 4
    assert slugs[2:] == ["x-film", "y-film"]


def test_several_paths_count_from_what_they_share(tmp_path: Path) -> None:
    touch(tmp_path, "x/film.mp4", "y/film.mp4", "y/other.mp4", "y/any.name")
    found = find_films([tmp_path / "x", tmp_path / "y" / "film.mp4", tmp_path / "y" / "any.name"])
    assert [s.path for s in found.sources] == ["x/film.mp4", "y/any.name", "y/film.mp4"]
    one = find_films([tmp_path / "y" / "film.mp4"]).sources
    assert [s.path for s in one] == ["film.mp4"]


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "in/real.mp4", "out/secret.mp4")
    (tmp_path / "in" / "inside.mp4").symlink_to(tmp_path / "in" / "real.mp4")
    (tmp_path / "in" / "outside.mp4").symlink_to(tmp_path / "out" / "secret.mp4")
    (tmp_path / "in" / "nowhere.mp4").symlink_to(tmp_path / "in" / "gone.mp4")
    (tmp_path / "in" / "folder").symlink_to(tmp_path / "out")
    found = find_films([tmp_path / "in"])
    refused = {s.path: s.refused for s in found.sources}
    assert list(refused) == ["inside.mp4", "nowhere.mp4", "outside.mp4", "real.mp4"]
    assert "leads out of the folder" in refused["outside.mp4"]
    assert [refused[name] for name in ("inside.mp4", "nowhere.mp4", "real.mp4")] == [""] * 3
    assert found.num_links == 1
    named = find_films([tmp_path / "in" / "outside.mp4"]).sources
    assert [s.refused for s in named] == [""]


def test_a_name_that_is_no_utf8_becomes_text(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.mp4")).write_bytes(b"x")
    (source,) = find_films([tmp_path]).sources
    assert source.path == "\\xff.mp4"
    assert source.bytes == 1


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"'.*a\\nb' does not exist"):
        find_films([tmp_path / "a\nb"])


def test_hosts_share_the_films_and_keep_them(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{i}.mp4" for i in range(40)))
    sources = find_films([tmp_path]).sources
    shares = [RunnerOptions(host=i, hosts=3).share(sources) for i in range(3)]
    assert sorted(s.path for share in shares for s in share) == [s.path for s in sources]
    assert min(len(share) for share in shares) > 5
    touch(tmp_path, "new.mp4")
    again = RunnerOptions(host=1, hosts=3).share(find_films([tmp_path]).sources)
    assert [s.path for s in again if s.path != "new.mp4"] == [s.path for s in shares[1]]
    with pytest.raises(ValueError, match="host must be in"):
        RunnerOptions(host=3, hosts=3)
