"""`python -m charts` writes what is generated for the chart, or with --check says which file is not up to date."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from charts import dashboard, definitions, metric_table, rules, value_table, written_files

CHART = Path(__file__).with_name("modelrollout")
OBSERVABILITY = CHART.parents[1] / "docs" / "observability.md"


def generated() -> dict[Path, str]:
    """The text of every generated file, by its path in the chart."""
    templates = CHART / "templates"
    return {
        templates / "_rules.tpl": rules.template(),
        **{templates / "crds" / name: text for name, text in definitions.templates().items()},
        CHART / "files" / "dashboard.json": dashboard.text(),
        OBSERVABILITY: metric_table.page(OBSERVABILITY.read_text()),
        CHART / "README.md": value_table.page((CHART / "values.yaml").read_text(), (CHART / "README.md").read_text()),
    }


def main(arguments: Sequence[str]) -> int:
    return written_files.write(generated(), arguments, "is not what the code and values.yaml say: run `make chart`")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
