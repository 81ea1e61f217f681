"""Which addresses of a Prometheus a spec may name: who asks is the operator, who names them is anybody."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from modelrollout.api.addresses import AddressPattern, AllowedAddresses, why_never

OWN = "http://127.0.0.1:9090"
IN_THE_CLUSTER = AllowedAddresses(OWN)


def refusal(url: str, allowed: AllowedAddresses = IN_THE_CLUSTER) -> str:
    found = allowed.refusal(url, "ml")
    return found.message if found is not None else ""


@pytest.mark.parametrize(
    "url",
    [
        "http://prometheus.ml.svc:9090",
        "https://prometheus.ml.svc.cluster.local.:9090/prefix",
        "http://PROMETHEUS.Monitoring.svc",
        OWN,  # the administrator's choice, wherever it is
        f"{OWN}/",
    ],
)
def test_services_of_the_namespace_and_of_monitoring_are_asked(url: str) -> None:
    assert refusal(url) == ""


@pytest.mark.parametrize(
    "url",
    [
        "http://prometheus.other-team.svc:9090",
        "http://ml.svc",
        "http://a.b.ml.svc",
        "http://prometheus.ml.svc.evil.example",
        "http://127.0.0.1:9091",
        "http://evil.example",
        "http://2130706433/",
        "http://0x7f000001",
    ],
)
def test_other_addresses_are_refused_by_default(url: str) -> None:
    assert refusal(url).startswith(f"spec.analysis.prometheus.url: {url} is not asked")


def test_a_refusal_names_the_field_what_is_asked_and_the_mend() -> None:
    assert refusal("http://prometheus.monitoring:9090") == (
        "spec.analysis.prometheus.url: http://prometheus.monitoring:9090 is not asked. This operator asks *.ml.svc, "
        "*.monitoring.svc: name one of these, or have yours added to prometheus.allowedAddresses in its chart's "
        "values. A Service is named in full, as <service>.<namespace>.svc."
    )


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254", "[fe80::1]", "127.0.0.1", "127.8.9.1", "[::1]", "0.0.0.1", "[::]", "224.0.0.1",
        "[::ffff:169.254.169.254]", "[::ffff:7f00:1]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::]", "[::127.0.0.1]",
        "[fd00:ec2::254]", "168.63.129.16", "100.100.100.200", "192.0.0.192",
        "[fd00:ec2::23]", "[fd20:ce::254]", "[fd00:c1::a9fe:a9fe]",
        "[::ffff:0:169.254.169.254]", "[64:ff9b:1::127.0.0.1]",
        "[64:ff9b:1:a9fe:a9:fe00::]", "[64:ff9b:1:a9:fe:a9fe::]", "[64:ff9b:1:0:a9:fea9:fe00:0]",
    ],
)  # fmt: skip
def test_link_local_loopback_and_metadata_addresses_are_never_asked_whatever_the_list_says(address: str) -> None:
    assert why_never(ip_address(address.strip("[]"))) is not None
    assert "which no ModelRollout may name" in refusal(f"http://{address}:80/")
    with pytest.raises(ValueError, match="which no ModelRollout may name"):
        AddressPattern.parse(address)


@pytest.mark.parametrize(
    "host", ["2130706433", "127.1", "0", "0177.0.0.1", "2852039166", "0x7f000001", "0x7f.1", "0X7F.0.0.1"]
)
def test_a_number_that_some_take_for_an_address_is_never_asked_whatever_the_list_says(host: str) -> None:
    told = "an IP address in an unusual spelling, which no ModelRollout may name"
    assert told in refusal(f"http://{host}:80/", AllowedAddresses.parse(None, ["*", "*.*", "*.*.*.*"]))
    with pytest.raises(ValueError, match=told):
        AddressPattern.parse(host)


@pytest.mark.parametrize("host", ["1password.com", "0x.example", "fd00", "0xg", "10.example"])
def test_a_name_with_digits_is_a_name(host: str) -> None:
    assert refusal(f"http://{host}", AllowedAddresses.parse(None, ["*", "*.*"])) == ""


@pytest.mark.parametrize(
    "address",
    [
        *("10.1.2.3", "192.168.1.1", "100.64.0.1", "fd00::1", "2001:db8::1", "8.8.8.8"),
        *("64:ff9b:1::8.8.8.8", "64:ff9b:1:808:8:800::", "fd00:ec3::23"),
    ],
)
def test_other_addresses_of_a_cluster_may_be_connected_to(address: str) -> None:
    assert why_never(ip_address(address)) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://us:pass@prometheus.ml.svc",
        "http://evil.example\\@prometheus.ml.svc",
        "http://evil.example#.ml.svc",
        "http://prometheus.ml.svc/admin?",
        "http://prometheus.ml.svc:99999",
        "http://prometheus.ml.svc/a b",
        "ftp://prometheus.ml.svc",
        "http://",
        "http://[::1",
    ],
)
def test_an_address_that_could_be_read_in_two_ways_is_none_and_is_not_repeated(url: str) -> None:
    told = refusal(url)
    assert told.startswith("spec.analysis.prometheus.url: this is not an address such as ")
    assert "pass" not in told.replace("password", "")


@pytest.mark.parametrize(
    ("pattern", "url", "is_taken"),
    [
        ("prometheus.example.com", "https://prometheus.example.com:1/x", True),
        ("https://*.example.com:9090", "https://a.example.com:9090", True),
        ("https://*.example.com:9090", "http://a.example.com:9090", False),
        ("https://*.example.com:9090", "https://a.example.com", False),
        ("https://thanos.example:443", "https://thanos.example", True),
        ("*.example.com", "http://a.b.example.com", False),
        ("a.example.com", "http://aXexample.com", False),
        ("10.1.2.3:9090", "http://10.1.2.3:9090", True),
        ("[fd00:0::1]", "http://[fd00::1]:9090", True),
        ("prometheus.{{ namespace }}.svc", "http://prometheus.ml.svc", True),
        ("*.*.svc.cluster.local", "http://prometheus.other-team.svc", True),
        ("none", "http://none", False),
    ],
)
def test_a_pattern_leaves_open_what_it_leaves_out(pattern: str, url: str, is_taken: bool) -> None:
    assert (refusal(url, AllowedAddresses.parse(None, [pattern])) == "") == is_taken


@pytest.mark.parametrize("pattern", ["", "http://x/y", "a b", "*.{{x}}.svc", "{{namespace", "a..b", "us@x", "http://"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="is not like"):
        AddressPattern.parse(pattern)
