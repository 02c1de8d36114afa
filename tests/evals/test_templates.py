import pytest

from vujax.evals.zero_shot import TEMPLATES, prompts, templates


def test_every_set_holds_the_name_once():
    for name in TEMPLATES:
        assert templates(name) == templates(list(TEMPLATES[name]))


def test_prompts_keep_one_class_together():
    assert prompts(["hot_dog", "pie"], ["a {}.", "{}"]) == [
        "a hot dog.",
        "hot dog",
        "a pie.",
        "pie",
    ]


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ("fotos", "no templates named 'fotos'"),
        ([], "templates is empty"),
        (["a photo"], "'a photo' must contain"),
        (["{} and {}"], "must contain"),
    ],
)
def test_wrong_templates(chosen, message):
    with pytest.raises(ValueError, match=message):
        templates(chosen)
