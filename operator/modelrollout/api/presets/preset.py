"""What a preset is, and the parts that many are made of. Pure.

Every text below is that of a template: `{{ args.NAME }}` is filled in when a rollout uses the preset, `{{ pods }}` and
the other names of an arm when a query is sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelrollout.api.metric_templates import Argument, MetricTemplateSpec

WrittenMetric = Mapping[str, Any]
Arguments = tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Preset:
    """Ready-made metrics of one kind of server or proxy."""

    name: str
    title: str
    notes: str  # what a user has to know, in Markdown
    sources: tuple[str, ...]  # where the names of metrics and labels were checked
    spec: MetricTemplateSpec


def preset(
    name: str,
    title: str,
    *,
    metrics: Sequence[WrittenMetric],
    arguments: Sequence[Argument],
    sources: Sequence[str],
    notes: str = "",
) -> Preset:
    """A preset; each argument is asked for once, however many of its metrics use it."""
    taken = {argument.name: argument for argument in arguments}
    spec = MetricTemplateSpec(
        description=title, arguments=tuple(taken.values()), metrics=tuple(dict(metric) for metric in metrics)
    )
    return Preset(name, title, " ".join(notes.split()), tuple(sources), spec)


def argument(name: str, default: str, description: str) -> Argument:
    return Argument(name=name, default=default, description=" ".join(description.split()))


NAMESPACE = 'namespace=~"{{ namespace }}|"'
"""Pods of one manifest have the same names in every namespace. `|`: a scrape that sets no such label works, too."""


def arm(default: str = f'{NAMESPACE}, pod=~"{{{{ pods }}}}"') -> Argument:
    return argument(
        "arm",
        default,
        """Label matchers that tell the arm's series from the other's, and from those of other namespaces. Change it
        where Prometheus has pod and namespace under other labels, such as exported_pod and exported_namespace.""",
    )


MATCHERS = argument("matchers", "", 'More label matchers, separated by commas, such as container="server".')
COMMON: Arguments = (arm(), MATCHERS)
ERRORS: Arguments = (
    argument("errorTolerance", "25%", "How many more errors are still fine, as a share of the stable's."),
    argument("errorMargin", "0.1%", "How many more errors are still fine on top of that, as a share of the requests."),
    argument("maxErrors", "", "Never more errors than this, such as 2%, whatever the stable does."),
)


def times(name: str, what: str, *, tolerance: str, unit: str = "") -> Arguments:
    """The arguments of a metric of times. Without a unit they are seconds, and limits may be written as 300ms."""
    limit = f"in {unit}, as a plain number" if unit else "such as 300ms or 2s"
    return (
        argument(f"{name}Tolerance", tolerance, f"How much longer {what} may be than the stable's."),
        argument(_limit(name, unit), "", f"Never longer {what} than this, {limit}, whatever the stable does."),
    )


QUANTILE = argument("quantile", "0.99", "The quantile that maximal times are held against, and that people are shown.")


def series(name: str, *matchers: str) -> str:
    """A series selector for one arm."""
    return f"{name}{{ {', '.join(['{{ args.arm }}', *matchers, '{{ args.matchers }}'])} }}"


def any_of(regex: str, *matchers: str) -> str:
    """A series selector for one arm, of all metrics whose names match: counters that are each a part of the whole."""
    return series("", f'__name__=~"{regex}"', *matchers)


def errors(bad: str, total: str, name: str = "errors") -> WrittenMetric:
    return {
        "name": name,
        "ratio": {"bad": bad, "total": total},
        "tolerance": {"relative": "{{ args.errorTolerance }}", "absolute": "{{ args.errorMargin }}"},
        "max": "{{ args.maxErrors }}",
    }


def histogram(name: str, selector: str, argument_of: str, unit: str = "") -> WrittenMetric:
    return {
        "name": name,
        "histogram": selector,
        "quantile": "{{ args.quantile }}",
        "tolerance": {"relative": f"{{{{ args.{argument_of}Tolerance }}}}"},
        "max": f"{{{{ args.{_limit(argument_of, unit)} }}}}",
    }


WINDOW = argument(
    "window",
    "{{ window }}",
    """The time that each reading of a mean covers. Give it at least four scrape intervals, such as 2m; left alone it is
    the interval of the analysis, and a minute at least.""",
)


def mean(name: str, total: str, count: str, argument_of: str, *, per: str = "") -> WrittenMetric:
    """Where only a sum and a count are exported: the mean, which hides tails, read as a value. `per`: such as 1e6."""
    window = "[{{ args.window }}]"
    ratio = f"sum(rate({total}{window})) / sum(rate({count}{window}))"
    return {
        "name": name,
        "value": f"{ratio} / {per}" if per else ratio,
        "betterWhen": "lower",
        "tolerance": {"relative": f"{{{{ args.{argument_of}Tolerance }}}}"},
        "max": f"{{{{ args.{_limit(argument_of)} }}}}",
    }


def _limit(name: str, unit: str = "") -> str:
    return f"max{name[0].upper()}{name[1:]}{unit.capitalize()}"
