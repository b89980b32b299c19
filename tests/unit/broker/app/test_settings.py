import copy
from pathlib import Path

import pytest

from broker.app import settings

_DOCUMENT = {
    "site": {"name": "demo"},
    "vendor_face": {"host": "203.0.113.10", "interface": "out0"},
    "plant_face": {"host": "10.20.0.10", "interface": "mgmt0", "networks": ["10.30.0.0/24"]},
}


def _with(section: str, **values: object) -> dict[str, dict[str, object]]:
    document = copy.deepcopy(_DOCUMENT)
    document.setdefault(section, {}).update(values)
    return document


def test_the_shortest_file_gets_the_defaults() -> None:
    read = settings.parse(_DOCUMENT)
    assert read.vendor_face.tls_port == 443
    assert read.vendor_face.knock_ports == [62201]
    assert read.users.control == 61187


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        (_with("vendor_face", knock_port=1), "unknown key vendor_face.knock_port"),
        (_with("extra"), r"unknown section \[extra\]"),
        (_with("vendor_face", tls_port="443"), "vendor_face.tls_port: expected int"),
        (_with("vendor_face", tls_port=True), "vendor_face.tls_port: expected int"),
        (_with("vendor_face", knock_ports=[1, "2"]), "expected a list of int"),
        (_with("recordings", anchor_seconds=1.0), "recordings.anchor_seconds: 5 to 3600"),
        (_with("recordings", reserve_mib=0), "recordings.reserve_mib"),
        (_with("recordings", unmask_keys=["ab" * 32]), "none, or two different keys"),
        (_with("recordings", unmask_keys=["ab" * 32, "ab" * 32]), "none, or two different keys"),
        (_with("recordings", unmask_keys=["ab" * 32, "no"]), "none, or two different keys"),
        (_with("vendor_face", host="broker.example"), "vendor_face.host: an IP address"),
        (_with("vendor_face", tls_port=22), "must differ"),
        (_with("vendor_face", knock_ports=[0]), "between 1 and 65535"),
        (_with("plant_face", networks=["everywhere"]), "is no prefix"),
        (_with("plant_face", networks=[]), "at least one prefix"),
        (_with("plant_face", host_ports=[8443]), "plant_face.host_ports"),
        (_with("plant_face", host_ports=[22, 22]), "plant_face.host_ports"),
        (_with("plant_face", host_ports=[0]), "between 1 and 65535"),
        (_with("site", name="Demo Site"), "site.name"),
        (_with("site", run_dir="run"), "absolute path"),
        (_with("site", language="de"), "zh-CN or en"),
        (_with("site", database_url="mysql://plant/x"), "site.database_url: it begins with"),
        (_with("site", database_url="postgresql+psycopg://me:secret@/x"), "site.database_url: no password"),
        (_with("site", database_url="postgresql+psycopg:///x?password=secret"), "site.database_url: no password"),
        (_with("evidence", witness_file="witness.jsonl"), "evidence.witness_file: an absolute path"),
        (_with("recordings", keep_days=179), "recordings.keep_days: 180 to 36500, not 179"),
        (_with("recordings", keep_days=0), "no recording is destroyed before 180 days"),
        (_with("recordings", keep_days=-1), "recordings.keep_days"),
        (_with("users", guard=61184), "five different ids"),
        ({"site": {"name": "x"}}, "vendor_face.host is missing"),
        ({**_DOCUMENT, "site": 3}, r"\[site\] must be a section"),
    ],
)
def test_what_cannot_be_used_is_named(document: dict[str, object], complaint: str) -> None:
    with pytest.raises(settings.SettingsError, match=complaint):
        settings.parse(document)


def test_a_database_server_is_named_without_its_password() -> None:
    url = "postgresql+psycopg://sallyport@/sallyport?host=/run/postgresql&passfile=/etc/sallyport/pgpass"
    assert settings.parse(_with("site", database_url=url)).site.database_url == url


def test_a_file_that_is_not_there_or_not_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(settings.SettingsError, match="cannot be read"):
        settings.load(tmp_path / "absent.toml")
    (tmp_path / "broken.toml").write_text("[site")
    with pytest.raises(settings.SettingsError, match="not valid TOML"):
        settings.load(tmp_path / "broken.toml")


def test_recordings_are_kept_for_180_days_unless_a_site_keeps_them_longer() -> None:
    assert settings.parse(_DOCUMENT).recordings.keep_days == 180
    assert settings.parse(_with("recordings", keep_days=3650)).recordings.keep_days == 3650


def test_every_setting_says_what_it_means() -> None:
    rows = settings.described()
    assert rows[0][:3] == ("site.name", "str", "required")
    assert all(meaning for *_, meaning in rows)


_STORE: dict[str, object] = {
    "endpoint": "https://10.20.0.50:9000",
    "bucket": "recordings",
    "access_key_id": "AKEXAMPLE",
    "secret_file": "/etc/sallyport/object-store.secret",
}


def test_a_store_of_objects_has_one_address_and_locks_for_at_least_180_days() -> None:
    read = settings.parse(_with("object_store", **_STORE)).object_store
    assert read.target == ("10.20.0.50", 9000)
    assert (read.lock_mode, read.lock_days, read.is_used) == ("compliance", 180, True)
    named = {**_STORE, "endpoint": "https://store.plant.example", "address": "2001:db8::50"}
    assert settings.parse(_with("object_store", **named)).object_store.target == ("2001:db8::50", 443)
    assert not settings.parse(_DOCUMENT).object_store.is_used


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"endpoint": ""}, "object_store.endpoint is missing"),
        ({"endpoint": "http://10.20.0.50"}, "begins with https://"),
        ({"endpoint": "ftp://10.20.0.50"}, "begins with https://"),
        ({"endpoint": "https://10.20.0.50/path"}, "HOST"),
        ({"endpoint": "https://me:secret@10.20.0.50"}, "HOST"),
        ({"endpoint": "https://10.20.0.50:0"}, "HOST"),
        ({"endpoint": "https://10.20.0.50:70000"}, "HOST"),
        ({"endpoint": "https://store.plant.example"}, "object_store.address"),
        ({"endpoint": "https://store.plant.example", "address": "store"}, "object_store.address"),
        ({"address": "10.20.0.51"}, "object_store.address"),
        ({"bucket": "Recordings"}, "object_store.bucket"),
        ({"bucket": ""}, "object_store.bucket"),
        ({"region": ""}, "object_store.region"),
        ({"access_key_id": ""}, "object_store.access_key_id"),
        ({"secret_file": "secret"}, "object_store.secret_file: an absolute path"),
        ({"secret_file": ""}, "object_store.secret_file: an absolute path"),
        ({"ca_file": "ca.pem"}, "object_store.ca_file: an absolute path"),
        ({"prefix": "plant"}, "object_store.prefix"),
        ({"prefix": "../"}, "object_store.prefix"),
        ({"lock_mode": "none"}, "compliance or governance"),
        ({"lock_days": 179}, "180 to 36500, not 179"),
        ({"keep_local_days": -1}, "object_store.keep_local_days"),
        ({"secret": "x"}, "unknown key object_store.secret"),
    ],
)
def test_a_store_of_objects_that_cannot_be_used_is_named(values: dict[str, object], complaint: str) -> None:
    with pytest.raises(settings.SettingsError, match=complaint):
        settings.parse(_with("object_store", **{**_STORE, **values}))


def test_http_needs_permission() -> None:
    read = settings.parse(_with("object_store", **{**_STORE, "endpoint": "http://127.0.0.1:9000", "allow_http": True}))
    assert read.object_store.target == ("127.0.0.1", 9000)
