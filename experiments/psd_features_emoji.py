"""Emoji in four styles as WebDataset tars for psd_features_data.py.

    npm pack emoji-datasource-twitter@16.0.0 openmoji@17.0.0 @iconify-json/fluent-emoji-flat@1.2.6
    pip install resvg_py==0.5.0
    VUJAX_DATA=... python experiments/psd_features_emoji.py --packages DIR --out runs/emoji

`--packages` has the three archives. The names and the first style are Google's, of the shared data.
A concept stays if all four styles draw it. Every picture is put on white at 72 pixels. Licenses of
the pictures: Google (Noto Emoji) Apache-2.0, Twitter (Twemoji) CC BY 4.0, OpenMoji CC BY-SA 4.0,
Fluent Emoji MIT. None of them is part of this repository.
"""

import argparse
import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from PIL import Image

SIZE = 72
PATTERNS = {
    "twitter": "emoji-datasource-twitter-*.tgz",
    "openmoji": "openmoji-*.tgz",
    "fluent": "iconify-json-fluent-emoji-flat-*.tgz",
}
FOLDERS = {"twitter": "package/img/twitter/64", "openmoji": "package/color/svg"}


def normalize_code(text: str) -> str:
    """Return code points without the variation selector, in lower case: '2764-FE0F' -> '2764'."""
    return "-".join(part for part in text.lower().split("-") if part != "fe0f")


def read_google(path: Path) -> Iterator[tuple[str, bytes, tuple[str, str]]]:
    """Yield code, picture, and name and subcategory in lower case."""
    with tarfile.open(path) as file:
        read = lambda name: file.extractfile(name).read()  # noqa: E731
        for name in file.getnames():
            stem, _, suffix = name.rpartition(".")
            if suffix == "png":
                about = json.loads(read(f"{stem}.json"))
                words = read(f"{stem}.txt").decode().lower(), about["subcategory"].replace("-", " ")
                yield normalize_code(about["unified"]), read(name), words


def read_style(style: str, packages: Path) -> Iterator[tuple[str, bytes]]:
    """Yield code and picture, PNG or SVG, of a package.

    Raises:
      FileNotFoundError: the archive is missing.
    """
    path = next(packages.glob(PATTERNS[style]), None)
    if path is None:
        raise FileNotFoundError(f"{packages / PATTERNS[style]} is missing: see this script's head")
    with tarfile.open(path) as file:
        if style == "fluent":
            icons, names = (
                json.load(file.extractfile(f"package/{name}.json")) for name in ("icons", "chars")
            )
            for code, name in names.items():
                if name in icons["icons"]:
                    yield normalize_code(code), wrap_svg(icons["icons"][name]["body"])
            return
        for member in file:
            name = PurePosixPath(member.name)
            if str(name.parent) == FOLDERS[style]:
                yield normalize_code(name.stem), file.extractfile(member).read()


def wrap_svg(body: str) -> bytes:
    """Return an SVG document of an icon of 32 units."""
    space = "http://www.w3.org/2000/svg"
    return f'<svg xmlns="{space}" viewBox="0 0 32 32">{body}</svg>'.encode()


def render(picture: bytes) -> bytes:
    """Return a PNG or SVG picture on white, SIZE pixels high and wide, as PNG."""
    if picture.lstrip().startswith(b"<"):
        import resvg_py

        picture = resvg_py.svg_to_bytes(svg_string=picture.decode(), width=SIZE, height=SIZE)
    image = Image.open(io.BytesIO(bytes(picture))).convert("RGBA").resize((SIZE, SIZE))
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    out = io.BytesIO()
    white.convert("RGB").save(out, "PNG")
    return out.getvalue()


def write_tar(path: Path, pictures: dict[str, bytes], names: dict[str, tuple[str, str]]) -> None:
    """Write pictures, names and subcategories as one WebDataset tar."""
    with tarfile.open(path, "w") as file:
        for code, (name, subcategory) in sorted(names.items()):
            about = json.dumps({"subcategory": subcategory})
            files = {"png": pictures[code], "txt": name.encode(), "json": about.encode()}
            for suffix, data in files.items():
                member = tarfile.TarInfo(f"{path.stem}-{code}.{suffix}")
                member.size = len(data)
                file.addfile(member, io.BytesIO(data))


def main() -> None:
    """Write one tar per style."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=Path, required=True, metavar="DIR")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    arguments = parser.parse_args()
    google = list(read_google(Path(os.environ["VUJAX_DATA"], "pairs", "emoji-google-00000.tar")))
    styles = {"google": {code: picture for code, picture, _ in google}}
    styles |= {style: dict(read_style(style, arguments.packages)) for style in PATTERNS}
    names = {code: name for code, _, name in google if all(code in s for s in styles.values())}
    arguments.out.mkdir(parents=True, exist_ok=True)
    for style, pictures in styles.items():
        rendered = {code: render(pictures[code]) for code in names}
        write_tar(arguments.out / f"{style}.tar", rendered, names)
    print(f"{len(names)} concepts in {len(styles)} styles")


if __name__ == "__main__":
    main()
