import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dtls.test_extensions import EXTENSIONS, NUMBERS
from tests.dtls.vectors import CHROMIUM_AIORTC, CHROMIUM_HELLO, LIVEKIT_HELLO
from trio_sfu.dtls import messages
from trio_sfu.dtls.flights import Message
from trio_sfu.dtls.fragments import Fragment, Reassembly
from trio_sfu.dtls.messages import MESSAGES, Body
from trio_sfu.dtls.record import ContentType, Record
from trio_sfu.errors import WireError
from trio_sfu.wire import Reader

RANDOMS = st.binary(min_size=32, max_size=32)
SESSIONS = st.binary(max_size=32)
SHORT = st.binary(max_size=255)
SIGNATURES = st.builds(messages.Signature, st.integers(0, 0xFFFF), st.binary(max_size=300))

BODIES: dict[Message, st.SearchStrategy[Body]] = {
    Message.HELLO_REQUEST: st.just(messages.HelloRequest()),
    Message.CLIENT_HELLO: st.builds(
        messages.ClientHello,
        st.integers(0, 0xFFFF),
        RANDOMS,
        NUMBERS,
        EXTENSIONS,
        SESSIONS,
        SHORT,
        SHORT,
    ),
    Message.SERVER_HELLO: st.builds(
        messages.ServerHello,
        st.integers(0, 0xFFFF),
        RANDOMS,
        st.integers(0, 0xFFFF),
        EXTENSIONS,
        SESSIONS,
        st.integers(0, 0xFF),
    ),
    Message.HELLO_VERIFY_REQUEST: st.builds(
        messages.HelloVerifyRequest, st.integers(0, 0xFFFF), SHORT
    ),
    Message.CERTIFICATE: st.builds(
        messages.Certificate, st.lists(st.binary(max_size=400), max_size=3).map(tuple)
    ),
    Message.SERVER_KEY_EXCHANGE: st.builds(
        messages.ServerKeyExchange, st.integers(0, 0xFFFF), SHORT, SIGNATURES
    ),
    Message.CERTIFICATE_REQUEST: st.builds(
        messages.CertificateRequest, SHORT, NUMBERS, st.binary(max_size=300)
    ),
    Message.SERVER_HELLO_DONE: st.just(messages.ServerHelloDone()),
    Message.CERTIFICATE_VERIFY: st.builds(messages.CertificateVerify, SIGNATURES),
    Message.CLIENT_KEY_EXCHANGE: st.builds(messages.ClientKeyExchange, SHORT),
    Message.FINISHED: st.builds(messages.Finished, st.binary(min_size=12, max_size=12)),
}


def read(datagrams: list[bytes]) -> list[Body]:
    """The messages of one side, in the clear."""
    reassembly, bodies = Reassembly(), []
    for data in datagrams:
        reader = Reader(data)
        while reader:
            record = Record.decode(reader)
            if record.content_type is ContentType.HANDSHAKE and record.epoch == 0:
                fragments = Reader(record.payload)
                while fragments:
                    reassembly.add(Fragment.decode(fragments))
        while (message := reassembly.peek()) is not None:
            reassembly.drop_next()
            body = MESSAGES[message.message].decode(Reader(message.body))
            assert body.encode() == message.body or message.message in (1, 2)
            bodies.append(body)
    return bodies


@pytest.mark.parametrize("kind", Message)
@given(data=st.data())
def test_each_message_is_read_as_it_was_written(kind: Message, data: st.DataObject) -> None:
    body = data.draw(BODIES[kind])
    assert type(body) is MESSAGES[kind]
    assert body.kind is kind
    encoded = body.encode()
    assert MESSAGES[kind].decode(Reader(encoded)) == body
    with pytest.raises(WireError):
        MESSAGES[kind].decode(Reader(encoded + b"\0" * 9))


def test_chromiums_hello_is_understood() -> None:
    (hello,) = read(CHROMIUM_HELLO)
    assert isinstance(hello, messages.ClientHello)
    assert len(hello.encode()) == 1413
    assert hello.version == 0xFEFD and hello.session_id == hello.cookie == b""
    assert hello.cipher_suites[:4] == (0x1301, 0x1302, 0x1303, 0xC02B)
    extensions = hello.extensions
    assert extensions.groups == (0x11EC, 29, 23, 24)
    assert extensions.use_srtp is not None
    assert extensions.use_srtp.profiles == (1, 8, 7)
    assert extensions.extended_master_secret
    assert extensions.renegotiation_info == b""
    assert extensions.versions == (0xFEFC, 0xFEFD)
    assert extensions.point_formats == b"\0"
    assert extensions.signature_schemes is not None and 0x0403 in extensions.signature_schemes
    assert [kind for kind, _ in extensions.unknown] == [0x2D, 0x33]


def test_livekits_hello_is_understood() -> None:
    (hello,) = read([LIVEKIT_HELLO])
    assert isinstance(hello, messages.ClientHello)
    assert hello.extensions.groups == (29, 23, 24)


def test_a_recorded_handshake_is_understood() -> None:
    client = read([data for who, data in CHROMIUM_AIORTC if who == "client"])
    server = read([data for who, data in CHROMIUM_AIORTC if who == "server"])
    assert [body.kind for body in client] == [
        Message.CLIENT_HELLO,
        Message.CERTIFICATE,
        Message.CLIENT_KEY_EXCHANGE,
        Message.CERTIFICATE_VERIFY,
    ]
    assert [body.kind for body in server] == [
        Message.SERVER_HELLO,
        Message.CERTIFICATE,
        Message.SERVER_KEY_EXCHANGE,
        Message.CERTIFICATE_REQUEST,
        Message.SERVER_HELLO_DONE,
    ]
    hello = server[0]
    assert isinstance(hello, messages.ServerHello)
    assert (hello.version, hello.cipher_suite) == (0xFEFD, 0xC02B)


def test_a_session_id_too_long_and_a_curve_of_history_are_refused() -> None:
    hello = messages.HelloVerifyRequest(0xFEFD, b"").encode()[:2] + bytes(32) + b"\x21" + bytes(80)
    for kind in (Message.CLIENT_HELLO, Message.SERVER_HELLO):
        with pytest.raises(WireError, match="session id of 33 bytes"):
            MESSAGES[kind].decode(Reader(hello))
    with pytest.raises(WireError, match="curve type 1"):
        messages.ServerKeyExchange.decode(Reader(b"\x01" + bytes(20)))
