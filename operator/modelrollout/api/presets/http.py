"""Applications that count their HTTP requests themselves. Pure."""

from __future__ import annotations

from modelrollout.api.presets.preset import (
    COMMON,
    ERRORS,
    QUANTILE,
    argument,
    errors,
    histogram,
    preset,
    series,
    times,
)

_LATENCY = times("latency", "answers", tolerance="10%")

# Names: prometheus.io/docs/practices/naming and /instrumenting/writing_exporters use these two as their examples; label
# `code`: github.com/prometheus/client_golang prometheus/promhttp/instrument_server.go.
HTTP = preset(
    "http",
    "HTTP requests, as most applications count them",
    metrics=(
        errors(
            series("{{ args.requests }}", '{{ args.status }}=~"5.."'),
            series("{{ args.requests }}"),
        ),
        histogram("latency", series("{{ args.durations }}_bucket"), "latency"),
    ),
    arguments=(
        *COMMON,
        argument("requests", "http_requests_total", "The counter of requests."),
        argument("status", "code", "Its label for the status code: code, status, status_code …"),
        argument(
            "durations", "http_request_duration_seconds", "The histogram of durations in seconds, without _bucket."
        ),
        *ERRORS,
        *_LATENCY,
        QUANTILE,
    ),
    sources=(
        "prometheus.io/docs/practices/naming",
        "prometheus/client_golang: prometheus/promhttp/instrument_server.go (label code)",
    ),
    notes="""There is no standard, only habits: name your own counter, label and histogram in the arguments. Errors are
    answers with a status of 500 or more.""",
)

# github.com/trallnag/prometheus-fastapi-instrumentator src/prometheus_fastapi_instrumentator/metrics.py, default():
# http_requests_total (method, status, handler), http_request_duration_highr_seconds (no labels, many buckets);
# instrumentation.py: should_group_status_codes, so that status is "5xx" unless switched off ("5.." matches both).
FASTAPI = preset(
    "fastapi",
    "FastAPI with prometheus-fastapi-instrumentator",
    metrics=(
        errors(series("http_requests_total", 'status=~"5.."'), series("http_requests_total")),
        histogram("latency", series("http_request_duration_highr_seconds_bucket"), "latency"),
    ),
    arguments=(*COMMON, *ERRORS, *_LATENCY, QUANTILE),
    sources=("trallnag/prometheus-fastapi-instrumentator: src/prometheus_fastapi_instrumentator/metrics.py",),
    notes="""Reads the histogram with many buckets, which has no labels of its own: `matchers` may therefore only use
    labels that Prometheus adds. Probes and scrapes are counted as requests unless the application excludes them.""",
)

# github.com/stephenhillier/starlette_exporter starlette_exporter/middleware.py: {prefix}_requests_total and
# {prefix}_request_duration_seconds (method, path, status_code, app_name); prefix "starlette".
STARLETTE = preset(
    "starlette",
    "Starlette or FastAPI with starlette_exporter",
    metrics=(
        errors(
            series("{{ args.prefix }}_requests_total", 'status_code=~"5.."'),
            series("{{ args.prefix }}_requests_total"),
        ),
        histogram("latency", series("{{ args.prefix }}_request_duration_seconds_bucket"), "latency"),
    ),
    arguments=(
        *COMMON,
        argument("prefix", "starlette", "What PrometheusMiddleware was given as its prefix."),
        *ERRORS,
        *_LATENCY,
        QUANTILE,
    ),
    sources=("stephenhillier/starlette_exporter: starlette_exporter/middleware.py",),
    notes='Leave out what is no prediction with `matchers`, such as `path="/predict"`.',
)

ALL = (HTTP, FASTAPI, STARLETTE)
