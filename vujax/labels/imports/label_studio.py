"""Label Studio's JSON export: tasks with the choices `present` and `absent` of our own tasks."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vujax.labels.exports.label_studio import CHOICES
from vujax.labels.imports import Given

VALUES = dict(zip(CHOICES, (1, -1), strict=True))


def read_label_studio(path: Path) -> Iterator[Given]:
    """What the file says: of each task, its last annotation that was not cancelled.

    Raises:
      ValueError: it is no such file; names the task.
    """
    try:
        tasks = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON ({error})") from None
    if not isinstance(tasks, list):
        raise ValueError(f"{path} is no list of tasks: export it from Label Studio as JSON")
    for number, task in enumerate(tasks, 1):
        where = f"{path}, task {number}"
        try:
            yield from _labels(where, task)
        except (TypeError, KeyError, AttributeError):
            raise ValueError(
                f"{where}: it has no `data.id` with annotations of choices: export tasks that "
                "`vujax labels export --format label_studio` made, as JSON"
            ) from None


def _labels(where: str, task: Mapping[str, Any]) -> Iterator[Given]:
    item = task["data"]["id"]
    done = [one for one in task["annotations"] if not one.get("was_cancelled")]
    for result in done[-1]["result"] if done else ():
        value = VALUES.get(result["from_name"])
        for label in result["value"]["choices"] if value else ():
            if not isinstance(label, str) or not isinstance(item, str):
                raise TypeError
            yield Given(where, label.strip(), value, item)
