"""Every mutant applies to the code as it is, and names tests that exist."""

import importlib.util
import sys
from types import ModuleType

import pytest

from tests.configs import ROOT


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mutants", ROOT / "tools" / "mutants.py")
    assert spec and spec.loader
    module = sys.modules["mutants"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MODULE = load()
MUTANTS = MODULE.read_mutants()


def test_there_are_enough() -> None:
    assert len(MUTANTS) >= 60
    assert len({mutant.file for mutant in MUTANTS}) >= 20


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_applies(mutant) -> None:
    text = (ROOT / mutant.file).read_text(encoding="utf-8")
    assert text.count(mutant.old) == 1, f"{mutant.file} changed: adapt the mutant"
    assert mutant.old != mutant.new
    compile(text.replace(mutant.old, mutant.new), mutant.file, "exec")
    assert mutant.tests
    assert all((ROOT / test.partition("::")[0]).is_file() for test in mutant.tests)


def test_a_mutant_that_no_longer_applies_is_an_error(tmp_path) -> None:
    (tmp_path / "x.py").write_text("a = 1\n")
    for old in ("b = 1", "a"):
        mutant = MODULE.Mutant("m", "x.py", old, "c", ("tests/x.py",))
        if old == "a":
            mutant.apply(tmp_path)
            assert (tmp_path / "x.py").read_text() == "c = 1\n"
        else:
            with pytest.raises(ValueError, match=r"occurs 0 times in x\.py, expected once"):
                mutant.apply(tmp_path)
