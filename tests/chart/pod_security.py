"""Pod Security "restricted", by its published rules (kubernetes.io/docs/concepts/security/pod-security-standards).

Windows is left out, and with it the few rules that are about it alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from modelrollout.objects.manifests import Manifest

VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip
SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
}
SELINUX = {None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
PROFILES = {"RuntimeDefault", "Localhost"}


def violations(pod: Manifest) -> list[str]:
    """What the spec of a pod breaks; nothing where it passes."""
    return [*_of_the_pod(pod), *(broken for one in _containers(pod) for broken in _of_a_container(one, pod))]


def _containers(pod: Manifest) -> Iterator[Manifest]:
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from pod.get(field) or ()


def _of_the_pod(pod: Manifest) -> Iterator[str]:
    yield from (field for field in ("hostNetwork", "hostPID", "hostIPC") if pod.get(field))
    for volume in pod.get("volumes") or ():
        yield from (f"volume {volume['name']}: {kind}" for kind in volume.keys() - {"name"} - VOLUMES)
    context = pod.get("securityContext") or {}
    yield from (f"sysctl {one['name']}" for one in context.get("sysctls") or () if one["name"] not in SYSCTLS)
    yield from _of_any_context(context)


def _of_a_container(container: Manifest, pod: Manifest) -> Iterator[str]:
    context = container.get("securityContext") or {}
    both = {**(pod.get("securityContext") or {}), **context}  # a container's own comes first
    capabilities = context.get("capabilities") or {}
    broken = {
        "privileged": bool(context.get("privileged")),
        "allowPrivilegeEscalation": context.get("allowPrivilegeEscalation") is not False,
        "procMount": context.get("procMount", "Default") != "Default",
        "hostPort": any(port.get("hostPort") for port in container.get("ports") or ()),
        "capabilities.drop": "ALL" not in (capabilities.get("drop") or ()),
        "capabilities.add": bool({*(capabilities.get("add") or ())} - {"NET_BIND_SERVICE"}),
        "runAsNonRoot": both.get("runAsNonRoot") is not True,
        "seccompProfile": (both.get("seccompProfile") or {}).get("type") not in PROFILES,
    }
    found = [name for name, is_broken in broken.items() if is_broken]
    yield from (f"{container['name']}: {name}" for name in (*found, *_of_any_context(context)))
    handlers = [container.get(name) or {} for name in ("livenessProbe", "readinessProbe", "startupProbe")]
    yield from (f"{container['name']}: probe of a host" for one in handlers if (one.get("httpGet") or {}).get("host"))


def _of_any_context(context: Manifest) -> Iterator[str]:
    if context.get("runAsUser") == 0:
        yield "runAsUser 0"
    options = context.get("seLinuxOptions") or {}
    if options.get("type") not in SELINUX or options.get("user") or options.get("role"):
        yield "seLinuxOptions"
    if (context.get("appArmorProfile") or {}).get("type", "RuntimeDefault") not in PROFILES:
        yield "appArmorProfile"
