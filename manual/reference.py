"""docs/reference.md: every field, flag and value there is. Pure but for reading the chart's values."""

from __future__ import annotations

from pathlib import Path

from charts import value_table
from manual import fields, flags
from modelrollout.api.crd import explained
from modelrollout.api.metric_templates import MetricTemplateSpec
from modelrollout.api.spec import ROLLOUT_NAME, ModelRolloutSpec
from modelrollout.api.status import ModelRolloutStatus

VALUES = Path(__file__).parents[1] / "charts/modelrollout/values.yaml"
_HEAD = f"""\
<!-- Made from the models, the flags and the chart's values by `make reference`; edit there. -->
# Reference

Every field, flag and value. The API server refuses unknown fields, and whatever is not as *Must be* says. The operator
refuses a few more things, where one part of a spec is compared with another: it says so in the phase `Invalid`, and the
[webhook](warnings.md) on apply.

Durations are written `90s`, `5m`, `1h30m` or `7d`; shares `2%` or `"0.02"`; limits `2%`, `"0.92"` or `300ms`. A default
that stands below a list is filled in by the operator and does not show in the object.

The name: {ROLLOUT_NAME.message}.
"""


def page() -> str:
    """The whole page."""
    spec, status, template = (explained(one) for one in (ModelRolloutSpec, ModelRolloutStatus, MetricTemplateSpec))
    parts = [
        _HEAD,
        "## ModelRollout: spec\n",
        *_sections("spec", spec),
        "## ModelRollout: status\n\nOnly the operator writes it.\n",
        *_sections("status", status),
        "## MetricTemplate and ClusterMetricTemplate\n",
        fields.section("spec of a template", template, prefix="spec"),
        "## Commands\n",
        *(flags.section(command) for command in flags.COMMANDS),
        "## Values of the chart\n\n| Value | Default | |\n|---|---|---|\n" + _values(),
    ]
    return "\n".join(parts)


def _sections(path: str, schema: fields.Schema) -> list[str]:
    """A table of what stands at the top, and one for each of these that has parts itself."""
    parts = schema["properties"]
    top = {name: fields.without_parts(field) for name, field in parts.items()}
    detailed = [name for name, field in parts.items() if fields.has_parts(field)]
    return [
        fields.section(path, {**schema, "properties": top}),
        *(fields.section(f"{path}.{name}", parts[name]) for name in detailed),
    ]


def _values() -> str:
    return "".join(f"{one}\n" for one in value_table.described(VALUES.read_text())).replace("<", "&lt;")
