"""The list of mutations is kept up with the code; tests/mutants.py tries them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants import ROOT, Mutation, judge_all, read_mutations

MUTATIONS = read_mutations()


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.promise)
def test_it_applies_and_its_tests_are_there(mutation: Mutation):
    source = (ROOT / mutation.file).read_text(encoding="utf-8")
    changed = mutation.applied_to(source)
    assert changed != source
    compile(changed, mutation.file, "exec")
    for test in mutation.tests:
        path, *names = test.split("::")
        text = (ROOT / path).read_text(encoding="utf-8")
        assert all(f" {name}" in text for name in names)


def test_each_breaks_a_promise_of_its_own():
    assert len({m.promise for m in MUTATIONS}) == len(MUTATIONS)
    assert len({(m.file, m.text, m.replacement) for m in MUTATIONS}) == len(MUTATIONS)


def test_a_text_that_is_not_there_once_does_not_apply():
    mutation = Mutation("p", "f", "a", "b", ())
    assert mutation.applied_to("cat") == "cbt"
    for source in ("dog", "banana"):
        with pytest.raises(ValueError, match="occurs"):
            mutation.applied_to(source)


def test_what_no_test_notices_survives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # takes longer than these tests
    toy = tmp_path / "toy"
    toy.mkdir()
    (toy / "doubling.py").write_text("def doubled(x):\n    return 2 * x\n\nunused = 1\n")
    (toy / "test_doubling.py").write_text("import doubling\n\ndef test():\n    assert doubling.doubled(3) == 6\n")
    edits = [("2 * x", "3 * x"), ("unused = 1", "unused = 2"), ("2 * x", "2 *"), ("4 * x", "5 * x")]
    mutations = [Mutation(text, "doubling.py", text, edit, ("test_doubling.py",)) for text, edit in edits]
    reported = []
    verdicts = judge_all(mutations, lambda m, v: reported.append(v), source=toy, jobs=2)
    assert [v.word for v in verdicts] == ["caught", "SURVIVED", "BROKEN", "BROKEN"]
    assert sorted(map(id, reported)) == sorted(map(id, verdicts))
    assert "test_doubling.py::test" in verdicts[0].details and "exits with 2" in verdicts[2].details
    assert (toy / "doubling.py").read_text().count("2 * x") == 1, "the tree itself is left alone"
