"""Write what each operation gives with the vujax on PYTHONPATH; see tests/fixtures/README.md.

PYTHONPATH=OLD_COMMIT:. python tests/compat/record.py
"""

import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from operations import FIXTURE, OPERATIONS, copy


def main() -> None:
    """Write recorded.json beside the artifacts."""
    recorded = {}
    for name, operation in OPERATIONS.items():
        with tempfile.TemporaryDirectory() as folder:
            recorded[name] = operation(copy(Path(folder)))
    (FIXTURE / "recorded.json").write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
