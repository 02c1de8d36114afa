"""Kill `vujax ingest` at random times, run it again, and compare catalogs byte by byte.

    python tools/disturb_ingest.py films/ [--kills 10] [--seed 0] [--detector adaptive]
    python tools/disturb_ingest.py films/ --runner ray --victims worker --kills 1

The first catalog is that of an undisturbed run on this machine with 2 workers. The second is that
of runs that are killed: `run` kills the command and all of its processes (SIGKILL) and starts it
again, `worker` kills one process that reads films and lets the command continue. Prints a JSON
line: kills, films, files, and the files that differ, which should be none.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from vujax.catalog import Catalog
from vujax.catalog.validate import find_problems

MIN_DELAY_S = 3.0  # before that a run does not read yet
SPAWNED, ACTOR = "spawn_main", "ray::_Actor"  # in the command lines of processes that read films


def start(command: Sequence[str]) -> subprocess.Popen:
    """Start the command in a process group of its own."""
    silent = subprocess.DEVNULL
    return subprocess.Popen(command, stdout=silent, stderr=silent, start_new_session=True)


def find_readers(run: subprocess.Popen, runner: str = "local") -> list[int]:
    """Return the processes that read films: of a run, or all of Ray's on this machine."""
    pids = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().decode(errors="replace")
            session = os.getsid(int(folder.name))
        except (OSError, ProcessLookupError):
            continue
        spawned = session == run.pid and SPAWNED in line
        if spawned if runner == "local" else line.startswith(ACTOR):
            pids.append(int(folder.name))
    return pids


def run_disturbed(
    command: Sequence[str],
    runner: str,
    victims: str,
    kills: int,
    rng: random.Random,
    interval_s: float,
) -> int:
    """Run the command to its end, killing it `kills` times within about `interval_s` seconds each.

    Returns:
      Number of kills, which is lower if a run ends before.
    """
    done = 0
    run = start(command)
    while done < kills:
        time.sleep(rng.uniform(MIN_DELAY_S, MIN_DELAY_S + interval_s))
        if run.poll() is not None:
            break
        if victims == "run":
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
            run = start(command)
        elif reading := find_readers(run, runner):
            os.kill(rng.choice(reading), signal.SIGKILL)
        else:
            continue
        done += 1
    if status := run.wait():
        raise SystemExit(f"the last run ended with status {status}")
    return done


def find_differences(left: Path, right: Path) -> list[str]:
    """Return the files that are in one directory only, or differ."""
    names = {str(path.relative_to(root)) for root in (left, right) for path in root.rglob("*")}
    return sorted(name for name in names if _bytes(left / name) != _bytes(right / name))


def _bytes(path: Path) -> bytes | str | None:
    return path.read_bytes() if path.is_file() else "folder" if path.is_dir() else None


def main() -> None:
    """Compare an undisturbed catalog with a disturbed one."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("films", type=Path)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--victims", choices=["run", "worker"], default="run")
    parser.add_argument("--runner", choices=["local", "ray"], default="local")
    parser.add_argument("--detector", default="adaptive")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    command = [sys.executable, "-m", "vujax.cli", "ingest", str(args.films), "--workers=2"]
    command += [f"--detector={args.detector}"]
    with tempfile.TemporaryDirectory() as folder:
        calm, killed = Path(folder, "calm"), Path(folder, "killed")
        start_s = time.monotonic()
        if status := start([*command, f"--out={calm}"]).wait():
            raise SystemExit(f"the undisturbed run ended with status {status}")
        wall = time.monotonic() - start_s
        command += [f"--out={killed}", f"--runner={args.runner}"]
        rng = random.Random(args.seed)
        kills = run_disturbed(
            command, args.runner, args.victims, args.kills, rng, wall / (args.kills + 1)
        )
        differing = find_differences(calm, killed)
        result = dict(
            runner=args.runner,
            victims=args.victims,
            kills=kills,
            films=len(Catalog(killed).film_ids()),
            files=sum(path.is_file() for path in killed.rglob("*")),
            differ=differing,
            problems=list(find_problems(killed)),
            calm_s=round(wall, 1),
        )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
