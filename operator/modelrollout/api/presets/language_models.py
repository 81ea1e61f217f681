"""Servers of large language models, most of them with OpenAI's protocol. Pure.

What depends on how busy a pod is stands in presets of its own, named …-load: a candidate that gets 5 % of the requests
has another load than the stable, so there limits say more than comparing.
"""

from __future__ import annotations

from modelrollout.api.presets.preset import (
    COMMON,
    ERRORS,
    QUANTILE,
    WINDOW,
    WrittenMetric,
    any_of,
    argument,
    errors,
    histogram,
    mean,
    preset,
    series,
    times,
)

_FIRST_TOKEN = times("firstToken", "waits for the first token", tolerance="20%")
_TOKEN_TIME = times("tokenTime", "times per token", tolerance="10%")
_QUEUE_TIME = times("queueTime", "waits in the queue", tolerance="50%")
_PER_TOKEN = times("latencyPerToken", "times per token of whole answers", tolerance="10%")
_KV_CACHE = argument("maxKVCache", "95%", "Never more of the KV cache in use than this, on average over the pods.")
_ABORTED = argument("abortMargin", "1%", "How many more requests may be aborted, as a share of all.")
_TRUNCATED = argument(
    "truncationMargin", "2%", "How many more answers may end at their maximal length, as a share of all."
)


def _share(name: str, bad: str, total: str, margin: str) -> WrittenMetric:
    return {
        "name": name,
        "ratio": {"bad": bad, "total": total},
        "tolerance": {"absolute": f"{{{{ args.{margin} }}}}"},
    }


def _kv_cache(gauge: str) -> WrittenMetric:
    return {"name": "kv-cache", "value": f"avg({series(gauge)})", "betterWhen": "lower", "max": "{{ args.maxKVCache }}"}


# github.com/vllm-project/vllm vllm/v1/metrics/loggers.py (names, model_name, finished_reason),
# vllm/v1/engine/__init__.py (reasons: stop, length, abort), docs/design/metrics.md (http_requests_total of
# prometheus-fastapi-instrumentator; _total behind counters).
VLLM = preset(
    "vllm",
    "vLLM",
    metrics=(
        errors(series("http_requests_total", 'status=~"5.."'), series("http_requests_total")),
        _share(
            "aborted",
            series("vllm:request_success_total", 'finished_reason="abort"'),
            series("vllm:request_success_total"),
            "abortMargin",
        ),
        _share(
            "truncated",
            series("vllm:request_success_total", 'finished_reason="length"'),
            series("vllm:request_success_total"),
            "truncationMargin",
        ),
        histogram("time-to-first-token", series("vllm:time_to_first_token_seconds_bucket"), "firstToken"),
        histogram("time-per-output-token", series("{{ args.tokenTimes }}_bucket"), "tokenTime"),
        mean(
            "latency-per-token",
            series("vllm:e2e_request_latency_seconds_sum"),
            series("vllm:generation_tokens_total"),
            "latencyPerToken",
        ),
    ),
    arguments=(
        *COMMON,
        *ERRORS,
        _ABORTED,
        _TRUNCATED,
        *_FIRST_TOKEN,
        *_TOKEN_TIME,
        argument(
            "tokenTimes",
            "vllm:request_time_per_output_token_seconds",
            """The histogram of times per output token, without _bucket. The default has one entry for each answer;
            releases that do not have it yet have vllm:time_per_output_token_seconds, with one for each token.""",
        ),
        *_PER_TOKEN,
        QUANTILE,
        WINDOW,
    ),
    sources=(
        "vllm-project/vllm: vllm/v1/metrics/loggers.py",
        "vllm-project/vllm: vllm/v1/engine/__init__.py",
        "vllm-project/vllm: docs/design/metrics.md",
    ),
    notes="""Six metrics share one rate of false rollbacks: take those you need with `include`. `matchers` may only use
    labels that all of them have, which are those that Prometheus adds. Truncated answers tell of a model that no longer
    finds its end; latency per token is the time of whole answers, divided by the tokens generated.""",
)
VLLM_LOAD = preset(
    "vllm-load",
    "vLLM: how busy its pods are",
    metrics=(
        histogram("queue-time", series("vllm:request_queue_time_seconds_bucket"), "queueTime"),
        _kv_cache("{{ args.kvCache }}"),
    ),
    arguments=(
        *COMMON,
        *_QUEUE_TIME,
        _KV_CACHE,
        argument(
            "kvCache",
            "vllm:kv_cache_usage_perc",
            "The gauge of the KV cache, from 0 to 1; older releases call it vllm:gpu_cache_usage_perc.",
        ),
        QUANTILE,
    ),
    sources=("vllm-project/vllm: vllm/v1/metrics/loggers.py",),
    notes="The smallest bucket of queue times ends at 300 ms: shorter waits are all alike.",
)

# github.com/sgl-project/sglang python/sglang/srt/metrics/collector.py (python/sglang/srt/observability/
# metrics_collector.py in later releases).
_SGLANG_SOURCES = (
    "sgl-project/sglang: python/sglang/srt/metrics/collector.py "
    "(later: python/sglang/srt/observability/metrics_collector.py)",
)
SGLANG = preset(
    "sglang",
    "SGLang",
    metrics=(
        _share(
            "aborted",
            series("sglang:num_aborted_requests_total"),
            any_of("sglang:num_(aborted_)?requests_total"),
            "abortMargin",
        ),
        histogram("time-to-first-token", series("sglang:time_to_first_token_seconds_bucket"), "firstToken"),
        histogram("time-per-output-token", series("sglang:inter_token_latency_seconds_bucket"), "tokenTime"),
        mean(
            "latency-per-token",
            series("sglang:e2e_request_latency_seconds_sum"),
            series("sglang:generation_tokens_total"),
            "latencyPerToken",
        ),
    ),
    arguments=(*COMMON, _ABORTED, *_FIRST_TOKEN, *_TOKEN_TIME, *_PER_TOKEN, QUANTILE, WINDOW),
    sources=_SGLANG_SOURCES,
    notes="""Needs `--enable-metrics`. Errors of HTTP are not among these: take them from `istio` or `envoy`. Times per
    output token have one entry for each token, and those of one answer are alike: read small differences with care, or
    leave them out with `include`.""",
)
SGLANG_LOAD = preset(
    "sglang-load",
    "SGLang: how busy its pods are",
    metrics=(
        histogram("queue-time", series("sglang:queue_time_seconds_bucket"), "queueTime"),
        _kv_cache("sglang:token_usage"),
    ),
    arguments=(*COMMON, *_QUEUE_TIME, _KV_CACHE, QUANTILE),
    sources=_SGLANG_SOURCES,
    notes="Needs `--enable-metrics`.",
)

# github.com/huggingface/text-generation-inference docs/source/reference/metrics.md (names, units),
# router/src/server.rs and router/src/infer/mod.rs (tgi_request_failure by err: validation, overloaded, generation …).
_TGI_SOURCES = (
    "huggingface/text-generation-inference: docs/source/reference/metrics.md",
    "huggingface/text-generation-inference: router/src/server.rs, router/src/infer/mod.rs",
)
TGI = preset(
    "tgi",
    "Text Generation Inference",
    metrics=(
        errors(series("tgi_request_failure", 'err!="validation"'), series("tgi_request_count")),
        histogram("latency", series("tgi_request_duration_bucket"), "latency"),
        histogram("time-per-output-token", series("tgi_request_mean_time_per_token_duration_bucket"), "tokenTime"),
    ),
    arguments=(
        *COMMON,
        *ERRORS,
        *times("latency", "answers", tolerance="20%"),
        *_TOKEN_TIME,
        QUANTILE,
    ),
    sources=_TGI_SOURCES,
    notes="""All times are in seconds. It exports neither the time to the first token nor the use of the KV cache.
    Requests that were wrong themselves are no errors.""",
)
TGI_LOAD = preset(
    "tgi-load",
    "Text Generation Inference: how busy its pods are",
    metrics=(histogram("queue-time", series("tgi_request_queue_duration_bucket"), "queueTime"),),
    arguments=(*COMMON, *_QUEUE_TIME, QUANTILE),
    sources=_TGI_SOURCES,
)

# github.com/ggml-org/llama.cpp tools/server/README.md, GET /metrics.
LLAMA_CPP = preset(
    "llama-cpp",
    "llama.cpp's server",
    metrics=(
        mean(
            "time-per-prompt-token",
            series("llamacpp:prompt_seconds_total"),
            series("llamacpp:prompt_tokens_total"),
            "promptTime",
        ),
        mean(
            "time-per-output-token",
            series("llamacpp:tokens_predicted_seconds_total"),
            series("llamacpp:tokens_predicted_total"),
            "tokenTime",
        ),
    ),
    arguments=(
        *COMMON,
        *times("promptTime", "times per token of the prompt", tolerance="10%"),
        *_TOKEN_TIME,
        WINDOW,
    ),
    sources=("ggml-org/llama.cpp: tools/server/README.md (GET /metrics)",),
    notes="""Needs `--metrics`. Only sums are exported, so what is compared are means. Errors and whole answers are not
    counted: take those from `istio` or `envoy`.""",
)

ALL = (VLLM, VLLM_LOAD, SGLANG, SGLANG_LOAD, TGI, TGI_LOAD, LLAMA_CPP)
