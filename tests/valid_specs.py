"""A strategy for every spec that is valid, as users write them: with fields left out, in the wire's JSON."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import strategies as st

from modelrollout.api.notifications import Topic
from modelrollout.api.scalars import DURATION_PATTERN
from tests.builders import Spec, canary
from tests.valid_compares import compares
from tests.valid_routes import routers
from tests.valid_scaling import autoscalings, budgets
from tests.valid_smoke import smoke_requests


def _is_scalar(text: str) -> bool:
    return len(text) <= 32 and re.fullmatch(DURATION_PATTERN, text) is not None


_seconds = st.integers(1, 300).map(lambda number: f"{number}s")
_holds = _seconds | st.sampled_from(["500ms", "5m", "1.5m", "1h", "59m59s"])
_deadlines = st.sampled_from(["2h", "90m", "2h30m", "7d", "1d12h", "7200s"])
durations = st.from_regex(DURATION_PATTERN, alphabet=st.characters(codec="ascii")).filter(_is_scalar)
_names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
_texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)
_shares = st.integers(0, 99).map(lambda number: f"{number}%") | st.sampled_from(["0.25", "0", "12.5%", "0.001"])
_amounts = _shares | st.sampled_from(["100%", "1", "1e-3"])
_limits = _amounts | st.sampled_from(["-0.5", "300ms", "1m", "12000", "-3e2%", "1d"])
_arms = st.sampled_from(["pods", "revision", "workload", "service", "arm"])


@st.composite
def _selectors(draw: st.DrawFn) -> str:
    return f'{draw(st.from_regex("[a-z_:][a-z0-9_:]{0,10}", fullmatch=True))}{{a=~"{{{{ {draw(_arms)} }}}}",b="(c|d)"}}'


def _maybe(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


def _with(required: dict[str, st.SearchStrategy[Any]], **optional: st.SearchStrategy[Any]) -> st.SearchStrategy[Spec]:
    return st.fixed_dictionaries(required, optional=optional)


_copies = _maybe(
    percent=st.integers(1, 100) | st.sampled_from(["0.5%", "0.0001%", "99.9999%", "12.50%", "100%"]),
    methods=st.lists(st.sampled_from(["GET", "HEAD", "POST", "PUT", "OPTIONS"]), min_size=1, unique=True),
    paths=st.lists(st.sampled_from(["/v1", "/v1/models", "/", "/a%20b/"]), min_size=1, unique=True),
    compare=compares,
)
_preview_headers = st.fixed_dictionaries({"name": st.just("X-Preview"), "value": st.sampled_from(["1", "a b"])})
_previews = _maybe(header=_preview_headers, host=st.just("preview.example.com"))
_switches = _maybe(preview=_previews, mirror=_copies, previewHold=_holds)
_smoked = _maybe(smoke=smoke_requests, smokeDeadline=_holds)


_buckets = st.sampled_from(
    [
        {"percent": 50, "sticky": {"bucketHeader": {"name": "x-bucket"}}},
        {"percent": 25, "sticky": {"bucketHeader": {"name": "X-Bucket", "prefix": "b", "count": 20}}},
        {"audience": [{"name": "x-plan", "value": "beta"}]},
        {"audience": [{"cookie": "plan", "value": "beta/2"}, {"name": "x-plan", "value": "a b"}]},
        {"percent": 33, "sticky": {"cookie": {"name": "fraud-arm"}}},
        {
            "sticky": {
                "cookie": {
                    "name": "__Host-arm",
                    "maxAge": "365d",
                    "path": "/v1/x",
                    "domain": "example.com",
                    "secure": True,
                    "crossSite": True,
                }
            }
        },
    ]
)
_goals = st.sampled_from(
    [
        {"metric": "bought", "superiority": True},
        {"metric": "bought", "nonInferiority": {"relative": "2%"}},
        {"metric": "bought", "nonInferiority": {"absolute": "0.5%"}},
    ]
)
_times = st.sampled_from([{}, {"minDuration": "7d"}, {"minDuration": "2h", "maxDuration": "1d12h"}])
_after = _maybe(onInconclusive=st.sampled_from(["hold", "promote", "rollback"]))


@st.composite
def stages_of_specs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Each rises by itself; one may start below the end of the one before it."""
    stages = []
    for name in draw(st.lists(_names, min_size=1, max_size=4, unique=True)):
        weights = draw(st.lists(st.integers(1, 100), min_size=1, max_size=6, unique=True).map(sorted))
        each = {**draw(_maybe(hold=_holds)), **draw(_smoked)}
        approved = draw(_maybe(approval=st.booleans()))
        kind = draw(st.sampled_from(["steps", "weights", "shadow", "blueGreen", "abTest"]))
        if kind == "shadow":
            stages.append({"name": name, "shadow": {**draw(_copies), **each}})
        elif kind == "blueGreen":
            switch = draw(_switches)
            seen_before = approved if {"preview", "mirror"} & switch.keys() else {}
            stages.append({"name": name, "blueGreen": {**switch, **seen_before, **each}})
        elif kind == "abTest":
            fields = {**draw(_buckets), **draw(_times), **draw(_after), "goal": draw(_goals)}
            stages.append({"name": name, "abTest": fields})
        elif kind == "steps":
            steps = [{"weight": weight, **approved, **draw(_maybe(hold=_holds))} for weight in weights]
            stages.append({"name": name, **approved, "canary": {"steps": steps, **each}})
        else:
            most = draw(_maybe(firstWeightAtMost=st.integers(weights[0], 100)))
            stages.append(canary(*weights, name=name, **each, **most))
    return stages


_tolerances = _maybe(relative=_shares, absolute=_amounts)
_kept_by_values = _maybe(relative=_shares, absolute=st.sampled_from(["0.5", "20ms", "1e3", "7%"]))
_groups = st.lists(_texts, min_size=2, max_size=4, unique=True)
_beyond_1 = st.sampled_from([{"absolute": "2%"}, {"relative": "50%", "absolute": "0.01"}])
_bands = st.sampled_from([{"min": "1%", "max": "0.02"}, {"min": "0", "max": "100%"}, {"min": "0.5", "max": "0.50001"}])


@st.composite
def _bounds(draw: st.DrawFn, side: str, tolerances: st.SearchStrategy[Any], limits: st.SearchStrategy[str]) -> Spec:
    """A tolerance, a limit on the side where worse lies, a band, or two of them."""
    tolerance = draw(st.none() | tolerances)
    limit = draw(st.fixed_dictionaries({side: limits}) | _bands) if tolerance is None or draw(st.booleans()) else {}
    return limit if tolerance is None else {"tolerance": tolerance, **limit}


@st.composite
def _metrics(draw: st.DrawFn, name: str) -> Spec:
    common = {"name": name, **draw(_maybe(minSamples=st.integers(1, 10**9)))}
    match draw(st.sampled_from(["bad", "good", "histogram", "value", "mean", "pairs", "groups"])):
        case "histogram":
            bounds = st.fixed_dictionaries({"tolerance": _kept_by_values}, optional={"max": _limits})
            quantile = draw(_maybe(quantile=st.sampled_from(["0.99", ".5", "0.999999"])))
            return {**common, "histogram": draw(_selectors()), **quantile, **draw(bounds)}
        case "value":
            better = draw(st.sampled_from(["lower", "higher"]))
            bounds = _bounds("max" if better == "lower" else "min", _kept_by_values, _limits)
            expression = f"avg({draw(_selectors())}[{{{{ window }}}}])"
            return {**common, "value": expression, "betterWhen": better, **draw(bounds)}
        case "mean":
            better = draw(st.sampled_from(["lower", "higher"]))
            mean = {part: draw(_selectors()) for part in ("sum", "squares", "count")}
            bounds = _bounds("max" if better == "lower" else "min", _kept_by_values, _limits)
            return {**common, "mean": mean, "betterWhen": better, **draw(bounds)}
        case "pairs":
            pairs = {part: draw(_selectors()) for part in ("candidateWrong", "stableWrong")}
            pairs |= draw(_maybe(total=_selectors()))
            return {**common, "pairs": pairs, "tolerance": {"relative": "20%"}, "exclude": {"relative": "100%"}}
        case "groups":
            groups = draw(_with({"label": st.just("region"), "values": _groups}, maxExtraGap=_shares))
            ratio = {"good": draw(_selectors()), "total": draw(_selectors()), "groups": groups}
            return {**common, "ratio": ratio, "tolerance": {"absolute": "1%"}, **draw(_maybe(exclude=_beyond_1))}
        case part:
            ratio = {part: draw(_selectors()), "total": draw(_selectors())}
            bounds = _bounds("max" if part == "bad" else "min", _tolerances, _amounts)
            return {**common, "ratio": ratio, **draw(bounds)}


_presets = st.lists(
    st.sampled_from(
        [
            {"name": "http"},
            {"name": "vllm", "include": ["errors"], "arguments": {"maxErrors": "2%"}},
            {"name": "triton", "arguments": {"window": "2m"}},
        ]
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda preset: preset["name"],
)
_arguments = st.dictionaries(_names, _texts, max_size=3)
_templates = st.lists(
    _with(
        {"name": _names},
        kind=st.sampled_from(["MetricTemplate", "ClusterMetricTemplate"]),
        arguments=_arguments,
        include=st.lists(_names, min_size=1, max_size=3),
    ),
    min_size=1,
    max_size=3,
)


@st.composite
def _analyses(draw: st.DrawFn) -> Spec:
    rest = draw(
        _maybe(
            interval=_seconds | st.sampled_from(["1m30s", "1.5s", "1h"]),
            warmUp=st.sampled_from(["0s", "30s", "5m"]),
            noise=st.sampled_from(["auto", "independent", "strict"]),
            threshold=st.sampled_from(["anytime", "planned"]),
            falsePromotionRate=st.sampled_from(["5%", "0.1"]),
            falseRollbackRate=st.sampled_from(["1%", "50%", "0.5", "0.05", "0.1%"]),
            onInconclusive=st.sampled_from(["hold", "promote", "rollback"]),
            stepDeadline=_deadlines,
            prometheus=st.just(
                {"url": "https://prometheus.monitoring.svc:9090/x", "secretRef": {"name": "prometheus"}}
            ),
        )
    )
    if draw(st.booleans()):
        return {**rest, "readinessOnly": True, **draw(_maybe(metrics=st.just([])))}
    names = draw(st.lists(_names, min_size=1, max_size=4, unique=True))
    elsewhere = draw(_maybe(presets=_presets, templates=_templates))
    own = draw(st.booleans()) or not elsewhere
    metrics = {"metrics": [draw(_metrics(name)) for name in names]} if own else {}
    return {**rest, **metrics, **elsewhere, **draw(_maybe(readinessOnly=st.just(False)))}


_traffic = st.builds(lambda port, router: {"port": port, **router}, st.integers(1, 65535), routers)
_trees = st.recursive(
    st.booleans() | st.integers(-(2**31), 2**31) | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=8,
)

_templates_of_workloads = st.dictionaries(_texts, _trees, max_size=4)
_references = _with(
    {"kind": st.sampled_from(["Deployment", "StatefulSet"]), "name": _names},
    apiVersion=st.just("apps/v1"),
    whenManaged=st.sampled_from(["Keep", "ScaleToZero"]),
)
_beside: dict[str, st.SearchStrategy[Any]] = {"autoscaling": autoscalings, "podDisruptionBudget": budgets}
_workloads = _with({"template": _templates_of_workloads}, **_beside) | _with({"workloadRef": _references}, **_beside)

_told = _with(
    {"secretRef": _with({"name": _names}, key=st.sampled_from(["url", "slack.url"]), signingKey=st.just("signing"))},
    topics=st.lists(st.sampled_from([topic.value for topic in Topic]), min_size=1, max_size=3, unique=True),
    text=st.sampled_from(["plain text", "{{ rollout }}: {{reason}} {{ link }}"]),
)
_notifications = st.lists(_told, max_size=3).map(
    lambda told: [{"name": f"target-{number}", **one} for number, one in enumerate(told)]
)

valid_specs: st.SearchStrategy[Spec] = _with(
    {
        "model": _with({"name": _texts, "version": _texts}, uri=_texts),
        "workload": _workloads,
        "traffic": _traffic,
        "analysis": _analyses(),
    },
    stages=stages_of_specs(),
    promotion=_maybe(bake=durations, keepOld=durations),
    progressDeadline=_seconds,
    notifications=_notifications,
)
