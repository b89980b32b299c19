import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from broker.app import console


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "index-abc.js").write_text("export {}")
    (tmp_path / "index.html").write_text('<meta property="csp-nonce" nonce="__NONCE__">')
    (tmp_path / "favicon.svg").write_text("<svg/>")
    app = FastAPI()

    @app.get("/api/v1/thing")
    def _thing() -> dict[str, str]:
        return {}

    console.install(app, tmp_path)
    return TestClient(app)


def test_every_page_gets_a_fresh_nonce_that_its_policy_names(client: TestClient) -> None:
    nonces = set()
    for path in ("/", "/approvals", "/sessions/ses_1"):
        answer = client.get(path)
        (nonce,) = re.findall(r'nonce="([^"]+)"', answer.text)
        assert f"'nonce-{nonce}'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        nonces.add(nonce)
    assert len(nonces) == 3


def test_the_policy_allows_nothing_from_elsewhere_and_no_inline_script() -> None:
    policy = console.content_security_policy("n")
    assert policy.startswith("default-src 'none'")
    assert "unsafe-inline" not in policy
    assert "unsafe-eval'" not in policy.replace("'wasm-unsafe-eval'", "")
    assert "http" not in policy


def test_assets_may_be_kept_for_ever_and_the_api_never(client: TestClient) -> None:
    assert "immutable" in client.get("/assets/index-abc.js").headers["cache-control"]
    assert client.get("/api/v1/thing").headers["cache-control"] == "no-store"


def test_a_loose_file_is_served_but_nothing_outside_the_folder(client: TestClient) -> None:
    assert client.get("/favicon.svg").headers["content-type"].startswith("image/svg+xml")
    assert "csp-nonce" in client.get("/..%2f..%2fetc/passwd").text


def test_an_installation_without_console_says_so(tmp_path: Path) -> None:
    app = FastAPI()
    console.install(app, tmp_path)
    assert TestClient(app).get("/").status_code == 503
