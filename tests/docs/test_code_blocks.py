"""Every code block of README and docs runs, page by page, on small synthetic films and models."""

import functools
import re
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import pytest

from tests.configs import ROOT
from tests.docs import workspace
from tests.docs.commands import entered, run_command
from tests.docs.pages import BLOCKS
from vujax.methods import METHODS
from vujax.scenes.exports import EXPORTS
from vujax.search.backends import BACKENDS

RUN = ("sh", "python")
pytestmark = pytest.mark.long

RUN_PAGES = sorted({block.page for block in BLOCKS if block.language in RUN and not block.reason})


@pytest.fixture(scope="module")
def one_device() -> Iterator[None]:
    """A machine with one device, as a reader may have it, whose programs are compiled once."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("devices", "local_devices"):
            patch.setattr(jax, name, functools.partial(first_device, getattr(jax, name)))
        shortest = jax.config.jax_persistent_cache_min_compile_time_secs
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        yield
        jax.config.update("jax_persistent_cache_min_compile_time_secs", shortest)


def first_device(devices: Callable[..., list[jax.Device]], *args: object) -> list[jax.Device]:
    """Return the first of the devices that JAX lists."""
    return devices(*args)[:1]


@pytest.fixture(scope="module")
def built(one_device: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the pages name."""
    root = tmp_path_factory.mktemp("docs") / "workspace"
    root.mkdir()
    workspace.build(root, ROOT)
    return root


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of it, for one page; the page's own modules and plug-ins are gone afterwards."""
    path = shutil.copytree(built, tmp_path / "page", symlinks=True)
    yield path
    forget_plug_ins()
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(path)):
            del sys.modules[name]


@pytest.mark.parametrize("page", RUN_PAGES)
def test_blocks_run(page: str, folder: Path) -> None:
    namespace: dict[str, object] = {"__name__": "__docs__"}
    film = workspace.film_id(folder)
    for block in (block for block in BLOCKS if block.page == page and not block.reason):
        code = re.sub(r"\bFILM\b", film, block.code)
        if block.title:
            write_file(folder / block.title, code)
            forget_plug_ins()
        elif block.language == "python":
            with entered(folder):
                exec(compile(code, f"{page}:{block.line}", "exec"), namespace)
        elif block.language == "sh":
            for words in block.commands:
                own = [word.replace("FILM", film) for word in words]
                run_command(own, folder)


def write_file(path: Path, text: str) -> None:
    """Write a block that is a file; the entry points of a package are those of an installed one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if path.name == "pyproject.toml":
        project = tomllib.loads(text)["project"]
        about = path.parent / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        about.mkdir()
        facts = f"Name: {project['name']}\nVersion: {project['version']}\n"
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\n{facts}")
        groups = project["entry-points"].items()
        (about / "entry_points.txt").write_text(
            "".join(
                f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in own.items())
                for group, own in groups
            )
        )


def forget_plug_ins() -> None:
    """Let registries look for entry points again, which they do once a process."""
    for registry in (METHODS, BACKENDS, EXPORTS):
        vars(registry).pop("_plugins", None)
