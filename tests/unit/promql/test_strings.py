"""Any text, written so that it means itself: as a regular expression, and between quotes."""

import re

import pytest

from modelrollout.promql.strings import as_regex, in_quotes


@pytest.mark.parametrize("text", ["fraud.v1", "a+b", "c^d", r"back\slash", "[x]", "(y|z)", "{1}$", "*?"])
def test_a_name_as_a_regular_expression_matches_only_itself(text: str) -> None:
    assert re.fullmatch(as_regex(text), text)
    assert not re.fullmatch(as_regex(text), text.replace(text[-1], "~"))


def test_a_text_cannot_break_out_of_quotes() -> None:
    # PromQL knows \x22 in every kind of quotes that knows escapes; \" it refuses between single ones.
    assert in_quotes("a\"b'c`d\\e\nf") == r"a\x22b\x27c\x60d\\e\nf"
