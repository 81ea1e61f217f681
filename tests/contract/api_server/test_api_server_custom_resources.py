"""Custom resources: what a definition may say, and what its schema and rules make of the objects of its kind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.contract.api_server.api_server_client import (
    DEFINITIONS,
    KEEP,
    TABLE,
    Answer,
    Api,
    definition,
    widget,
    widgets,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

GROUP = "schemas.example.com"
PAIR = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}
KEYED = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
    "maxItems": 10,
    "items": {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string"}, "v": {"type": "integer"}},
    },
}
CHECK = definition(
    "Check",
    {
        "type": "object",
        "required": ["need"],
        "properties": {
            "need": {"type": "string"},
            "int": {"type": "integer", "minimum": 1, "maximum": 10, "multipleOf": 2},
            "above": {"type": "integer", "minimum": 1, "exclusiveMinimum": True},
            "number": {"type": "number", "maximum": 2},
            "bool": {"type": "boolean"},
            "text": {"type": "string", "minLength": 2, "maxLength": 5},
            "pattern": {"type": "string", "pattern": "^[a-z]+$"},
            "enum": {"type": "string", "enum": ["a", "b"]},
            "time": {"type": "string", "format": "date-time"},
            "byte": {"type": "string", "format": "byte"},
            "mixed": {"x-kubernetes-int-or-string": True},
            "percent": {"x-kubernetes-int-or-string": True, "pattern": "^[0-9]+%$"},
            "list": {"type": "array", "minItems": 1, "maxItems": 2, "items": {"type": "string"}},
            "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "map": KEYED,
            "object": {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 2,
                "additionalProperties": {"type": "integer"},
            },
            "one": {**PAIR, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
            "any": {**PAIR, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
            "all": {**PAIR, "allOf": [{"required": ["a"]}, {"required": ["b"]}]},
            "refused": {**PAIR, "not": {"required": ["a"]}},
            "nullable": {"type": "string", "nullable": True},
            "embedded": {"type": "object", "x-kubernetes-embedded-resource": True, **KEEP},
            "kept": {"type": "object", **KEEP},
            "defaulted": {
                "type": "object",
                "default": {},
                "properties": {"on": {"type": "boolean", "default": True}},
            },
        },
    },
    GROUP,
)


def rule(text: str, **more: Any) -> dict[str, Any]:
    return {"rule": text, **more}


_TOP = [
    rule(
        "!has(self.low) || !has(self.high) || self.low < self.high", message="low must be below high", fieldPath=".low"
    ),
    rule("!has(self.__namespace__) || self.__namespace__ != 'root'", message="not root"),
    rule("!has(self.dash__dash__ed) || self.dash__dash__ed != 'bad'", message="not bad"),
    rule("!has(self.mixed) || (type(self.mixed) == int ? self.mixed > 0 : self.mixed.endsWith('%'))", message="mixed"),
    rule("!has(self.length) || self.length > duration('5s')", message="too short"),
    rule("!has(self.time) || self.time > timestamp('2020-01-01T00:00:00Z')", message="too old"),
    rule("!has(self.amount) || quantity(self.amount).isGreaterThan(quantity('1'))", message="too little"),
]
RULED = definition(
    "Ruled",
    {
        "type": "object",
        "x-kubernetes-validations": _TOP,
        "properties": {
            "low": {"type": "integer"},
            "high": {"type": "integer"},
            "namespace": {"type": "string"},
            "dash-ed": {"type": "string"},
            "mixed": {"x-kubernetes-int-or-string": True},
            "length": {"type": "string", "format": "duration"},
            "time": {"type": "string", "format": "date-time"},
            "amount": {"type": "string", "maxLength": 20},
            "prefixed": {"type": "string", "x-kubernetes-validations": [rule("self.startsWith('x')")]},
            "fixed": {"type": "string", "x-kubernetes-validations": [rule("self == oldSelf", message="is immutable")]},
            "told": {
                "type": "object",
                "properties": {"n": {"type": "integer"}, "why": {"type": "string", "maxLength": 10}},
                "x-kubernetes-validations": [
                    rule(
                        "self.n < 5",
                        messageExpression="'n is not below ' + self.why",
                        reason="FieldValueForbidden",
                        fieldPath=".n",
                    )
                ],
            },
            "weights": {
                "type": "array",
                "maxItems": 10,
                "items": {"type": "integer"},
                "x-kubernetes-validations": [rule("self.isSorted()", message="weights must rise")],
            },
            "even": {
                "type": "array",
                "maxItems": 10,
                "items": {"type": "integer", "x-kubernetes-validations": [rule("self % 2 == 0")]},
            },
            "map": {
                "type": "object",
                "maxProperties": 5,
                "additionalProperties": {
                    "type": "object",
                    "properties": {"v": {"type": "integer"}},
                    "x-kubernetes-validations": [rule("self.v > 0")],
                },
            },
            "rising": {
                **KEYED,
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": {"type": "string"},
                        "v": {
                            "type": "integer",
                            "x-kubernetes-validations": [rule("self >= oldSelf", message="may only rise")],
                        },
                    },
                },
            },
            "first": {
                "type": "object",
                "properties": {"v": {"type": "integer"}},
                "x-kubernetes-validations": [
                    rule("oldSelf.hasValue() || self.v == 1", optionalOldSelf=True, message="starts at 1")
                ],
            },
            "divided": {
                "type": "object",
                "properties": {"by": {"type": "integer"}},
                "x-kubernetes-validations": [rule("10 / self.by > 1")],
            },
        },
    },
    GROUP,
)


class Kind:
    """The objects of one of the kinds above, in one namespace."""

    def __init__(self, api: Api, namespace: str, kind: str) -> None:
        self._api = api
        self._kind = kind
        self.path = f"/apis/{GROUP}/v1/namespaces/{namespace}/{kind.lower()}s"

    async def create(self, spec: Any, **more: Any) -> Answer:
        named = {"generateName": "x-", **more}
        manifest = {"apiVersion": f"{GROUP}/v1", "kind": self._kind, "metadata": named, "spec": spec}
        return await self._api.post(self.path, manifest)

    async def change(self, before: Any, after: Any) -> Answer:
        """Make an object with one spec and give it another."""
        made = await self.create(before)
        assert made.status == 201, made.body
        return await self._api.put(f"{self.path}/{made.body['metadata']['name']}", {**made.body, "spec": after})


async def _served(api: Api, namespace: str, crd: Any) -> Kind:
    kind = Kind(api, namespace, crd["spec"]["names"]["kind"])
    if (await api.post(DEFINITIONS, crd)).status == 201:
        await api.until(kind.path, lambda answer: answer.status == 200)
    return kind


@pytest_asyncio.fixture(loop_scope="session")
async def checks(api: Api, namespace: str) -> AsyncIterator[Kind]:
    yield await _served(api, namespace, CHECK)


@pytest_asyncio.fixture(loop_scope="session")
async def ruled(api: Api, namespace: str) -> AsyncIterator[Kind]:
    yield await _served(api, namespace, RULED)


def complaints(answer: Answer) -> set[str]:
    """What is wrong, as `field: message`; the order says nothing."""
    assert answer.status == 422, answer.body
    return {f"{each['field']}: {each['message']}" for each in answer.body["details"]["causes"]}


# Schemas

WRONG: list[tuple[dict[str, Any], set[str]]] = [
    ({"int": 0}, {"spec.int: Invalid value: 0: spec.int in body should be greater than or equal to 1"}),
    ({"int": 12}, {"spec.int: Invalid value: 12: spec.int in body should be less than or equal to 10"}),
    ({"int": 3}, {"spec.int: Invalid value: 3: spec.int in body should be a multiple of 2"}),
    ({"int": "4"}, {'spec.int: Invalid value: "string": spec.int in body must be of type integer: "string"'}),
    ({"above": 1}, {"spec.above: Invalid value: 1: spec.above in body should be greater than 1"}),
    ({"number": 2.5}, {"spec.number: Invalid value: 2.5: spec.number in body should be less than or equal to 2"}),
    ({"bool": "true"}, {'spec.bool: Invalid value: "string": spec.bool in body must be of type boolean: "string"'}),
    ({"text": "a"}, {'spec.text: Invalid value: "a": spec.text in body should be at least 2 chars long'}),
    ({"text": "abcdef"}, {"spec.text: Too long: may not be more than 5 bytes"}),
    ({"text": 5}, {'spec.text: Invalid value: "integer": spec.text in body must be of type string: "integer"'}),
    ({"pattern": "A1"}, {"spec.pattern: Invalid value: \"A1\": spec.pattern in body should match '^[a-z]+$'"}),
    ({"enum": "c"}, {'spec.enum: Unsupported value: "c": supported values: "a", "b"'}),
    ({"time": "soon"}, {'spec.time: Invalid value: "soon": spec.time in body must be of type date-time: "soon"'}),
    ({"byte": "##"}, {'spec.byte: Invalid value: "##": spec.byte in body must be of type byte: "##"'}),
    (
        {"mixed": True},
        {'spec.mixed: Invalid value: "boolean": spec.mixed in body must be of type integer,string: "boolean"'},
    ),
    ({"percent": "x"}, {"spec.percent: Invalid value: \"x\": spec.percent in body should match '^[0-9]+%$'"}),
    ({"list": []}, {"spec.list: Invalid value: 0: spec.list in body should have at least 1 items"}),
    ({"list": ["a", "b", "c"]}, {"spec.list: Too many: 3: must have at most 2 items"}),
    ({"list": [1]}, {'spec.list[0]: Invalid value: "integer": spec.list[0] in body must be of type string: "integer"'}),
    ({"list": "x"}, {'spec.list: Invalid value: "string": spec.list in body must be of type array: "string"'}),
    ({"set": ["a", "b", "a"]}, {'spec.set[2]: Duplicate value: "a"'}),
    ({"map": [{"name": "a"}, {"name": "a"}]}, {'spec.map[1]: Duplicate value: {"name":"a"}'}),
    ({"map": [{"v": 1}]}, {"spec.map[0].name: Required value"}),
    ({"object": {}}, {"spec.object: Invalid value: 0: spec.object in body should have at least 1 properties"}),
    ({"object": {"a": 1, "b": 2, "c": 3}}, {"spec.object: Too many: 3: must have at most 2 items"}),
    (
        {"object": {"a": "x"}},
        {'spec.object.a: Invalid value: "string": spec.object.a in body must be of type integer: "string"'},
    ),
    (
        {"one": {"a": "1", "b": "2"}},
        {
            '<nil>: Invalid value: "": "spec.one" must validate one and only one schema (oneOf). '
            "Found 2 valid alternatives"
        },
    ),
    (
        {"any": {}},
        {
            '<nil>: Invalid value: "": "spec.any" must validate at least one schema (anyOf)',
            "spec.any.a: Required value",
        },
    ),
    (
        {"all": {"a": "1"}},
        {'<nil>: Invalid value: "": "spec.all" must validate all the schemas (allOf)', "spec.all.b: Required value"},
    ),
    ({"refused": {"a": "1"}}, {'<nil>: Invalid value: "": "spec.refused" must not validate the schema (not)'}),
    ({"embedded": {"a": 1}}, {"spec.embedded.apiVersion: Required value", "spec.embedded.kind: Required value"}),
    (
        {"int": 0, "enum": "c"},
        {
            "spec.int: Invalid value: 0: spec.int in body should be greater than or equal to 1",
            'spec.enum: Unsupported value: "c": supported values: "a", "b"',
        },
    ),
]


@pytest.mark.parametrize(("spec", "said"), WRONG, ids=[str(spec) for spec, _ in WRONG])
async def test_says_what_is_wrong_and_where(checks: Kind, spec: dict[str, Any], said: set[str]) -> None:
    assert complaints(await checks.create({"need": "x", **spec})) == said


async def test_the_whole_complaint_names_kind_and_object(checks: Kind) -> None:
    answer = await checks.create({"need": "x", "int": 0}, name="a")
    assert answer.message == (
        f'Check.{GROUP} "a" is invalid: '
        "spec.int: Invalid value: 0: spec.int in body should be greater than or equal to 1"
    )
    assert answer.body["details"]["kind"] == "Check"


async def test_a_required_field_must_be_there(checks: Kind) -> None:
    assert complaints(await checks.create({})) == {"spec.need: Required value"}
    assert complaints(await checks.create({"need": None})) == {"spec.need: Required value"}


async def test_a_spec_is_an_object(checks: Kind) -> None:
    wrong = 'spec: Invalid value: "string": spec in body must be of type object: "string"'
    assert complaints(await checks.create("x")) == {wrong}


RIGHT: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"int": 2}, {"int": 2}),
    ({"int": 2.0}, {"int": 2}),
    ({"int": None}, {}),
    ({"enum": None}, {}),
    ({"nullable": None}, {"nullable": None}),
    ({"mixed": 1}, {"mixed": 1}),
    ({"mixed": "x"}, {"mixed": "x"}),
    ({"percent": 5}, {"percent": 5}),
    ({"time": "2026-01-01T00:00:00Z"}, {"time": "2026-01-01T00:00:00Z"}),
    ({"one": {"a": "1"}}, {"one": {"a": "1"}}),
    ({"kept": {"a": {"b": None}}}, {"kept": {"a": {"b": None}}}),
    ({"defaulted": {}}, {"defaulted": {"on": True}}),
    ({"defaulted": None}, {"defaulted": {"on": True}}),
    ({"defaulted": {"on": None}}, {"defaulted": {"on": True}}),
    (
        {"embedded": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "nope": 1}, "spec": {}}},
        {"embedded": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {}}},
    ),
]


@pytest.mark.parametrize(("spec", "kept"), RIGHT, ids=[str(spec) for spec, _ in RIGHT])
async def test_keeps_what_is_right(checks: Kind, spec: dict[str, Any], kept: dict[str, Any]) -> None:
    answer = await checks.create({"need": "x", **spec})
    assert answer.status == 201, answer.body
    assert answer.body["spec"] == {"need": "x", "defaulted": {"on": True}, **kept}


# Rules

BROKEN: list[tuple[dict[str, Any], set[str]]] = [
    ({"low": 2, "high": 1}, {"spec.low: Invalid value: low must be below high"}),
    ({"namespace": "root"}, {"spec: Invalid value: not root"}),
    ({"dash-ed": "bad"}, {"spec: Invalid value: not bad"}),
    ({"mixed": 0}, {"spec: Invalid value: mixed"}),
    ({"mixed": "x"}, {"spec: Invalid value: mixed"}),
    ({"length": "1s"}, {"spec: Invalid value: too short"}),
    ({"time": "2019-01-01T00:00:00Z"}, {"spec: Invalid value: too old"}),
    ({"amount": "500m"}, {"spec: Invalid value: too little"}),
    ({"prefixed": "a"}, {"spec.prefixed: Invalid value: \"a\": failed rule: self.startsWith('x')"}),
    ({"told": {"n": 7, "why": "five"}}, {"spec.told.n: Forbidden: n is not below five"}),
    ({"told": {"n": 7}}, {"spec.told.n: Forbidden: failed rule: self.n < 5"}),
    ({"weights": [5, 25, 10]}, {"spec.weights: Invalid value: weights must rise"}),
    ({"even": [2, 3]}, {"spec.even[1]: Invalid value: 3: failed rule: self % 2 == 0"}),
    ({"map": {"k": {"v": 0}}}, {"spec.map[k]: Invalid value: failed rule: self.v > 0"}),
    ({"first": {"v": 2}}, {"spec.first: Invalid value: starts at 1"}),
    (
        {"divided": {"by": 0}},
        {'spec.divided: Invalid value: "object": division by zero evaluating rule: 10 / self.by > 1'},
    ),
    ({"divided": {}}, {'spec.divided: Invalid value: "object": no such key: by evaluating rule: 10 / self.by > 1'}),
    (
        {"low": 2, "high": 1, "prefixed": "a"},
        {
            "spec.low: Invalid value: low must be below high",
            "spec.prefixed: Invalid value: \"a\": failed rule: self.startsWith('x')",
        },
    ),
    (
        {"low": 2, "high": 1, "prefixed": 5},
        {
            'spec.prefixed: Invalid value: "integer": spec.prefixed in body must be of type string: "integer"',
            "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; "
            "correct the existing errors to complete validation",
        },
    ),
]


@pytest.mark.parametrize(("spec", "said"), BROKEN, ids=[str(spec) for spec, _ in BROKEN])
async def test_a_broken_rule_is_told(ruled: Kind, spec: dict[str, Any], said: set[str]) -> None:
    assert complaints(await ruled.create(spec)) == said


KEPT: list[dict[str, Any]] = [
    {},
    {"low": 1, "high": 2},
    {"low": 5},
    {"mixed": "5%"},
    {"length": "1m"},
    {"time": "2026-01-01T00:00:00Z"},
    {"amount": "2"},
    {"weights": [5, 25, 50]},
    {"first": {"v": 1}},
    {"divided": {"by": 2}},
    {"fixed": "anything"},
]


@pytest.mark.parametrize("spec", KEPT, ids=str)
async def test_a_kept_rule_says_nothing(ruled: Kind, spec: dict[str, Any]) -> None:
    answer = await ruled.create(spec)
    assert answer.status == 201, answer.body


async def test_what_is_immutable_does_not_change(ruled: Kind) -> None:
    answer = await ruled.change({"fixed": "a"}, {"fixed": "b"})
    assert complaints(answer) == {'spec.fixed: Invalid value: "b": is immutable'}
    assert (await ruled.change({"fixed": "a"}, {})).status == 200
    assert (await ruled.change({}, {"fixed": "b"})).status == 200


async def test_items_are_compared_with_what_they_were(ruled: Kind) -> None:
    before = {"rising": [{"name": "a", "v": 2}]}
    answer = await ruled.change(before, {"rising": [{"name": "b", "v": 1}, {"name": "a", "v": 1}]})
    assert complaints(answer) == {"spec.rising[1].v: Invalid value: 1: may only rise"}
    assert (await ruled.change(before, {"rising": [{"name": "b", "v": 1}, {"name": "a", "v": 3}]})).status == 200


async def test_a_rule_for_the_beginning_is_over_after_it(ruled: Kind) -> None:
    assert (await ruled.change({"first": {"v": 1}}, {"first": {"v": 3}})).status == 200


# What was right when it was written


async def test_what_has_become_wrong_may_stay_but_not_be_touched(api: Api, namespace: str) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}, "other": {"type": "string"}}}
    crd = definition("Tightened", schema, "tightened.example.com")
    where = f"/apis/tightened.example.com/v1/namespaces/{namespace}/tighteneds"
    if (await api.post(DEFINITIONS, crd)).status == 201:
        await api.until(where, lambda answer: answer.status == 200)
    manifest = {"apiVersion": "tightened.example.com/v1", "kind": "Tightened", "metadata": {"name": "a"}}
    await api.made(where, {**manifest, "spec": {"n": 1}})
    schema["properties"]["n"]["minimum"] = 5  # type: ignore[index]
    name = f"{DEFINITIONS}/tighteneds.tightened.example.com"
    versions = definition("Tightened", schema, "tightened.example.com")["spec"]["versions"]
    assert (await api.patch(name, {"spec": {"versions": versions}})).status == 200
    fresh = {**manifest, "metadata": {"generateName": "x-"}, "spec": {"n": 1}}

    async def is_refused() -> bool:
        return (await api.post(where, fresh, dryRun="All")).status == 422

    for _ in range(100):
        if await is_refused():
            break
    assert await is_refused()
    assert (await api.patch(f"{where}/a", {"spec": {"other": "x"}})).status == 200
    assert (await api.patch(f"{where}/a", {"spec": {"n": 2}})).status == 422


# Definitions

SCHEMA = "spec.validation.openAPIV3Schema"
SPEC = f"{SCHEMA}.properties[spec]"


def refused(answer: Answer, field: str, reason: str) -> None:
    assert answer.status == 422, answer.body
    assert (field, reason) in answer.causes


async def _defined(api: Api, spec: Any, **version: Any) -> Answer:
    return await api.post(DEFINITIONS, definition("Refused", spec, "refused.example.com", **version), dryRun="All")


RULES: list[tuple[str, str]] = [
    ("self.nope == 1", "undefined field 'nope'"),
    ("self.a +", "Syntax error: mismatched input '<EOF>'"),
    ("self.a == 'x'", "found no matching overload for '_==_' applied to '(int, string)'"),
    ("self.a", "cel expression must evaluate to a bool"),
    ("nofunc(self.a)", "undeclared reference to 'nofunc'"),
    ("math.greatest(1, 2) == 2", "undeclared reference to 'math'"),
    ("self.metadata.name == 'x'", "undefined field 'metadata'"),
    ("self.l.all(x, x.all(y, y != 'a'))", "expression of type 'string' cannot be range of a comprehension"),
]


@pytest.mark.parametrize(("text", "said"), RULES, ids=[text for text, _ in RULES])
async def test_a_rule_that_cannot_work_is_refused(api: Api, text: str, said: str) -> None:
    fields = {"a": {"type": "integer"}, "l": {"type": "array", "maxItems": 3, "items": {"type": "string"}}}
    answer = await _defined(api, {"type": "object", "properties": fields, "x-kubernetes-validations": [rule(text)]})
    refused(answer, f"{SPEC}.x-kubernetes-validations[0].rule", "FieldValueInvalid")
    assert said in answer.message


PARTS: list[tuple[dict[str, Any], str, str]] = [
    ({"rule": ""}, "rule", "FieldValueRequired"),
    ({"rule": "self.a > 0", "messageExpression": "self.a"}, "messageExpression", "FieldValueInvalid"),
    ({"rule": "self.a > 0", "messageExpression": "self.zzz"}, "messageExpression", "FieldValueInvalid"),
    ({"rule": "self.a > 0", "fieldPath": ".nope"}, "fieldPath", "FieldValueInvalid"),
    ({"rule": "self.a > 0", "reason": "Nope"}, "reason", "FieldValueNotSupported"),
    ({"rule": "self.a > 0", "message": "a\nb"}, "message", "FieldValueInvalid"),
]


@pytest.mark.parametrize(("given", "part", "reason"), PARTS, ids=[str(given) for given, _, _ in PARTS])
async def test_a_rules_other_parts_must_make_sense(api: Api, given: dict[str, Any], part: str, reason: str) -> None:
    answer = await _defined(
        api, {"type": "object", "properties": {"a": {"type": "integer"}}, "x-kubernetes-validations": [given]}
    )
    refused(answer, f"{SPEC}.x-kubernetes-validations[0].{part}", reason)


async def test_a_rule_on_the_whole_object_may_speak_of_its_name(api: Api) -> None:
    crd = definition("Refused", {"type": "object"}, "refused.example.com")
    whole = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    whole["x-kubernetes-validations"] = [rule("self.metadata.name.size() < 53", message="the name is too long")]
    assert (await api.post(DEFINITIONS, crd, dryRun="All")).status == 201


STRUCTURES: list[tuple[dict[str, Any], str, str]] = [
    ({"properties": {}}, f"{SPEC}.type", "FieldValueRequired"),
    ({"type": "thing"}, f"{SPEC}.type", "FieldValueNotSupported"),
    ({"type": "array"}, f"{SPEC}.items", "FieldValueRequired"),
    ({"type": "string", "pattern": "("}, f"{SPEC}.pattern", "FieldValueInvalid"),
    (
        {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        f"{SPEC}.uniqueItems",
        "FieldValueForbidden",
    ),
    (
        {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "string"}},
        f"{SPEC}.additionalProperties",
        "FieldValueForbidden",
    ),
    (
        {"type": "array", "x-kubernetes-list-type": "map", "items": {"type": "object"}},
        f"{SPEC}.x-kubernetes-list-map-keys",
        "FieldValueRequired",
    ),
    (
        {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "properties": {"name": {"type": "string"}}},
        },
        f"{SPEC}.items.properties[name].default",
        "FieldValueRequired",
    ),
    ({"type": "integer", "minimum": 5, "default": 1}, f"{SPEC}.default", "FieldValueInvalid"),
    ({"type": "integer", "default": "x"}, f"{SPEC}.default", "FieldValueTypeInvalid"),
]


@pytest.mark.parametrize(("spec", "field", "reason"), STRUCTURES, ids=[str(spec) for spec, _, _ in STRUCTURES])
async def test_a_schema_must_be_structural(api: Api, spec: dict[str, Any], field: str, reason: str) -> None:
    refused(await _defined(api, spec), field, reason)


async def test_a_definition_is_named_after_its_kind(api: Api) -> None:
    crd = definition("Refused", {"type": "object"}, "refused.example.com")
    crd["metadata"]["name"] = "other.refused.example.com"
    answer = await api.post(DEFINITIONS, crd, dryRun="All")
    refused(answer, "metadata.name", "FieldValueInvalid")
    assert 'must be spec.names.plural+"."+spec.group' in answer.message


async def test_one_version_is_stored(api: Api) -> None:
    refused(await _defined(api, {"type": "object"}, storage=False), "spec.versions", "FieldValueInvalid")


async def test_a_version_has_a_schema(api: Api) -> None:
    crd = definition("Refused", {"type": "object"}, "refused.example.com")
    del crd["spec"]["versions"][0]["schema"]
    answer = await api.post(DEFINITIONS, crd, dryRun="All")
    refused(answer, "spec.versions[0].schema.openAPIV3Schema", "FieldValueRequired")


async def test_scope_and_names_stay(api: Api) -> None:
    name = f"{DEFINITIONS}/widgets.contract.example.com"
    refused(await api.patch(name, {"spec": {"scope": "Cluster"}}), "spec.scope", "FieldValueInvalid")


async def test_a_definition_is_established_with_its_names(api: Api) -> None:
    crd = (await api.get(f"{DEFINITIONS}/widgets.contract.example.com")).body
    conditions = {each["type"]: each["status"] for each in crd["status"]["conditions"]}
    assert (conditions["Established"], conditions["NamesAccepted"]) == ("True", "True")
    assert crd["status"]["acceptedNames"]["plural"] == "widgets"
    assert crd["status"]["storedVersions"] == ["v1"]
    assert crd["spec"]["conversion"] == {"strategy": "None"}


async def test_a_definition_waits_for_objects_that_are_held(api: Api, namespace: str) -> None:
    crd = definition("Held", {"type": "object"}, "held.example.com")
    where = f"/apis/held.example.com/v1/namespaces/{namespace}/helds"
    await api.made(DEFINITIONS, crd)
    await api.until(where, lambda answer: answer.status == 200)
    metadata = {"name": "a", "finalizers": ["example.com/hold"]}
    await api.made(where, {"apiVersion": "held.example.com/v1", "kind": "Held", "metadata": metadata})
    name = f"{DEFINITIONS}/helds.held.example.com"
    await api.delete(name)
    await api.until(f"{where}/a", lambda answer: "deletionTimestamp" in answer.body["metadata"])
    going = (await api.get(name)).body["metadata"]
    assert going["deletionTimestamp"]
    assert going["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    await api.patch(f"{where}/a", {"metadata": {"finalizers": None}})
    await api.until(name, lambda answer: answer.status == 404)


# Several versions, scales, columns


async def test_an_object_is_served_at_each_version(api: Api, namespace: str) -> None:
    crd = definition("Twofold", {"type": "object", **KEEP}, "twofold.example.com")
    newer = {**crd["spec"]["versions"][0], "name": "v2", "storage": False}
    crd["spec"]["versions"].append(newer)
    root = "/apis/twofold.example.com"
    await api.made(DEFINITIONS, crd)
    await api.until(f"{root}/v2/namespaces/{namespace}/twofolds", lambda answer: answer.status == 200)
    manifest = {"apiVersion": "twofold.example.com/v1", "kind": "Twofold", "metadata": {"name": "a"}, "spec": {"n": 1}}
    await api.made(f"{root}/v1/namespaces/{namespace}/twofolds", manifest)
    found = (await api.get(f"{root}/v2/namespaces/{namespace}/twofolds/a")).body
    assert (found["apiVersion"], found["spec"]) == ("twofold.example.com/v2", {"n": 1})
    group = await api.until(root, lambda answer: answer.status == 200)
    assert group.body["preferredVersion"]["version"] == "v2"


async def test_replicas_have_a_door_of_their_own(api: Api, namespace: str) -> None:
    await api.made(widgets(namespace), widget("a", replicas=2))
    scale = (await api.get(widgets(namespace, "a", "scale"))).body
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert (scale["spec"], scale["status"]["replicas"]) == ({"replicas": 2}, 0)
    answer = await api.patch(widgets(namespace, "a", "scale"), {"spec": {"replicas": 5}})
    assert answer.body["spec"] == {"replicas": 5}
    found = (await api.get(widgets(namespace, "a"))).body
    assert (found["spec"]["replicas"], found["metadata"]["generation"]) == (5, 2)
    stale = await api.put(widgets(namespace, "a", "scale"), {**scale, "spec": {"replicas": 9}})
    assert stale.status == 409


async def test_columns_are_those_of_the_definition(api: Api, namespace: str) -> None:
    await api.made(widgets(namespace), widget("a", size=4, nested={"note": "hello"}))
    ready = {"status": {"conditions": [{"type": "Other", "status": "False"}, {"type": "Ready", "status": "True"}]}}
    await api.patch(widgets(namespace, "a", "status"), ready)
    await api.made(widgets(namespace), widget("b"))
    table = (await api.get(widgets(namespace), accept=TABLE)).body
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    columns = [(each["name"], each["type"], each["priority"]) for each in table["columnDefinitions"]]
    assert columns == [
        ("Name", "string", 0),
        ("Size", "integer", 0),
        ("Ready", "string", 0),
        ("Note", "string", 1),
        ("Age", "date", 0),
    ]
    cells = [row["cells"] for row in table["rows"]]
    assert [each[:4] for each in cells] == [["a", 4, "True", "hello"], ["b", 3, None, None]]
    assert all(each[4].endswith("s") for each in cells)
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    assert table["rows"][0]["object"]["metadata"]["name"] == "a"


async def test_metadata_can_be_had_alone(api: Api, namespace: str) -> None:
    made = await api.made(widgets(namespace), widget("a"))
    form = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
    found = (await api.get(widgets(namespace, "a"), accept=form)).body
    assert (found["kind"], found["metadata"]) == ("PartialObjectMetadata", made["metadata"])
    assert "spec" not in found
