"""Manifests in Kubernetes' protobuf, which `kubectl create namespace` and its like send instead of JSON. Pure.

Only what kubectl's generators make is known here; of anything else the client is told to send JSON. The numbers are
those of the API's published `.proto` files.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

from google.protobuf import descriptor_pb2, json_format, message_factory, unknown_fields
from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message

from localcluster.apiserver.errors import StatusError
from localcluster.apiserver.store import Object

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\0"
_PACKAGE = "kubernetes"

# "name type number"; `*` after a type is a list of it, `%` a map to it.
_MESSAGES = {
    "Nothing": "",
    "Unknown": "typeMeta TypeMeta 1, raw bytes 2",
    "TypeMeta": "apiVersion string 1, kind string 2",
    "ObjectMeta": "name string 1, generateName string 2, namespace string 3, labels string% 11, "
    "annotations string% 12, finalizers string* 14",
    "LabelSelector": "matchLabels string% 1",
    "IntOrString": "type int32 1, intVal int32 2, strVal string 3",
    "Namespace": "metadata ObjectMeta 1",
    "ConfigMap": "metadata ObjectMeta 1, data string% 2, binaryData bytes% 3, immutable bool 4",
    "Secret": "metadata ObjectMeta 1, data bytes% 2, type string 3, stringData string% 4, immutable bool 5",
    "ServiceAccount": "metadata ObjectMeta 1",
    "Service": "metadata ObjectMeta 1, spec ServiceSpec 2",
    "ServiceSpec": "ports ServicePort* 1, selector string% 2, clusterIP string 3, type string 4, "
    "sessionAffinity string 7, externalName string 10, clusterIPs string* 18",
    "ServicePort": "name string 1, protocol string 2, port int32 3, targetPort IntOrString 4, nodePort int32 5, "
    "appProtocol string 6",
    "Deployment": "metadata ObjectMeta 1, spec DeploymentSpec 2",
    "DeploymentSpec": "replicas int32 1, selector LabelSelector 2, template PodTemplateSpec 3, paused bool 7, "
    "minReadySeconds int32 5",
    "Job": "metadata ObjectMeta 1, spec JobSpec 2",
    "JobSpec": "parallelism int32 1, completions int32 2, template PodTemplateSpec 6, backoffLimit int32 7",
    "PodTemplateSpec": "metadata ObjectMeta 1, spec PodSpec 2",
    "PodSpec": "containers Container* 2, restartPolicy string 3, dnsPolicy string 6, serviceAccountName string 8, "
    "nodeName string 10, hostNetwork bool 11, hostPID bool 12, hostIPC bool 13",
    "Container": "name string 1, image string 2, command string* 3, args string* 4, workingDir string 5, "
    "ports ContainerPort* 6, env EnvVar* 7, imagePullPolicy string 14, stdin bool 16, stdinOnce bool 17, tty bool 18",
    "ContainerPort": "name string 1, hostPort int32 2, containerPort int32 3, protocol string 4",
    "EnvVar": "name string 1, value string 2",
    "SelfSubjectAccessReview": "metadata ObjectMeta 1, spec SelfSubjectAccessReviewSpec 2",
    "SelfSubjectAccessReviewSpec": "resourceAttributes ResourceAttributes 1, "
    "nonResourceAttributes NonResourceAttributes 2",
    "ResourceAttributes": "namespace string 1, verb string 2, group string 3, version string 4, resource string 5, "
    "subresource string 6, name string 7",
    "NonResourceAttributes": "path string 1, verb string 2",
}
_SCALARS = {
    "string": FieldDescriptorProto.TYPE_STRING,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "bool": FieldDescriptorProto.TYPE_BOOL,
}
_FIELD = re.compile(r"(\w+) (\w+)([*%]?) (\d+)")


def decode(body: bytes) -> Object:
    """The manifest in a request's body; a 415 where it says something that is not known here."""
    if not body.startswith(_MAGIC):
        raise _refusal("it does not begin as one")
    envelope = _parsed("Unknown", body[len(_MAGIC) :])
    kind = str(envelope.typeMeta.kind)  # type: ignore[attr-defined]  # its type is made below
    if kind not in _MESSAGES:
        raise _refusal(f"the kind {kind!r} is not known in this form")
    manifest = _parsed(kind, envelope.raw)  # type: ignore[attr-defined]
    if any(_lost(manifest)):
        raise _refusal(f"it has fields of {kind} that are not known in this form")
    read = json_format.MessageToDict(manifest, preserving_proto_field_name=True)
    api_version = str(envelope.typeMeta.apiVersion)  # type: ignore[attr-defined]
    return {"apiVersion": api_version, "kind": kind, **_without_wrappers(read)}


def _refusal(why: str) -> StatusError:
    return StatusError(415, "UnsupportedMediaType", f"the protobuf body cannot be read: {why}; send JSON or YAML")


def _parsed(name: str, content: bytes) -> Message:
    message: Message = _types()[name]()
    try:
        message.ParseFromString(content)
    except DecodeError as error:
        raise _refusal(str(error)) from error
    return message


def _lost(message: Message) -> Iterator[bool]:
    """For each field that the table does not name, whether it says something; empty ones are always sent."""
    unknown: Any = unknown_fields.UnknownFieldSet(message)
    for field in unknown:
        yield _says_something(field.data)
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None or descriptor.message_type.GetOptions().map_entry:
            continue
        for each in value if descriptor.is_repeated else [value]:
            yield from _lost(each)


def _says_something(data: Any) -> bool:
    """Whether a field is more than nothing, or a message of nothings such as the status of a new object."""
    if not isinstance(data, bytes) or not data:
        return bool(data)
    message = _types()["Nothing"]()
    try:
        message.ParseFromString(data)
    except DecodeError:
        return True
    return any(_lost(message))


def _without_wrappers(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_wrappers(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "intVal" in value and "strVal" in value:
        return value["strVal"] if value.get("type") == 1 else value["intVal"]
    return {key: _without_wrappers(each) for key, each in value.items()}


@functools.cache
def _types() -> dict[str, type[Message]]:
    file = descriptor_pb2.FileDescriptorProto(name="kubernetes.proto", package=_PACKAGE, syntax="proto2")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for found in _FIELD.finditer(fields):
            _add_field(message, *found.groups())
    pool = DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _MESSAGES
    }


def _add_field(message: descriptor_pb2.DescriptorProto, name: str, kind: str, form: str, number: str) -> None:
    repeated = FieldDescriptorProto.LABEL_REPEATED if form else FieldDescriptorProto.LABEL_OPTIONAL
    field = message.field.add(name=name, number=int(number), label=repeated)
    if form == "%":
        entry = message.nested_type.add(name=f"{name[0].upper()}{name[1:]}Entry")
        entry.options.map_entry = True
        for key, what, place in (("key", "string", "1"), ("value", kind, "2")):
            _add_field(entry, key, what, "", place)
        kind = f"{message.name}.{entry.name}"
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
