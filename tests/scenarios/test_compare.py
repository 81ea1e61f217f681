"""A shadow stage with a comparer: a candidate that answers otherwise is caught before any user meets it."""

from __future__ import annotations

import json
from typing import Any

from modelrollout.api.status import Phase
from modelrollout.comparer.config import Config
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import DEPLOYMENTS, HTTP_ROUTES, PODS, SERVICES
from tests import builders
from tests.chart.pod_security import violations
from tests.fakes.town import COMPARER_IMAGE, Town, releasing
from tests.fakes.witness import Witness


def comparing(analysis: dict[str, Any] | None = None, hold: str = "1m", **compare: Any) -> Town:
    """Version 2 was just applied; its answers are compared with stable's first, then it gets a share of the traffic."""
    wanted = {"minAgreement": "98%", "agreement": {"path": "$.label"}, **compare}
    stages = [builders.shadow(methods=["POST"], hold=hold, compare=wanted), builders.canary(50, hold="1m")]
    return releasing(stages=stages, **({"analysis": analysis} if analysis else {}))


def switching() -> Town:
    """Its answers are compared before one switch brings all users."""
    compare = {"minAgreement": "98%", "agreement": {"path": "$.label"}}
    mirror = {"percent": 50, "methods": ["POST"], "compare": compare}
    return releasing(stages=[builders.blue_green(mirror=mirror, previewHold="1m", hold="1m")])


def comparer(town: Town) -> Manifest | None:
    return town.cluster.get(DEPLOYMENTS, f"fraud-{town.new}-cmp")


def is_compared(town: Town) -> bool:
    return mirrored_to(town) == [f"fraud-{town.new}-cmp"]


def mirrored_to(town: Town) -> list[str]:
    route = town.cluster.get(HTTP_ROUTES, "fraud")
    filters = [one for rule in (route or {})["spec"]["rules"] for one in rule.get("filters") or ()]
    return [one["requestMirror"]["backendRef"]["name"] for one in filters]


def told(deployment: Manifest) -> Config:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return Config.model_validate_json(container["args"][-1])


def test_copies_go_to_a_comparer_that_knows_both_versions() -> None:
    town = comparing(sample="20%")
    Witness(town)
    town.run(until=is_compared, minutes=5)
    deployment, service = comparer(town), town.cluster.get(SERVICES, f"fraud-{town.new}-cmp")
    assert deployment is not None
    assert service is not None
    template = deployment["spec"]["template"]
    assert service["spec"]["selector"] == template["metadata"]["labels"]
    assert service["spec"]["ports"][0]["targetPort"] == template["spec"]["containers"][0]["ports"][0]["containerPort"]
    assert template["spec"]["containers"][0]["image"] == COMPARER_IMAGE
    assert violations(template["spec"]) == []
    config = told(deployment)
    services = [town.cluster.get(SERVICES, f"fraud-{revision}") or {} for revision in (town.old, town.new)]
    urls = [f"http://{found['spec']['clusterIP']}:80" for found in services]
    assert [config.stable.url, config.candidate.url] == urls
    assert (config.rollout, config.namespace, config.methods) == ("fraud", "ml", ("POST",))
    assert config.compare.sample.value == 0.2


def test_its_pods_are_no_version_of_the_model() -> None:
    town = comparing()
    town.run(until=is_compared, minutes=5)
    town.run(seconds=10)
    (pod,) = (pod for pod in town.cluster.all(PODS) if "-cmp-" in pod["metadata"]["name"])
    assert "modelrollout.dev/rollout" not in pod["metadata"]["labels"]
    assert pod not in town.world().pods


def test_a_pod_runs_without_any_right() -> None:
    town = comparing()
    town.run(until=is_compared, minutes=5)
    deployment = comparer(town)
    assert deployment is not None
    spec = deployment["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert (spec["securityContext"]["runAsNonRoot"], spec["securityContext"]["seccompProfile"]) == (
        True,
        {"type": "RuntimeDefault"},
    )
    assert spec["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_good_candidate_passes_and_the_comparer_goes() -> None:
    town = comparing()
    Witness(town)
    town.run(until=is_compared, minutes=5)
    town.go(Phase.PROGRESSING, 50)
    town.run(seconds=15)
    assert comparer(town) is None
    assert town.cluster.get(SERVICES, f"fraud-{town.new}-cmp") is None
    assert [verdict.metric for verdict in town.status.verdicts] == ["errors"]
    town.go(Phase.HEALTHY)


def test_candidate_that_answers_otherwise_is_taken_back_without_any_error() -> None:
    town = comparing()
    witness = Witness(town)
    town.metrics.other = {"2": 0.2}
    town.run(until=is_compared, minutes=5)
    town.go(Phase.ROLLED_BACK, minutes=10)
    assert all(shares.get(town.new, 0) == 0 for shares in witness.history)
    (rejected,) = town.status.rejected
    assert rejected.reason == "MetricFailed"
    assert rejected.message.startswith("shadow-agreement:")
    town.run(minutes=2)
    assert (mirrored_to(town), comparer(town)) == ([], None)


def test_wrong_answers_show_before_a_switch_too() -> None:
    town = switching()
    witness = Witness(town)
    town.metrics.other = {"2": 0.2}
    town.run(until=is_compared, minutes=5)
    town.go(Phase.ROLLED_BACK, minutes=10)
    assert all(shares.get(town.new, 0) == 0 for shares in witness.history)
    assert town.status.rejected[0].message.startswith("switch-agreement:")


def test_after_the_switch_there_is_nothing_left_to_compare() -> None:
    town = switching()
    Witness(town)
    town.run(until=is_compared, minutes=5)
    town.go(Phase.PROGRESSING, 100)
    town.run(seconds=15)
    assert comparer(town) is None
    assert [verdict.metric for verdict in town.status.verdicts] == ["errors"]
    town.go(Phase.HEALTHY)


def test_fewer_disagreements_than_allowed_are_fine() -> None:
    town = comparing()
    town.metrics.other = {"2": 0.005}
    town.go(Phase.HEALTHY)


def test_the_metric_is_a_ratio_of_the_comparers_counters() -> None:
    town = comparing()
    town.run(until=is_compared, minutes=5)
    town.run(seconds=30)
    asked = {query.promql for query in town.metrics.asked if query.metric == "shadow-agreement"}
    assert asked == {
        '{__name__=~"modelrollout_comparer_disagreements_total|modelrollout_comparer_comparisons_total",'
        f'rollout_ns="ml",rollout="fraud",revision="{town.new}"}}'
    }


def test_without_a_comparer_nothing_is_said_and_the_stage_waits() -> None:
    town = comparing()
    town.run(until=is_compared, minutes=5)
    town.cluster.remove(DEPLOYMENTS, f"fraud-{town.new}-cmp")
    town.metrics.is_silent = True
    town.run(minutes=10)
    assert town.phase is Phase.PROGRESSING
    assert town.status.stage is not None
    assert town.status.stage.name == "shadow"
    town.metrics.is_silent = False
    town.go(Phase.HEALTHY)


def test_agreement_may_be_all_that_is_judged() -> None:
    town = comparing(analysis={"interval": "15s", "readinessOnly": True})
    town.metrics.other = {"2": 0.2}
    town.go(Phase.ROLLED_BACK, minutes=10)
    good = comparing(analysis={"interval": "15s", "readinessOnly": True})
    good.go(Phase.HEALTHY)


def lacking(town: Town) -> str | None:
    return next((one.reason for one in town.status.conditions if one.type == "CopiesCompared"), None)


def test_copies_that_are_not_compared_are_told_once_and_hold_nothing() -> None:
    town = comparing(hold="3m", limits={"bodyKibibytes": 64})
    town.metrics.copies = {"arrived": {"32KiB": 1000.0}, "shed": {"too_large": 100.0}}
    town.run(until=lambda town: lacking(town) == "CopiesShed", minutes=5)
    town.metrics.copies = {"arrived": {"32KiB": 2000.0}, "shed": {"too_large": 300.0}}
    told = town.status.conditions
    town.restart()
    town.run(seconds=20)
    assert [one for one in town.status.conditions if one.type == "CopiesCompared"] == [
        one for one in told if one.type == "CopiesCompared"
    ]
    town.go(Phase.PROGRESSING, 50)
    assert lacking(town) is None
    town.go(Phase.HEALTHY)
    assert town.events.count("CopiesShed") == 1
    assert "CopiesCompared" not in town.events


def test_copies_that_the_gateway_drops_are_told_by_users_own_sizes() -> None:
    town = comparing(hold="10m", requestSizes='http_request_size_bytes_bucket{pod=~"{{ pods }}"}')
    small = {"arrived": {"1KiB": 500.0, "1MiB": 0.0}, "shed": {}, "users": {"100000": 500.0, "+Inf": 1000.0}}
    town.metrics.copies = small
    town.run(until=lambda town: lacking(town) == "CopiesMissing", minutes=5)
    town.metrics.copies = {**small, "arrived": {"1KiB": 500.0, "1MiB": 500.0}}
    town.run(until=lambda town: lacking(town) is None, minutes=1)
    assert town.events.count("CopiesMissing") == 1
    assert town.events.count("CopiesCompared") == 1


def test_sizes_that_are_found_at_last_are_no_news_of_the_copies() -> None:
    town = comparing(hold="10m", requestSizes='http_request_size_bytes_bucket{pod=~"{{ pods }}"}')
    town.metrics.copies = {"arrived": {"1KiB": 500.0}, "shed": {}, "users": {"": 0.0}}
    town.run(until=lambda town: lacking(town) == "SizesUnknown", minutes=5)
    town.metrics.copies = {"arrived": {"1KiB": 500.0}, "shed": {}, "users": {"100000": 500.0, "+Inf": 500.0}}
    town.run(until=lambda town: lacking(town) is None, minutes=1)
    assert (town.events.count("SizesUnknown"), "CopiesCompared" in town.events) == (1, False)


def test_a_share_near_the_limit_is_told_once() -> None:
    town = comparing(hold="10m")
    town.run(until=is_compared, minutes=5)
    for left_out in (10.0, 9.0, 11.0):
        town.metrics.copies = {"arrived": {"32KiB": 1000.0}, "shed": {"busy": left_out}}
        town.run(seconds=90 if lacking(town) is None else 20)
    assert lacking(town) == "CopiesShed"
    assert (town.events.count("CopiesShed"), "CopiesCompared" in town.events) == (1, False)


def test_sizes_are_read_by_a_plain_selector() -> None:
    sizes = {"minAgreement": "98%", "requestSizes": 'x_bucket{pod=~"{{ podss }}"}'}
    message = refusal(Town(), stages=[builders.shadow(methods=["POST"], compare=sizes)])
    assert message.startswith("spec.stages[shadow]: compare.requestSizes: {{ podss }} is not a known name")


def refusal(town: Town, **spec: Any) -> str:
    """The message about a spec that makes no sense."""
    town.wish("1", **{"stages": [builders.shadow(compare={"minAgreement": "98%"})], **spec})
    town.run(seconds=10)
    assert town.phase is Phase.INVALID
    return town.status.message or ""


def test_an_operator_without_an_image_says_so() -> None:
    assert "--comparer-image" in refusal(Town(comparer_image=None))


def test_a_metric_of_the_same_name_is_refused() -> None:
    named = {**builders.ERRORS, "name": "shadow-agreement"}
    message = refusal(Town(), analysis={"interval": "15s", "metrics": [named]})
    assert "shadow-agreement is the name of the metric that a stage with `compare` brings" in message


def test_calls_of_grpc_are_not_compared() -> None:
    assert "not gRPC" in refusal(Town(), traffic={"port": 8080, "grpc": {"parentRefs": [{"name": "g"}]}})


def test_what_it_is_told_holds_nothing_that_kubernetes_would_fill_in() -> None:
    town = comparing(agreement={"path": "$['$(HOME)']"})
    town.run(until=is_compared, minutes=5)
    deployment = comparer(town)
    assert deployment is not None
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert "$(" not in container["args"][-1]
    assert json.loads(container["args"][-1])["compare"]["agreement"]["path"] == "$['$(HOME)']"


def test_a_status_that_is_lost_meanwhile_does_not_take_the_comparer_for_a_version() -> None:
    town = comparing()
    town.run(until=is_compared, minutes=5)
    town.cluster.put({name: part for name, part in town.manifest.items() if name != "status"})
    town.run(seconds=30)
    assert town.status.stable is not None
    assert town.status.stable.revision == town.old
    town.go(Phase.HEALTHY)
    assert town.share(town.new) == 100


def test_an_operator_that_dies_while_answers_are_compared_goes_on() -> None:
    town = comparing()
    town.metrics.other = {"2": 0.2}
    town.run(until=is_compared, minutes=5)
    town.restart()
    town.go(Phase.ROLLED_BACK, minutes=10)
    assert town.share(town.old) == 100
