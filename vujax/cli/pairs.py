"""`vujax pairs features|suspects PAIRS`: embeddings of image-text pairs, and wrong captions."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # not needed for --help
    from vujax.search.suspects import Suspects

PAIRS = "pairs: .tar shards, a table (.csv, .tsv), or a file of features (.parquet, .npz)"
FIRST = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    features = actions.add_parser("features", help="compute embeddings of images and captions")
    add = features.add_argument
    _add_pairs(features)
    add(
        "--encoder",
        default="lite",
        metavar="NAME",
        help="encoder of the images: lite, or a model folder (default: lite)",
    )
    add("--out", type=Path, required=True, metavar="FILE", help="output file, .parquet")
    add(
        "--shuffle-captions",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of images that get another's captions, for studies of noise (default: 0)",
    )
    add("--seed", type=int, default=0, metavar="N", help="seed of the shuffle (default: 0)")
    suspects = actions.add_parser("suspects", help="rank captions by how wrong they seem")
    _add_pairs(suspects)
    _add_suspects(suspects)


def _add_pairs(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("pairs", type=Path, nargs="+", metavar="PAIRS", help=PAIRS)
    add(
        "--text-encoder",
        default="",
        metavar="NAME",
        help="encoder of the captions: minilm, or a model folder (default: the text side of the "
        "encoder, or minilm)",
    )
    add("--cache", metavar="DIR", help="folder to cache embeddings in (default: no cache)")


def _add_suspects(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--encoder",
        required=True,
        metavar="NAME",
        help="model that judges: the folder of towers on features or of an image-text model; with "
        "--folds also lite",
    )
    add(
        "--folds",
        type=int,
        metavar="K",
        help="train K small towers on the encoder's features, each judging pairs that it has not "
        "seen (default: the model itself judges)",
    )
    add(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="output file: .csv, .parquet, .jsonl, or .html for a page",
    )
    add(
        "--top",
        type=int,
        default=FIRST,
        metavar="N",
        help=f"suspects on the page (default: {FIRST})",
    )
    add(
        "--images",
        type=Path,
        nargs="+",
        default=[],
        metavar="PAIRS",
        help="shards or table with the page's images, by key (default: PAIRS)",
    )
    add(
        "--truth",
        default="",
        metavar="FIELD",
        help="JSON field or column that is true for wrong captions, to measure the ranking; a "
        "file of features has 'shuffled'",
    )
    add("--clean", type=Path, metavar="FILE", help="pairs without suspects: .parquet, .csv, .tar")
    add("--share", type=float, metavar="SHARE", help="share of captions that --clean leaves out")
    add("--threshold", type=float, metavar="SCORE", help="score from which --clean leaves out")


def run(arguments: argparse.Namespace) -> int:
    """Run the action."""
    actions = {"features": _write_features, "suspects": _write_suspects}
    return actions[arguments.action](arguments)


def _describe(paths: Sequence[Path]) -> dict[str, dict[str, str]]:
    from vujax.encoders.feature_pairs import feature_source_options

    return {str(path): feature_source_options(path) for path in paths}


def _write_features(arguments: argparse.Namespace) -> int:
    from vujax.data.feature_pairs import shuffle_captions, write_feature_pairs
    from vujax.encoders.feature_pairs import open_feature_pairs

    if arguments.out.suffix != ".parquet":
        raise ValueError(f"--out must be a .parquet file, got {arguments.out}")
    sources = _describe(arguments.pairs)
    pairs = open_feature_pairs(
        sources, arguments.encoder, arguments.text_encoder, cache=arguments.cache
    )
    if arguments.shuffle_captions:
        pairs = shuffle_captions(pairs, arguments.shuffle_captions, arguments.seed)
    print(f"{len(pairs):,} images with {len(pairs.texts):,} captions")
    print(f"images of {pairs.images.encoder or '?'} [{pairs.images.dim}], ", end="")
    print(f"texts of {pairs.text_encoder or '?'} [{pairs.texts.shape[1]}]")
    print(write_feature_pairs(pairs, arguments.out))
    return 0


def _write_suspects(arguments: argparse.Namespace) -> int:
    from tqdm import tqdm

    from vujax.search.clean_pairs import check_clean
    from vujax.search.results import check_suffix
    from vujax.search.suspects import check_cut, find_suspects

    sources = _describe(arguments.pairs)
    check_suffix(arguments.out)
    if arguments.clean:
        check_clean(arguments.clean, sources)
        check_cut(arguments.share, arguments.threshold)
    elif arguments.share is not None or arguments.threshold is not None:
        raise ValueError("--share and --threshold are options of --clean")
    with tqdm(total=arguments.folds or 1, unit="fold", disable=None, leave=False) as bar:
        suspects = find_suspects(
            sources,
            arguments.encoder,
            text_encoder=arguments.text_encoder,
            cache=arguments.cache,
            folds=arguments.folds,
            truth=arguments.truth,
            report=lambda fold: bar.update(fold - bar.n),
        )
    _print_report(suspects)
    print(_write_out(suspects, sources, arguments))
    if arguments.clean:
        print(_write_clean(suspects, sources, arguments))
    return 0


def _print_report(suspects: "Suspects") -> None:
    print(f"{len(suspects.captions.rows):,} captions of {len(suspects.pairs):,} images")
    print(f"judged by {suspects.judge}")
    for name, value in suspects.evaluate().items():
        print(f"{name:<14}{value:.3f}")


def _write_out(suspects: "Suspects", sources: Any, arguments: argparse.Namespace) -> Path:
    if arguments.out.suffix.lower() == ".html":
        from vujax.search.suspects_page import write_page

        images = _describe(arguments.images) or sources
        return write_page(suspects, arguments.out, images=images, count=arguments.top)
    from vujax.search.suspects import SUSPECTS
    from vujax.utils.io import write_table

    return write_table(arguments.out, [suspects.build_table()], SUSPECTS)


def _write_clean(suspects: "Suspects", sources: Any, arguments: argparse.Namespace) -> str:
    from vujax.search.clean_pairs import select_captions, write_clean

    stays = suspects.select_clean(arguments.share, arguments.threshold)
    kept = select_captions(suspects.pairs, stays)
    path = write_clean(kept, sources, arguments.clean)
    return f"{path}: {int(stays.sum()):,} of {len(stays):,} captions"
