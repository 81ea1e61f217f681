"""The operator's RBAC rules as a template, from what its parts say that they do.

A rule is for the kinds of one API group, integration and scope that have the same verbs. Verbs come in the order in
which people write them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from modelrollout.objects.access import Access, Integration, Where
from modelrollout.shell.permissions import ALL

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete")
NAMES = {"secrets": "rbac.secretNames"}
"""Values with the names of the objects that a right is for, where it can be bounded by names."""
_HEAD = """\
{{- /* Written by `make chart` from what routers, kinds of workload and stages say that they do. Not to be edited. */}}

{{- /* What the operator is started without. */}}
"""


def template() -> str:
    """The text of templates/_rules.tpl."""
    parts = [_defined(where, [one for one in ALL if one.scope is where]) for where in Where]
    return _HEAD + "\n".join([_without(), *parts])


def _without() -> str:
    names = " ".join(f'"{name}"' for name in Integration)
    return f"""\
{{{{- define "modelrollout.without" -}}}}
{{{{- $without := list }}}}
{{{{- range $name := list {names} }}}}
{{{{- if not (index $.Values.integrations $name) }}}}{{{{ $without = append $without $name }}}}{{{{ end }}}}
{{{{- end }}}}
{{{{- join "," $without }}}}
{{{{- end }}}}
"""


def _defined(where: Where, accesses: list[Access]) -> str:
    return f'{{{{- define "modelrollout.rules.{where}" }}}}\n' + "".join(_parts(accesses)) + "{{- end }}\n"


def _parts(accesses: list[Access]) -> Iterator[str]:
    always = _verbs(one for one in accesses if one.integration is None)
    yield from _rules(always)
    for integration in Integration:
        verbs = _verbs(one for one in accesses if one.integration is integration)
        added = {kind: wanted - always.get(kind, set()) for kind, wanted in verbs.items()}
        if rules := "".join(_rules({kind: more for kind, more in added.items() if more})):
            yield f"{{{{- if .Values.integrations.{integration} }}}}\n{rules}{{{{- end }}}}\n"


def _verbs(accesses: Iterable[Access]) -> dict[tuple[str, str], set[str]]:
    """By group and resource."""
    found = defaultdict[tuple[str, str], set[str]](set)
    for one in accesses:
        found[one.resource.group, "/".join(filter(None, (one.resource.plural, one.subresource)))] |= {*one.verbs}
    return found


def _rules(verbs: dict[tuple[str, str], set[str]]) -> Iterator[str]:
    alike = defaultdict[tuple[str, tuple[str, ...]], list[str]](list)
    for (group, resource), wanted in verbs.items():
        alike[group, tuple(sorted(wanted, key=VERBS.index))].append(resource)
    for (group, wanted_all), resources in alike.items():
        group_text, names, verbs_text = group or '""', ", ".join(resources), ", ".join(wanted_all)
        yield f"- apiGroups: [{group_text}]\n  resources: [{names}]\n  verbs: [{verbs_text}]\n"
        if (bound := NAMES.get(names)) is not None:
            yield f"  {{{{- with .Values.{bound} }}}}\n  resourceNames: {{{{ toJson . }}}}\n  {{{{- end }}}}\n"
