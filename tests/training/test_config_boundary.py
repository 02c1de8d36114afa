"""The heads of the boundary config have the defaults of their classes."""

import pytest

from tests.configs import load
from vujax.models.boundary import build_boundary_model


@pytest.mark.parametrize("name", ["similarity", "mlp", "transformer"])
def test_heads_of_the_config(name):
    settings = load("boundary", name).model.to_dict()
    assert build_boundary_model(**settings) == build_boundary_model(head={"kind": name})


def test_default_and_unknown():
    model = build_boundary_model(**load("boundary").model.to_dict())
    assert model.encoder.inputs == ("image",) and model.window == {"before": 4, "after": 4}
    with pytest.raises(ValueError, match="unknown experiment 'crn'; expected one of: cinema, mlp"):
        load("boundary", "crn")
