"""A throwaway certificate authority for one sandbox: TLS on loopback, trusted by nobody but its own kubeconfig."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

LIFETIME = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class ServingFiles:
    """PEM files for a server on loopback."""

    authority: Path
    certificate: Path
    key: Path


def write_serving_files(directory: Path) -> ServingFiles:
    """Make an authority and a certificate for 127.0.0.1 and localhost; keys are readable by their owner only."""
    files = ServingFiles(directory / "ca.crt", directory / "server.crt", directory / "server.key")
    authority = trustme.CA(path_length=0, organization_name="modelrollout sandbox")
    names = "localhost", "kubernetes.default.svc", "127.0.0.1"
    serving = authority.issue_cert(*names, common_name="kube-apiserver", not_after=datetime.now(UTC) + LIFETIME)
    write_private(files.key, serving.private_key_pem.bytes())
    files.authority.write_bytes(authority.cert_pem.bytes())
    files.certificate.write_bytes(serving.cert_chain_pems[0].bytes())
    return files


def write_signing_key(path: Path) -> None:
    """A key for signing service-account tokens: that of an authority which issues nothing."""
    write_private(path, trustme.CA().private_key_pem.bytes())


def write_private(path: Path, content: bytes) -> None:
    """Write a file that never was readable by others, not even for a moment."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(content)
