"""`vujax caption CATALOG --bank captions.txt --out captions.vtt`: a caption for each shot.

Captions come from a bank of captions, from the nearest image of image-caption pairs, or from a
decoder trained with configs/caption.py.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # not needed for --help
    import pyarrow as pa

    from vujax.data.captions import EmbeddingPairs
    from vujax.search.captions.bank import Bank
    from vujax.search.captions.calibration import Calibration
    from vujax.search.captions.captioners import Captioner

LEVELS = ("frame", "shot", "scene")
MAX_SHOWN = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add("catalog", type=Path, metavar="CATALOG", help="catalog folder")
    add(
        "--out",
        required=True,
        type=Path,
        metavar="FILE",
        help="output file: .vtt, .parquet, .csv or .jsonl",
    )
    add("--level", choices=LEVELS, default="shot", help="items to caption (default: shot)")
    add(
        "--encoder",
        default="lite",
        metavar="NAME",
        help="encoder of the catalog's embeddings: lite, or a model folder (default: lite)",
    )
    _add_sources(parser)
    add = parser.add_argument_group("selection").add_argument
    add(
        "--least",
        type=float,
        metavar="S",
        help="minimum score, or probability if calibrated, of a caption",
    )
    add("--beams", type=int, default=4, metavar="N", help="beams of the decoder (default: 4)")
    add("--repeats", type=int, metavar="N", help="maximum uses of a caption of the bank per film")
    add(
        "--calibrate",
        type=Path,
        metavar="FILE",
        help="other pairs (.tar, .csv, .tsv, .parquet) on which to calibrate scores as "
        "probabilities, or the .json of a calibration",
    )
    add("--calibration-out", type=Path, metavar="FILE", help="output file of the calibration")
    add("--strict", action="store_true", help="exit with status 1 if a film has no captions")


def _add_sources(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("source of captions")
    add = group.add_mutually_exclusive_group(required=True).add_argument
    add(
        "--bank",
        type=Path,
        metavar="FILE",
        help="captions to choose from: one per line, or pairs (.tar, .csv, .tsv, .parquet)",
    )
    add(
        "--pairs",
        type=Path,
        metavar="FILE",
        help="image-caption pairs (.tar, .csv, .tsv, .parquet): the caption of the nearest image",
    )
    add("--decoder", type=Path, metavar="FOLDER", help="work directory of a caption decoder")


def run(arguments: argparse.Namespace) -> int:
    """Write the captions and print a summary.

    Returns:
      1 with --strict if a film has no captions, otherwise 0.
    """
    from vujax.catalog import Catalog
    from vujax.encoders import resolve_name
    from vujax.search.captions import files
    from vujax.search.captions.captioners import caption_catalog

    _check(arguments)
    files.check_suffix(arguments.out)
    catalog = Catalog(arguments.catalog)
    name = resolve_name(catalog.path, arguments.encoder)
    captioner = _open_captioner(arguments, name)
    tables, reasons = {}, {}
    for film, found in caption_catalog(catalog, arguments.level, name, captioner):
        (reasons if isinstance(found, str) else tables)[film] = found
        print(f"{film}: {found if isinstance(found, str) else len(found)}", file=sys.stderr)
    if not tables:
        raise ValueError(next(iter(reasons.values()), f"{arguments.catalog} has no film"))
    written = files.write_captions(tables, arguments.out)
    _print_summary(tables, reasons, written)
    return 1 if arguments.strict and reasons else 0


def _check(arguments: argparse.Namespace) -> None:
    """Check that the arguments are compatible.

    Raises:
      ValueError: they are not.
    """
    for name in ("beams", "repeats"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise ValueError(f"--{name} must be 1 or more, got {value}")
    names = ("repeats", "calibrate", "calibration_out")
    bank_only = [name for name in names if getattr(arguments, name)]
    if arguments.decoder is not None and bank_only:
        raise ValueError(
            f"--{bank_only[0].replace('_', '-')} requires --bank or --pairs, not --decoder"
        )
    if arguments.pairs and arguments.calibrate and _same(arguments.pairs, arguments.calibrate):
        raise ValueError(
            f"--calibrate must not use the pairs of --pairs ({arguments.pairs}), whose nearest "
            "image is always right; give other pairs"
        )
    if arguments.calibration_out and not arguments.calibrate:
        raise ValueError("--calibration-out requires --calibrate; name pairs to calibrate on")


def _same(a: Path, b: Path) -> bool:
    return a.exists() and b.exists() and a.samefile(b)


def _open_captioner(arguments: argparse.Namespace, name: str) -> "Captioner":
    from vujax.search.captions.captioners import BankCaptioner, open_decoder

    limits = {} if arguments.least is None else {"min_score": arguments.least}
    if arguments.decoder is not None:
        return open_decoder(arguments.decoder, beams=arguments.beams, **limits)
    bank, calibration = _open_bank(arguments, name)
    by = (arguments.bank or arguments.pairs).name
    return BankCaptioner(bank, calibration, repeats=arguments.repeats, by=by, **limits)


def _open_bank(arguments: argparse.Namespace, name: str) -> "tuple[Bank, Calibration | None]":
    from vujax.search.captions.bank import CaptionBank, ImageBank, build_bank, read_bank

    if arguments.pairs:
        bank = ImageBank(_open_pairs(arguments.pairs, arguments, name))
        return bank, _open_calibration(arguments, name, lambda pairs: bank)
    from vujax.search.text_space import open_text_space

    captions = read_bank(arguments.bank)  # before the networks, because it may be missing
    space = open_text_space(arguments.encoder)
    calibration = _open_calibration(arguments, name, lambda pairs: build_bank(pairs, space))
    return CaptionBank(captions, space), calibration


def _open_calibration(
    arguments: argparse.Namespace, name: str, make_bank: "Callable[[EmbeddingPairs], Bank]"
) -> "Calibration | None":
    """Read a calibration, or fit one on pairs with the bank of `make_bank(pairs)`."""
    if arguments.calibrate is None:
        return None
    from vujax.search.captions.bank import fit_calibration
    from vujax.search.captions.calibration import Calibration

    if arguments.calibrate.suffix == ".json":
        return Calibration.read(arguments.calibrate)
    pairs = _open_pairs(arguments.calibrate, arguments, name)
    calibration = fit_calibration(make_bank(pairs), pairs)
    if arguments.calibration_out:
        path = calibration.write(arguments.calibration_out)
        print(f"calibration  {path} ({calibration.pairs} pairs)")
    return calibration


def _open_pairs(path: Path, arguments: argparse.Namespace, name: str) -> "EmbeddingPairs":
    """Open pairs with embeddings of the same encoder as the catalog's.

    Raises:
      FileNotFoundError, ValueError: the file is not found, or its embeddings are of another model.
    """
    from vujax.catalog import embeddings
    from vujax.encoders.pairs import open_pairs, source_options

    model = embeddings.open_store(arguments.catalog, arguments.level, name).model
    pairs = open_pairs({"pairs": source_options(path)}, arguments.encoder)
    if pairs.digest not in ("", model.digest):
        raise ValueError(
            f"{path} has embeddings of another {name} than {arguments.catalog}; compute one of "
            "them again"
        )
    return pairs


def _print_summary(
    tables: "dict[str, pa.Table]", reasons: dict[str, str], written: list[Path]
) -> None:
    counts = Counter(text for table in tables.values() for text in table["caption"].to_pylist())
    none = counts.pop(None, 0)
    print(f"films        {len(tables)}, {len(reasons)} without captions")
    print(f"captions     {sum(counts.values())}, {len(counts)} distinct, {none} below the minimum")
    for text, count in counts.most_common(MAX_SHOWN):
        print(f"{count:>12}  {text}")
    for film, reason in reasons.items():
        print(f"{film}: {reason}")
    more = ", ..." * (len(written) > MAX_SHOWN)
    print(f"written      {', '.join(map(str, written[:MAX_SHOWN]))}{more}")
