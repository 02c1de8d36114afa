"""`vujax caption CATALOG --bank captions.txt --out captions.vtt`: a sentence for each shot.

The best of a bank of captions, the caption of the nearest of captioned pictures, or what a decoder
writes that configs/caption.py trained.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the help needs none of it
    import pyarrow as pa

    from vujax.data.captions import EmbeddingPairs
    from vujax.search.captions import Speaker
    from vujax.search.captions.bank import Bank
    from vujax.search.captions.calibration import Calibration

LEVELS = ("frame", "shot", "scene")
SHOWN = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    add = parser.add_argument
    add("catalog", type=Path, metavar="CATALOG", help="folder of the catalogue")
    add("--out", required=True, type=Path, metavar="FILE", help=".vtt, .parquet, .csv or .jsonl")
    add("--level", choices=LEVELS, default="shot", help="keyframes, shots or scenes (shot)")
    add(
        "--encoder",
        default="lite",
        metavar="NAME",
        help="of the catalogue's vectors: lite, or a folder of a model (lite)",
    )
    which = parser.add_argument_group("who says it").add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--bank",
        type=Path,
        metavar="FILE",
        help="captions to choose from: a line each, or pairs (.tar, .csv, .tsv, .parquet)",
    )
    which.add_argument(
        "--pairs",
        type=Path,
        metavar="FILE",
        help="captioned pictures (.tar, .csv, .tsv, .parquet), of which the nearest is asked",
    )
    which.add_argument("--decoder", type=Path, metavar="FOLDER", help="workdir of a caption run")
    add = parser.add_argument_group("which captions are kept").add_argument
    add("--least", type=float, metavar="S", help="score, or chance if calibrated, of a caption")
    add("--beams", type=int, default=4, metavar="N", help="of the decoder's search (4)")
    add(
        "--repeats", type=int, metavar="N", help="a film has a caption of the bank so often at most"
    )
    add(
        "--calibrate",
        type=Path,
        metavar="FILE",
        help="other pairs (.tar, .csv, .tsv, .parquet) from which is learned how often the best "
        "caption is right; or the .json of such a calibration",
    )
    add("--calibration-out", type=Path, metavar="FILE", help="where to keep what was learned")
    add("--strict", action="store_true", help="exit with 1 when a film has no captions")


def run(arguments: argparse.Namespace) -> int:
    """Writes the captions; names the films that have none, and says what was said most."""
    from vujax.catalog import Catalog
    from vujax.search.captions import captions_by_film, catalog_name, files

    _check(arguments)
    files.check(arguments.out)
    catalog = Catalog(arguments.catalog)
    name = catalog_name(arguments.encoder)
    speaker = _speaker(arguments, name)
    tables, reasons = {}, {}
    for film, found in captions_by_film(catalog, arguments.level, name, speaker):
        (reasons if isinstance(found, str) else tables)[film] = found
        print(f"{film}: {found if isinstance(found, str) else len(found)}", file=sys.stderr)
    if not tables:
        raise ValueError(next(iter(reasons.values()), f"{arguments.catalog} has no film"))
    written = files.write(tables, arguments.out)
    _summary(tables, reasons, written)
    return 1 if arguments.strict and reasons else 0


def _check(arguments: argparse.Namespace) -> None:
    """Raises unless the arguments go together.

    Raises:
      ValueError: they do not.
    """
    for name in ("beams", "repeats"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise ValueError(f"--{name} must be 1 or more, not {value}")
    of_bank = [n for n in ("repeats", "calibrate", "calibration_out") if getattr(arguments, n)]
    if arguments.decoder is not None and of_bank:
        raise ValueError(
            f"--{of_bank[0].replace('_', '-')} goes with --bank or --pairs, not with --decoder"
        )
    if arguments.pairs and arguments.calibrate and _same(arguments.pairs, arguments.calibrate):
        raise ValueError(
            f"of the pictures in {arguments.pairs} the nearest is always right: give --calibrate "
            "other pairs than --pairs"
        )
    if arguments.calibration_out and not arguments.calibrate:
        raise ValueError("--calibration-out goes with --calibrate: name pairs to learn from")


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def _speaker(arguments: argparse.Namespace, name: str) -> "Speaker":
    from vujax.search.captions import BankSpeaker, open_decoder

    least = {} if arguments.least is None else {"least": arguments.least}
    if arguments.decoder is not None:
        return open_decoder(arguments.decoder, beams=arguments.beams, **least)
    bank, calibration = _bank(arguments, name)
    by = (arguments.bank or arguments.pairs).name
    return BankSpeaker(bank, calibration, repeats=arguments.repeats, by=by, **least)


def _bank(arguments: argparse.Namespace, name: str) -> "tuple[Bank, Calibration | None]":
    """What is chosen from, and how often its choice is right."""
    from vujax.search.captions.bank import CaptionBank, PictureBank, bank_of, read_bank

    if arguments.pairs:
        bank = PictureBank(_pairs(arguments.pairs, arguments, name))
        return bank, _calibration(arguments, name, lambda pairs: bank)
    from vujax.search.text_space import open_space

    captions = read_bank(arguments.bank)  # before the networks: it may not be there
    space = open_space(arguments.encoder)
    calibration = _calibration(arguments, name, lambda pairs: bank_of(pairs, space))
    return CaptionBank(captions, space), calibration


def _calibration(
    arguments: argparse.Namespace, name: str, judged: "Callable[[EmbeddingPairs], Bank]"
) -> "Calibration | None":
    """Read from a .json, or learned from pairs; `judged` says which bank is tried on these."""
    if arguments.calibrate is None:
        return None
    from vujax.search.captions.bank import calibrated
    from vujax.search.captions.calibration import Calibration

    if arguments.calibrate.suffix == ".json":
        return Calibration.read(arguments.calibrate)
    pairs = _pairs(arguments.calibrate, arguments, name)
    found = calibrated(judged(pairs), pairs)
    if arguments.calibration_out:
        print(f"calibration  {found.write(arguments.calibration_out)} ({found.pairs} pairs)")
    return found


def _pairs(path: Path, arguments: argparse.Namespace, name: str) -> "EmbeddingPairs":
    """Pairs whose vectors are of the encoder that the catalogue's are of, which has this name.

    Raises:
      FileNotFoundError, ValueError: there are none, or either has vectors of another.
    """
    from vujax.catalog import embeddings
    from vujax.encoders.pairs import open_pairs
    from vujax.search.captions.bank import source_of

    model = embeddings.open_store(arguments.catalog, arguments.level, name).model
    found = open_pairs({"pairs": source_of(path)}, arguments.encoder)
    if found.digest not in ("", model.digest):
        raise ValueError(
            f"{path} has vectors of another {name} than {arguments.catalog}: make either anew"
        )
    return found


def _summary(tables: "dict[str, pa.Table]", reasons: dict[str, str], written: list[Path]) -> None:
    said = Counter(text for table in tables.values() for text in table["caption"].to_pylist())
    none = said.pop(None, 0)
    print(f"films        {len(tables)}, {len(reasons)} without captions")
    print(f"captions     {sum(said.values())}, {len(said)} different, {none} not good enough")
    for text, count in said.most_common(SHOWN):
        print(f"{count:>12}  {text}")
    for film, reason in reasons.items():
        print(f"{film}: {reason}")
    print(f"written      {', '.join(map(str, written[:SHOWN]))}{', ...' * (len(written) > SHOWN)}")
