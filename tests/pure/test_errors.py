"""The tree of what can go wrong is the contract of scripts."""

from __future__ import annotations

import inspect

import pytest

from remotenb import errors
from remotenb.errors import RemotenbError

TREE: list[type[RemotenbError]] = [
    one for one in vars(errors).values() if inspect.isclass(one) and issubclass(one, RemotenbError)
]
DOC = inspect.getdoc(errors) or ""

CODES = {
    errors.UsageError: 2,
    errors.LinkError: 3,
    errors.FarSideError: 4,
    errors.LocalError: 5,
    errors.ServerGone: 6,
}


@pytest.mark.parametrize("branch", CODES, ids=lambda branch: branch.__name__)
def test_a_branch_has_the_exit_code_of_the_contract(branch: type[RemotenbError]) -> None:
    for leaf in TREE:
        if issubclass(leaf, branch):
            assert leaf.code == CODES[branch]


def test_what_is_of_no_branch_is_a_bug() -> None:
    others = [one for one in TREE if not issubclass(one, tuple(CODES))]
    assert others == [RemotenbError]
    assert RemotenbError.code == 1


@pytest.mark.parametrize("error", TREE, ids=lambda error: error.__name__)
def test_each_error_is_drawn_in_the_tree_and_explained(error: type[RemotenbError]) -> None:
    drawn = DOC.replace("/", " ").split()
    assert error.__name__ in drawn
    assert error.__doc__


@pytest.mark.parametrize("error", TREE, ids=lambda error: error.__name__)
def test_the_tree_says_which_are_passing(error: type[RemotenbError]) -> None:
    line = next(line for line in DOC.splitlines() if error.__name__ in line)
    assert error.passing == ("(passing)" in line)


def test_an_error_has_a_message_a_hint_and_perhaps_a_detail() -> None:
    error = RemotenbError("one", hint="two", detail="three")
    assert (str(error), error.message, error.hint, error.detail) == ("one", "one", "two", "three")
