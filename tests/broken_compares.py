"""Every mistake that a `compare` can hold, and what is said of it: a part of the table in broken_specs."""

from __future__ import annotations

from typing import Any

from tests.broken import Broken
from tests.builders import shadow


def _compare(mistake: str, field: str, sentence: str, server: str | None = None, **fields: Any) -> Broken:
    compare = {"minAgreement": "98%", **fields}
    path = f"spec.stages[0].shadow.compare{field}"
    return Broken(mistake, {"stages": [shadow(compare=compare)]}, path, sentence, server)


BROKEN_COMPARES = (
    Broken(
        "a comparison without a demand",
        {"stages": [shadow(compare={})]},
        "spec.stages[0].shadow.compare.minAgreement",
        "is missing: add it",
        "Required value",
    ),
    _compare(
        "more agreement than there is",
        ".minAgreement",
        "this is a share of all: more than 0 and at most 100%",
        minAgreement="101%",
    ),
    _compare("an empty sample", ".sample", "this is a share of all: more than 0 and at most 100%", sample="0%"),
    _compare(
        "a path without its root",
        ".agreement.path",
        "this is not a JSON path such as $.label",
        agreement={"path": "label"},
    ),
    _compare(
        "a filter in a path",
        ".examples.redact[0]",
        "this is not a JSON path such as $.label",
        examples={"redact": ["$.items[?(@.a)]"]},
    ),
    _compare(
        "a ranking that is a text",
        ".agreement",
        "an answer is either a ranking or a text: remove topK or text",
        agreement={"topK": {"k": 3}, "text": {"similarity": "80%"}},
    ),
    _compare(
        "a segment of two places",
        ".segment",
        "a segment is read from one place: set header or path, not both",
        segment={"header": "X-Tenant", "path": "$.tenant"},
    ),
    _compare("a segment of no place", ".segment", "a segment is read from one place", segment={"values": 3}),
    _compare(
        "more memory than anybody has",
        ".limits",
        "1 GiB is the most: make one of them smaller, and have more replicas",
        limits={"concurrency": 1000, "bodyKibibytes": 2048},
    ),
)
