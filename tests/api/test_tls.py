"""TLS in front of HTTP, with the standard library's as the other side."""

import datetime
import ssl
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.api.test_http import ask
from tests.api.test_rtc import UPGRADE
from tests.api.test_server import DEV
from trio_sfu.api.live import Live
from trio_sfu.api.server import serve
from trio_sfu.config import ConfigError, TlsConfig


def write_pair(folder: Path, name: str = "localhost") -> tuple[TlsConfig, ssl.SSLContext]:
    """Files with a new certificate for *name*, and who believes it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    cert_file.write_bytes(pem)
    key_file.touch(0o600)
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    client = ssl.create_default_context(cadata=pem.decode())
    return TlsConfig(cert_file=str(cert_file), key_file=str(key_file)), client


def certificate_of_another() -> str:
    with TemporaryDirectory() as folder:
        tls, _ = write_pair(Path(folder))
        return Path(tls.cert_file).read_text()


SOMEBODY_ELSES = certificate_of_another()


async def dial(url: str, client: ssl.SSLContext) -> "trio.SSLStream[trio.SocketStream]":
    host, _, port = url.removeprefix("https://").rpartition(":")
    return trio.SSLStream(
        await trio.open_tcp_stream(host, int(port)),
        client,
        server_hostname="localhost",
        https_compatible=True,
    )


async def test_with_a_certificate_the_port_speaks_tls_and_only_that(nursery, tmp_path) -> None:
    tls, client = write_pair(tmp_path)
    running = await nursery.start(serve, attrs.evolve(DEV, tls=tls))
    url = running.urls[0]
    assert url.startswith("https://127.0.0.1:")
    async with await dial(url, client) as stream:
        assert (await ask(stream, "GET / HTTP/1.1")).body == b"OK"
        assert (await ask(stream, f"GET /rtc HTTP/1.1{UPGRADE}")).status == 401
    host, _, port = url.removeprefix("https://").rpartition(":")
    async with await trio.open_tcp_stream(host, int(port)) as plain:
        await plain.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with trio.fail_after(30):
            assert not (await plain.receive_some()).startswith(b"HTTP")
    async with await dial(url, client) as stream:
        assert (await ask(stream, "GET / HTTP/1.1")).status == 200


async def test_a_new_certificate_is_shown_to_who_comes_next(nursery, tmp_path) -> None:
    tls, old = write_pair(tmp_path)
    config = attrs.evolve(DEV, tls=tls)
    live = Live(config)

    async def start(task_status: trio.TaskStatus) -> None:
        await serve(config, live=live, task_status=task_status)

    running = await nursery.start(start)
    async with await dial(running.urls[0], old) as before:
        assert (await ask(before, "GET / HTTP/1.1")).status == 200
        (tmp_path / "cert.pem").write_text("nonsense")
        with pytest.raises(ConfigError, match="the certificate and its key"):
            live.replace(config)
        async with await dial(running.urls[0], old) as stream:  # all is as it was
            assert (await ask(stream, "GET / HTTP/1.1")).status == 200
        _, new = write_pair(tmp_path)
        live.replace(config)
        async with await dial(running.urls[0], new) as stream:
            assert (await ask(stream, "GET / HTTP/1.1")).status == 200
        stranger = await dial(running.urls[0], old)
        with pytest.raises(trio.BrokenResourceError):
            await stranger.do_handshake()
        await trio.aclose_forcefully(stranger)
        assert (await ask(before, "GET / HTTP/1.1")).status == 200  # who is in stays in


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tls: Path(tls.cert_file).unlink(), "cert.pem: the certificate cannot be read"),
        (lambda tls: Path(tls.key_file).unlink(), "key.pem: the key of the certificate cannot"),
        (lambda tls: Path(tls.key_file).chmod(0o644), "everybody may read the key of the"),
        (lambda tls: Path(tls.key_file).write_text("x"), "cannot be used: "),
        (lambda tls: Path(tls.cert_file).write_text(SOMEBODY_ELSES), "key values mismatch"),
    ],
)
async def test_what_is_wrong_with_a_certificate_is_one_line(tmp_path, change, message) -> None:
    tls, _ = write_pair(tmp_path)
    change(tls)
    with pytest.raises(ConfigError, match=message) as raised:
        await serve(attrs.evolve(DEV, tls=tls))
    assert "\n" not in str(raised.value)
