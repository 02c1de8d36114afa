"""Imports of labels from the files of other programs."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.annotate.labels.labeled_catalog import labeled_catalog
from vujax.annotate.labels.exports import export_labels
from vujax.annotate.labels.imports import import_labels
from vujax.annotate.labels.items import CatalogItems
from vujax.annotate.labels.log import LabelLog


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[CatalogItems, LabelLog]:
    return labeled_catalog(tmp_path_factory.mktemp("labels"))


@pytest.fixture
def contents(made: tuple[CatalogItems, LabelLog]) -> CatalogItems:
    return made[0]


@pytest.fixture
def new(tmp_path: Path) -> LabelLog:
    return LabelLog(tmp_path / "new.jsonl")


def values(log: LabelLog) -> dict:
    found = {key: entry.decision.value for key, entry in log.state().items()}
    return {key: value for key, value in found.items() if value}


@pytest.mark.parametrize(
    ("format", "file"),
    [
        ("csv", "out.csv"),
        ("jsonl", "out.jsonl"),
        ("label_studio", "out"),
        ("label_studio", "out/tasks.json"),
    ],
)
def test_there_and_back(
    format: str, file: str, made: tuple[CatalogItems, LabelLog], new: LabelLog, tmp_path: Path
) -> None:
    contents, log = made
    export_labels(contents, log, format, tmp_path / file.partition("/")[0])
    done = import_labels(contents, new, tmp_path / file, author="ben")
    assert values(new) == values(log)
    assert (done.new, done.known, done.notes) == (7, 0, ())
    entry = next(iter(new.state().values()))
    assert (entry.author, entry.decision.source) == ("ben", "import")
    assert entry.decision.made_from
    again = import_labels(contents, new, tmp_path / file, author="ben")
    assert (again.new, again.known) == (0, 7)
    new.undo(new.last_group("ben"), author="ben")
    assert values(new) == {}


@pytest.mark.parametrize("name", [0, 1, 2])
def test_by_film_and_time(name: int, contents: CatalogItems, new: LabelLog, tmp_path: Path) -> None:
    film = contents.catalog.film_ids()[0]
    video = (film, "film0.mp4", "film0.mp4")[name]
    shots = contents.catalog.shots(film).to_pylist()
    whole = f"{shots[0]['begin_s']},{shots[1]['end_s']}"
    short = shots[2]["begin_s"]
    (tmp_path / "a.csv").write_text(
        "video,label,start,end,value\n"
        f"{video},boat,{whole},1\n"
        f"{video},lake,{short},{short + 0.05},0\n"  # less than a shot: the one around it
        f"{video},late,1000,1001,\n"
        "other.mp4,boat,0,1,\n"
    )
    done = import_labels(contents, new, tmp_path / "a.csv", author="ben")
    ids = [shot["id"] for shot in shots]
    assert values(new) == {(ids[0], "boat"): 1, (ids[1], "boat"): 1, (ids[2], "lake"): -1}
    assert done.notes == (
        f"left out 1 row: no shot of the film at that time (first: {tmp_path}/a.csv, line 4)",
        f"left out 1 row: unknown film (first: {tmp_path}/a.csv, line 5)",
    )
    other = LabelLog(tmp_path / "scenes.jsonl")
    import_labels(contents, other, tmp_path / "a.csv", author="ben", level="scene")
    assert values(other) == {(f"{film}/c000", "boat"): 1, (f"{film}/c001", "lake"): -1}


def test_a_later_annotation_counts(contents: CatalogItems, new: LabelLog, tmp_path: Path) -> None:
    item = f"{contents.catalog.film_ids()[0]}/s0000"

    def said(name: str, *choices: str, **more: object) -> dict:
        return {
            "result": [{"from_name": name, "type": "choices", "value": {"choices": [*choices]}}]
        } | more

    annotations = [
        said("present", "boat"),
        said("absent", "boat", "lake"),
        said("present", "x", was_cancelled=True),
    ]
    tasks = [dict(id=77, data=dict(id=item), annotations=annotations)]
    tasks.append(dict(id=78, data=dict(id=item), annotations=[]))
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    import_labels(contents, new, tmp_path / "export.json", author="ben")
    assert values(new) == {(item, "boat"): -1, (item, "lake"): -1}


BAD = {
    "a.txt": ("label\n", "unknown suffix '.txt'; expected one of: .csv, .jsonl, .json"),
    "none.csv": (None, "does not exist"),
    "empty.csv": ("", "is empty"),
    "semicolon.csv": ("id;label\nx;y\n", "semicolons"),
    "header.csv": ("id,name\nx,y\n", "no column 'label'"),
    "latin.csv": (b"id,label\nx,caf\xe9\n", "not UTF-8"),
    "no_label.csv": ("id,label\nx,\n", "line 2: the label is missing"),
    "value.csv": (
        "id,label,value\nx,boat,maybe\n",
        "unknown value 'maybe'; expected one of: 1, -1, 0",
    ),
    "nan.csv": ("id,label,score\nx,boat,nan\n", "the score 'nan' is not a finite number"),
    "turned.csv": ("video,label,start,end\nfilm0.mp4,boat,5,1\n", "the end 1 is before"),
    "unknown.csv": ("id,label\nx/s0000,boat\n", "labels no item of"),
    "neither.csv": ("video,label\nfilm0.mp4,boat\n", "neither an id nor a start"),
    "long.csv": ("id,label\nITEM," + "x" * 101 + "\n", "invalid label"),
    "a.jsonl": ('{"label"\n', "line 1: invalid JSON"),
    "list.jsonl": ("[1]\n", "line 1: expected an object"),
    "a.json": ("{}", "expected a list of tasks"),
    "deep.json": ("[" * 100_000, "invalid JSON"),
    "task.json": ('[{"data": {}}]', "task 1: no `data.id`"),
    "choices.json": (
        '[{"data": {"id": 7}, "annotations": [{"result": [{"from_name": "present", "value": '
        '{"choices": ["a"]}}]}]}]',
        "task 1",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files(name: str, contents: CatalogItems, new: LabelLog, tmp_path: Path) -> None:
    content, why = BAD[name]
    if content is not None:
        write: Callable = Path.write_text if isinstance(content, str) else Path.write_bytes
        item = f"{contents.catalog.film_ids()[0]}/s0000"
        write(
            tmp_path / name, content.replace("ITEM", item) if isinstance(content, str) else content
        )
    with pytest.raises((ValueError, FileNotFoundError), match=why):
        import_labels(contents, new, tmp_path / name, author="ben")
    assert values(new) == {}
