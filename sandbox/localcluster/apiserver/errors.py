"""Refusals as Kubernetes words them: a `Status` object with code, reason and causes. It decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing that is wrong with one field; `kind` is Kubernetes' words, as in `spec.x: Invalid value: …`."""

    field: str
    kind: str  # Invalid value | Required value | Unsupported value | Forbidden | Duplicate value | Too many | …
    detail: str = ""
    reason: str = ""  # the cause's reason, where it is not the one that `kind` has

    @property
    def message(self) -> str:
        return f"{self.kind}: {self.detail}" if self.detail else self.kind

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


CAUSES = {
    "Invalid value": "FieldValueInvalid",
    "Required value": "FieldValueRequired",
    "Unsupported value": "FieldValueNotSupported",
    "Forbidden": "FieldValueForbidden",
    "Duplicate value": "FieldValueDuplicate",
    "Too many": "FieldValueTooMany",
    "Too long": "FieldValueTooLong",
    "Too few": "FieldValueTooFew",
    "Not found": "FieldValueNotFound",
}


@dataclass(frozen=True)
class StatusError(Exception):
    """A refusal that travels to the client as a `Status`."""

    code: int
    reason: str
    message: str
    details: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.message

    def status(self) -> dict[str, Any]:
        """The `Status` object for the response body."""
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        if self.details:
            body["details"] = self.details
        return body


def not_found(group: str, plural: str, name: str) -> StatusError:
    return StatusError(404, "NotFound", f'{_qualified(plural, group)} "{name}" not found', _about(group, plural, name))


def already_exists(group: str, plural: str, name: str) -> StatusError:
    message = f'{_qualified(plural, group)} "{name}" already exists'
    return StatusError(409, "AlreadyExists", message, _about(group, plural, name))


def conflict(group: str, plural: str, name: str, why: str) -> StatusError:
    message = f'Operation cannot be fulfilled on {_qualified(plural, group)} "{name}": {why}'
    return StatusError(409, "Conflict", message, _about(group, plural, name))


def stale(group: str, plural: str, name: str) -> StatusError:
    why = "the object has been modified; please apply your changes to the latest version and try again"
    return conflict(group, plural, name, why)


def invalid(group: str, kind: str, name: str, errors: Sequence[FieldError]) -> StatusError:
    said = ", ".join(str(error) for error in errors)
    causes = [
        {"reason": error.reason or CAUSES[error.kind], "message": error.message, "field": error.field}
        for error in errors
    ]
    message = f'{_qualified(kind, group)} "{name}" is invalid: {said if len(errors) == 1 else f"[{said}]"}'
    return StatusError(422, "Invalid", message, {**_about(group, kind, name), "causes": causes})


def bad_request(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


def forbidden(group: str, plural: str, name: str, why: str, causes: list[dict[str, str]] | None = None) -> StatusError:
    details = _about(group, plural, name) | ({"causes": causes} if causes else {})
    return StatusError(403, "Forbidden", f'{_qualified(plural, group)} "{name}" is forbidden: {why}', details)


def expired(message: str) -> StatusError:
    return StatusError(410, "Expired", message)


def unknown_path() -> StatusError:
    return StatusError(404, "NotFound", "the server could not find the requested resource")


def method_not_allowed() -> StatusError:
    return StatusError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def unsupported_media_type(accepted: Sequence[str]) -> StatusError:
    message = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)
    return StatusError(415, "UnsupportedMediaType", message)


def _qualified(name: str, group: str) -> str:
    return f"{name}.{group}" if group else name


def _about(group: str, kind: str, name: str) -> dict[str, Any]:
    about = {"name": name, "group": group, "kind": kind}
    return {key: value for key, value in about.items() if value}
