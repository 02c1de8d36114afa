"""Files of ground truth: written, read, and refused when they are wrong."""

import json
import random
from fractions import Fraction
from pathlib import Path

import pytest

from vujax.data.synthetic.captions import EVENT_PHRASES
from vujax.data.synthetic.films import build_film_truth, build_set_truth
from vujax.data.synthetic.ground_truth import FilmTruth, Settings, SetTruth, read_truth, write_truth
from vujax.data.synthetic.world import GENRES, make_film
from vujax.video.shots.base import Transition, split_into_shots

SETTINGS = Settings(
    seed=0,
    split="train",
    minutes=0.5,
    fps=Fraction(24000, 1001),
    height=180,
    width=320,
    sound_rate=48000,
    channels=1,
)


@pytest.fixture(scope="module")
def film() -> FilmTruth:
    truths = (build_film_truth(SETTINGS, number) for number in range(99))
    return next(t for t in truths if t.flashes and len({s.into.kind for s in t.shots[1:]}) == 3)


@pytest.fixture(scope="module")
def films() -> SetTruth:
    return build_set_truth(SETTINGS, 5)


def _good(path: Path, truth: FilmTruth | SetTruth) -> dict:
    return json.loads(write_truth(path, truth).read_text())


def test_what_is_written_is_read(tmp_path: Path, film: FilmTruth, films: SetTruth):
    for truth in (film, films):
        assert read_truth(write_truth(tmp_path / "it.json", truth)) == truth


def test_same_settings_same_truth(film: FilmTruth):
    assert build_film_truth(SETTINGS, film.number) == film
    assert build_film_truth(SETTINGS, film.number + 1).shots != film.shots


def test_transitions_make_the_shots(film: FilmTruth):
    made = split_into_shots(film.transitions, film.frames)
    assert [(s.start, s.end - 1) for s in made] == [(s.first, s.last) for s in film.shots]
    assert all(isinstance(t, Transition) and t.score == 1 for t in film.transitions)
    assert sum(film.scene_starts) == len(film.scenes) - 1
    assert len(film.scene_starts) == len(film.shots) - 1


def test_truth_is_what_is_shown(film: FilmTruth):
    people = {who.name: who for who in film.cast}
    cast = make_film(0, "train", film.number).cast
    assert [(who.kind, who.colour) for who in film.cast] == [(c.kind, c.color) for c in cast]
    for shot in film.shots:
        scene = film.scenes[shot.scene]
        assert (shot.text is None) == (scene.role == "story")
        assert shot.place == scene.place
        if shot.place:
            deed = dict(zip(scene.cast, scene.events, strict=True))[shot.cast[0]]
            assert deed == shot.event and set(shot.cast) <= set(scene.cast)
            assert len(shot.captions) == 2
    for scene in film.scenes:
        if scene.summary:
            for name, event in zip(scene.cast, scene.events, strict=True):
                deeds = [f"{people[name].kind} {phrase}" for phrase in EVENT_PHRASES[event]]
                assert any(f"{name} the {deed}" in scene.summary for deed in deeds)


def test_no_text_names_the_genre():
    words = {word for genre in GENRES for word in genre.name.split()} - {"tale"}
    for number in range(60):
        truth = build_film_truth(SETTINGS, number)
        text = f"{truth.title} {truth.studio} {truth.synopsis} {truth.cast}".lower()
        assert not any(word in text for word in words)
        assert any(scene.summary and scene.summary in truth.synopsis for scene in truth.scenes)


def test_a_set_holds_its_films(films: SetTruth):
    assert [film.name for film in films.films] == [f"film-000{n}" for n in range(5)]
    table = films.watched()
    assert table.shape == (200, 5) and 0.1 < table.mean() < 0.6
    assert [films.films[n].name for n in table[3].nonzero()[0]] == list(films.users[3].watched)
    larger = build_set_truth(SETTINGS, 7)
    assert larger.films[:5] == films.films
    assert (larger.watched()[:, :5] == table).all()


DAMAGE = [
    (("shots", 1, "first"), 7, "shots[1]"),
    (("shots", 2, "into"), None, "shots[2].into"),
    (("shots", 2, "into", "kind"), "wipe", "shots[2].into.kind"),
    (("shots", 2, "into", "last"), -3, "shots[2].into"),
    (("shots", 2, "into", "leaving"), 1 << 40, "shots[2].into"),
    (("shots", 2, "scene"), 99, "shots[2].scene"),
    (("shots", 2, "cast"), ["Nobody"], "shots[2].cast"),
    (("shots", 2, "cast"), "Nobody", "'shots[2].cast' is not a list"),
    (("shots",), [], "'shots' or 'scenes' is empty"),
    (("scenes", 1, "last_shot"), 10**6, "scenes[1]"),
    (("scenes", 1, "first"), 1, "scenes[1]"),
    (("frames",), True, "'frames' is not an integer"),
    (("frames",), 12, "'frames' is 12"),
    (("night",), float("nan"), "'night' is out of range"),
    (("night",), "dark", "'night' is not a number"),
    (("settings", "fps"), "0", "settings.fps"),
    (("settings", "fps"), "24/0", "'settings.fps' is not a fraction"),
    (("settings", "colour"), 1, "'settings.colour' is an unknown key"),
    (("name",), "../../etc/passwd", "'name' is not a plain file name"),
    (("flashes", 0, "last"), 10**9, "flashes[0]"),
    (("version",), 2, "'version' is not 1"),
    (("kind",), {}, "'kind' is neither"),
]


@pytest.mark.parametrize("keys, value, message", DAMAGE)
def test_damage_names_the_file_and_the_key(tmp_path: Path, film, keys, value, message):
    path = tmp_path / "film.truth.json"
    truth = _good(path, film)
    inner = truth
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path.write_text(json.dumps(truth))
    with pytest.raises(ValueError) as error:
        read_truth(path)
    assert message in str(error.value) and str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_key_is_named(tmp_path: Path, film: FilmTruth):
    path = tmp_path / "film.truth.json"
    truth = _good(path, film)
    del truth["shots"][3]["into"]["coming"]
    path.write_text(json.dumps(truth))
    with pytest.raises(ValueError, match=r"'shots\[3\].into.coming' is missing"):
        read_truth(path)


def test_damaged_sets_are_named(tmp_path: Path, films: SetTruth):
    path = tmp_path / "set.json"
    for change, message in (
        (lambda t: t["films"].append(t["films"][0]), "'films' has a name twice"),
        (lambda t: t["users"][4]["watched"].append("film-9999"), r"'users\[4\].watched'"),
        (lambda t: t["films"][1].update(name="a/b"), r"'films\[1\].name' is not a plain file name"),
        (lambda t: t["settings"].update(height=0), "settings.height"),
    ):
        truth = _good(path, films)
        change(truth)
        path.write_text(json.dumps(truth))
        with pytest.raises(ValueError, match=message):
            read_truth(path)


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "is not JSON"),
        (b"[1, 2]", "'kind' is neither"),
        (b'{"kind": "vujax cinema film"', "is not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"\xff\xfe{}", "is not UTF-8"),
        (b'{"kind": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b'{"kind": "vujax cinema film", "version": 1}', "'settings' is missing"),
    ],
)
def test_other_files_say_so(tmp_path: Path, data: bytes, message: str):
    path = tmp_path / "a\nname.json"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message) as error:
        read_truth(path)
    assert "\n" not in str(error.value) and repr(str(path)) in str(error.value)


def _any_place(rng: random.Random, value: object) -> tuple[object, object]:
    """Draw a container in a JSON value and one of its keys."""
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = rng.choice(keys)
        inner = value[key]
        if not (isinstance(inner, (dict, list)) and inner) or rng.random() < 0.15:
            return value, key
        value = inner


HOSTILE = (None, True, -1, 0, 1, 3, 1 << 70, 1e308, float("nan"), "", "24", "\ud800", [], {}, [[]])


def _check_fuzzed(path: Path) -> bool:
    """Return True if it was refused; otherwise everything that it offers must work."""
    try:
        truth = read_truth(path)
    except ValueError as error:
        assert str(path) in str(error)
        return True
    if isinstance(truth, SetTruth):
        truth.watched()
    else:
        assert len(split_into_shots(truth.transitions, truth.frames)) == len(truth.shots)
        assert truth.duration_s > 0 and truth.scene_starts is not None
    return False


def test_fuzzed_truth_is_refused_or_consistent(tmp_path: Path, film: FilmTruth, films: SetTruth):
    rng, path = random.Random(0), tmp_path / "film.truth.json"
    refused = 0
    for truth in (film, films):
        text = json.dumps(_good(path, truth))
        for _ in range(300):
            value = json.loads(text)
            place, key = _any_place(rng, value)
            if rng.random() < 0.2:
                del place[key]
            else:
                place[key] = rng.choice(HOSTILE)
            path.write_text(json.dumps(value))
            refused += _check_fuzzed(path)
    assert 300 < refused < 600


def test_flipped_bytes_are_refused_or_consistent(tmp_path: Path, film: FilmTruth):
    rng, path = random.Random(1), tmp_path / "film.truth.json"
    whole = write_truth(path, film).read_bytes()
    for _ in range(200):
        data = bytearray(whole)
        for _ in range(rng.choice((1, 1, 20))):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(data[: rng.choice((len(data), rng.randrange(len(data))))])
        _check_fuzzed(path)
