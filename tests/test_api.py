"""The public API: its names and signatures as recorded, what importing it costs, that it works.

A change that is meant: `python -m tests.test_api` rewrites the record.
"""

import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import vujax

RECORD = Path(__file__).parent / "golden" / "api.txt"
ROOMS = ("losses", "models", "methods", "data", "evals", "video")


def signature(function: Callable[..., object]) -> str:
    """Parameters with their defaults, without annotations."""
    found = inspect.signature(function)
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in found.parameters.values()]
    return str(inspect.Signature(bare))


def describe() -> str:
    """One line per public name, with its signature."""
    lines = []
    for name in sorted(vujax.__all__):
        thing = getattr(vujax, name)
        if name in ROOMS:
            lines.append(f"vujax.{name}: {', '.join(sorted(getattr(thing, '__all__', ())))}")
        elif name == "search":
            from vujax.search.run import search

            lines.append(f"vujax.search{signature(search)}")
        else:
            lines.append(f"vujax.{name}{signature(thing)}")
    return "\n".join(lines) + "\n"


def test_names_and_signatures_are_the_recorded_ones() -> None:
    assert describe() == RECORD.read_text(encoding="utf-8")


def test_importing_is_light() -> None:
    code = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "import vujax\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(new & {'jax', 'numpy', 'pyarrow', 'flax', 'grain', 'av', 'PIL', 'tqdm'}))\n"
        "print(sorted(name for name in sys.modules if name.startswith('vujax.')))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "['vujax.utils', 'vujax.utils.deprecation']"]


def test_every_name_is_listed() -> None:
    assert set(vujax.__all__) <= set(dir(vujax))
    assert callable(vujax.search) and vujax.search.__name__ == "vujax.search"


if __name__ == "__main__":
    RECORD.write_text(describe(), encoding="utf-8")
    sys.exit(0)
