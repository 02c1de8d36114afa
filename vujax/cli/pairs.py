"""`vujax pairs features PAIRS`: embeddings of image-text pairs."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # not needed for --help
    from vujax.data.feature_pairs import FeaturePairs

PAIRS = "pairs: .tar shards, a table (.csv, .tsv), or a file of features (.parquet, .npz)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    features = actions.add_parser("features", help="compute embeddings of images and captions")
    add_pair_arguments(features)
    add = features.add_argument
    add("--out", type=Path, required=True, metavar="FILE", help="output file, .parquet")
    add(
        "--shuffle-captions",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of images that get another's captions, for studies of noise (default: 0)",
    )
    add("--seed", type=int, default=0, metavar="N", help="seed of the shuffle (default: 0)")


def add_pair_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments that select pairs and the encoders of their features."""
    add = parser.add_argument
    add("pairs", type=Path, nargs="+", metavar="PAIRS", help=PAIRS)
    add(
        "--encoder",
        default="lite",
        metavar="NAME",
        help="encoder of the images: lite, or a model folder (default: lite)",
    )
    add(
        "--text-encoder",
        default="",
        metavar="NAME",
        help="encoder of the captions: minilm, or a model folder (default: the text side of the "
        "encoder, or minilm)",
    )
    add("--cache", metavar="DIR", help="folder to cache embeddings in (default: no cache)")


def run(arguments: argparse.Namespace) -> int:
    """Run the action."""
    return {"features": _write_features}[arguments.action](arguments)


def _write_features(arguments: argparse.Namespace) -> int:
    from vujax.data.feature_pairs import shuffle_captions, write_feature_pairs

    if arguments.out.suffix != ".parquet":
        raise ValueError(f"--out must be a .parquet file, got {arguments.out}")
    pairs = open_pairs(arguments)
    if arguments.shuffle_captions:
        pairs = shuffle_captions(pairs, arguments.shuffle_captions, arguments.seed)
    print(f"{len(pairs):,} images with {len(pairs.texts):,} captions")
    print(f"images of {pairs.images.encoder or '?'} [{pairs.images.dim}], ", end="")
    print(f"texts of {pairs.text_encoder or '?'} [{pairs.texts.shape[1]}]")
    print(write_feature_pairs(pairs, arguments.out))
    return 0


def open_pairs(arguments: argparse.Namespace) -> "FeaturePairs":
    """Open the pairs that the arguments name."""
    from vujax.encoders.feature_pairs import feature_source_options, open_feature_pairs

    sources = {str(path): feature_source_options(path) for path in arguments.pairs}
    return open_feature_pairs(
        sources, arguments.encoder, arguments.text_encoder, cache=arguments.cache
    )
