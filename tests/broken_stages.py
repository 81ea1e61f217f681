"""Mistakes in stages with copies, and with one switch. A part of the table in broken_specs."""

from __future__ import annotations

from typing import Any

from tests.broken import Broken
from tests.builders import ab_test, blue_green, canary, shadow, smoke


def _shadow(**fields: Any) -> dict[str, Any]:
    return {"stages": [shadow(**fields)]}


def _preview(**header: Any) -> dict[str, Any]:
    return {"stages": [blue_green(preview={"header": {"name": "x-preview", "value": "1", **header}})]}


def _ab_test(**fields: Any) -> dict[str, Any]:
    return {"stages": [ab_test(**fields)]}


def _kept_by(**fields: Any) -> dict[str, Any]:
    return {"cookie": {"name": "fraud-arm", **fields}}


def _goal(**fields: Any) -> dict[str, Any]:
    return _ab_test(goal={"metric": "errors", **fields})


def _smoke(**fields: Any) -> dict[str, Any]:
    sent = {name: fields.pop(name) for name in ("headers", "path") if name in fields}
    return {"stages": [canary(5, smoke=[{**smoke(**fields), **sent}])]}


_AB_TEST = "spec.stages[0].abTest"
_SHADOW, _HEADER = "spec.stages[0].shadow", "spec.stages[0].blueGreen.preview.header"
_SMOKE = "spec.stages[0].canary.smoke[0]"
_NO_PERCENTAGE = 'write a whole number from 1 to 100, or a text such as "0.5%"'

BROKEN_STAGES = (
    Broken(
        "a stage of two kinds",
        {"stages": [{**canary(5), **shadow("canary")}]},
        "spec.stages[0]",
        "a stage does exactly one thing: set canary, shadow, blueGreen or abTest",
    ),
    Broken(
        "an approval of what nobody sees",
        {"stages": [blue_green(approval=True)]},
        "spec.stages[0].blueGreen",
        "approval of a switch needs something to look at before it: give preview or mirror",
    ),
    Broken("a method twice", _shadow(methods=["GET", "GET"]), f"{_SHADOW}.methods", "each may stand here once"),
    Broken("no methods", _shadow(methods=[]), f"{_SHADOW}.methods", "needs at least 1 element", "at least 1 items"),
    Broken("a path twice", _shadow(paths=["/a", "/a"]), f"{_SHADOW}.paths", "each may stand here once"),
    Broken("a path without its slash", _shadow(paths=["v1"]), f"{_SHADOW}.paths[0]", "a path starts with /"),
    Broken("a path that goes up", _shadow(paths=["/a/../b"]), f"{_SHADOW}.paths[0]", "a path has no //, /./, /../"),
    Broken("an odd path", _shadow(paths=["/a b"]), f"{_SHADOW}.paths[0]", "a path is made of letters, digits and"),
    Broken("a method there is not", _shadow(methods=["get"]), f"{_SHADOW}.methods[0]", "'GET'", "supported values"),
    Broken("copies for a time without a unit", _shadow(hold="30"), f"{_SHADOW}.hold", "this is not a duration such as"),
    Broken("a goal of two kinds", _goal(superiority=True, nonInferiority={}), f"{_AB_TEST}.goal", "a goal is either"),
    Broken("a goal of no kind", _goal(), f"{_AB_TEST}.goal", "a goal is either superiority: true, or nonInferiority"),
    Broken("parts of buckets", _ab_test(percent=33), _AB_TEST, "percent must be a whole number of buckets"),
    Broken("too many buckets", _ab_test(count=200), _AB_TEST, "the candidate's buckets must be 1 to 64"),
    Broken("nobody tests", _ab_test(percent=0), f"{_AB_TEST}.percent", "1"),
    Broken(
        "users who both stay and ask",
        {"stages": [{"name": "ab", "abTest": {**ab_test()["abTest"], "audience": [{"name": "x-a", "value": "b"}]}}]},
        _AB_TEST,
        "an A/B test needs either sticky, which keeps users with a version, or audience",
    ),
    Broken("a path of a smoke request without its slash", _smoke(path="v1"), f"{_SMOKE}.path", "a path starts with /"),
    Broken("an answer that may take a minute", _smoke(maxLatency="1m"), f"{_SMOKE}.expect.maxLatency", "30s at most"),
    Broken(
        "a header of the connection",
        _smoke(headers=[{"name": "Content-Length", "value": "5"}]),
        f"{_SMOKE}.headers",
        "this header speaks of a connection and not of a request",
    ),
    Broken(
        "users kept by nothing", _ab_test(sticky={}), f"{_AB_TEST}.sticky", "either by cookie, which the route sets"
    ),
    Broken(
        "users kept twice",
        _ab_test(sticky={**_kept_by(), "bucketHeader": {"name": "x-bucket"}}),
        f"{_AB_TEST}.sticky",
        "either by cookie, which the route sets",
    ),
    Broken(
        "a cookie that cannot be called so",
        _ab_test(sticky=_kept_by(name="fraud;arm")),
        f"{_AB_TEST}.sticky.cookie.name",
        "this is not the name of a cookie",
    ),
    Broken(
        "a cookie for an odd path",
        _ab_test(sticky=_kept_by(path="/a; Secure")),
        f"{_AB_TEST}.sticky.cookie.path",
        "a cookie's path begins with /",
    ),
    Broken("a cookie for no host", _ab_test(sticky=_kept_by(domain="*.a")), f"{_AB_TEST}.sticky.cookie.domain", "host"),
    Broken(
        "an audience by two things",
        _ab_test(audience=[{"name": "x-plan", "cookie": "plan", "value": "beta"}]),
        f"{_AB_TEST}.audience[0]",
        "either by a header (name) or by a cookie",
    ),
    Broken(
        "an audience by two cookies at once",
        _ab_test(audience=[{"cookie": "plan", "value": "beta; a=b"}]),
        f"{_AB_TEST}.audience[0]",
        "the value of a cookie has no spaces",
    ),
    Broken("a header with a line end", _preview(value="1\n"), f"{_HEADER}.value", "made of ASCII characters"),
    Broken("a header that cannot be called so", _preview(name="x preview"), f"{_HEADER}.name", "header"),
    Broken("a header without a value", _preview(value=""), f"{_HEADER}.value", "must not be empty", "at least 1 chars"),
)
STAGES_ONLY_THE_OPERATOR = (
    # A number or a text: CEL reckons with texts of any length there.
    *(
        Broken(f"copies of {percent!r}", _shadow(percent=percent), f"{_SHADOW}.percent", _NO_PERCENTAGE)
        for percent in (101, -1, "5", "0.5", "101%", "0.00001%", "0%")
    ),
    Broken(
        "a goal that asks for nothing", _goal(superiority=False), f"{_AB_TEST}.goal.superiority", "leave superiority"
    ),
    Broken(
        "a cookie that ends before the test",
        _ab_test(sticky=_kept_by(maxAge="1d"), minDuration="1d", maxDuration="2d"),
        _AB_TEST,
        "sticky.cookie.maxAge is shorter than maxDuration",
    ),
    Broken("a test without time", _ab_test(minDuration="2d", maxDuration="1d"), _AB_TEST, "minDuration is longer than"),
    *(
        Broken(f"status {status!r}", _smoke(status=status), f"{_SMOKE}.expect.status", "this is not a status: write a")
        for status in (99, "600", "2XX", "300-200", "200,,404")
    ),
    Broken(
        "a header of two lines",
        _smoke(headers=[{"name": "x-a", "value": "a\nb"}]),
        f"{_SMOKE}.headers",
        "the value of a header is one line of printable characters",
    ),
    Broken("copies of nothing", _shadow(percent=0), f"{_SHADOW}.percent", "a share of nothing copies nothing"),
    # For every kind of stage this would be beyond the limit of CEL's cost.
    Broken("copies for longer than the deadline", _shadow(hold="3h"), "spec", "a stage's hold is longer than"),
    Broken(
        "a preview for longer than the deadline",
        {"stages": [blue_green(previewHold="3h")]},
        "spec",
        "make hold (or previewHold) shorter or stepDeadline longer",
    ),
)
"""What the API server lets pass and the operator refuses."""
