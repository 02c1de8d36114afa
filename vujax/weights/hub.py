"""Published models by their name on the Hugging Face hub, `organisation/model`.

Only what is needed of a repository is downloaded, into the hub's own cache, at one revision. The
hub's own variables hold: HF_ENDPOINT, HF_HOME, HF_TOKEN, HF_HUB_OFFLINE.
"""

import re
from fnmatch import fnmatch
from pathlib import Path

from vujax.weights.published import INDEX, choose, nothing

TEXTS = ("*.json", "merges.txt", "README.md")
SHARDS = "model-*-of-*.safetensors"
NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def is_name(source: str) -> bool:
    """Whether `source` can be a name on the hub, and nothing on this machine."""
    return NAME.fullmatch(source) is not None and not Path(source).exists()


def wanted(name: str, names: set[str]) -> list[str]:
    """Which of a repository's files are needed.

    Raises:
      ValueError, FileNotFoundError: it has no weights that are read here.
    """
    _, weights = choose(names)
    if weights is None:
        raise nothing(Path(name), names)
    patterns = (*TEXTS, SHARDS if weights == INDEX else weights)
    return sorted(file for file in names if any(fnmatch(file, pattern) for pattern in patterns))


def fetch(name: str) -> Path:
    """The folder of a model, downloaded if it is not there.

    Raises:
      ImportError: the extra [hub] is not installed.
      ConnectionError: the hub cannot be reached, or gives no such model.
      ValueError, FileNotFoundError: it has no weights that are read here.
    """
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError(
            f"{name} is neither here nor can the hub be asked: pip install 'vujax[hub]'"
        ) from error
    try:
        info = huggingface_hub.HfApi().model_info(name)
        names = {file.rfilename for file in info.siblings or () if "/" not in file.rfilename}
        options = dict(revision=info.sha, allow_patterns=wanted(name, names))
        return Path(huggingface_hub.snapshot_download(name, **options))
    except (ValueError, FileNotFoundError):
        raise
    except Exception as error:  # the package's own errors have changed their classes before
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConnectionError(
            f"{name} is neither here nor fetched from the hub ({reason}): download its folder "
            "elsewhere and give that."
        ) from error
