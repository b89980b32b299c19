"""The command line of the verifier: what may be told to it, and the receipt that it is given. I/O."""

import argparse
import sys
from pathlib import Path

from recorder.errors import DamagedRecordingError
from recorder.grave import public_key
from recorder.session_receipt import LINE_BYTES, ReceiptedRecording, read_receipt


def parser() -> argparse.ArgumentParser:
    """The command line of `python -m recorder.verify`."""
    made = argparse.ArgumentParser(prog="python -m recorder.verify", description="Verify sealed session recordings.")
    made.add_argument("files", nargs="+", type=Path, metavar="FILE")
    made.add_argument("--signing-key", type=_hex32, metavar="HEX", help="the recording's public key, as audited")
    made.add_argument("--evidence-key", type=_hex32, metavar="HEX", help="the gateway's public evidence key")
    made.add_argument("--checkpoint-key", type=public_key, metavar="PEM", help="the site's checkpoint.pem, or hex")
    made.add_argument("--unseal-key-file", type=Path, metavar="FILE", help="32 raw bytes; decrypts every batch too")
    made.add_argument("--chain", type=_hex32, metavar="HEX", help="the chain_sha256 that was audited at the end")
    made.add_argument(
        "--anchor",
        type=_anchor,
        action="append",
        default=[],
        metavar="BATCHES:HEX",
        help="a chain_sha256 that was audited while the session ran; may be given several times",
    )
    made.add_argument("--receipt", type=Path, metavar="FILE", help="the session's receipt, as its device keeps it")
    made.add_argument("--device-key-sha256", type=_hex32, metavar="HEX", help="whose receipt it must be")
    made.add_argument("--json", action="store_true", help="one JSON object a line")
    return made


def receipt_of(options: argparse.Namespace) -> ReceiptedRecording:
    """The receipt that `--receipt` names.

    Raises OSError, ValueError for wrong use, and `DamagedRecordingError` for a receipt that is none.
    """
    if len(options.files) != 1:
        raise ValueError("a receipt is of one recording: name one file")
    with options.receipt.open("rb") as stream:
        receipt = read_receipt(stream.read(LINE_BYTES + 1).rstrip(b"\n"))
    if options.device_key_sha256 not in (None, receipt.device_key_sha256):
        raise DamagedRecordingError("wrong_key", "the receipt is signed by another device key than the one expected")
    if receipt.refusal:
        sys.stderr.write(f"note: the device did not confirm what the plant told it: {receipt.refusal}\n")
    if options.device_key_sha256 is None:
        sys.stderr.write(f"note: signed by the device key with SHA-256 {receipt.device_key_sha256.hex()}\n")
    return receipt


def _hex32(text: str) -> bytes:
    value = bytes.fromhex(text)
    if len(value) != 32:
        raise ValueError("32 bytes are needed")
    return value


def _anchor(text: str) -> tuple[int, bytes]:
    number, _, chain = text.partition(":")
    return int(number), _hex32(chain)
