"""MetricTemplates as API servers see them: loose where a placeholder may stand, strict about everything else."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
import pytest_asyncio

from modelrollout.api.presets import PRESETS
from modelrollout.api.presets.page import as_template
from modelrollout.api.presets.preset import Preset
from modelrollout.objects.resources import CLUSTER_METRIC_TEMPLATES, METRIC_TEMPLATES, MODEL_ROLLOUTS
from tests import builders
from tests.builders import metric
from tests.contract.api_server.api_server_client import TABLE, Answer, Api
from tests.contract.conftest import Kubectl
from tests.docs import blocks
from tests.site.blocks import sort_of
from tests.site.pages import PAGES, name_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

OURS = {each.kind: each for each in (MODEL_ROLLOUTS, METRIC_TEMPLATES, CLUSTER_METRIC_TEMPLATES)}
OBJECTS = {
    f"{name_of(page)}-{number}": block
    for page in PAGES
    for number, block in enumerate(blocks(page))
    if sort_of(block) in OURS
}
_numbers = count(1)


class Templates:
    """The templates of one namespace."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.api, self.namespace = api, namespace

    async def tried(self, **spec: Any) -> Answer:
        """What creating one would say; nothing is kept."""
        manifest = builders.metric_template(name=f"t{next(_numbers)}", **spec)
        manifest["metadata"]["namespace"] = self.namespace
        path = METRIC_TEMPLATES.path(self.namespace)
        return await self.api.post(path, manifest, fieldValidation="Strict", dryRun="All")


@pytest_asyncio.fixture(loop_scope="session")
async def templates(api: Api, namespace: str, definitions: None) -> Templates:
    return Templates(api, namespace)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
async def test_every_preset_may_be_copied_into_a_template(templates: Templates, preset: Preset) -> None:
    wanted = as_template(preset)
    path = METRIC_TEMPLATES.path(templates.namespace)
    answer = await templates.api.post(path, wanted, fieldValidation="Strict")
    assert answer.status == 201, answer.body
    assert answer.body["spec"] == wanted["spec"]


@pytest.mark.parametrize(
    "written",
    [
        metric(max="{{ args.most }}"),
        metric(betterWhen=None, minSamples="{{ args.samples }}"),
        metric(minSamples=50),
        metric(ratio=None, value="{{ args.query }}", betterWhen="{{ args.way }}", min="{{ args.least }}"),
        metric(ratio=None, histogram="{{ args.name }}_bucket", quantile="{{ args.quantile }}"),
        metric(tolerance={"relative": "{{ args.share }}", "absolute": "{{ args.margin }}"}),
        metric(name="{{ args.part }}-errors"),
    ],
)
async def test_a_placeholder_may_stand_for_any_value(templates: Templates, written: Any) -> None:
    answer = await templates.tried(metrics=[written])
    assert answer.status == 201, answer.body


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"metrics": []}, "should have at least 1 items"),
        ({"metrics": [metric(), metric()]}, "Duplicate value"),
        ({"metrics": [metric(name=None)]}, "Required value"),
        ({"metrics": [metric(ratio=None)]}, "a metric needs exactly one of ratio, histogram, value, mean and pairs"),
        ({"metrics": [metric(value="up")]}, "a metric needs exactly one of ratio, histogram, value, mean and pairs"),
        ({"metrics": [metric(ratio={"total": "a"})]}, "a ratio needs total and exactly one of bad and good"),
        ({"metrics": [metric(quantile="{{ args.q }}")]}, "quantile belongs to a histogram"),
        ({"metrics": [metric(ratio=None, value="up")]}, "betterWhen is needed with value and mean, and only there"),
        ({"metrics": [metric(tolerance=None)]}, "a metric decides nothing without a bound"),
        ({"metrics": [metric(minSamples=True)]}, "minSamples"),
        ({"metrics": [metric(max=2)]}, "must be of type string"),
        ({"arguments": [{"name": "a b"}]}, "an argument's name is made of letters, digits, - and _"),
        ({"arguments": [{"name": "a"}, {"name": "a"}]}, "Duplicate value"),
        ({"arguments": [{"name": "a", "default": 3}]}, "must be of type string"),
    ],
)
async def test_what_no_argument_could_mend_is_refused(templates: Templates, spec: Any, told: str) -> None:
    answer = await templates.tried(**spec)
    assert answer.status == 422, answer.body
    assert told in answer.message


async def test_an_unknown_field_is_refused_by_who_asks_for_it(templates: Templates) -> None:
    answer = await templates.tried(metrics=[metric(maxx="1%")])
    assert answer.status == 400
    assert 'unknown field "spec.metrics[0].maxx"' in answer.message


async def test_one_of_the_cluster_is_in_no_namespace(templates: Templates) -> None:
    name = f"for-all-{next(_numbers)}"
    made = await templates.api.post(
        CLUSTER_METRIC_TEMPLATES.path(), builders.metric_template("ClusterMetricTemplate", name, description="Errors.")
    )
    assert made.status == 201, made.body
    assert "namespace" not in made.body["metadata"]
    assert (await templates.api.get(CLUSTER_METRIC_TEMPLATES.path(None, name))).status == 200
    table = (await templates.api.get(CLUSTER_METRIC_TEMPLATES.path(), accept=TABLE)).body
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Description", "Age"]
    assert [name, "Errors."] in [row["cells"][:2] for row in table["rows"]]


@pytest.mark.parametrize("manifest", OBJECTS.values(), ids=list(OBJECTS))
async def test_every_object_of_ours_in_the_docs_is_accepted(templates: Templates, manifest: Any) -> None:
    resource = OURS[manifest["kind"]]
    placed = {**manifest, "metadata": {"name": manifest["metadata"]["name"]}}
    path = resource.path(templates.namespace)
    answer = await templates.api.post(path, placed, fieldValidation="Strict", dryRun="All")
    assert answer.status == 201, answer.body


async def test_kubectl_applies_lists_and_explains_templates(templates: Templates, kubectl: Kubectl) -> None:
    manifest = {**builders.metric_template(description="Errors of ours."), "metadata": {"name": "errors"}}
    assert "created" in await kubectl("apply", "-f", "-", manifest=manifest)
    assert "unchanged" in await kubectl("apply", "-f", "-", manifest=manifest)
    assert "Errors of ours." in await kubectl("get", "mtpl")
    told = " ".join((await kubectl("explain", "metrictemplate.spec.arguments")).split())
    assert "Used where none is given." in told
    assert "<no description>" not in told
