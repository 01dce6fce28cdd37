"""What both roles have in common, against a handshake that two strangers had."""

import attrs
import pytest

from tests.dtls.vectors import CHROMIUM_AIORTC
from trio_sfu.dtls import messages, signatures
from trio_sfu.dtls.certificate import public_key
from trio_sfu.dtls.flights import Message
from trio_sfu.dtls.fragments import Fragment, Reassembly
from trio_sfu.dtls.messages import MESSAGES, Body
from trio_sfu.dtls.record import ContentType, Record
from trio_sfu.dtls.server import SENTINEL, server_random
from trio_sfu.errors import WireError
from trio_sfu.wire import Reader


def conversation() -> list[Fragment]:
    """All messages in the clear of the recorded handshake, whole, in order."""
    reassemblies = {"client": Reassembly(), "server": Reassembly()}
    said = []
    for who, data in CHROMIUM_AIORTC:
        reader = Reader(data)
        while reader:
            record = Record.decode(reader)
            if record.content_type is ContentType.HANDSHAKE and record.epoch == 0:
                reassemblies[who].add(Fragment.decode(Reader(record.payload)))
        while (message := reassemblies[who].peek()) is not None:
            reassemblies[who].drop_next()
            said.append(message)
    return said


def body(message: Fragment) -> Body:
    return MESSAGES[message.message].decode(Reader(message.body))


def test_a_recorded_key_exchange_is_signed_by_the_recorded_certificate() -> None:
    client_hello, server_hello, certificate, exchange = map(body, conversation()[:4])
    assert isinstance(client_hello, messages.ClientHello)
    assert isinstance(server_hello, messages.ServerHello)
    assert isinstance(certificate, messages.Certificate)
    assert isinstance(exchange, messages.ServerKeyExchange)
    signed = (
        client_hello.random
        + server_hello.random
        + messages.ServerKeyExchange.parameters(exchange.group, exchange.public)
    )
    key = public_key(certificate.chain[0])
    signatures.verify(key, exchange.signature.scheme, exchange.signature.value, signed)


def test_a_recorded_transcript_is_what_the_client_signed() -> None:
    """The transcript rule: each message as if it had never been cut, Chromium's hello too."""
    said = conversation()
    *before, verify = said
    assert verify.message is Message.CERTIFICATE_VERIFY
    certificates = [message for message in said if message.message is Message.CERTIFICATE]
    clients = body(certificates[1])
    signed = body(verify)
    assert isinstance(clients, messages.Certificate)
    assert isinstance(signed, messages.CertificateVerify)
    transcript = b"".join(message.encode() for message in before)
    key = public_key(clients.chain[0])
    signatures.verify(key, signed.signature.scheme, signed.signature.value, transcript)
    cut = transcript.replace(before[0].encode(), attrs.evolve(before[0], offset=1).encode())
    with pytest.raises(WireError):
        signatures.verify(key, signed.signature.scheme, signed.signature.value, cut)


def test_a_server_random_never_looks_like_a_downgrade() -> None:
    unlucky = iter((bytes(24) + SENTINEL + b"\1", bytes(24) + SENTINEL + b"\0", bytes(32)))
    assert server_random(lambda _: next(unlucky)) == bytes(32)
