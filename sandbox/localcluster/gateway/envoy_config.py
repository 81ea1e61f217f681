"""Envoy's v3 configuration as dictionaries (envoyproxy.io/docs/envoy/latest/api-v3). Pure, and without Kubernetes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

Resource = dict[str, Any]

_CONFIG = "type.googleapis.com/envoy.config"
_EXTENSIONS = "type.googleapis.com/envoy.extensions"
TYPES = {
    "clusters": f"{_CONFIG}.cluster.v3.Cluster",
    "endpoints": f"{_CONFIG}.endpoint.v3.ClusterLoadAssignment",
    "listeners": f"{_CONFIG}.listener.v3.Listener",
    "routes": f"{_CONFIG}.route.v3.RouteConfiguration",
}
_PLENTY = 1_000_000  # the gateway itself never is what refuses a request


def bootstrap(folder: Path) -> Resource:
    """The configuration that Envoy starts with: an admin port of its own choice, all else from watched files."""
    return {
        "node": {"id": "localcluster", "cluster": "localcluster"},
        "admin": {"address": _socket(("127.0.0.1", 0))},
        "dynamic_resources": {
            "lds_config": _watched(file_of("listeners", "all", folder)),
            "cds_config": _watched(file_of("clusters", "all", folder)),
        },
    }


def discovery(kind: str, resources: Iterable[Mapping[str, Any]]) -> str:
    """The text of a watched file; its version says what is in it, so that Envoy can be asked whether it took it."""
    content = [{"@type": TYPES[kind], **resource} for resource in resources]
    version = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    return json.dumps({"version_info": version, "resources": content}, indent=1)


def file_of(kind: str, name: str, folder: Path) -> Path:
    """One for all clusters and all listeners, one for each route table and each cluster's endpoints.

    Names of Kubernetes objects hold no underscore.
    """
    return folder / kind / f"{name.replace('/', '_').replace(':', '_')}.json"


def cluster(name: str, folder: Path, *, protocol: Literal["http", "http2"] = "http") -> Resource:
    """Servers that speak HTTP/1.1, or HTTP/2 from the first byte (h2c)."""
    return {
        "name": name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": _watched(file_of("endpoints", name, folder))},
        "connect_timeout": "10s",
        "lb_policy": "ROUND_ROBIN",
        "circuit_breakers": {
            "thresholds": [{f"max_{what}": _PLENTY for what in ("connections", "pending_requests", "requests")}]
        },
        # No request is ever repeated here, so an idle connection is given up before the model server does that: a
        # request on its way meanwhile would be lost. Common servers wait from 2 s (gunicorn) to 75 s (aiohttp).
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{_EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions",
                "common_http_protocol_options": {"idle_timeout": "1s"},
                "explicit_http_config": {f"{protocol}_protocol_options": {}},
            }
        },
    }


def endpoints(name: str, addresses: Sequence[tuple[str, int]]) -> Resource:
    known = [{"endpoint": {"address": _socket(address)}} for address in addresses]
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": known}] if known else []}


def route_table(name: str, hosts: Sequence[Resource]) -> Resource:
    # A client on this machine names the port it was given; hostnames in routes know nothing of it.
    return {"name": name, "ignore_port_in_host_matching": True, "virtual_hosts": list(hosts)}


def watched_routes(name: str, folder: Path) -> Resource:
    """For `http`: the routes come from a file, so that new weights leave the listener and its connections alone."""
    return {"rds": {"route_config_name": name, "config_source": _watched(file_of("routes", name, folder))}}


def only_route(to: str) -> Resource:
    """For `http`: everything goes to one cluster."""
    route = {"match": {"prefix": "/"}, "route": {"cluster": to, "timeout": "0s"}}
    return {"route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]}}


def http(label: str, routes: Resource, access_log: Path | None) -> Resource:
    """A network filter that speaks HTTP; answers of its own carry a text that says what happened."""
    return {
        "name": "http",
        "typed_config": {
            "@type": f"{_EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": label,
            **routes,
            "http_filters": [
                {
                    "name": "router",
                    "typed_config": {
                        "@type": f"{_EXTENSIONS}.filters.http.router.v3.Router",
                        "suppress_envoy_headers": True,
                    },
                }
            ],
            "generate_request_id": False,
            "server_header_transformation": "PASS_THROUGH",
            "stream_idle_timeout": "0s",  # the route's timeout is the only one
            **({"access_log": [_access_log(access_log)]} if access_log else {}),
        },
    }


def tcp(label: str, to: str) -> Resource:
    """A network filter that passes bytes; a connection stays where it is however the endpoints change."""
    return {
        "name": "tcp",
        "typed_config": {
            "@type": f"{_EXTENSIONS}.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": label,
            "cluster": to,
            "idle_timeout": "0s",
        },
    }


def listener(name: str, address: tuple[str, int], chain: Resource) -> Resource:
    return {
        "name": name,
        "address": _socket(address),
        "filter_chains": [{"filters": [chain]}],
        # With it, the Envoy of a second local cluster could listen here too and would get every other connection.
        "enable_reuse_port": False,
    }


def _access_log(path: Path) -> Resource:
    line = (
        "%START_TIME% %REQ(:METHOD)% %REQ(:AUTHORITY)%%REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% "
        "%RESPONSE_CODE_DETAILS% %UPSTREAM_CLUSTER% %UPSTREAM_HOST% %DURATION%ms\n"
    )
    return {
        "name": "file",
        "typed_config": {
            "@type": f"{_EXTENSIONS}.access_loggers.file.v3.FileAccessLog",
            "path": str(path),
            "log_format": {"text_format_source": {"inline_string": line}},
        },
    }


def _socket(address: tuple[str, int]) -> Resource:
    return {"socket_address": {"address": address[0], "port_value": address[1]}}


def _watched(path: Path) -> Resource:
    # Without `watched_directory`: that is for links to folders and would make every file read on each rename beside it.
    return {"path_config_source": {"path": str(path)}, "resource_api_version": "V3"}
