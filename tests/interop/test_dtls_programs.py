"""OpenSSL's and GnuTLS's programs on the other end, over UDP on the loopback."""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.dtls.pair import CLIENTS, SERVERS, connection
from trio_sfu.core import INSIDE, Datagram
from trio_sfu.dtls import Certificate, DtlsConnection, DtlsState, Role, SrtpProfile

pytestmark = [pytest.mark.interop, pytest.mark.slow]

HOST = "127.0.0.1"
PATIENCE = 10.0
"""Seconds; a handshake here takes some 20 ms."""
EXPORTER = "EXTRACTOR-dtls_srtp"


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def pem_files(certificate: Certificate, folder: Path) -> tuple[str, str]:
    """Certificate and key as the programs read them."""
    files = folder / "certificate.pem", folder / "key.pem"
    loaded = x509.load_der_x509_certificate(certificate.der)
    files[0].write_bytes(loaded.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        certificate.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return str(files[0]), str(files[1])


@contextmanager
def program(arguments: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (
        log.open("wb") as output,
        subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT
        ) as running,
    ):
        try:
            yield running
        finally:
            running.kill()


def drive(
    ours: DtlsConnection,
    udp: socket.socket,
    peer: tuple[str, int] | None,
    until: Callable[[], bool],
) -> tuple[str, int] | None:
    """The loop of `trio_sfu.net`, in small and blocking; returns who the peer is."""
    end = time.monotonic() + PATIENCE
    while not until():
        now = time.monotonic()
        assert now < end, f"{ours.state} {ours.failure} {ours.drops}"
        if ours.deadline <= now:
            ours.handle_timeout(now)
        for datagram in ours.take_datagrams():
            assert peer is not None, "a server hears before it speaks"
            udp.sendto(datagram.data, peer)
        udp.settimeout(0.02)
        try:
            data, peer = udp.recvfrom(65536)
        except (TimeoutError, ConnectionError):  # a program that is not listening yet
            continue
        ours.receive([Datagram(data, INSIDE, INSIDE)], time.monotonic())
    return peer


def is_heard(ours: DtlsConnection, words: bytes) -> Callable[[], bool]:
    """Whether *words* came, a line of their own in a record or in several."""
    heard = bytearray()

    def condition() -> bool:
        heard.extend(b"".join(ours.take_application()))
        return words in heard

    return condition


@pytest.fixture
def udp() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind((HOST, 0))
        yield made


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind((HOST, 0))
        port: int = made.getsockname()[1]
        return port


OPENSSL = [
    "-dtls1_2",
    "-use_srtp",
    "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80",
    "-keymatexport",
    EXPORTER,
    "-keymatexportlen",
    "56",
]
GNUTLS = [
    "--udp",
    "--priority=NORMAL:-VERS-ALL:+VERS-DTLS1.2",
    "--srtp-profiles=SRTP_AES128_CM_HMAC_SHA1_80",
]


def openssl(role: Role, port: int, folder: Path) -> list[str]:
    own = SERVERS if role is Role.SERVER else CLIENTS
    certificate, key = pem_files(own, folder)
    identity = ["-cert", certificate, "-key", key]
    if role is Role.SERVER:
        return [
            tool("openssl"),
            "s_server",
            "-port",
            str(port),
            *OPENSSL,
            *identity,
            "-Verify",
            "1",
        ]
    return [tool("openssl"), "s_client", "-connect", f"{HOST}:{port}", *OPENSSL, *identity]


def gnutls(role: Role, port: int, folder: Path) -> list[str]:
    own = SERVERS if role is Role.SERVER else CLIENTS
    certificate, key = pem_files(own, folder)
    identity = [f"--x509certfile={certificate}", f"--x509keyfile={key}"]
    if role is Role.SERVER:
        return [tool("gnutls-serv"), "--echo", f"--port={port}", *GNUTLS, *identity, "-r"]
    material = [f"--keymatexport={EXPORTER}", "--keymatexportsize=60", "--insecure"]
    return [tool("gnutls-cli"), *GNUTLS, *identity, *material, f"--port={port}", HOST]


each_program = pytest.mark.parametrize("command", [openssl, gnutls])


@each_program
def test_a_program_is_the_client(
    command: Callable[[Role, int, Path], list[str]], udp: socket.socket, tmp_path: Path
) -> None:
    ours, log = connection(Role.SERVER, start=False), tmp_path / "log"
    ours.start(time.monotonic())
    with program(command(Role.CLIENT, udp.getsockname()[1], tmp_path), log) as running:
        peer = drive(ours, udp, None, lambda: ours.state is not DtlsState.HANDSHAKING)
        assert ours.state is DtlsState.CONNECTED, ours.failure
        assert running.stdin is not None
        running.stdin.write(b"hello\n")
        running.stdin.flush()
        drive(ours, udp, peer, is_heard(ours, b"hello\n"))
    check_words(ours, log, command)


@each_program
def test_a_program_is_the_server(
    command: Callable[[Role, int, Path], list[str]], udp: socket.socket, tmp_path: Path
) -> None:
    ours, log, port = connection(Role.CLIENT, start=False), tmp_path / "log", free_port()
    with program(command(Role.SERVER, port, tmp_path), log) as running:
        ours.start(time.monotonic())
        drive(ours, udp, (HOST, port), lambda: ours.state is not DtlsState.HANDSHAKING)
        assert ours.state is DtlsState.CONNECTED, ours.failure
        ours.send(b"hello\n")
        echoes = command is gnutls
        said = is_heard(ours, b"hello") if echoes else lambda: b"hello" in log.read_bytes()
        drive(ours, udp, (HOST, port), said)
        assert running.poll() is None
    check_words(ours, log, command)


def check_words(
    ours: DtlsConnection, log: Path, command: Callable[[Role, int, Path], list[str]]
) -> None:
    """The program's own account of the keys, where it gives one."""
    text = log.read_text(errors="replace")
    assert ours.srtp is not None
    if command is openssl:
        assert ours.srtp.profile is SrtpProfile.AEAD_AES_128_GCM
        found = re.search(r"Keying material: ([0-9A-F]+)", text)
        assert found is not None, text
        assert bytes.fromhex(found[1]) == ours.export(EXPORTER, None, 56)
    else:
        assert ours.srtp.profile is SrtpProfile.AES128_CM_HMAC_SHA1_80
        found = re.search(r"Key material: ([0-9a-f]+)", text)
        if ours.role is Role.SERVER:
            assert found is not None, text
            assert bytes.fromhex(found[1]) == ours.export(EXPORTER, None, 60)
