"""A registry imports nothing before it is asked, names what it has, and takes plug-ins."""

import subprocess
import sys
from pathlib import Path

import pytest

from vujax.utils.registry import PluginError, Registry

GROUP = "vujax.test_things"


def write_package(folder: Path, name: str, points: dict[str, str], source: str = "") -> None:
    """Write an installed distribution: a module and its metadata."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / f"{name}.py").write_text(source)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{point} = {target}" for point, target in points.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines]) + "\n")


@pytest.fixture
def things() -> Registry:
    builtin = {"path": "pathlib:PurePosixPath", "range": "builtins:range", "text": "io:StringIO"}
    return Registry("thing", builtin, entry_points=GROUP)


def test_names_and_lookup(things: Registry) -> None:
    assert things.names() == ("path", "range", "text") == tuple(things)
    assert "path" in things and "nil" not in things and None not in things
    assert things.load("range") is range
    assert not things.is_plugin("path")


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    code = (
        "import sys\n"
        "from vujax.utils.registry import Registry\n"
        "r = Registry('thing', {'csv': 'wave:open'})\n"
        "assert r.names() == ('csv',) and 'csv' in r and 'wave' not in sys.modules\n"
        "assert r.load('csv').__module__ == 'wave'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_one_sentence(things: Registry) -> None:
    with pytest.raises(ValueError, match=r"^unknown thing 'nil'; expected one of: path, range, te"):
        things.load("nil")
    with pytest.raises(ValueError, match=r"^data\.kind: unknown thing None; expected one of"):
        things.check(None, "data.kind")


def test_options_are_checked() -> None:
    registry = Registry("thing", {"split": "tests.utils.test_registry:split"})
    assert registry.build("split", text="a b") == ["a", "b"]
    assert registry.build("split", "a-b", sep="-") == ["a", "b"]
    with pytest.raises(
        ValueError, match="'split': unknown option 'sip'; expected one of: text, sep, keep"
    ):
        registry.build("split", text="a", sip="-", common=["keep"])
    with pytest.raises(ValueError, match="thing 'split' needs the option text"):
        registry.build("split")


def split(text: str, sep: str | None = None) -> list[str]:
    return text.split(sep)


def test_a_plugin_is_found(things: Registry, tmp_path: Path, monkeypatch) -> None:
    write_package(tmp_path, "acme_things", {"acme": "acme_things:make"}, "def make(): return 3\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert things.names() == ("path", "range", "text", "acme")
    assert things.is_plugin("acme") and things.build("acme") == 3


@pytest.mark.parametrize(
    ("source", "reason"),
    [("import no_such_module", "No module named 'no_such_module'"), ("1 / 0", "division by zero")],
)
def test_a_plugin_that_cannot_be_imported(
    things: Registry, tmp_path: Path, monkeypatch, source: str, reason: str
) -> None:
    name = f"broken_{len(source)}"  # a module is imported once a process
    write_package(tmp_path, name, {"bad": f"{name}:make"}, source)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "bad" in things and things.load("range") is range
    with pytest.raises(PluginError) as raised:
        things.load("bad")
    assert str(raised.value) == (
        f"thing 'bad' of the package {name} cannot be imported ({reason}); repair or uninstall "
        "that package"
    )


def test_a_plugin_takes_no_name_of_vujax(things: Registry, tmp_path: Path, monkeypatch) -> None:
    write_package(tmp_path, "acme_thief", {"range": "acme_thief:make"}, "make = None\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.warns(UserWarning, match="'range' of the package acme_thief is ignored: vujax has"):
        assert things.names() == ("path", "range", "text")
    assert things.load("range") is range
