"""An installed package adds a method, a search backend and a scene export to the command line."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import vujax
from tests import plugin
from tests.compat.operations import FIXTURE
from tests.configs import tiny
from vujax import cli
from vujax.methods import METHODS
from vujax.scenes.exports import EXPORTS
from vujax.search.backends import BACKENDS
from vujax.training import loop

REGISTRIES = (METHODS, BACKENDS, EXPORTS)
BROKEN = "[vujax.scene_exports]\nbroken = acme_broken:EXPORT\n"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with both packages, the one that works and the one that does not."""
    folder = tmp_path_factory.mktemp("site")
    for name, source, points in (
        (plugin.NAME, plugin.SOURCE, plugin.ENTRY_POINTS),
        ("acme_broken", "import no_such_module\n", BROKEN),
    ):
        wheel = plugin.build_wheel(tmp_path_factory.mktemp("wheel"), name, source, points)
        plugin.install(wheel, folder / name)
    return folder


@pytest.fixture
def acme(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield from _use(installed / plugin.NAME, monkeypatch)


@pytest.fixture
def broken(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield from _use(installed / "acme_broken", monkeypatch)


def _use(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(folder))
    _forget()
    yield
    _forget()


def _forget() -> None:
    """Let the registries look for plug-ins again."""
    for registry in REGISTRIES:
        registry.__dict__.pop("_plugins", None)


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FIXTURE / "catalog", tmp_path / "catalog"))


def test_help_lists_them(acme: None, capsys: pytest.CaptureFixture[str]) -> None:
    for command, name in (("search", "brute"), ("search-recall", "brute"), ("scenes", "starts")):
        with pytest.raises(SystemExit):
            cli.main([command, "--help"])
        assert name in capsys.readouterr().out


def test_a_search_backend(acme: None, catalog: Path, tmp_path: Path) -> None:
    shot = vujax.Catalog(catalog).shots()["id"][0].as_py()
    rows = {}
    for backend in ("exact", "brute"):
        out = tmp_path / f"{backend}.jsonl"
        words = ["search", str(catalog), "--like", shot, "--backend", backend, "--out", str(out)]
        assert cli.main(words) == 0
        rows[backend] = [json.loads(line) for line in out.read_text().splitlines()]
    ids = [[row["id"] for row in found] for found in rows.values()]
    assert len(ids[0]) > 5 and ids[0] == ids[1]
    scores = [[row["score"] for row in found] for found in rows.values()]
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-5)


def test_a_scene_export(acme: None, catalog: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["scenes", str(catalog), "--out", str(out), "--formats", "starts", "json"]
    assert cli.main([*words, "--scenes", "3"]) == 0
    found = json.loads((out / "scenes.json").read_text())["scenes"]
    lines = (out / "scenes.starts.txt").read_text().splitlines()
    assert lines == [f"{n} {scene['begin_s']:.3f}" for n, scene in enumerate(found, 1)]


@pytest.mark.long
def test_a_method_trains_and_its_model_is_used(acme: None, tmp_path: Path) -> None:
    config = tiny(total_steps=2, **{"data.sources.main.frames": 64})
    config.evals = {}
    config.unlock()
    config.method = dict(name="plain_clip")
    loop.train(config, tmp_path / "run")
    release = json.loads((tmp_path / "run" / "release" / "config.json").read_text())
    assert release["method"]["name"] == "plain_clip" and release["encoder"] == "distill"
    model = vujax.load_model(tmp_path / "run")
    text = model.encode_text(["a red boat"])
    image = model.encode_image(np.zeros((2, 20, 30, 3), np.uint8))
    assert text.shape == (1, model.dim) and image.shape == (2, model.dim)
    np.testing.assert_allclose(np.linalg.norm([*text, *image], axis=1), 1, atol=1e-5)


def test_a_broken_plugin_is_one_warning(
    broken: None, catalog: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["scenes", str(catalog), "--out", str(tmp_path / "out")]) == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if "acme_broken" in line]
    assert warnings == [
        "vujax: warning: scene export 'broken' of the package acme_broken cannot be imported (No "
        "module named 'no_such_module'); repair or uninstall that package"
    ]
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"scenes.csv", "scenes.json", "scenes.otio", "report.html"} <= written


def test_a_broken_plugin_that_is_asked_for_is_an_error(
    broken: None, catalog: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["scenes", str(catalog), "--out", str(tmp_path / "out"), "--formats", "broken"]
    assert cli.main(words) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("vujax: error: scene export 'broken' of the package acme_broken cannot")
    assert not (tmp_path / "out").exists()
