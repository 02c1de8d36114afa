"""Model card of exported weights, from the records of the workdir that trained them.

The form is that of Mitchell et al., "Model Cards for Model Reporting" (2019), with the front matter
of the Hugging Face hub. What no record states, the card says is not recorded.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vujax.models import release
from vujax.training.report import Evaluation, group_evaluations, read_evaluations
from vujax.utils.formatting import escape_controls

LIBRARIES = {"hf": "transformers", "open_clip": "open_clip"}
UNKNOWN = "not recorded"
FACTS = {
    "parameters": "parameters",
    "total_steps": "steps of the training",
    "examples": "training examples",
    "seed": "seed",
    "devices": "devices",
    "command": "command",
}
SETTINGS = ("batch_size", "optimizer", "method", "ema_decay", "init_from", "total_epochs")
TOKENIZER = (
    "The tokenizer is CLIP's, which is not in this folder: "
    '`CLIPTokenizer.from_pretrained("openai/clip-vit-base-patch32")` in transformers, the default '
    "in open_clip."
)
USE = (
    "Comparing images and texts: retrieval, zero-shot classification, features for further "
    "training. Decisions about persons, such as identification or surveillance, are not intended."
)
LIMITS = (
    "The scores above are all that is known of its quality. It has the biases of its training "
    "data, which were not examined here. Texts in languages, and images of kinds, that the data "
    "lacks are out of its reach. Cosines are no probabilities."
)


def build_model_card(source: str | Path, format_name: str, *, license_id: str | None = None) -> str:
    """Build the model card of a released image-text model, Markdown.

    Args:
      source: workdir or release folder; its training's records are read beside the release.
      format_name: of the exported weights, a key of LIBRARIES.
      license_id: license of the weights; None: that of an imported model, else not recorded.

    Raises:
      FileNotFoundError: `source` is not a model.
      ValueError: the release or an evaluation is damaged.
    """
    folder = release.find(Path(source)).resolve()
    workdir = folder.parent
    config = release.read_config(folder)
    imported = config.get("imported") or {}
    settings, facts = (_read(workdir / name) for name in ("config.json", "run.json"))
    license_id = license_id or imported.get("licence")
    name = workdir.name if folder.name == release.FOLDER else folder.name
    text = [
        _write_front(format_name, license_id),
        f"# {escape_controls(name)}",
        f"An image-text model trained with vujax, in the format of {LIBRARIES[format_name]}.",
        *_write_inputs(config),
        "## Data",
        _describe_data(settings, facts, imported),
        "## Configuration",
        _list({label: facts[key] for key, label in FACTS.items() if key in facts}),
        _fence({"model": config["model"]} | {k: settings[k] for k in SETTINGS if k in settings}),
        "## Evaluations",
        _tabulate(group_evaluations(read_evaluations(workdir))),
        "## License",
        license_id or f"{UNKNOWN}: state one before you publish the weights",
        "## Intended use",
        USE,
        "## Limits",
        LIMITS,
    ]
    return "\n\n".join(text) + "\n"


def _write_front(format_name: str, license_id: str | None) -> str:
    lines = [
        f"library_name: {LIBRARIES[format_name]}",
        "pipeline_tag: zero-shot-image-classification",
    ]
    lines += [f"license: {license_id}"] if license_id else []
    return "\n".join(["---", *lines, "tags: [vujax, clip]", "---"])


def _write_inputs(config: Mapping[str, Any]) -> list[str]:
    """Return what the model reads, as paragraphs."""
    model = config["model"]
    size = model["image"].get("image_size", 224)
    context = model["text"].get("context", 77)
    sizes = f"{size}x{size}" if isinstance(size, int) else "x".join(map(str, size))
    read = f"It reads images of {sizes} pixels and texts of at most {context} tokens."
    kind = (config.get("tokenizer") or {}).get("kind", "clip")
    return [read, TOKENIZER] if kind == "clip" else [read]


def _describe_data(
    settings: Mapping[str, Any], facts: Mapping[str, Any], imported: Mapping[str, Any]
) -> str:
    sources = (settings.get("data") or {}).get("sources") or {}
    if not sources:
        origin = imported.get("source")
        return f"Imported weights of {origin}: see their card." if origin else f"{UNKNOWN}."
    rows = [
        f"- `{name}`: "
        + ", ".join(f"{key} `{value}`" for key, value in sorted(source.items()) if value != "")
        for name, source in sorted(sources.items())
    ]
    total = facts.get("examples")
    rows += [f"\n{total:,} examples in all."] if isinstance(total, int) else []
    parent = settings.get("init_from")
    rows += [f"\nStarted from `{parent}`, whose data and license apply too."] if parent else []
    return escape_controls("\n".join(rows))


def _list(values: Mapping[str, Any]) -> str:
    rows = [f"- {name}: `{value}`" for name, value in values.items()]
    return "\n".join(rows) or f"The training is {UNKNOWN}."


def _fence(value: Any) -> str:
    return "```json\n" + json.dumps(value, indent=2, sort_keys=True) + "\n```"


def _tabulate(evaluations: Iterable[Evaluation]) -> str:
    """Return the newest scores of each evaluation beside its baselines, as a Markdown table."""
    rows = []
    for evaluation in evaluations:
        for score, value in evaluation.scores[evaluation.last].items():
            baselines = [
                f"{name} {row[score]:.4g}"
                for name, row in sorted(evaluation.baselines.items())
                if score in row
            ]
            cells = (evaluation.name, score, f"{value:.4g}", ", ".join(baselines))
            rows.append(f"| {' | '.join(cells)} | {evaluation.last:,} |")
    if not rows:
        return f"{UNKNOWN}: the training had no evaluation."
    return "\n".join(["| evaluation | score | value | baselines | step |", "|---" * 5 + "|", *rows])


def _read(path: Path) -> dict[str, Any]:
    """Read a record of the workdir; {} where there is none, or it is the release's own config."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
