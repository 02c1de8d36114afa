"""Mutation suite: break one line at a time and see that the nearest tests notice.

    python tools/mutants.py                 # all mutants; some minutes on a quiet machine
    python tools/mutants.py --only sigmoid  # those whose name or file contains the text
    python tools/mutants.py --list

Each mutant of `tools/mutants.toml` names a file, a snippet that occurs in it once, its replacement
and the tests that must fail with it. The tree is copied; the checkout stays as it is. The exit
status is 0 if all mutants die.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
LIST = Path(__file__).with_suffix(".toml")
COPIED = ("configs", "tests", "tools", "vujax", "pyproject.toml", "setup.cfg")
TIMEOUT_S = 600


class Mutant(NamedTuple):
    """A fault in one line.

    Attributes:
      name: unique name of the fault.
      file: path of the source file, relative to the repository.
      old: snippet that occurs exactly once in the file.
      new: replacement.
      tests: arguments of pytest, of which at least one test must fail.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def apply(self, root: Path) -> str:
        """Write the fault into a tree, and return the original text of the file.

        Raises:
          ValueError: the snippet does not occur exactly once.
        """
        path = root / self.file
        text = path.read_text(encoding="utf-8")
        if text.count(self.old) != 1 or self.old == self.new:
            raise ValueError(
                f"mutant '{self.name}': the snippet occurs {text.count(self.old)} times in "
                f"{self.file}, expected once; adapt it to the code"
            )
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")
        return text


class Result(NamedTuple):
    """The outcome of one mutant: 'killed', 'survived' or 'error', and the seconds it took."""

    mutant: Mutant
    outcome: str
    seconds: float
    output: str = ""


def read_mutants(path: Path = LIST) -> list[Mutant]:
    """Read the list.

    Raises:
      ValueError: two mutants have one name.
    """
    rows = tomllib.loads(path.read_text(encoding="utf-8"))["mutant"]
    mutants = [Mutant(**row | {"tests": tuple(row["tests"])}) for row in rows]
    names = [mutant.name for mutant in mutants]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{path} names '{twice[0]}' twice")
    return mutants


def copy_tree(target: Path) -> Path:
    """Copy what the tests need."""
    target.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, target / name, ignore=ignore)
        else:
            shutil.copy(source, target / name)
    return target


def run_tests(mutant: Mutant, root: Path) -> Result:
    """Apply a mutant to a tree, run its tests there, and restore the file."""
    start = time.monotonic()
    try:
        original = mutant.apply(root)
    except ValueError as error:
        return Result(mutant, "error", 0.0, str(error))
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *mutant.tests]
    environment = os.environ | {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command,
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        # 1: a test failed; 2: the code could not be imported. Anything else says nothing.
        outcome = {0: "survived", 1: "killed", 2: "killed"}.get(done.returncode, "error")
        output = done.stdout[-2000:] + done.stderr[-2000:]
    except subprocess.TimeoutExpired:  # an endless loop is a noticed fault
        outcome, output = "killed", ""
    finally:
        (root / mutant.file).write_text(original, encoding="utf-8")
    return Result(mutant, outcome, time.monotonic() - start, output)


def run_all(mutants: Sequence[Mutant], jobs: int) -> list[Result]:
    """Run mutants in copies of the tree, and print a line for each."""
    with tempfile.TemporaryDirectory(prefix="vujax-mutants-") as folder:
        trees: SimpleQueue[Path] = SimpleQueue()
        for job in range(jobs):
            trees.put(copy_tree(Path(folder, str(job))))

        def work(mutant: Mutant) -> Result:
            tree = trees.get()
            try:
                result = run_tests(mutant, tree)
            finally:
                trees.put(tree)
            print(f"{result.outcome:<9}{result.seconds:6.1f} s  {mutant.name}", flush=True)
            if result.outcome == "error":
                print(result.output)
            return result

        with ThreadPoolExecutor(jobs) as threads:
            return list(threads.map(work, mutants))


def main() -> int:
    """Run the suite; the exit status is 1 unless every mutant dies."""
    parser = argparse.ArgumentParser(description="Break lines and see that tests notice.")
    parser.add_argument("--only", default="", metavar="TEXT", help="part of a name or file")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="at once (default: 1)")
    parser.add_argument("--list", action="store_true", help="print the mutants and stop")
    args = parser.parse_args()
    mutants = [m for m in read_mutants() if args.only in m.name or args.only in m.file]
    if args.list:
        for mutant in mutants:
            print(f"{mutant.file}: {mutant.name}")
        return 0
    results = run_all(mutants, args.jobs)
    killed = sum(result.outcome == "killed" for result in results)
    print(f"{killed} of {len(results)} mutants killed in {sum(r.seconds for r in results):.0f} s")
    return 0 if killed == len(results) > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
