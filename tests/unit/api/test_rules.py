"""Rules that several models share: what they say in CEL is held to API servers by tests/contract/crd."""

from __future__ import annotations

import pytest

from modelrollout.api.base import Model
from modelrollout.api.rules import block_of_its_type, exactly_one_of


class Choice(Model):
    first_way: int | None = None
    second: int | None = None
    other: int | None = None


class Typed(Model):
    type: str
    first_block: int | None = None
    second: int | None = None


ONE = exactly_one_of("firstWay", "second", message="set firstWay or second")
BLOCK = block_of_its_type({"First": "firstBlock", "Second": "second"}, message="set what type names")


@pytest.mark.parametrize(
    ("choice", "holds"),
    [
        (Choice(first_way=0), True),
        (Choice(second=1, other=1), True),
        (Choice(first_way=1, second=1), False),
        (Choice(other=1), False),
    ],
)
def test_exactly_one_is_no_more_and_no_fewer(choice: Choice, holds: bool) -> None:
    assert ONE.holds(choice) is holds


def test_exactly_one_asks_for_fields_only_so_a_template_keeps_it() -> None:
    assert ONE.cel == "[has(self.firstWay), has(self.second)].exists_one(field, field)"


@pytest.mark.parametrize(
    ("typed", "holds"),
    [
        (Typed(type="First", first_block=0), True),
        (Typed(type="First"), False),
        (Typed(type="First", second=1), False),
        (Typed(type="Second", first_block=1, second=1), False),
    ],
)
def test_the_block_that_a_type_names_is_set_and_no_other(typed: Typed, holds: bool) -> None:
    assert BLOCK.holds(typed) is holds
