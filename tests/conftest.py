"""Shared fixtures: 8 virtual CPU devices, meshes over 1 and 8 of them, the real data's folder."""

import atexit
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Before the first import of jax anywhere: the device count is read once.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
    # The older code generator of the CPU compiles gradients in half the time.
    " --xla_cpu_use_fusion_emitters=false"
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["VUJAX_RUNTIME"] = "jax"  # the reference, whether OpenVINO is installed or not

# Compiling takes most of the tests' time, and many small programs occur in several files: each is
# compiled once. The first process makes the folder, unless it is given one that outlives the run;
# its children (pytest's workers, the commands under test) inherit the name.
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="vujax-compiled-")
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)

# Most programs run for milliseconds after seconds of compiling; with few optimizations that takes
# little more than half the time. Tests of what XLA makes of a program use the fixture `optimized`.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

import jax
import pytest
from absl import flags

from vujax.utils.mesh import make_mesh

flags.FLAGS.mark_as_parsed()  # grain's worker processes read absl flags

TESTS = Path(__file__).parent
SLOWEST_FILES = (
    "test_main.py",
    "docs/test_code_blocks.py",
    "training/test_loop.py",
    "evals/test_finetune.py",
    "encoders/test_class_names.py",
    "methods/test_distill.py",
    "evals/test_real_data.py",
    "training/test_train_scenes.py",
    "training/test_train_shots.py",
    "training/test_train_imported.py",
    "evals/test_hosts.py",
    "compat/test_before_redesign.py",
    "evals/test_captioning.py",
    "losses/test_soft_alignment.py",
    "methods/test_movies2scenes.py",
    "models/test_clip.py",
    "encoders/test_sentences.py",
    "models/test_resnet.py",
    "pipeline/test_embed.py",
    "pipeline/workers/test_ray.py",
)
"""Start first, so that no worker is left alone with one of them at the end; slowest first."""

PARITY_PACKAGES = ("torch", "transformers", "sklearn")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = [name for name in PARITY_PACKAGES if importlib.util.find_spec(name) is None]
    no_libtpu = importlib.util.find_spec("libtpu") is None
    for item in items:
        if missing and item.get_closest_marker("parity"):
            item.add_marker(pytest.mark.skip(reason=f"extra [parity] is missing: {missing}"))
        if no_libtpu and item.get_closest_marker("tpu_aot"):
            item.add_marker(pytest.mark.skip(reason="libtpu is missing: extra [aot]"))
        if not _chromium() and item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.skip(reason="no chromium on this machine"))
    places = {TESTS / name: place for place, name in enumerate(SLOWEST_FILES)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def _chromium() -> bool:
    return any(Path(p, "chromium").exists() for p in os.environ.get("PATH", "").split(":"))


@pytest.fixture
def optimized() -> Iterator[None]:
    """Compile as users do: for tests of a compiled program's memory or instructions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "0")
        before = jax.config.read("jax_disable_most_optimizations")
        jax.config.update("jax_disable_most_optimizations", False)
        yield
        jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="session")
def mesh1() -> jax.sharding.Mesh:
    return make_mesh(jax.devices()[:1])


@pytest.fixture(scope="session")
def mesh8() -> jax.sharding.Mesh:
    return make_mesh(jax.devices()[:8])


@pytest.fixture(scope="session")
def data_root() -> Path:
    root = os.environ.get("VUJAX_DATA", "")
    if not root or not Path(root).is_dir():
        pytest.skip("VUJAX_DATA does not name the folder of the real data")
    return Path(root)
