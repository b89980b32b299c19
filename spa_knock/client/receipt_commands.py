"""`sally receipts`: the receipts that this computer keeps, and whether a receipt and a recording are true. Offline."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from spa_knock.client import talk
from spa_knock.client.answers import padded, printable, table
from spa_knock.client.container import MAGIC, OtherRecording, check_holds, read_opening
from spa_knock.client.errors import ClientError, Exit
from spa_knock.client.fields import get_objects, get_text
from spa_knock.client.grants import shown_ms
from spa_knock.client.home import Home
from spa_knock.client.keys import CertificateError, first_certificate
from spa_knock.client.language import term, tr
from spa_knock.client.places import home_dir
from spa_knock.client.receipt_folder import ReceiptFolder
from spa_knock.client.receipts import Watched, watch
from spa_knock.wire.errors import ReceiptError
from spa_knock.wire.receipt import LINE_BYTES, Signed, read

receipts_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
_Json = Annotated[
    bool, typer.Option("--json", help=tr("Print JSON on standard output; errors as JSON on standard error."))
]
_KEY_FILE_BYTES: Final = 65_536
Data = Mapping[str, object]


@receipts_app.command("list")
def list_receipts(*, as_json: _Json = False) -> None:
    """List the receipts this computer keeps for its sessions, oldest first."""
    folder = ReceiptFolder(home_dir())
    sessions = folder.notes().sessions
    items = []
    for path, signed in _kept(folder):
        told = sessions.get(signed.receipt.session_id)
        items.append({**_facts(signed), "file": str(path), "plant": told.answer if told else ""})
    talk.show({"items": items}, _list_lines, as_json=as_json)


@receipts_app.command("verify")
def verify_receipts(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help=tr("Receipts, and recordings that the plant handed out; default: all receipts kept here.")),
    ] = None,
    *,
    device_key: Annotated[
        Path | None, typer.Option(help=tr("Public key or certificate (PEM) of the device that signed elsewhere."))
    ] = None,
    as_json: _Json = False,
) -> None:
    """Verify receipts, and whether recordings still are what this computer confirmed."""
    home = Home(home_dir())
    folder = ReceiptFolder(home.path)
    trusted = _keys(home, folder, device_key)
    recordings, named = _sorted_out(paths or [])
    receipts = named or list(_kept(folder))
    if recordings:
        receipts = [one for one in receipts if one[1].receipt.recording_id in recordings]
        _refuse_unknown(recordings, {one[1].receipt.recording_id for one in receipts})
    sessions = folder.notes().sessions
    judged = [
        _judge(path, signed, trusted, recordings, sessions.get(signed.receipt.session_id)) for path, signed in receipts
    ]
    items = [{**_facts(one.signed), "file": str(one.path), "good": not one.wrong, "found": one.said} for one in judged]
    talk.show({"items": items}, _verify_lines, as_json=as_json)
    if any(one.wrong for one in judged):
        raise typer.Exit(Exit.FAILED)


@dataclass(frozen=True, slots=True)
class _Judged:
    path: Path
    signed: Signed
    wrong: bool
    said: str


def _judge(
    path: Path, signed: Signed, trusted: frozenset[bytes], recordings: Mapping[str, Path], told: Watched | None
) -> _Judged:
    """`told`: what the plant told of the session while it ran, as far as it is still known here."""
    receipt = signed.receipt
    if signed.device_key not in trusted:
        fingerprint = hashlib.sha256(signed.device_key).hexdigest()
        said = tr("signed by a key that is not this computer's (SHA-256 {fingerprint})", fingerprint=fingerprint)
        return _Judged(path, signed, True, said)
    if receipt.refusal:
        # What was refused proves nothing of a recording, and a recording beside it is not confirmed by it.
        said = tr("this computer confirmed nothing: {why}", why=term(receipt.refusal))
        return _Judged(path, signed, receipt.recording_id in recordings, said)
    try:
        head = receipt.head_facts()
        if head is None:
            return _Judged(path, signed, True, tr("the receipt names no head to look for"))
        if told is not None and (trouble := watch(told, receipt, told.told_at_ms).trouble):
            said = tr("it contradicts what the plant told while the session ran: {why}", why=term(trouble))
            return _Judged(path, signed, True, said)
        recording = recordings.get(receipt.recording_id)
        if recording is None:
            said = tr("the signatures are good; the recording ends at frame {frames}", frames=head.frames)
            return _Judged(path, signed, False, said)
        with recording.open("rb") as stream:
            check_holds(stream, receipt)
    except ReceiptError:
        return _Judged(path, signed, True, tr("the recording's key did not sign the head that it names"))
    except OtherRecording as error:
        return _Judged(path, signed, True, tr("the recording is not the one that was confirmed: {why}", why=error))
    said = tr("the recording holds exactly this history, up to frame {frames}", frames=head.frames)
    return _Judged(path, signed, False, said)


def _sorted_out(paths: Sequence[Path]) -> tuple[dict[str, Path], list[tuple[Path, Signed]]]:
    """Recordings by their id, and receipts. Raises ClientError for a file that is neither."""
    recordings: dict[str, Path] = {}
    receipts: list[tuple[Path, Signed]] = []
    for path in paths:
        try:
            with path.open("rb") as stream:
                front = stream.read(LINE_BYTES + 2)
                if front.startswith(MAGIC):
                    recordings[read_opening(stream).recording_id] = path
                else:
                    receipts.append((path, read(front)))
        except OSError as error:
            raise _unusable(path, error.strerror or type(error).__name__) from None
        except OtherRecording as error:
            raise _unusable(path, str(error)) from None
        except ReceiptError as error:
            raise _unusable(path, _why(error)) from None
    return recordings, receipts


def _kept(folder: ReceiptFolder) -> Iterator[tuple[Path, Signed]]:
    """Every receipt of the folder. Raises ClientError for one that cannot be read."""
    for path in folder.files():
        try:
            yield path, read(path.read_bytes())
        except ReceiptError as error:
            raise _unusable(path, _why(error)) from None


def _why(error: ReceiptError) -> str:
    return tr("its device's key did not sign it") if error.code == "not_signed" else tr("it is not a receipt")


def _keys(home: Home, folder: ReceiptFolder, device_key: Path | None) -> frozenset[bytes]:
    """The public keys (DER) whose receipts count: this computer's, now and before, or the named one alone."""
    if device_key is not None:
        return frozenset({_public_key(device_key)})
    keys = set(folder.notes().devices.values())
    if home.certificate_path.exists():
        keys.add(_public_key(home.certificate_path))
    return frozenset(keys)


def _public_key(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_KEY_FILE_BYTES)
        if b"BEGIN CERTIFICATE" in content:
            certified = first_certificate(content.decode("ascii")).public_key()
            return certified.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return load_pem_public_key(content).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except OSError as error:
        raise _unusable(path, error.strerror or type(error).__name__) from None
    except (ValueError, CertificateError, UnsupportedAlgorithm):
        raise _unusable(path, tr("it holds no public key and no certificate")) from None


def _refuse_unknown(recordings: Mapping[str, Path], known: set[str]) -> None:
    for recording_id, path in recordings.items():
        if recording_id not in known:
            raise ClientError(
                "no_receipt",
                tr("Nothing was verified"),
                tr(
                    "{path} is the recording {recording_id}, without a receipt here",
                    path=path,
                    recording_id=recording_id,
                ),
                tr("Name the receipt's file too; see: sally receipts list"),
            )


def _unusable(path: Path, why: str) -> ClientError:
    return ClientError("usage", tr("{path} cannot be used", path=path), why, tr("Name receipts and recordings"))


def _facts(signed: Signed) -> dict[str, object]:
    receipt = signed.receipt
    return {
        "session_id": receipt.session_id,
        "grant_id": receipt.grant_id,
        "device_id": receipt.device_id,
        "target": receipt.target,
        "recording_id": receipt.recording_id,
        "began": shown_ms(receipt.began_ms),
        "ended": shown_ms(receipt.ended_ms),
        "heads_seen": receipt.heads_seen,
        "refusal": receipt.refusal,
        "sha256": signed.sha256,
    }


def _list_lines(data: Data) -> list[str]:
    rows = [
        [
            get_text(item, "session_id"),
            get_text(item, "target"),
            get_text(item, "began"),
            get_text(item, "ended"),
            term(str(item["refusal"])) if item["refusal"] else tr("confirmed"),
            term(str(item["plant"])) if item["plant"] else tr("not sent yet"),
        ]
        for item in get_objects(data, "items", most=10_000)
    ]
    heads = [tr("SESSION"), tr("TARGET"), tr("BEGAN"), tr("ENDED"), tr("RECEIPT"), tr("PLANT")]
    return table(heads, rows) if rows else [tr("No receipts.")]


def _verify_lines(data: Data) -> list[str]:
    lines = [
        "  ".join(
            [
                padded(term("ok" if item["good"] else "failed"), 6),
                *(printable(get_text(item, name)) for name in ("session_id", "target", "found")),
            ]
        )
        for item in get_objects(data, "items", most=10_000)
    ]
    return lines or [tr("No receipts.")]
