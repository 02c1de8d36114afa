"""Write any data source as ArrayRecord shards for training.

    python tools/to_array_record.py OUT --kind webdataset path='shards/{000..041}.tar'
    python tools/to_array_record.py OUT --kind table path=pairs.tsv caption='["title", "alt"]'

Options of the source follow as name=value, the value as JSON or as plain text. The same command
resumes after an interrupt. Then train with
`data.sources = dict(pairs=dict(kind="array_record", path=OUT))`.
"""

import argparse
from pathlib import Path

from tqdm import tqdm

from vujax.data.sources import SOURCES, open_source
from vujax.data.sources.array_record import convert_source
from vujax.utils.validation import name_and_value


def main() -> None:
    """Convert the source of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="folder of the shards")
    parser.add_argument("--kind", required=True, choices=sorted(SOURCES))
    parser.add_argument("options", nargs="*", type=name_and_value, help="name=value of the source")
    parser.add_argument("--shard_size", type=int, default=10_000, help="records per shard")
    parser.add_argument("--max_bad", type=float, default=0.01, help="maximum share of bad records")
    args = parser.parse_intermixed_args()
    options = dict(args.options)
    source = open_source(args.kind, **options)
    with tqdm(total=len(source), unit=" records") as bar:
        facts = convert_source(
            source,
            args.out,
            origin={"kind": args.kind, **options},
            shard_size=args.shard_size,
            max_bad=args.max_bad,
            progress=bar.update,
        )
    bad = [problem for problems in facts["bad"].values() for problem in problems]
    print(f"{args.out}: {sum(facts['written'].values())} records, {len(bad)} left out")
    for problem in bad:
        print(problem)


if __name__ == "__main__":
    main()
