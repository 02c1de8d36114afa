"""Old modules fail with a sentence that names the new one, which exists."""

import importlib
import importlib.util
import warnings

import pytest

import vujax
from vujax.utils.deprecation import read_moved_modules


def test_every_new_module_exists() -> None:
    table = read_moved_modules()
    assert len(table) > 300
    missing = {new for new in table.values() if importlib.util.find_spec(new) is None}
    assert not missing


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("vujax.release", "vujax.models.release"),
        ("vujax.segment", "vujax.scenes"),
        ("vujax.losses.rows", "vujax.losses._soft_alignment_tiled"),
        ("vujax.data.cinema.world", "vujax.data.synthetic"),
    ],
)
def test_an_old_import_names_the_new_module(old: str, new: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=f"moved to {new}"):
        importlib.import_module(old)


def test_from_vujax_import_names_it_too() -> None:
    with pytest.raises(ImportError, match=r"vujax\.release moved to vujax\.models\.release"):
        from vujax import release  # noqa: F401
    with pytest.raises(AttributeError, match=r"vujax\.release moved to"):
        _ = vujax.release
    assert not hasattr(vujax, "release")


def test_what_never_was_is_missing_as_usual() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'vujax\.nonsense'$"):
        importlib.import_module("vujax.nonsense")
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = vujax.nonsense


def test_the_old_function_works_with_a_warning() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(FileNotFoundError, match="no-such-film"):
            vujax.scenes("no-such-film.mp4")
    assert any("use vujax.detect_scenes" in str(one.message) for one in caught)
