"""What is generated in the chart is what the code and values.yaml say."""

from __future__ import annotations

import pytest

from charts import value_table
from charts.__main__ import generated


def test_generated_files_are_up_to_date() -> None:
    stale = [path.name for path, text in generated().items() if path.read_text() != text]
    assert stale == [], "run `make chart`"


def test_a_value_without_a_comment_is_refused_by_its_path() -> None:
    with pytest.raises(ValueError, match=r"values.yaml: log.level has no comment above it"):
        [*value_table.described("# What is logged.\nlog:\n  level: info\n")]


def test_the_table_has_a_row_for_every_section_and_value() -> None:
    values = "# What is logged.\nlog:\n  # How much\n  # of it.\n  level: info\n# Pods.\npods: {a: [1]}\n"
    assert [str(one) for one in value_table.described(values)] == [
        "| **log** | | What is logged. |",
        '| `log.level` | `"info"` | How much of it. |',
        '| `pods` | `{"a": [1]}` | Pods. |',
    ]


def test_a_page_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="has no <!-- values --> and <!-- /values -->"):
        value_table.page("# A.\na: 1\n", "# The chart\n")
