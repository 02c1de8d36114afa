"""Export of a released CLIP or SigLIP to the formats of transformers and open_clip.

    export_model("runs/mine", "hf", Path("mine-hf"), card="# Mine")
    transformers.CLIPModel.from_pretrained("mine-hf")

The tables of names are those of the import, `vujax.models.convert`.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vujax.utils.registry import Registry

if TYPE_CHECKING:  # the names of formats are listed without JAX
    from vujax.models.clip import CLIP
    from vujax.models.pretrained.published import Export

__all__ = ["FORMATS", "export_model"]

FORMATS = Registry(
    "weights format",
    {
        "hf": "vujax.models.exports.huggingface:describe",
        "open_clip": "vujax.models.exports.open_clip:describe",
    },
)
"""Functions `(model, folder, config) -> Export`."""

CARD = "README.md"


def export_model(source: str | Path, format_name: str, out: Path, *, card: str) -> Path:
    """Write a released image-text model in another implementation's format.

    Parameters are float32. A bound on the temperature is applied to its value, since the other
    implementations have none.

    Args:
      source: workdir or release folder.
      format_name: a name of FORMATS.
      out: new folder.
      card: text of its model card, README.md.

    Returns:
      `out`.

    Raises:
      FileNotFoundError: `source` is not a model.
      FileExistsError: `out` exists.
      ValueError: it is no image-text model of pixels, or the format cannot express it.
      ImportError: the model's tokenizer needs the extra [sentences].
    """
    import numpy as np
    from safetensors.numpy import save_file

    from vujax.models import convert, release
    from vujax.utils.io import write_folder_atomically

    describe = FORMATS.load(format_name)
    folder = release.find(Path(source))
    config, variables = release.load_host(folder)
    try:
        model = _build_image_text_model(config)
        export: Export = describe(model, folder, config)
        tensors = convert.build_tensors(_bound_scale(variables, model), export.naming)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from None

    def fill(target: Path) -> None:
        save_file(
            {name: np.asarray(tensor, "<f4", order="C") for name, tensor in tensors.items()},
            target / export.weights,
            {"format": "pt"},
        )
        for name, data in export.files.items():
            (target / name).write_bytes(data)
        (target / CARD).write_text(card, encoding="utf-8")

    return write_folder_atomically(Path(out), fill)


def _build_image_text_model(config: dict[str, Any]) -> "CLIP":
    """Build the module of a release's config.

    Raises:
      ValueError: the release is no image-text model of pixels.
    """
    from vujax.models.clip import build_clip

    settings, method = config.get("model") or {}, (config.get("method") or {}).get("name")
    if method != "distill" or not {"image", "text"} <= set(settings):
        kind = "towers on frozen features" if method == "distill" else f"a model of {method}"
        raise ValueError(f"{kind} is no CLIP or SigLIP, which alone can be exported")
    return build_clip(**settings)


def _bound_scale(variables: dict[str, Any], model: "CLIP") -> dict[str, Any]:
    import numpy as np

    params, bound = variables["params"], model.max_scale
    if bound is None:
        return variables
    scale = np.minimum(params["logit_scale"], np.float32(math.log(bound)))
    return variables | {"params": params | {"logit_scale": scale}}
