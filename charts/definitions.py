"""The custom resources' definitions as templates, which may be left out and are kept when the chart goes."""

from __future__ import annotations

from modelrollout.api.crd import as_yaml, definitions, file_name

_HEAD = "{{- /* Written by `make chart` from the models. Not to be edited. */}}\n{{- if .Values.crds.enabled }}\n"
_KEPT = """\
metadata:
  {{- if .Values.crds.keep }}
  annotations:
    helm.sh/resource-policy: keep
  {{- end }}
"""


def templates() -> dict[str, str]:
    """By the names of their files."""
    return {file_name(one): _template(as_yaml(one)) for one in definitions()}


def _template(text: str) -> str:
    """Their descriptions speak of placeholders, which Helm would take for its own."""
    before, metadata, after = text.replace("{{", '{{ "{{" }}').partition("metadata:\n")
    if not metadata or "annotations:" in after.partition("spec:")[0]:
        raise ValueError("a definition has metadata without annotations")
    return f"{_HEAD}{before}{_KEPT}{after}{{{{- end }}}}\n"
