"""Model servers for models of any kind. Pure."""

from __future__ import annotations

from modelrollout.api.presets.preset import (
    COMMON,
    ERRORS,
    QUANTILE,
    WINDOW,
    any_of,
    argument,
    errors,
    histogram,
    mean,
    preset,
    series,
    times,
)

_LATENCY = times("latency", "answers", tolerance="10%")

# github.com/kserve/kserve python/kserve/kserve/metrics.py: request_predict_seconds (model_name).
KSERVE = preset(
    "kserve",
    "KServe predictors built on its Python SDK",
    metrics=(histogram("latency", series("request_predict_seconds_bucket"), "latency"),),
    arguments=(*COMMON, *_LATENCY, QUANTILE),
    sources=("kserve/kserve: python/kserve/kserve/metrics.py",),
    notes="""The time of `predict()` alone. The SDK counts no errors: take those from `knative`, `istio` or `envoy`.
    Runtimes with metrics of their own (Triton, TorchServe, MLServer, vLLM) have presets of their own.""",
)

_GRPC_FAULTS = "Unknown|DeadlineExceeded|ResourceExhausted|Aborted|Unimplemented|Internal|Unavailable|DataLoss"
# github.com/SeldonIO/seldon-core scheduler/pkg/metrics/agent.go: seldon_model_infer_total (server, server_replica,
# model, model_internal, method_type, code: HTTP's or gRPC's), seldon_model_infer_api_seconds (no model).
SELDON = preset(
    "seldon-core-2",
    "Seldon Core 2, as its agents count",
    metrics=(
        errors(
            series("seldon_model_infer_total", f'code=~"5..|{_GRPC_FAULTS}"'),
            series("seldon_model_infer_total"),
        ),
        histogram("latency", series("seldon_model_infer_api_seconds_bucket"), "latency"),
    ),
    arguments=(*COMMON, *ERRORS, *_LATENCY, QUANTILE),
    sources=("SeldonIO/seldon-core: scheduler/pkg/metrics/agent.go",),
    notes="""The histogram says nothing of the model, so it needs servers that serve one model each. Where several
    models share a server, take `include: [errors]` and tell the arms apart by the model's name in `arm`.""",
)

# github.com/triton-inference-server/core src/metrics.cc (names), src/metric_model_reporter.cc (label reason);
# server docs/user_guide/metrics.md: durations are counters in microseconds.
TRITON = preset(
    "triton",
    "NVIDIA Triton Inference Server",
    metrics=(
        errors(
            series("nv_inference_request_failure", 'reason!="CANCELED"'),
            any_of("nv_inference_request_(success|failure)"),
        ),
        mean(
            "latency",
            series("nv_inference_request_duration_us"),
            series("nv_inference_request_success"),
            "latency",
            per="1e6",
        ),
        mean(
            "queue-time",
            series("nv_inference_queue_duration_us"),
            series("nv_inference_request_success"),
            "queueTime",
            per="1e6",
        ),
    ),
    arguments=(
        *COMMON,
        *ERRORS,
        *_LATENCY,
        *times("queueTime", "waits in the queue", tolerance="50%"),
        WINDOW,
    ),
    sources=(
        "triton-inference-server/core: src/metrics.cc, src/metric_model_reporter.cc",
        "triton-inference-server/server: docs/user_guide/metrics.md",
    ),
    notes="""Triton exports no histogram of request times by default, only their sum in microseconds: what is compared
    is the mean, in seconds, which is slower to tell and blind to tails. Its experimental histogram of first responses
    is left out, because its documentation and its exporter's format differ on the name. Where an ensemble runs, leave
    its steps out with `matchers`, such as `model="my-ensemble"`, or every request counts several times.""",
)

_TENSORFLOW_FAULTS = "UNKNOWN|DEADLINE_EXCEEDED|RESOURCE_EXHAUSTED|ABORTED|UNIMPLEMENTED|INTERNAL|UNAVAILABLE|DATA_LOSS"
# github.com/tensorflow/serving tensorflow_serving/servables/tensorflow/util.cc: /tensorflow/serving/request_count
# (model_name, status by the name of its code), /tensorflow/serving/request_latency (microseconds; model_name, API,
# entrypoint); util/prometheus_exporter.cc: what is no letter, digit or _ becomes a colon.
TENSORFLOW_SERVING = preset(
    "tensorflow-serving",
    "TensorFlow Serving",
    metrics=(
        errors(
            series(":tensorflow:serving:request_count", f'status=~"{_TENSORFLOW_FAULTS}"'),
            series(":tensorflow:serving:request_count"),
        ),
        histogram("latency", series(":tensorflow:serving:request_latency_bucket"), "latency", "microseconds"),
    ),
    arguments=(
        *COMMON,
        *ERRORS,
        *times("latency", "answers", tolerance="10%", unit="microseconds"),
        QUANTILE,
    ),
    sources=(
        "tensorflow/serving: tensorflow_serving/servables/tensorflow/util.cc",
        "tensorflow/serving: tensorflow_serving/util/prometheus_exporter.cc",
    ),
    notes="""The histogram is in microseconds, and each of its buckets is 1.8 times as wide as the one before:
    differences within one bucket are not seen. Metrics have to be switched on (`--monitoring_config_file`); their path
    is /monitoring/prometheus/metrics. Answers to requests that were wrong themselves are no errors.""",
)

# github.com/pytorch/serve ts/configs/metrics.yaml and docs/metrics_api.md (names, counters in microseconds);
# frontend/server/src/main/java/org/pytorch/serve/util/NettyUtils.java counts every answer in one of the three.
TORCHSERVE = preset(
    "torchserve",
    "TorchServe",
    metrics=(
        errors(series("Requests5XX"), any_of("Requests[245]XX")),
        mean(
            "latency",
            series("ts_inference_latency_microseconds"),
            series("ts_inference_requests_total"),
            "latency",
            per="1e6",
        ),
        mean(
            "queue-time",
            series("ts_queue_latency_microseconds"),
            series("ts_inference_requests_total"),
            "queueTime",
            per="1e6",
        ),
    ),
    arguments=(
        *COMMON,
        *ERRORS,
        *_LATENCY,
        *times("queueTime", "waits in the queue", tolerance="50%"),
        WINDOW,
    ),
    sources=(
        "pytorch/serve: ts/configs/metrics.yaml, docs/metrics_api.md",
        "pytorch/serve: frontend/server/src/main/java/org/pytorch/serve/util/NettyUtils.java",
    ),
    notes="""Needs `metrics_mode=prometheus`. There is no histogram, only sums in microseconds: what is compared is the
    mean, in seconds, which is slower to tell and blind to tails. Answers to health checks and to the management API are
    counted among the requests.""",
)

# github.com/bentoml/BentoML src/bentoml/_internal/server/http/instruments.py: request_total and
# request_duration_seconds (endpoint, service_name, service_version, http_response_code);
# _internal/configuration/v2/default_configuration.yaml: namespace bentoml_service, v1: bentoml_api_server.
BENTOML = preset(
    "bentoml",
    "BentoML services",
    metrics=(
        errors(
            series("{{ args.namespace }}_request_total", 'http_response_code=~"5.."'),
            series("{{ args.namespace }}_request_total"),
        ),
        histogram("latency", series("{{ args.namespace }}_request_duration_seconds_bucket"), "latency"),
    ),
    arguments=(
        *COMMON,
        argument(
            "namespace",
            "bentoml_service",
            "What its configuration says at metrics.namespace; bentoml_api_server with configurations of version 1.",
        ),
        *ERRORS,
        *_LATENCY,
        QUANTILE,
    ),
    sources=(
        "bentoml/BentoML: src/bentoml/_internal/server/http/instruments.py",
        "bentoml/BentoML: src/bentoml/_internal/configuration/v2/default_configuration.yaml",
    ),
    notes='Leave out probes with `matchers`, such as `endpoint="/predict"`.',
)

# github.com/ray-project/ray python/ray/serve/_private/replica.py: serve_deployment_request_counter (what went well),
# serve_deployment_error_counter, serve_deployment_processing_latency_ms; record_request_metrics counts a request in one
# of the two. Ray adds ray_ before and _total behind: python/ray/serve/tests/test_metrics.py, and the documentation of
# ray.serve.metrics.Counter ("starting in Ray 2.10").
RAY_SERVE = preset(
    "ray-serve",
    "Ray Serve deployments (Ray 2.10 and later)",
    metrics=(
        errors(
            series("ray_serve_deployment_error_counter_total"),
            any_of("ray_serve_deployment_(request|error)_counter_total"),
        ),
        histogram("latency", series("ray_serve_deployment_processing_latency_ms_bucket"), "latency", "milliseconds"),
    ),
    arguments=(
        *COMMON,
        *ERRORS,
        *times("latency", "answers", tolerance="10%", unit="milliseconds"),
        QUANTILE,
    ),
    sources=(
        "ray-project/ray: python/ray/serve/_private/replica.py",
        "docs.ray.io: ray.serve.metrics.Counter",
    ),
    notes="""The histogram is in milliseconds. An error is an exception in a deployment. Where a request goes through
    several deployments it counts in each: choose one with `matchers`, such as `deployment="Model"`.""",
)

# github.com/SeldonIO/MLServer mlserver/handlers/dataplane.py: model_infer_request_success and _failure (model, version;
# prometheus_client adds _total); mlserver/rest/app.py: starlette_exporter with the prefix of settings.py, rest_server.
MLSERVER = preset(
    "mlserver",
    "MLServer",
    metrics=(
        errors(
            series("model_infer_request_failure_total"),
            any_of("model_infer_request_(success|failure)_total"),
        ),
        histogram("latency", series("{{ args.prefix }}_request_duration_seconds_bucket"), "latency"),
    ),
    arguments=(
        *COMMON,
        argument("prefix", "rest_server", "What its settings say at metrics_rest_server_prefix."),
        *ERRORS,
        *_LATENCY,
        QUANTILE,
    ),
    sources=(
        "SeldonIO/MLServer: mlserver/handlers/dataplane.py, mlserver/rest/app.py, mlserver/settings.py",
        "stephenhillier/starlette_exporter: starlette_exporter/middleware.py",
    ),
    notes="""Times are those of REST requests; with gRPC alone take `include: [errors]`. `matchers` may only use labels
    that both have, which are those that Prometheus adds.""",
)

ALL = (KSERVE, SELDON, TRITON, TENSORFLOW_SERVING, TORCHSERVE, BENTOML, RAY_SERVE, MLSERVER)
