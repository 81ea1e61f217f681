"""How both versions' answers to the same requests are compared: ``compare`` of a shadow or a mirror. Pure.

Docstrings and descriptions here become the CRD's, so they are written for the person who types ``kubectl explain``.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from modelrollout.api.base import Model
from modelrollout.api.metric import Selector
from modelrollout.api.names import HeaderName
from modelrollout.api.rules import Rule, cel_number
from modelrollout.api.scalars import RATIO_PATTERN, Duration, Share

_KEY = r"(\.[A-Za-z_][A-Za-z0-9_-]*|\[[0-9]{1,4}\]|\[\*\]|\[\x27[^\x27\]]+\x27\])"
JSON_PATH_PATTERN = rf"^\${_KEY}*$"  # RE2 counts repetitions within repetitions, and has no more than a thousand
JsonPath = Annotated[
    str,
    Field(min_length=1, max_length=256),
    Rule.matching(
        JSON_PATH_PATTERN,
        "this is not a JSON path such as $.label, $.choices[0].text, $.items[*].id or $['odd key']",
    ),
]
Count = Annotated[int, Field(strict=True, ge=1)]
ADDED_BY_SERVERS: tuple[str, ...] = ("$.id", "$.created", "$.model", "$.system_fingerprint")
"""Differ from answer to answer or from version to version, whatever the model says."""


def _is_share(share: Share) -> bool:
    return 0 < share.value <= 1


_IS_SHARE = Rule(
    _is_share,
    "this is a share of all: more than 0 and at most 100%",
    f"!self.matches(r'{RATIO_PATTERN}') || {cel_number('self')} > 0.0 && {cel_number('self')} <= 1.0",
)
PositiveShare = Annotated[Share, _IS_SHARE]


class NumberTolerance(Model):
    """Numbers agree when they differ by at most absolute + relative × the number that they are held against."""

    absolute: Annotated[Share, Field(description='Difference that is always fine, such as "0.01".')] = Share("0")
    relative: Annotated[
        Share, Field(description="Difference as a part of the number that it is held against, such as 1%.")
    ] = Share("0%")


class TopK(Model):
    """The first entries of a ranking are compared as sets: a list in order, or scores by label or by position."""

    k: Annotated[Count, Field(le=1000, description="Entries that count. With 1, scores agree in their best label.")]
    overlap: Annotated[
        PositiveShare, Field(description="Share of the entries that both need to have. Default: 100%.")
    ] = Share("100%")


class TextSimilarity(Model):
    """Texts agree when they share enough pairs of adjacent words (ROUGE-2, F1)."""

    similarity: Annotated[
        PositiveShare, Field(description="Smallest share of word pairs that both need to have, such as 80%.")
    ]


class Agreement(Model):
    """When two answers agree. Without further fields the compared part has to be equal in both, numbers by value."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            lambda rule: rule.top_k is None or rule.text is None,
            "an answer is either a ranking or a text: remove topK or text",
            "!has(self.topK) || !has(self.text)",
        ),
    )

    path: Annotated[
        JsonPath, Field(description="The part that is compared, such as $.label; the whole body when left out.")
    ] = "$"
    ignore: Annotated[
        tuple[JsonPath, ...],
        Field(
            max_length=32,
            description="Parts of the body that do not count. Default: $.id, $.created, $.model, $.system_fingerprint.",
        ),
    ] = ADDED_BY_SERVERS
    numbers: Annotated[NumberTolerance | None, Field(description="Numbers need not be equal.")] = None
    top_k: Annotated[TopK | None, Field(description="The compared part is a ranking.")] = None
    text: Annotated[TextSimilarity | None, Field(description="Every text of the compared part is one of prose.")] = None


class Segment(Model):
    """Splits the counts by a value of the request, such as the tenant or the language."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            lambda segment: (segment.header is None) != (segment.path is None),
            "a segment is read from one place: set header or path, not both",
            "has(self.header) != has(self.path)",
        ),
    )

    header: Annotated[HeaderName | None, Field(description="A header of the request.")] = None
    path: Annotated[JsonPath | None, Field(description="A field of the request's JSON body.")] = None
    values: Annotated[
        Count, Field(le=100, description="Values that are told apart, first come first served; the rest is `other`.")
    ] = 20


class Examples(Model):
    """Disagreements that can be looked at, with `modelrollout disagreements NAME`. The newest ones are kept."""

    keep: Annotated[int, Field(strict=True, ge=0, le=500, description="How many, in memory. Default: 50.")] = 50
    bodies: Annotated[
        bool, Field(description="Keep request and answers, which may be personal data. Default: false.")
    ] = False
    redact: Annotated[
        tuple[JsonPath, ...],
        Field(max_length=32, description="Parts of kept bodies that are blacked out, of requests and answers alike."),
    ] = ()


_MOST_KIBIBYTES = 1 << 20


class Limits(Model):
    """Limits of one comparer. Copies beyond them are shed and counted; none ever waits."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            lambda limits: limits.concurrency * limits.body_kibibytes <= _MOST_KIBIBYTES,
            "a comparer keeps concurrency × bodyKibibytes in memory, three times over, and 1 GiB is the most: "
            "make one of them smaller, and have more replicas",
            "(has(self.concurrency) ? self.concurrency : 64) * (has(self.bodyKibibytes) ? self.bodyKibibytes : 1024)"
            f" <= {_MOST_KIBIBYTES}",
        ),
    )

    concurrency: Annotated[Count, Field(le=1000, description="Copies in work at a time. Default: 64.")] = 64
    body_kibibytes: Annotated[
        Count, Field(le=16_384, description="Largest request and largest answer, in KiB. Default: 1024.")
    ] = 1024
    timeout: Annotated[Duration, Field(description="Longest time for an answer, its stream included.")] = Duration(
        "30s"
    )


class Compare(Model):
    """A comparer asks both versions what users asked, and counts how often their answers agree."""

    min_agreement: Annotated[
        PositiveShare,
        Field(description="Fewer agreeing answers than this take the candidate back, such as 98%."),
    ]
    sample: Annotated[
        PositiveShare,
        Field(
            description="Share of the copies that is asked of stable as well and compared. The candidate is asked all. "
            "Default: 100%."
        ),
    ] = Share("100%")
    agreement: Annotated[Agreement, Field(description="When two answers agree; equal bodies when left out.")] = (
        Agreement()
    )
    segment: Annotated[Segment | None, Field(description="Counts by a value of the request, too.")] = None
    examples: Annotated[Examples, Field(description="Disagreements that can be looked at.")] = Examples()
    request_sizes: Annotated[
        Selector | None,
        Field(
            description="Series of a histogram of the sizes of users' requests in bytes, such as "
            'http_request_size_bytes_bucket{pod=~"{{ pods }}"}, of those requests that are copied. It shows whether '
            "the gateway drops copies of large ones.",
        ),
    ] = None
    limits: Annotated[Limits, Field(description="Limits of one comparer.")] = Limits()
    replicas: Annotated[Count, Field(le=20, description="Pods of the comparer. Default: 1.")] = 1
