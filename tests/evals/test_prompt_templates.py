"""Prompt templates: the sets, lists of the user, and their errors."""

import pytest

from vujax.evals.prompt_templates import TEMPLATES, format_prompts, resolve_templates


def test_every_set_holds_the_name_once():
    for name in TEMPLATES:
        assert resolve_templates(name) == resolve_templates(list(TEMPLATES[name]))


def test_prompts_keep_one_class_together():
    assert format_prompts(["hot_dog", "pie"], ["a {}.", "{}"]) == [
        "a hot dog.",
        "hot dog",
        "a pie.",
        "pie",
    ]


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ("fotos", "unknown templates 'fotos'"),
        ([], "templates is empty"),
        (["a photo"], "'a photo' must contain"),
        (["{} and {}"], "must contain"),
    ],
)
def test_wrong_templates(chosen, message):
    with pytest.raises(ValueError, match=message):
        resolve_templates(chosen)
