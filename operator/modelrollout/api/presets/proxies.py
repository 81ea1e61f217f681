"""What stands before the pods and counts for them: Envoy, Istio, Knative's queue-proxy. Pure."""

from __future__ import annotations

from modelrollout.api.presets.preset import (
    COMMON,
    ERRORS,
    MATCHERS,
    QUANTILE,
    argument,
    arm,
    errors,
    histogram,
    preset,
    series,
    times,
)

_MILLISECONDS = times("latency", "answers", tolerance="10%", unit="milliseconds")

# github.com/envoyproxy/envoy docs/root/configuration/upstream/cluster_manager/cluster_stats.rst: upstream_rq_<*xx>,
# upstream_rq_time (milliseconds); source/common/config/well_known_names.cc: the tags envoy.cluster_name and
# envoy.response_code_class, which Prometheus sees with underscores.
# Clusters are called after namespace and Service, in either order (Istio: outbound|80||SERVICE.NAMESPACE.svc…; Contour:
# NAMESPACE_SERVICE_80; Kuma: SERVICE_NAMESPACE_svc_80), or after the Service alone.
_CLUSTER = (
    "(.*[^-a-z0-9])?"
    "({{ namespace }}[^-a-z0-9]{{ service }}|{{ service }}[^-a-z0-9]{{ namespace }})"
    "([^-a-z0-9].*)?"
    "|{{ service }}([^-a-z0-9][0-9]+)?"
)

ENVOY = preset(
    "envoy",
    "Envoy, for each upstream cluster",
    metrics=(
        errors(
            series("envoy_cluster_upstream_rq_xx", 'envoy_response_code_class="5"'),
            series("envoy_cluster_upstream_rq_xx"),
        ),
        histogram("latency", series("envoy_cluster_upstream_rq_time_bucket"), "latency", "milliseconds"),
    ),
    arguments=(
        arm(f'envoy_cluster_name=~"{_CLUSTER}"'),
        MATCHERS,
        *ERRORS,
        *_MILLISECONDS,
        QUANTILE,
    ),
    sources=(
        "envoyproxy/envoy: docs/root/configuration/upstream/cluster_manager/cluster_stats.rst",
        "envoyproxy/envoy: source/common/config/well_known_names.cc (tags)",
    ),
    notes="""Needs a control plane that gives each Service a cluster of its own, whose name has the namespace beside the
    Service's name, or the Service's alone; change `arm` where it is called otherwise. One that puts all backends of a
    route into one cluster cannot tell candidate from stable: measure at the pods then. The histogram is in
    milliseconds.""",
)

# github.com/istio/istio.io content/en/docs/reference/config/metrics/index.md: istio_requests_total,
# istio_request_duration_milliseconds; reporter, destination_workload(_namespace), response_code.
ISTIO = preset(
    "istio",
    "Istio's standard metrics, by workload",
    metrics=(
        errors(
            series("istio_requests_total", 'reporter="{{ args.reporter }}"', 'response_code=~"5.."'),
            series("istio_requests_total", 'reporter="{{ args.reporter }}"'),
        ),
        histogram(
            "latency",
            series("istio_request_duration_milliseconds_bucket", 'reporter="{{ args.reporter }}"'),
            "latency",
            "milliseconds",
        ),
    ),
    arguments=(
        arm('destination_workload="{{ workload }}", destination_workload_namespace="{{ namespace }}"'),
        MATCHERS,
        argument(
            "reporter",
            "destination",
            "Whose count it is: destination (the pods' sidecars) or source (gateways and callers).",
        ),
        *ERRORS,
        *_MILLISECONDS,
        QUANTILE,
    ),
    sources=("istio/istio.io: content/en/docs/reference/config/metrics/index.md",),
    notes="""The histogram is in milliseconds. gRPC calls that fail answer with HTTP 200, so they are no errors here:
    `grpc_response_status` tells them apart.""",
)

# github.com/knative/serving pkg/queue/request_metric.go: kn.serving.invocation.duration in seconds, with
# http.response.status_code; the OpenTelemetry exporter to Prometheus writes dots as underscores and adds the unit.
KNATIVE = preset(
    "knative",
    "Knative's queue-proxy, in front of every KServe predictor that runs serverless",
    metrics=(
        errors(
            series("kn_serving_invocation_duration_seconds_count", 'http_response_status_code=~"5.."'),
            series("kn_serving_invocation_duration_seconds_count"),
        ),
        histogram("latency", series("kn_serving_invocation_duration_seconds_bucket"), "latency"),
    ),
    arguments=(*COMMON, *ERRORS, *times("latency", "answers", tolerance="10%"), QUANTILE),
    sources=(
        "knative/serving: pkg/queue/request_metric.go",
        "knative.dev/docs/serving/observability/metrics/serving-metrics",
    ),
    notes="""For releases that export OpenTelemetry's names; `knative-opencensus` is for those before. Port 9091 of the
    pods (http-usermetric) has to be scraped.""",
)

# knative.dev/v1.10-docs/serving/services/service-metrics: revision_app_request_count, revision_app_request_latencies
# (milliseconds), response_code_class.
KNATIVE_OPENCENSUS = preset(
    "knative-opencensus",
    "Knative's queue-proxy, before it moved to OpenTelemetry",
    metrics=(
        errors(
            series("revision_app_request_count", 'response_code_class="5xx"'),
            series("revision_app_request_count"),
        ),
        histogram("latency", series("revision_app_request_latencies_bucket"), "latency", "milliseconds"),
    ),
    arguments=(*COMMON, *ERRORS, *_MILLISECONDS, QUANTILE),
    sources=("knative.dev/v1.10-docs/serving/services/service-metrics",),
    notes="The histogram is in milliseconds. Port 9091 of the pods (http-usermetric) has to be scraped.",
)

ALL = (ENVOY, ISTIO, KNATIVE, KNATIVE_OPENCENSUS)
