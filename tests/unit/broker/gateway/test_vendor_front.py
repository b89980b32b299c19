"""The vendor face: TLS 1.3 with the key that the knock named, and a preamble before the first byte."""

import asyncio
import contextlib
import datetime
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from broker.gateway.doorway import ProvenConnection
from broker.gateway.testing import knock
from broker.gateway.vendor_front import VendorFront, key_hash, server_context
from spa_knock.link.framing import Decoder
from tests.unit.broker.gateway.folders import short_folder

NAME = "vendor.plant.sallyport"


def make(
    folder: Path, name: str, issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    )
    certificate = builder.sign(issuer[1] if issuer else key, hashes.SHA256())
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / f"{name}.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, key


class Rig:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        root = make(folder, "root", None)
        make(folder, NAME, root)
        devices = make(folder, "devices", None)
        self.device, _ = make(folder, "device", devices)
        make(folder, "other", devices)
        make(folder, "stranger", make(folder, "strangers", None))
        self.preambles: list[dict[str, object]] = []
        self.context = server_context(folder / f"{NAME}.pem", folder / f"{NAME}.key", folder / "devices.pem")
        self.front = VendorFront(self.context, folder / "v")

    async def control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(4), "big")
        self.preambles += Decoder().feed(size.to_bytes(4, "big") + await reader.readexactly(size))
        while data := await reader.read(65_536):
            writer.write(data.upper())
            await writer.drain()
        writer.close()

    async def talk(self, client: str, data: bytes, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes:
        """What a client with this certificate hears; raises what its TLS raises."""
        expected, _ = knock(door=1, bind=key_hash(self.device.public_bytes(Encoding.DER)))
        left, right = socket.socketpair()
        for sock in (left, right):
            sock.setblocking(False)
        serving = asyncio.create_task(self.front.serve(ProvenConnection(left, "10.0.0.9", 4000, expected)))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.folder / "root.pem")
        context.maximum_version = version
        if client:
            context.load_cert_chain(self.folder / f"{client}.pem", self.folder / f"{client}.key")
        writer: asyncio.StreamWriter | None = None
        try:
            reader, writer = await asyncio.open_connection(sock=right, ssl=context, server_hostname=NAME)
            writer.write(data)
            heard = await asyncio.wait_for(reader.readexactly(len(data)), 5)
            assert writer.get_extra_info("ssl_object").session is None or not (
                writer.get_extra_info("ssl_object").session.has_ticket
            )
        finally:
            if writer is not None:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
            right.close()
            await asyncio.wait_for(serving, 10)
        return heard


@asynccontextmanager
async def rig() -> AsyncIterator[Rig]:
    with short_folder() as folder:
        one = Rig(folder)
        server = await asyncio.start_unix_server(one.control, folder / "v")
        async with server:
            yield one


async def test_a_known_device_is_passed_on_behind_a_preamble() -> None:
    async with rig() as one:
        assert await one.talk("device", b"hello") == b"HELLO"
        (preamble,) = one.preambles
        assert preamble["type"] == "vendor"
        assert preamble["device_id"] == "dev_1"
        assert (preamble["source"], preamble["source_port"]) == ("10.0.0.9", 4000)
        assert preamble["certificate_b64"]
        assert preamble["signed_knock_b64"]


async def test_much_data_passes_unharmed() -> None:
    async with rig() as one:
        data = b"abcdefgh" * 200_000
        expected = data.upper()

        async def talk() -> bytes:
            return await one.talk("device", data)

        assert await asyncio.wait_for(talk(), 20) == expected


@pytest.mark.parametrize("client", ["other", "stranger", ""])
async def test_another_key_than_the_knocks_reaches_nothing(client: str) -> None:
    async with rig() as one:
        with pytest.raises((asyncio.IncompleteReadError, OSError)):
            await one.talk(client, b"hello")
        assert not one.preambles


async def test_older_tls_is_refused() -> None:
    async with rig() as one:
        with pytest.raises((ssl.SSLError, OSError)):
            await one.talk("device", b"hello", ssl.TLSVersion.TLSv1_2)


async def test_without_control_the_connection_ends() -> None:
    with short_folder() as folder:
        one = Rig(folder)
        with pytest.raises((asyncio.IncompleteReadError, OSError)):
            await one.talk("device", b"hello")


def test_there_are_no_session_tickets() -> None:
    with short_folder() as folder:
        context = Rig(folder).context
        assert context.num_tickets == 0
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.minimum_version is ssl.TLSVersion.TLSv1_3
