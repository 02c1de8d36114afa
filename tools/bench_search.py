"""Time, recall and memory of search in 1,000,000 embeddings of 512 dimensions.

    python tools/bench_search.py [--count 1000000] [--dim 512] [--queries 200] [-k 10]
        [--sides exact numpy flat faiss lance] [--work FOLDER]

Embeddings are generated: clusters whose sizes follow a power law, with noise in few dimensions that
clusters share, and weak noise in all dimensions; queries have the same distribution. Prints a JSON
line per side, from its own process: recall@k against an exact search in float64, p50 and p99
milliseconds of a single query, its mean cost on all cores (`cpu_ms`, less sensitive to other load),
seconds until the first query is possible (`ready_s`: reading, building of graphs), queries per
second in one batch, the process's maximum resident size with mapped files (`peak_mib`), and its
anonymous memory at the end (`own_mib`). Imports take some 200 MiB of every process.

    exact    vujax.search.backends.exact, JAX; exact-bfloat16, with 16-bit embeddings
    numpy    q @ X.T and argpartition, as a user would write it
    flat     faiss.IndexFlatIP, extra [ann]
    faiss    vujax.search.backends.faiss, HNSW, extra [ann]
    lance    vujax.search.backends.lance, extra [lance]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from vujax.search.backends.base import Neighbors, SearchBackend, select_best
from vujax.search.recall import measure_backend
from vujax.utils.arrays import l2_normalize

SIDES = ("exact", "exact-bfloat16", "numpy", "flat", "faiss", "lance")
CLUSTERS, SHARED, WITHIN, REST = 2000, 32, 0.8, 0.2
BLOCK = 50_000
CPU_QUERIES = 50


def generate(folder: Path, count: int, dim: int, queries: int, k: int) -> None:
    """Write vectors.bin, queries.npy and the results of an exact search, truth.npz."""
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(CLUSTERS, dim)) / dim**0.5
    basis = rng.normal(size=(SHARED, dim)) / dim**0.5
    sizes = 1 / (10.0 + np.arange(CLUSTERS))

    def draw(n: int) -> np.ndarray:
        chosen = rng.choice(CLUSTERS, n, p=sizes / sizes.sum())
        noise = rng.normal(size=(n, SHARED)) * (WITHIN / SHARED**0.5) @ basis
        rows = centers[chosen] + noise + rng.normal(size=(n, dim)) * (REST / dim**0.5)
        return l2_normalize(rows).astype(np.float32)

    query_rows = draw(queries)
    found = select_best(np.zeros((queries, 0)), np.zeros((queries, 0), np.int64), k)
    with (folder / "vectors.bin").open("wb") as file:
        for first in range(0, count, BLOCK):
            rows = draw(min(BLOCK, count - first))
            rows.tofile(file)
            scores = query_rows.astype(np.float64) @ rows.T.astype(np.float64)
            numbers = np.broadcast_to(first + np.arange(len(rows)), scores.shape)
            mine = select_best(scores, numbers, k)
            scores = np.concatenate([found.scores, mine.scores], axis=1)
            found = select_best(scores, np.concatenate([found.rows, mine.rows], axis=1), k)
    np.save(folder / "queries.npy", query_rows)
    np.savez(folder / "truth.npz", scores=found.scores, rows=found.rows)


class Numpy:
    """A matrix product and argpartition in numpy."""

    name = "numpy"

    def __init__(self, vectors: np.ndarray) -> None:
        self._vectors = np.array(vectors)

    def search(self, queries: np.ndarray, k: int, mask: np.ndarray | None = None) -> Neighbors:
        """See `vujax.search.backends.base.SearchBackend`."""
        scores = queries @ self._vectors.T
        rows = np.argpartition(-scores, k, axis=1)[:, :k]
        return select_best(np.take_along_axis(scores, rows, axis=1), rows, k)


class Flat:
    """Faiss without a graph."""

    name = "flat"

    def __init__(self, vectors: np.ndarray) -> None:
        import faiss

        self._index = faiss.IndexFlatIP(vectors.shape[1])
        for first in range(0, len(vectors), BLOCK):
            self._index.add(np.array(vectors[first : first + BLOCK]))

    def search(self, queries: np.ndarray, k: int, mask: np.ndarray | None = None) -> Neighbors:
        """See `vujax.search.backends.base.SearchBackend`."""
        scores, rows = self._index.search(queries, k)
        return Neighbors(scores, rows)


def build_backend(side: str, vectors: np.ndarray, folder: Path) -> SearchBackend:
    """Build the backend of one of SIDES."""
    if side in ("numpy", "flat"):
        return {"numpy": Numpy, "flat": Flat}[side](vectors)
    if side == "faiss":
        from vujax.search.backends.faiss import Faiss

        return Faiss(vectors, folder)
    if side == "lance":
        from vujax.search.backends.lance import Lance

        return Lance(vectors, folder)
    from vujax.search.backends.exact import Exact

    return Exact(vectors if side == "exact" else _bfloat16(vectors))


def _bfloat16(vectors: np.ndarray) -> np.ndarray:
    import jax.numpy as jnp

    parts = [vectors[i : i + BLOCK].astype(jnp.bfloat16) for i in range(0, len(vectors), BLOCK)]
    return np.concatenate(parts)


def run(side: str, folder: Path, dim: int, k: int) -> dict[str, float | int | str]:
    """Measure one side in this process."""
    vectors = np.memmap(folder / "vectors.bin", np.float32, "r").reshape(-1, dim)
    queries = np.load(folder / "queries.npy")
    with np.load(folder / "truth.npz") as file:
        truth = Neighbors(file["scores"], file["rows"])
    start = time.perf_counter()
    backend = build_backend(side, vectors, folder)
    ready = time.perf_counter() - start
    measured = measure_backend(backend, vectors, queries, k, truth)
    cpu_ms = _measure_cpu_ms(backend, queries[:CPU_QUERIES], k)
    backend.search(queries, k)  # compiles
    start = time.perf_counter()
    backend.search(queries, k)
    queries_per_s = len(queries) / (time.perf_counter() - start)
    figures = dict(recall=round(measured.recall, 4), p50_ms=round(measured.p50_ms, 2))
    figures |= dict(p99_ms=round(measured.p99_ms, 2), cpu_ms=round(cpu_ms, 2))
    figures |= dict(queries_per_s=round(queries_per_s, 1))
    figures |= dict(
        ready_s=round(ready, 1), peak_mib=_read_mib("VmHWM"), own_mib=_read_mib("RssAnon")
    )
    return dict(side=side, count=len(vectors), dim=dim, k=k) | figures | dict(load=_load())


def _measure_cpu_ms(backend: SearchBackend, queries: np.ndarray, k: int) -> float:
    """Return the mean CPU milliseconds of a query on all cores."""
    start = time.process_time()
    for i in range(len(queries)):
        backend.search(queries[i : i + 1], k)
    return (time.process_time() - start) / len(queries) * 1000


def _read_mib(name: str) -> int:
    """Return a size of this process; ru_maxrss would start at that of its parent process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) // 1024


def _load() -> list[float]:
    """Return the load averages over 1, 5 and 15 minutes."""
    return [round(x, 1) for x in os.getloadavg()]


def main() -> None:
    """Measure each side in its own process."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("-k", type=int, default=10)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument(
        "--work", type=Path, help="directory that retains generated embeddings and built indices"
    )
    parser.add_argument("--here", action="store_true", help="run in this process")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.work or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "truth.npz").exists():
            generate(folder, args.count, args.dim, args.queries, args.k)
        for side in args.sides:
            if args.here:
                print(json.dumps(run(side, folder, args.dim, args.k)), flush=True)
                continue
            numbers = [f"--dim={args.dim}", f"-k={args.k}", "--work", str(folder), "--here"]
            command = [sys.executable, __file__, *numbers, "--sides", side]
            if subprocess.run(command).returncode:
                print(json.dumps(dict(side=side, failed=True)), flush=True)


if __name__ == "__main__":
    main()
