"""The words of a notification: who, why, on which evidence, what happens next, and where to look."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from modelrollout.api.notifications import FIELDS, Notification, SecretKey, Topic, notifications_in
from modelrollout.api.status import Errand
from modelrollout.plan.notices import NEXT, fields, text, title

SAID = {
    "topic": "RolledBack",
    "reason": "MetricFailed",
    "message": "Version 2 was taken back: errors 20 %.",
    "model": "fraud-detector",
    "version": "2",
    "stage": "canary",
    "weight": "50",
    "evidence": "latency: 40 ms, stable 41 ms.",
}


def errand(**said: str) -> Errand:
    return Errand(id="uid.1", kind="notification", to=("chat",), at=datetime(2026, 1, 1, 12, tzinfo=UTC), facts=said)


def test_usual_text_says_who_why_on_which_evidence_what_next_and_where_to_look() -> None:
    values = fields("ml", "fraud", errand(**SAID), "https://grafana.example/{{ namespace }}?rollout={{ rollout }}")
    assert title(values) == "RolledBack: ml/fraud"
    assert text(values, None).splitlines() == [
        "Model fraud-detector, version 2.",
        "Version 2 was taken back: errors 20 %. (MetricFailed)",
        "Stage canary, at 50 %.",
        "Evidence: latency: 40 ms, stable 41 ms.",
        f"Next: {NEXT['RolledBack']}",
        "https://grafana.example/ml?rollout=fraud",
    ]


def test_what_is_not_known_is_left_out() -> None:
    values = fields("ml", "fraud", errand(topic="Stuck", reason="InvalidSpec", message="model: missing."), None)
    assert text(values, None).splitlines() == ["model: missing. (InvalidSpec)", f"Next: {NEXT['Stuck']}"]
    assert text(values, "[{{ version }}{{ link }}]") == "[]"


def test_text_of_the_users_own_fills_in_values_that_are_not_looked_at_again() -> None:
    values = fields("ml", "fraud", errand(**{**SAID, "message": "{{ namespace }} ${x} %s"}), None)
    assert text(values, "{{ message }} at {{ time }}") == "{{ namespace }} ${x} %s at 2026-01-01T12:00:00Z"


def test_values_in_a_link_stay_values() -> None:
    values = fields(
        "ml", "fraud", errand(**{**SAID, "version": "2&admin=1/../x"}), "https://x.example/?v={{ version }}"
    )
    assert values["link"] == "https://x.example/?v=2%26admin%3D1%2F..%2Fx"


def test_each_topic_has_a_next_and_each_field_a_value() -> None:
    assert set(NEXT) == set(Topic)
    assert list(fields("ml", "fraud", errand(**SAID), None)) == list(FIELDS)


def test_facts_of_a_newer_operator_are_no_fields_of_ours() -> None:
    assert set(fields("ml", "fraud", errand(topic="Celebrated", mood="good"), None)) == set(FIELDS)


def test_unknown_field_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValidationError, match=r"text may fill in these only: \{\{ namespace \}\}, "):
        Notification(name="chat", secret_ref=SecretKey(name="alerts"), text="{{ secret }}")


def test_notifications_are_read_from_a_spec_that_is_broken_elsewhere() -> None:
    told = {"name": "chat", "secretRef": {"name": "alerts"}}
    assert [one.name for one in notifications_in({"model": 5, "notifications": [told]})] == ["chat"]
    assert notifications_in({"notifications": [{**told, "topics": ["Parties"]}]}) == ()
    assert notifications_in(None) == ()
