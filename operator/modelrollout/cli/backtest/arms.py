"""The arms of a backtest: in history an arm has no workload of its own, but pods, labels and names. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel

from modelrollout.analysis.kinds.kind_table import kind_of
from modelrollout.analysis.queries import ArmNames
from modelrollout.api.analysis import Analysis
from modelrollout.api.metric import Metric
from modelrollout.api.placeholders import UnknownName, render_text
from modelrollout.cli.backtest.policy import Policy
from modelrollout.cli.backtest.trouble import MisuseError
from modelrollout.promql.matchers import Kind, Matcher
from modelrollout.promql.selectors import SelectorError, parse

NAMES = ("workload", "service", "revision")
"""Names, beside pods, that queries may use and that flags must give, because history does not know them."""
OPPOSITE: dict[Kind, Kind] = {"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}
EVERYBODY = ".+"
_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_TOKEN = re.compile(r"""\{\{.*?\}\}|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`|\#[^\n]*|[{}]""", re.DOTALL)
_MARK = "the-pods-of-this-arm"


@dataclass(frozen=True, slots=True)
class Selected:
    """An arm in history: a regular expression for its pods' names, more matchers, and its other names."""

    arm: Literal["candidate", "stable"]
    pods: str = EVERYBODY
    matchers: str = ""
    names: Mapping[str, str] = field(default_factory=dict)


def past_arm(selected: Selected, policy: Policy) -> ArmNames:
    """An arm's names in history. Where neither file nor flag says the namespace, its pods may be in any."""
    names = selected.names
    return ArmNames(
        arm=selected.arm,
        namespace=names.get("namespace", policy.namespace),
        rollout=names.get("rollout", policy.name),
        revision=names.get("revision", ""),
        workload=names.get("workload", ""),
        service=names.get("service", ""),
        pods=selected.pods,
        is_anywhere=not policy.is_placed and "namespace" not in names,
    )


def checked_matchers(text: str, flag: str) -> str:
    """Label matchers as they stand between braces, checked. Raises MisuseError."""
    inner = text.strip().removeprefix("{").removesuffix("}").strip().strip(",")
    try:
        return ",".join(map(str, parse(f"{{{inner}}}").matchers)) if inner else ""
    except SelectorError as error:
        raise MisuseError(f"{flag} is {text!r}: {error}; write label matchers such as 'version=\"v2\"'.") from None


def opposite(matchers: str) -> str | None:
    """The matcher for everybody else; None where there is no single one."""
    known = parse(f"{{{matchers}}}").matchers if matchers else ()
    if len(known) != 1:
        return None
    return str(Matcher(known[0].label, OPPOSITE[known[0].kind], known[0].value))


def narrowed(analysis: Analysis, selected: Selected) -> Analysis:
    """The analysis with an arm's matchers in every selector that names the arm. Raises MisuseError where none does."""
    metrics = tuple(_narrowed(metric, selected) for metric in analysis.metrics)
    return analysis.model_copy(update={"metrics": metrics})


def _narrowed(metric: Metric, selected: Selected) -> Metric:
    texts = {path: _with(text, selected.matchers) for _, text, path in kind_of(metric).parts(metric)}
    for _, text, path in kind_of(metric).parts(metric):
        asked = set(_PLACEHOLDER.findall(text))
        where = f"spec.analysis.metrics[{metric.name}].{path}"
        if unknown := sorted(name for name in asked & set(NAMES) if not selected.names.get(name)):
            raise MisuseError(
                f"{where} asks for {{{{ {unknown[0]} }}}}, which nobody knows of the past: "
                f"say it with --{selected.arm}-name {unknown[0]}=…"
            )
        # Pairs belong to both arms, so their selectors need not name one.
        if metric.pairs is None and not asked & {*NAMES, "pods", "arm"} and texts[path] == text:
            raise MisuseError(
                f"{where} does not tell the arms apart: no selector in it has {{{{ pods }}}} or another of its names."
            )
    # Copies that are not checked again: with matchers a text may be longer than what a spec may hold.
    blocks: dict[str, dict[str, str]] = {}
    for path, text in texts.items():
        block, _, name = path.partition(".")
        blocks.setdefault(block, {})[name] = text
    update: dict[str, object] = {}
    for block, fields in blocks.items():
        part = getattr(metric, block)
        update[block] = _edited(part, fields) if isinstance(part, BaseModel) else fields[""]
    return metric.model_copy(update=update)


def _edited(block: BaseModel, fields: Mapping[str, str]) -> BaseModel:
    """A copy with other texts in these fields, which are called as in a spec."""
    names = {field.alias or name: name for name, field in type(block).model_fields.items()}
    return block.model_copy(update={names[alias]: text for alias, text in fields.items()})


def _with(text: str, matchers: str) -> str:
    """With the matchers in each pair of braces in which something is filled in."""
    if not matchers:
        return text
    made, begun, at = "", None, 0
    for found in _TOKEN.finditer(text):
        if found[0] == "{":
            begun = found.end()
        elif found[0] == "}" and begun is not None:
            inner = text[begun : found.start()]
            if _PLACEHOLDER.search(inner):
                made += text[at:begun] + matchers + ("," if inner.strip() else "")
                at = begun
            begun = None
    return made + text[at:]


def pod_labels(analysis: Analysis) -> dict[str, str]:
    """For each metric the label that its {{ pods }} are held against; left out where no selector can be read."""
    found: dict[str, str] = {}
    for metric in analysis.metrics:
        for text in _selectors(metric):
            try:
                selector = parse(text)
            except SelectorError:
                continue
            labels = [matcher.label for matcher in selector.matchers if matcher.value == _MARK]
            if labels:
                found.setdefault(metric.name, labels[0])
    return found


def _selectors(metric: Metric) -> Iterator[str]:
    """The selectors of a metric with a mark where the pods stand; of an expression each pair of braces."""
    for _, text, path in kind_of(metric).parts(metric):
        values = dict.fromkeys(("namespace", "rollout", "arm", *NAMES, "window"), "1s") | {"pods": _MARK}
        try:
            rendered = render_text(text, values, where=path)
        except UnknownName:
            continue
        if metric.value is None:
            yield rendered.strip()
            continue
        begun = None
        for token in _TOKEN.finditer(rendered):
            if token[0] == "{":
                begun = token.start()
            elif token[0] == "}" and begun is not None:
                yield rendered[begun : token.end()]
                begun = None
