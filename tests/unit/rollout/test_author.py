"""Who wrote the annotation by which people ask for something."""

from __future__ import annotations

from modelrollout.api.people import Author
from modelrollout.objects.manifests import Manifest
from modelrollout.rollout.author import ACTION, ACTION_BY, author_of


def written(manager: str, at: str, *names: str) -> Manifest:
    fields = {"f:metadata": {"f:annotations": {f"f:{name}": {} for name in names}}}
    return {"manager": manager, "operation": "Update", "time": at, "fieldsV1": fields}


def manifest(*entries: Manifest, **annotations: str) -> Manifest:
    return {"metadata": {"annotations": annotations, "managedFields": [*entries]}}


def test_without_a_policy_it_is_the_last_program_that_owns_the_annotation() -> None:
    found = manifest(
        written("argocd", "2026-11-27T10:00:00Z", ACTION),
        written("kubectl-annotate", "2026-11-27T11:00:00Z", ACTION),
        written("kubectl-edit", "2026-11-27T12:00:00Z", "example.com/team"),
        {"manager": "modelrollout", "subresource": "status", "time": "2026-11-27T13:00:00Z"},
        **{ACTION_BY: "whoever"},
    )
    assert author_of(found, is_admitted=False) == Author(name="kubectl-annotate", known_from="FieldManager")
    assert author_of(manifest(), is_admitted=False) is None


def test_with_a_policy_it_is_whom_the_api_server_let_write_his_own_name_and_nobody_else() -> None:
    found = manifest(written("kubectl-annotate", "2026-11-27T11:00:00Z", ACTION), **{ACTION_BY: "alice"})
    assert author_of(found, is_admitted=True) == Author(name="alice", known_from="Admission")
    assert author_of(manifest(written("kubectl", "2026-11-27T11:00:00Z", ACTION)), is_admitted=True) is None
