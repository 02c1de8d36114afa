"""Layouts of published models, and errors for unsupported files."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from vujax.models.pretrained.published import INDEX, choose_layout, find_published


def folder(root, **files):
    """Write files by name, '.' as '__'; contents are text, or a safetensors file for None."""
    for name, content in files.items():
        path = root / name.replace("__", ".")
        if content is None:
            save_file({"x": np.zeros(2, np.float32)}, path)
        else:
            path.write_text(content)
    return root


def test_layouts(tmp_path):
    for place in "abc":
        (tmp_path / place).mkdir()
    found = find_published(folder(tmp_path / "a", config__json='{"k": 1}', model__safetensors=None))
    assert (found.layout, found.settings) == ("transformers", {"k": 1})
    assert [path.name for path in found.weights] == ["model.safetensors"]
    names = dict(open_clip_config__json="{}", open_clip_model__safetensors=None)
    opened = find_published(folder(tmp_path / "b", **names))
    assert opened.layout == "open_clip"
    assert find_published(opened.weights[0]).layout == "open_clip"
    lone = find_published(folder(tmp_path / "c", any__safetensors=None) / "any.safetensors")
    assert (lone.layout, lone.settings, lone.json("config.json")) == ("file", {}, None)
    both = {"config.json", "model.safetensors", "open_clip_config.json"}
    assert choose_layout(both) == ("transformers", "model.safetensors")
    assert choose_layout(
        {"open_clip_pytorch_model.safetensors", *both} - {"model.safetensors"}
    ) == (
        "open_clip",
        "open_clip_pytorch_model.safetensors",
    )
    assert choose_layout({"config.json"}) == (None, None)


def test_shards(tmp_path):
    names = {"model-1.safetensors": None, "model-2.safetensors": None}
    index = {"weight_map": {"x": "model-1.safetensors", "y": "model-2.safetensors"}}
    folder(tmp_path, **names, **{INDEX: json.dumps(index)}, config__json="{}")
    assert [path.name for path in find_published(tmp_path).weights] == list(names)
    (tmp_path / "model-2.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks model-2\.safetensors"):
        find_published(tmp_path)


@pytest.mark.parametrize("file", ["../out.safetensors", "/etc/passwd", "a/b.safetensors", "x.bin"])
def test_an_index_names_files_of_its_folder_alone(tmp_path, file):
    folder(tmp_path, **{INDEX: json.dumps({"weight_map": {"x": file}})}, config__json="{}")
    with pytest.raises(ValueError, match="which is not a safetensors file of that folder"):
        find_published(tmp_path)


@pytest.mark.parametrize("index", ["{}", '{"weight_map": []}', "[]", "{"])
def test_an_index_that_says_nothing(tmp_path, index):
    folder(tmp_path, **{INDEX: index}, config__json="{}")
    with pytest.raises(ValueError, match="download it again"):
        find_published(tmp_path)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.ckpt"])
def test_pickles_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"cos\nsystem\n(S'touch /tmp/no'\ntR.")
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(ValueError, match=r"a pickle can run programs .* safetensors\.torch"):
            find_published(path)


def test_a_model_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        find_published(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="is not a published model"):
        find_published(tmp_path)
    folder(tmp_path, some__safetensors=None)
    with pytest.raises(FileNotFoundError, match=r"holds some\.safetensors and no"):
        find_published(tmp_path)
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ValueError, match=r"is not a \.safetensors file"):
        find_published(tmp_path / "notes.txt")


def test_settings_that_are_no_json(tmp_path):
    folder(tmp_path, config__json="{", model__safetensors=None)
    with pytest.raises(ValueError, match=r"config\.json is not (a )?JSON"):
        find_published(tmp_path)
    (tmp_path / "config.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"config\.json is not (a )?JSON"):
        find_published(tmp_path)


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\ntags:\n- x\nlicense: mit\n---\nlicense: gpl\n", "mit"),
        ("---\nlicense: 'cc-by-4.0'\n---\n", "cc-by-4.0"),
        ("---\ntags: x\n---\nlicense: gpl\n", None),
        ("license: gpl\n", None),
    ],
)
def test_the_licence_is_the_model_cards(tmp_path, card, licence):
    found = find_published(
        folder(tmp_path, config__json="{}", model__safetensors=None, README__md=card)
    )
    assert found.license() == licence
