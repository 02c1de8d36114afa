"""Labels come back from what other programs write."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.annotate.labels.sets import labelled
from vujax.annotate.labels.exports import export
from vujax.annotate.labels.imports import import_file
from vujax.annotate.labels.items import Places
from vujax.annotate.labels.log import LabelLog


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Places, LabelLog]:
    return labelled(tmp_path_factory.mktemp("labels"))


@pytest.fixture
def places(made: tuple[Places, LabelLog]) -> Places:
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
    format: str, file: str, made: tuple[Places, LabelLog], new: LabelLog, tmp_path: Path
) -> None:
    places, log = made
    export(places, log, format, tmp_path / file.partition("/")[0])
    done = import_file(places, new, tmp_path / file, author="ben")
    assert values(new) == values(log)
    assert (done.new, done.known, done.notes) == (7, 0, ())
    entry = next(iter(new.state().values()))
    assert (entry.author, entry.decision.source) == ("ben", "import")
    assert entry.decision.made_from
    again = import_file(places, new, tmp_path / file, author="ben")
    assert (again.new, again.known) == (0, 7)
    new.undo(new.last_group("ben"), author="ben")
    assert values(new) == {}


@pytest.mark.parametrize("name", [0, 1, 2])
def test_by_film_and_time(name: int, places: Places, new: LabelLog, tmp_path: Path) -> None:
    film = places.catalog.film_ids()[0]
    video = (film, "film0.mp4", "film0.mp4")[name]
    shots = places.catalog.shots(film).to_pylist()
    whole = f"{shots[0]['begin_s']},{shots[1]['end_s']}"
    short = shots[2]["begin_s"]
    (tmp_path / "a.csv").write_text(
        "video,label,start,end,value\n"
        f"{video},boat,{whole},1\n"
        f"{video},lake,{short},{short + 0.05},0\n"  # less than a shot: the one around it
        f"{video},late,1000,1001,\n"
        "other.mp4,boat,0,1,\n"
    )
    done = import_file(places, new, tmp_path / "a.csv", author="ben")
    ids = [shot["id"] for shot in shots]
    assert values(new) == {(ids[0], "boat"): 1, (ids[1], "boat"): 1, (ids[2], "lake"): -1}
    assert done.notes == (
        f"left out 1 row: no shot of the film is at that time (first: {tmp_path}/a.csv, line 4)",
        f"left out 1 row: no such film (first: {tmp_path}/a.csv, line 5)",
    )
    other = LabelLog(tmp_path / "scenes.jsonl")
    import_file(places, other, tmp_path / "a.csv", author="ben", level="scene")
    assert values(other) == {(f"{film}/c000", "boat"): 1, (f"{film}/c001", "lake"): -1}


def test_a_later_annotation_counts(places: Places, new: LabelLog, tmp_path: Path) -> None:
    item = f"{places.catalog.film_ids()[0]}/s0000"

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
    import_file(places, new, tmp_path / "export.json", author="ben")
    assert values(new) == {(item, "boat"): -1, (item, "lake"): -1}


BAD = {
    "a.txt": ("label\n", "is of no kind that is read"),
    "none.csv": (None, "does not exist"),
    "empty.csv": ("", "is empty"),
    "semicolon.csv": ("id;label\nx;y\n", "semicolons"),
    "header.csv": ("id,name\nx,y\n", "no column 'label'"),
    "latin.csv": (b"id,label\nx,caf\xe9\n", "not UTF-8"),
    "no_label.csv": ("id,label\nx,\n", "line 2: there is no label"),
    "value.csv": ("id,label,value\nx,boat,maybe\n", "the value 'maybe'"),
    "nan.csv": ("id,label,score\nx,boat,nan\n", "the score 'nan' is no number"),
    "turned.csv": ("video,label,start,end\nfilm0.mp4,boat,5,1\n", "the end 1 is before"),
    "unknown.csv": ("id,label\nx/s0000,boat\n", "says nothing of what is in"),
    "neither.csv": ("video,label\nfilm0.mp4,boat\n", "neither an id nor a start"),
    "long.csv": ("id,label\nITEM," + "x" * 101 + "\n", "is no label"),
    "a.jsonl": ('{"label"\n', "line 1: no JSON"),
    "list.jsonl": ("[1]\n", "line 1: no object"),
    "a.json": ("{}", "no list of tasks"),
    "deep.json": ("[" * 100_000, "is no JSON"),
    "task.json": ('[{"data": {}}]', "task 1: it has no"),
    "choices.json": (
        '[{"data": {"id": 7}, "annotations": [{"result": [{"from_name": "present", "value": '
        '{"choices": ["a"]}}]}]}]',
        "task 1",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files(name: str, places: Places, new: LabelLog, tmp_path: Path) -> None:
    content, why = BAD[name]
    if content is not None:
        write: Callable = Path.write_text if isinstance(content, str) else Path.write_bytes
        item = f"{places.catalog.film_ids()[0]}/s0000"
        write(
            tmp_path / name, content.replace("ITEM", item) if isinstance(content, str) else content
        )
    with pytest.raises((ValueError, FileNotFoundError), match=why):
        import_file(places, new, tmp_path / name, author="ben")
    assert values(new) == {}
