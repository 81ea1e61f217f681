"""docs/presets.md, made from the catalogue. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from modelrollout.api.base import API_VERSION
from modelrollout.api.metric_templates import KIND
from modelrollout.api.presets.preset import Preset, WrittenMetric

_HEAD = """\
<!-- Made from operator/modelrollout/api/presets by `make presets`; edit there. -->
# Presets: ready-made metrics

A preset is a set of metrics for what a well-known server or proxy exports. Name it, and the metrics are there:

```yaml
analysis:
  presets:
  - name: fastapi
  - name: vllm
    include: [time-to-first-token, time-per-output-token]
    arguments: {maxFirstToken: 800ms}
```

Every preset works without arguments. `include` takes some of its metrics only; a metric of the rollout's own
(`analysis.metrics`) with the same name takes the place of a preset's. Two presets that bring a metric of the same name
are refused: use `include`, or write that metric yourself.

Most metrics compare candidate with stable and have no limit of their own, because nobody but you knows what is too
slow. At 100 % and during the bake there is nothing to compare with, so give what matters most a limit: `maxErrors`,
`maxLatency` and their like. An argument that is `""` leaves out what it would have set.

Pods of one manifest have the same names in every namespace, so `arm` names the namespace as well as the pods. A scrape
that sets no label `namespace` works, too (that is what `|` is for), but then nobody can tell two namespaces apart. So
set it: monitors of the Prometheus operator do, and a scrape configuration of your own relabels
`__meta_kubernetes_namespace`. Where the label is called otherwise, say so in `arm`:

```yaml
analysis:
  presets:
  - name: fastapi
    arguments:
      arm: kubernetes_namespace="{{ namespace }}", kubernetes_pod_name=~"{{ pods }}"
```

Where a metric's unit is not seconds, the name of the argument says so (`maxLatencyMilliseconds: "300"`); limits of
metrics in seconds may be written `300ms`. Metrics that are a mean (of a sum and a count) are read as a `value`: they
are slower to tell a difference than a histogram, and blind to tails.

What is missing here, or is called otherwise in your release, is a [metric template](metric-templates.md) away: every
preset is shown below as one, ready to be copied and changed.
"""


def page(presets: Sequence[Preset]) -> str:
    """The whole page."""
    table = ["| preset | for | metrics |", "|---|---|---|", *(_row(preset) for preset in presets)]
    return "\n".join([_HEAD, *table, "", *(line for preset in presets for line in _section(preset))])


def as_template(preset: Preset) -> dict[str, Any]:
    """A preset as a MetricTemplate that says the same."""
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": preset.name}, "spec": preset.spec.to_wire()}


def _row(preset: Preset) -> str:
    names = ", ".join(metric["name"] for metric in preset.spec.metrics)
    return f"| [{preset.name}](#{preset.name}) | {preset.title} | {names} |"


def _section(preset: Preset) -> Iterator[str]:
    yield from (f"## {preset.name}", "", f"{preset.title}. {preset.notes}".strip(), "")
    yield from ("| metric | read as |", "|---|---|")
    yield from (f"| {metric['name']} | {_kind(metric)} |" for metric in preset.spec.metrics)
    yield from ("", "| argument | default | meaning |", "|---|---|---|")
    for argument in preset.spec.arguments:
        yield f"| {argument.name} | {_code(argument.default or '')} | {argument.description} |"
    yield from ("", f"Names checked in: {'; '.join(preset.sources)}.", "")
    yield from ("<details><summary>As a MetricTemplate</summary>", "", "```yaml")
    yield yaml.safe_dump(as_template(preset), sort_keys=False, allow_unicode=True, width=1000).rstrip()
    yield from ("```", "", "</details>", "")


def _kind(metric: WrittenMetric) -> str:
    if "ratio" in metric:
        return "ratio of counters"
    return "histogram" if "histogram" in metric else "value"


def _code(text: str) -> str:
    escaped = text.replace("|", "\\|")  # or a table would end its cell there
    return f"`{escaped}`" if text else "(none)"
