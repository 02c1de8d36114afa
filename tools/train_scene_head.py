"""Trains a scene boundary head on labelled films with vectors, such as the one in the package.

    python tools/train_scene_head.py --out vujax/segment/heads/default \\
        --films catalog path=cinema-catalog encoder=lite

`--films` is a kind of `vujax.data.films.open_films` and its options; give it several times for
several sets. The same films and seed give the same weights. Prints a JSON line: macro AP and F1 on
the films that it learned from, its threshold (chosen on left-out films) and its size.
"""

import argparse
import ast
import json
from pathlib import Path
from typing import Any

from vujax.data.films import Film, open_films
from vujax.evals.boundaries import FilmScores, evaluate
from vujax.segment.head import Head, save_head
from vujax.segment.train_head import head_scores, train_head


def option(text: str) -> tuple[str, Any]:
    """'name=value' with a value that may be a Python literal."""
    name, _, value = text.partition("=")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def report(head: Head, films: list[Film]) -> dict[str, float]:
    """What to print."""
    scores = [
        FilmScores(f.film, head_scores(head, f), f.starts, f.frames, f.seconds, f.fps)
        for f in films
    ]
    result = evaluate(scores, threshold=head.threshold)
    keys = ("macro/ap", "macro/f1", "micro/predicted_rate", "micro/true_rate", "films")
    sizes = {"threshold": head.threshold, "weights": head.parameters}
    return {key: round(result[key], 4) for key in keys} | sizes


def main() -> None:
    """Trains, saves and reports."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--films", nargs="+", action="append", required=True, metavar="WORD")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    films = [
        film
        for kind, *options in args.films
        for film in open_films(kind, **dict(map(option, options)))
    ]
    head = train_head(films, {"kind": "similarity"}, steps=args.steps, seed=args.seed)
    print(json.dumps({"out": str(save_head(args.out, head))} | report(head, films)))


if __name__ == "__main__":
    main()
