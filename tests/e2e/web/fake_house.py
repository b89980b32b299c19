"""The state behind the stand-in API: a small plant with people, devices, requests and one recorded session."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from tests.e2e.web import fake_models as m
from tests.e2e.web.fake_live import LiveStage, a_stage
from tests.e2e.web.fake_recording import IndexedRecording

SECRET: Final = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
PASSWORD: Final = "correct horse battery staple"
ACTIVATION: Final = "act-0123456789abcdef"


KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK4rZ0m0Zf2oVb0rP0n1m2l3k4j5h6g7f8d9s0a1q2w3"
STEPS: Final = (
    *("system_administrator", "security_administrator", "plant_admins", "auditor", "target", "credential"),
    *("connection_test", "vendor_engineer", "device", "session", "replay"),
)


def stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class LongRecording:
    """Eight hours in 480 chunks of one minute; each says its own number, then one line every ten seconds."""

    CHUNKS = 480

    def timeline(self) -> m.Times:
        return m.Times(
            state="ready",
            created_at_ms=1_795_165_200_000,
            columns=80,
            rows=24,
            duration_ms=self.CHUNKS * 60_000,
            chunks=[number * 60_000 for number in range(self.CHUNKS)],
            silences=[(number * 10_000, 10_000) for number in range(self.CHUNKS * 6)],
        )

    def chunk(self, number: int) -> m.Chunk | None:
        if not 0 <= number < self.CHUNKS:
            return None
        at = number * 60_000
        return m.Chunk(
            at_ms=at,
            columns=80,
            rows=24,
            screen=f"\x1b[1;1H第{number}分钟\x1b[2;1H",
            events=[(at + step * 10_000, "o", f"step {number}.{step}\r\n") for step in range(6)],
        )


@dataclass
class House:
    """Everything that a request may read or change; every test gets a new one."""

    now: datetime
    people: dict[str, m.PersonItem] = field(default_factory=dict)
    devices: dict[str, m.DeviceItem] = field(default_factory=dict)
    zones: dict[str, m.ZoneItem] = field(default_factory=dict)
    targets: dict[str, m.TargetItem] = field(default_factory=dict)
    requests: dict[str, m.AccessRequestItem] = field(default_factory=dict)
    grants: dict[str, m.GrantItem] = field(default_factory=dict)
    sessions: dict[str, m.SessionItem] = field(default_factory=dict)
    receipts: dict[str, m.Receipt] = field(default_factory=dict)
    recordings: dict[str, m.RecordingView] = field(default_factory=dict)
    audit: list[m.AuditItem] = field(default_factory=list)
    signed_in: dict[str, str] = field(default_factory=dict)
    activations: dict[str, str] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)
    secrets: list[m.NewCredential] = field(default_factory=list)
    live: LiveStage = field(default_factory=a_stage)
    messages: list[str] = field(default_factory=list)
    outcome: str = "key_shown"
    shown_key: str = KEY
    firewall_is_whole: bool = True
    unready: set[str] = field(default_factory=set)
    open_steps: dict[str, str] = field(default_factory=dict)
    forecast: m.ForecastItem | None = None
    object_store: m.ObjectStoreItem | None = None
    archive: object = None
    made: int = 0
    long: "LongRecording | IndexedRecording" = field(default_factory=lambda: LongRecording())

    def next_id(self, prefix: str) -> str:
        self.made += 1
        return f"{prefix}_06f{self.made:023d}"

    def tell(self, code: str, actor: str, subject: str, **params: m.Parameter) -> None:
        at = stamp(self.now + timedelta(seconds=len(self.audit)))
        seq = len(self.audit) + 1
        self.audit.append(
            m.AuditItem(seq=seq, at=at, code=code, actor=actor, subject=subject, params=params, hash="5e" * 32)
        )


def _add_people(house: House) -> None:
    rows: list[tuple[str, str, m.Role, str | None, str]] = [
        ("root", "Chen Jing 陈静", "system_administrator", None, "active"),
        ("sec", "Li Na 李娜", "security_administrator", None, "active"),
        ("zhang", "Zhang Wei 张伟", "plant_admin", None, "active"),
        ("audit", "Wu Min 吴敏", "auditor", None, "active"),
        ("keller", "J. Keller", "vendor_engineer", "Keller Robotik GmbH", "active"),
        ("wang", "Wang Lei 王磊", "vendor_engineer", "华东自动化有限公司", "active"),
        ("newcomer", "New Person", "plant_admin", None, "invited"),
    ]
    for username, name, role, company, state in rows:
        house.people[username] = m.PersonItem(
            id=f"psn_{username}",
            username=username,
            display_name=name,
            role=role,
            company=company,
            language="en",
            state=state,
            created_at=stamp(house.now - timedelta(days=90)),
        )
        if state == "active":
            house.passwords[username] = PASSWORD
    house.activations[ACTIVATION] = "newcomer"


def _add_devices(house: House) -> None:
    keller = m.Named(id="psn_keller", display_name="J. Keller")
    wang = m.Named(id="psn_wang", display_name="Wang Lei 王磊")
    ago = house.now - timedelta(days=60)
    later = stamp(house.now + timedelta(days=300))
    house.devices = {
        "dev_1": m.DeviceItem(
            id="dev_1",
            person=keller,
            name="KR-LAPTOP-7",
            state="trusted",
            short_code="K7Q4-M2XD",
            key_storage="tpm",
            operating_system="Windows 11 24H2",
            certificate_not_after=later,
            enrolled_at=stamp(ago),
            trusted_at=stamp(ago),
            last_knock_at=stamp(house.now - timedelta(minutes=4)),
        ),
        "dev_2": m.DeviceItem(
            id="dev_2",
            person=wang,
            name="WANG-THINKPAD",
            state="pending",
            short_code="T3HP-9WRA",
            key_storage="file",
            operating_system="Windows 11 24H2",
            certificate_not_after=later,
            enrolled_at=stamp(house.now - timedelta(minutes=11)),
        ),
        "dev_3": m.DeviceItem(
            id="dev_3",
            person=wang,
            name="WANG-OLD",
            state="retired",
            short_code="AAAA-BBBB",
            key_storage="keyring",
            operating_system="Windows 11 24H2",
            certificate_not_after=later,
            enrolled_at=stamp(ago),
            trusted_at=stamp(ago),
            last_knock_at=stamp(ago),
        ),
    }


def _add_targets(house: House) -> None:
    house.zones = {
        "zon_1": m.ZoneItem(id="zon_1", name="Body shop 车身车间", created_at=stamp(house.now)),
        "zon_2": m.ZoneItem(id="zon_2", name="Paint 涂装", created_at=stamp(house.now)),
    }
    house.targets = {
        "tgt_1": m.TargetItem(
            id="tgt_1",
            name="weld-hmi-02",
            zone_id="zon_1",
            zone="Body shop 车身车间",
            address="10.20.4.12",
            port=22,
            protocol="ssh",
            host_key=KEY,
            description="Welding robot cell 2, operator panel",
            accounts=["maint", "viewer"],
            created_at=stamp(house.now),
        ),
        "tgt_2": m.TargetItem(
            id="tgt_2",
            name="line3-plc-gw01",
            zone_id="zon_2",
            zone="Paint 涂装",
            address="10.20.7.3",
            port=22,
            protocol="ssh",
            host_key=KEY,
            description="",
            accounts=["svc"],
            created_at=stamp(house.now),
        ),
    }


def _request(house: House, request_id: str, notices: list[m.Notice], hours: int) -> m.AccessRequestItem:
    return m.AccessRequestItem(
        id=request_id,
        person=m.Named(id="psn_keller", display_name="J. Keller"),
        company="Keller Robotik GmbH",
        device=m.RequestDevice(id="dev_1", name="KR-LAPTOP-7", state="trusted"),
        source="198.51.100.9",
        target=m.NamedThing(id="tgt_1", name="weld-hmi-02"),
        zone=m.NamedThing(id="zon_1", name="Body shop 车身车间"),
        account="maint",
        protocol="ssh",
        reason="Robot 2 stops with error E-417 after the shift change; read the log, restart the "
        "weld controller service and watch three cycles.",
        work_order="WO-2026-11001",
        starts_at=stamp(house.now + timedelta(minutes=5)),
        ends_at=stamp(house.now + timedelta(minutes=5, hours=hours)),
        starts_on_approval=False,
        duration_seconds=hours * 3600,
        state="submitted",
        submitted_at=stamp(house.now - timedelta(minutes=7)),
        notices=notices,
    )


def _add_requests(house: House) -> None:
    first = _request(
        house,
        "req_1",
        [
            m.Notice(code="access_requests.source_differs", params={"value": "203.0.113.77"}),
            m.Notice(code="access_requests.device_key_in_file"),
            m.Notice(code="access_requests.something_new", params={"value": "3"}),
        ],
        4,
    )
    second = _request(house, "req_2", [], 1).model_copy(
        update={
            "person": m.Named(id="psn_wang", display_name="Wang Lei 王磊"),
            "company": "华东自动化有限公司",
            "target": m.NamedThing(id="tgt_2", name="line3-plc-gw01"),
            "zone": m.NamedThing(id="zon_2", name="Paint 涂装"),
            "starts_on_approval": True,
            "account": "svc",
            "reason": "更换网关固件前的检查",
            "work_order": "WO-2026-11002",
        }
    )
    zhang = m.Named(id="psn_zhang", display_name="Zhang Wei 张伟")
    third = _request(house, "req_3", [], 2).model_copy(
        update={
            "state": "denied",
            "decided_by": zhang,
            "decided_at": stamp(house.now - timedelta(days=1)),
            "decision_reason": "No work order for this week.",
        }
    )
    house.requests = {r.id: r for r in (first, second, third)}
    house.grants["grt_1"] = m.GrantItem(
        id="grt_1",
        person=m.Named(id="psn_wang", display_name="Wang Lei 王磊"),
        request_id="req_0",
        device=m.NamedThing(id="dev_3", name="WANG-THINKPAD"),
        target=m.NamedThing(id="tgt_2", name="line3-plc-gw01"),
        account="svc",
        protocol="ssh",
        not_before=stamp(house.now - timedelta(hours=1)),
        not_after=stamp(house.now + timedelta(hours=3)),
        state="active",
        issued_at=stamp(house.now - timedelta(hours=1)),
    )


def _add_sessions(house: House) -> None:
    start = house.now - timedelta(hours=26)
    live = m.SessionItem(
        id="ses_1",
        grant_id="grt_1",
        person=m.Named(id="psn_wang", display_name="Wang Lei 王磊"),
        device=m.NamedThing(id="dev_3", name="WANG-THINKPAD"),
        source="203.0.113.40",
        target=m.NamedThing(id="tgt_2", name="line3-plc-gw01"),
        account="svc",
        protocol="ssh",
        state="live",
        admitted_at=stamp(house.now - timedelta(minutes=12)),
        not_after=stamp(house.now + timedelta(hours=3)),
        started_at=stamp(house.now - timedelta(minutes=12)),
        recording_id="rec_1",
    )
    closed = live.model_copy(update={"state": "closed", "admitted_at": stamp(start), "started_at": stamp(start)})
    second = {
        "id": "ses_2",
        "ended_at": stamp(start + timedelta(seconds=400)),
        "end_reason": "client_left",
        "recording_id": "rec_2",
        "commands_blocked": 1,
        "recording_health": "good",
    }
    third = {
        "id": "ses_3",
        "ended_at": stamp(start + timedelta(seconds=90)),
        "end_reason": "recorder_failed",
        "recording_id": "rec_3",
    }
    for session in (live, closed.model_copy(update=second), closed.model_copy(update=third)):
        house.sessions[session.id] = session
    house.receipts["ses_2"] = m.Receipt(
        state="received", at=stamp(house.now), receipt='{"device_key_b64":"MCow","v":1}'
    )
    checked = stamp(house.now)
    sealed = m.RecordingView(
        id="rec_2",
        session_id="ses_2",
        state="sealed",
        opened_at=stamp(start),
        closed_at=stamp(start + timedelta(seconds=400)),
        signing_key="a1" * 32,
        duration_ms=400_000,
        frames=61,
        bytes=18_211,
        width=80,
        height=24,
        place="both",
        copied=m.CopyItem(
            state="verified",
            uploaded_bytes=18_211,
            version="v1",
            locked_until=stamp(house.now + timedelta(days=180)),
            verified_at=checked,
            is_held=True,
        ),
        verification=m.Verification(state="verified", checked_at=checked),
    )
    alone: dict[str, object] = {"place": "local", "copied": None}
    unfinished = m.Verification(state="unfinished", checked_at=checked)
    altered = m.Verification(state="altered", checked_at=checked, first_bad=7)
    first = {"id": "rec_1", "session_id": "ses_1", "state": "open", "closed_at": None, "verification": unfinished}
    broken = {"id": "rec_3", "session_id": "ses_3", "state": "broken", "verification": altered}
    for recording in (
        sealed,
        sealed.model_copy(update={**first, **alone}),
        sealed.model_copy(update={**broken, **alone}),
    ):
        house.recordings[recording.id] = recording


COMMANDS: Final[list[tuple[int, str, str]]] = [
    (4_000, "uptime", " 09:01:12 up 41 days,  3:12,  1 user,  load average: 0.20, 0.18, 0.11\r\n"),
    (15_000, "tail -3 /var/log/plc-gw.log", "E-417 weld controller timeout\r\nretry 1\r\nretry 2\r\n"),
    (300_000, "rm -rf /opt/plc/recipes", "sallyport: this command is not allowed here (rule no-recursive-delete)\r\n"),
    (390_000, "systemctl status weldctl", "weldctl.service - active (running) since Thu 2026-11-19\r\n"),
]


def cast_text() -> str:
    """An asciicast v2 of one session: typing in single characters, a long pause, one blocked command."""
    lines: list[str] = [json.dumps({"version": 2, "width": 80, "height": 24, "timestamp": 1_795_000_000})]
    prompt = "svc@line3-plc-gw01:~$ "
    lines.append(json.dumps([0.2, "o", prompt]))
    for at_ms, command, output in COMMANDS:
        begin = at_ms / 1000 - 0.05 * (len(command) + 1)
        for offset, letter in enumerate(command):
            lines.append(json.dumps([round(begin + 0.05 * offset, 3), "o", letter]))
        lines.append(json.dumps([at_ms / 1000 - 0.01, "o", "\r\n"]))
        lines.append(json.dumps([at_ms / 1000, "o", output + prompt]))
    lines.append(json.dumps([400.0, "o", "logout\r\n"]))
    return "\n".join(lines) + "\n"


def recording_events() -> list[m.RecordingEvent]:
    events = []
    for at_ms, command, _ in COMMANDS:
        blocked = command.startswith("rm")
        events.append(
            m.RecordingEvent(
                at_ms=at_ms,
                kind="blocked" if blocked else "exec",
                text=command,
                rule_id="no-recursive-delete" if blocked else None,
            )
        )
    return events


def _add_old_recordings(house: House) -> None:
    """Two sessions of last winter, whose recordings have been kept long enough; what a year's disk looks like."""
    newest, recording = house.sessions["ses_2"], house.recordings["rec_2"]
    for number, days in ((4, 212), (5, 190)):
        began = house.now - timedelta(days=days)
        ended = stamp(began + timedelta(seconds=400))
        session = {
            "id": f"ses_{number}",
            "started_at": stamp(began),
            "ended_at": ended,
            "recording_id": f"rec_{number}",
        }
        house.sessions[f"ses_{number}"] = newest.model_copy(update={**session, "admitted_at": stamp(began)})
        file = {"id": f"rec_{number}", "session_id": f"ses_{number}", "opened_at": stamp(began), "closed_at": ended}
        house.recordings[f"rec_{number}"] = recording.model_copy(
            update={**file, "bytes": 700_000_000 + number, "verification": recording.verification.model_copy()}
        )
    house.object_store = m.ObjectStoreItem(
        bucket="plant-recordings",
        problem=None,
        checked_at=stamp(house.now),
        copies={"growing": 1, "stored": 0, "verified": 2, "released": 214},
        failing=0,
        waiting_bytes=0,
    )
    full = house.now + timedelta(days=96)
    house.forecast = m.ForecastItem(
        level="short",
        observed_days=28.0,
        bytes_per_day=2_400_000_000,
        kept_bytes=181_000_000_000,
        free_bytes=251_000_000_000,
        usable_bytes=230_400_000_000,
        days_until_full=96,
        full_at=stamp(full),
        days_held=171,
        keep_days=180,
    )


def _add_audit(house: House) -> None:
    house.tell("identities.person.created", "psn_root", "psn_keller", role="vendor_engineer")
    house.tell("devices.device.enrolled", "psn_keller", "dev_1", key_storage="tpm")
    house.tell("devices.device.trusted", "psn_zhang", "dev_1")
    house.tell("access.request.submitted", "psn_keller", "req_1", target="weld-hmi-02", hours=4)
    house.tell("sessions.command.blocked", "psn_wang", "ses_2", rule_id="no-recursive-delete")
    for n in range(70):
        house.tell("identities.sign_in.succeeded", "psn_zhang", "psn_zhang", source=f"10.0.0.{n}")


def build() -> House:
    """A plant as it stands at the beginning of a test."""
    house = House(now=datetime.now(tz=UTC).replace(microsecond=0))
    for step in (
        _add_people,
        _add_devices,
        _add_targets,
        _add_requests,
        _add_sessions,
        _add_old_recordings,
        _add_audit,
    ):
        step(house)
    return house
