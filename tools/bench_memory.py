"""Peak memory of `vujax ingest` for a film, and for the same film repeated.

    python tools/bench_memory.py film.mp4 [--minutes 5 120] [--detector transnetv2]

Writes films of these lengths by repeating the packets of one, without decoding them, and ingests
each with one worker. Prints a JSON line per film (maximum resident size of any process) and one
with the difference between the last and the first.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import av


def repeat(source: Path, path: Path, minutes: float) -> None:
    """Write the first video stream of `source` repeatedly until `minutes` are filled."""
    with av.open(str(path), "w") as out:
        stream, base = None, 0
        while True:
            with av.open(str(source)) as film:
                video = film.streams.video[0]
                stream = stream or out.add_stream_from_template(video)
                for packet in film.demux(video):
                    if packet.dts is None:
                        continue
                    packet.pts, packet.dts = packet.pts + base, packet.dts + base
                    packet.stream = stream
                    out.mux(packet)
                base += video.duration
                if base * video.time_base >= 60 * minutes:
                    return


def measure_peak_mib(film: Path, catalog: Path, detector: str) -> float:
    """Return the peak resident MiB of the largest process of an ingest."""
    command = [sys.executable, "-m", "vujax.cli", "ingest", str(film), f"--out={catalog}"]
    command += ["--workers=1", "--strict", f"--detector={detector}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def main() -> None:
    """Ingest the films from shortest to longest, since a peak never falls."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("film", type=Path)
    parser.add_argument("--minutes", type=float, nargs="+", default=[5, 120])
    parser.add_argument("--detector", default="transnetv2")
    args = parser.parse_args()
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        for minutes in sorted(args.minutes):
            film = Path(folder) / f"{minutes:g}.mkv"
            repeat(args.film, film, minutes)
            peaks.append(
                measure_peak_mib(film, Path(folder) / f"catalog-{minutes:g}", args.detector)
            )
            line = dict(minutes=minutes, detector=args.detector, peak_mib=round(peaks[-1], 1))
            print(json.dumps(line), flush=True)
    print(json.dumps({"longest_minus_shortest_mib": round(peaks[-1] - peaks[0], 1)}))


if __name__ == "__main__":
    main()
