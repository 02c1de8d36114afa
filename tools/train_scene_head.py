"""Train a scene boundary head on labeled films with embeddings, as the one in the package.

    vujax synthesize --out runs/films --films 20
    vujax ingest runs/films --out runs/cinema --detector adaptive
    vujax embed runs/cinema --encoder lite
    python tools/train_scene_head.py --out vujax/scenes/heads/default \\
        --films catalog path=runs/cinema encoder=lite images=False

`--films` is a kind of `vujax.data.registry.open_films` and its options; repeat it for several sets.
The same films and seed give the same weights; both and this command are recorded beside the
weights. Prints a JSON line: macro AP and F1 on the training films, the threshold (selected on
held-out films), number of weights and digest.
"""

import argparse
import ast
import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from vujax.data.films import Film
from vujax.data.registry import open_films
from vujax.evals.metrics.boundaries import FilmScores, evaluate
from vujax.scenes.head import BoundaryHead, save_head
from vujax.scenes.train_head import score_film, train_head

# Complete, so that the head does not change with the defaults.
HEAD = dict(kind="similarity", reach=6, hidden=[16, 16], dropout=0.3, scale="film", gain=0.4)


def parse_option(text: str) -> tuple[str, Any]:
    """Parse 'name=value' with a value that may be a Python literal."""
    name, _, value = text.partition("=")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def report(head: BoundaryHead, films: list[Film]) -> dict[str, float]:
    """Return the scores and facts to print."""
    scores = [FilmScores.from_film(f, score_film(head, f)) for f in films]
    result = evaluate(scores, threshold=head.threshold)
    keys = ("macro/ap", "macro/f1", "micro/predicted_rate", "micro/true_rate", "films")
    facts = {"threshold": head.threshold, "weights": head.num_parameters, "digest": head.digest}
    return {key: round(result[key], 4) for key in keys} | facts


def describe_origin(films: list[Film], args: argparse.Namespace) -> dict[str, Any]:
    """Return the provenance that is recorded beside the weights."""
    return {
        "films": args.note,
        "count": {
            "films": len(films),
            "borders": sum(len(film) - 1 for film in films),
            "scene borders": int(sum(film.starts.sum() for film in films)),
        },
        "command": shlex.join(["python", *sys.argv]),
        "seed": args.seed,
        "licence": args.licence,
    }


def main() -> None:
    """Train and save a head, and print a report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--films", nargs="+", action="append", required=True, metavar="WORD")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--note", default="", help="description of the films and their origin")
    parser.add_argument("--licence", default="", help="license of the films")
    args = parser.parse_args()
    films = [
        film
        for kind, *options in args.films
        for film in open_films(kind, **dict(map(parse_option, options)))
    ]
    head = train_head(films, HEAD, steps=args.steps, seed=args.seed)
    head = replace(head, config=head.config | {"about": describe_origin(films, args)})
    print(json.dumps({"out": str(save_head(args.out, head))} | report(head, films)))


if __name__ == "__main__":
    main()
