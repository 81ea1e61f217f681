"""The policy in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from modelrollout.cli.backtest.policy import read_policy
from modelrollout.cli.backtest.trouble import MisuseError
from modelrollout.stages.way import way
from tests.builders import blue_green, metric_template, rollout, shadow, smoke


def written(folder: Path, *documents: Any, name: str = "rollout.yaml") -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump_all(documents))
    return path


def test_presets_and_templates_of_other_files_are_filled_in(tmp_path: Path) -> None:
    wanted = rollout(
        analysis={"presets": [{"name": "http", "include": ["latency"]}], "templates": [{"name": "errors"}]}
    )
    other = written(tmp_path, metric_template(), name="templates.yaml")
    policy = read_policy([written(tmp_path, wanted), other])
    assert [metric.name for metric in policy.analysis.metrics] == ["latency", "errors"]
    assert (policy.namespace, policy.name) == ("ml", "fraud")


@pytest.mark.parametrize(
    ("metadata", "is_placed"), [({"name": "fraud"}, False), ({"name": "fraud", "namespace": "ml"}, True)]
)
def test_a_file_may_leave_its_namespace_to_kubectl(tmp_path: Path, metadata: dict[str, str], is_placed: bool) -> None:
    assert read_policy([written(tmp_path, {**rollout(), "metadata": metadata})]).is_placed is is_placed


def test_a_stage_that_compares_is_replayed_without_its_comparison(tmp_path: Path) -> None:
    wanted = rollout(stages=[shadow(compare={"minAgreement": "98%"})])
    policy = read_policy([written(tmp_path, wanted)])
    assert [metric.name for metric in policy.analysis.metrics] == ["errors"]
    assert [stage.name for stage in policy.wish.spec.stages] == ["shadow"]


def test_smoke_requests_are_not_replayed_and_their_stage_is(tmp_path: Path) -> None:
    wanted = rollout(stages=[blue_green(smoke=[smoke()], smokeDeadline="1m", hold="2m")])
    assert [step.smoke for step in way(read_policy([written(tmp_path, wanted)]).wish)] == [None] * 3


def test_a_template_that_is_missing_is_asked_for_with_a_further_file(tmp_path: Path) -> None:
    wanted = rollout(analysis={"templates": [{"name": "errors"}]})
    with pytest.raises(MisuseError, match=r"MetricTemplate 'errors' does not exist.*further -f"):
        read_policy([written(tmp_path, wanted)])


def test_a_template_of_another_namespace_does_not_count(tmp_path: Path) -> None:
    wanted, template = rollout(analysis={"templates": [{"name": "errors"}]}), metric_template()
    template["metadata"]["namespace"] = "elsewhere"
    with pytest.raises(MisuseError, match="does not exist"):
        read_policy([written(tmp_path, wanted, template)])


def test_one_of_several_is_chosen_by_name(tmp_path: Path) -> None:
    one, other = rollout(), rollout()
    other["metadata"]["name"] = "search"
    path = written(tmp_path, one, {"kind": "List", "items": [other]})
    assert read_policy([path], "search").name == "search"
    with pytest.raises(MisuseError, match=r"2 ModelRollouts \(fraud, search\); say which with --name"):
        read_policy([path])
    with pytest.raises(MisuseError, match=r"--name is 'other'"):
        read_policy([path], "other")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "cannot be read: No such file"),
        ("a: [", "is no YAML"),
        ("just words", "no object with kind and spec"),
        ("kind: Deployment", "no ModelRollout in it"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_reason(tmp_path: Path, text: str | None, why: str) -> None:
    path = tmp_path / "rollout.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(MisuseError, match=why) as raised:
        read_policy([path])
    assert str(path) in str(raised.value)
    assert raised.value.exit_code == 2


def test_what_is_wrong_in_the_spec_is_told_with_its_field(tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match=r"spec\.analysis\.interval"):
        read_policy([written(tmp_path, rollout(analysis={"interval": "soon"}))])


def test_readiness_alone_cannot_be_replayed(tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match="readinessOnly"):
        read_policy([written(tmp_path, rollout(analysis={"readinessOnly": True}))])
