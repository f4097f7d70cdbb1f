"""The list of mutations is kept up with the code; tests/mutants.py tries them."""

from __future__ import annotations

import pytest

from tests.mutants import ROOT, Mutation, read_mutations

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
