"""Inside a pod the client lives by the service account's files, and those are written anew every hour."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from aiohttp import web

from localcluster.apiserver.certificates import write_serving_files
from modelrollout import kube
from modelrollout.objects.resources import PODS


async def test_a_service_accounts_rotated_token_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token, files = tmp_path / "token", write_serving_files(tmp_path)
    token.write_text("first")
    seen: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.headers["Authorization"].lower())
        known = seen[-1] == f"bearer {token.read_text()}"
        return web.json_response({"kind": "Status", "message": "who?"}, status=200 if known else 401)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(files.certificate, files.key)
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(runner.addresses[0][1]))
    monkeypatch.setattr("modelrollout.kube.connection.SERVICE_ACCOUNT", token)
    monkeypatch.setattr("kubernetes.aio.config.incluster_config.SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr("kubernetes.aio.config.incluster_config.SERVICE_CERT_FILENAME", str(files.authority))
    try:
        async with kube.Cluster.connect() as cluster:
            await cluster.read(PODS, "ml", "a")
            token.write_text("second")
            await cluster.read(PODS, "ml", "a")
            await cluster.read(PODS, "ml", "a")
    finally:
        await runner.cleanup()
    assert seen == ["bearer first", "bearer first", "bearer second", "bearer second"]
