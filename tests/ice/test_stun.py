import contextlib
import hmac
import zlib
from pathlib import Path

import aioice.stun
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.core import Address
from trio_sfu.errors import WireError
from trio_sfu.ice.stun import (
    ATTRIBUTES,
    ERROR_CODE,
    FINGERPRINT,
    ICE_CONTROLLED,
    ICE_CONTROLLING,
    MAX_MESSAGE,
    MESSAGE_INTEGRITY,
    PRIORITY,
    SOFTWARE,
    UNKNOWN_ATTRIBUTES,
    USE_CANDIDATE,
    USERNAME,
    XOR_MAPPED_ADDRESS,
    Attribute,
    Class,
    ErrorCode,
    Message,
    is_response,
    is_stun,
    transaction_of,
    ufrag_of,
)

VECTORS = Path(__file__).parents[1] / "vectors" / "ice"


def read(name: str) -> list[tuple[str, bytes]]:
    lines = (VECTORS / name).read_text().splitlines()
    pairs = (line.split() for line in lines if not line.startswith("#"))
    return [(label, bytes.fromhex(data)) for label, data in pairs]


RFC5769 = dict(read("rfc5769.txt"))
CHECKS = read("checks.txt")
RFC5769_KEY = b"VOkJxbRl1RmTxUk/WvJxBt"
CHECKS_KEY = b"pwd" * 8
RFC5769_SAYS: dict[str, tuple[Class, list[tuple[int, object]]]] = {
    "request": (
        Class.REQUEST,
        [
            SOFTWARE.of("STUN test client"),
            PRIORITY.of(0x6E0001FF),
            ICE_CONTROLLED.of(0x932FF9B151263B36),
            USERNAME.of("evtj:h6vY"),
        ],
    ),
    "ipv4": (
        Class.SUCCESS,
        [SOFTWARE.of("test vector"), XOR_MAPPED_ADDRESS.of(("192.0.2.1", 32853))],
    ),
    "ipv6": (
        Class.SUCCESS,
        [
            SOFTWARE.of("test vector"),
            XOR_MAPPED_ADDRESS.of(("2001:db8:1234:5678:11:2233:4455:6677", 32853)),
        ],
    ),
}
TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")

transactions = st.binary(min_size=12, max_size=12)
addresses = st.tuples(
    st.ip_addresses().map(str).filter(lambda host: not host.startswith("::ffff:")),
    st.integers(0, 0xFFFF),
)
texts = st.text(st.characters(codec="utf-8"), max_size=60)
values: dict[int, tuple[Attribute, st.SearchStrategy]] = {
    attribute.code: (attribute, strategy)
    for attribute, strategy in [
        (USERNAME, texts),
        (ERROR_CODE, st.builds(ErrorCode, st.integers(300, 699), texts)),
        (UNKNOWN_ATTRIBUTES, st.lists(st.integers(0, 0xFFFF), max_size=9).map(tuple)),
        (XOR_MAPPED_ADDRESS, addresses),
        (PRIORITY, st.integers(0, 2**32 - 1)),
        (USE_CANDIDATE, st.just(True)),
        (SOFTWARE, texts),
        (ICE_CONTROLLED, st.integers(0, 2**64 - 1)),
        (ICE_CONTROLLING, st.integers(0, 2**64 - 1)),
    ]
}
messages = st.builds(
    Message,
    st.sampled_from(Class),
    transactions,
    st.lists(st.sampled_from(sorted(values)), unique=True).flatmap(
        lambda codes: st.fixed_dictionaries({code: values[code][1] for code in codes})
    ),
)
keys = st.binary(min_size=1, max_size=80)


def sealed(body: bytes, key: bytes | None = CHECKS_KEY, kind: bytes = b"\x00\x01") -> bytes:
    """A message around attributes given as bytes, made without the codec under test."""
    data = kind + b"\0\0" + b"\x21\x12\xa4\x42" + TRANSACTION + body
    if key is not None:
        data = data[:2] + (len(data) - 20 + 24).to_bytes(2) + data[4:]
        data += b"\x00\x08\x00\x14" + hmac.digest(key, data, "sha1")
    data = data[:2] + (len(data) - 20 + 8).to_bytes(2) + data[4:]
    return data + b"\x80\x28\x00\x04" + (zlib.crc32(data) ^ 0x5354554E).to_bytes(4)


def test_every_row_of_the_table_is_tried_here() -> None:
    assert values.keys() | {MESSAGE_INTEGRITY.code, FINGERPRINT.code} == ATTRIBUTES.keys()


@pytest.mark.parametrize("name", RFC5769_SAYS)
def test_rfc_5769_is_read(name: str) -> None:
    kind, attributes = RFC5769_SAYS[name]
    message = Message.decode(RFC5769[name])
    assert message == Message(kind, TRANSACTION, dict(attributes))
    assert message.authentic(RFC5769_KEY) and not message.authentic(b"another")


@pytest.mark.parametrize("name", RFC5769_SAYS)
def test_rfc_5769_is_written(name: str) -> None:
    """The RFC pads with spaces where we pad with zeros, so its seals are made anew."""
    kind, attributes = RFC5769_SAYS[name]
    ours = Message(kind, TRANSACTION, dict(attributes)).encode(RFC5769_KEY)
    body = RFC5769[name][20:-32].replace(b"Y\x20\x20\x20", b"Y\0\0\0")
    body = body.replace(b"vector\x20", b"vector\0")
    assert ours == sealed(body, RFC5769_KEY, RFC5769[name][:2])


@pytest.mark.parametrize("number", range(len(CHECKS)))
def test_checks_of_real_clients_are_read_and_written(number: int) -> None:
    _, data = CHECKS[number]
    message = Message.decode(data)
    assert message.kind is Class.REQUEST and message.unknown == ()
    assert message.authentic(CHECKS_KEY) and message.sealed
    username = message.get(USERNAME)
    assert username is not None and username.startswith("ufragsrv:")
    assert message.get(PRIORITY) == 0x6E7F1EFF or message.get(PRIORITY) == 0x6E7E1EFF
    assert message.get(ICE_CONTROLLING) is not None
    assert ufrag_of(data) == "ufragsrv" and transaction_of(data) == message.transaction
    assert Message.decode(message.encode(b"k")) == message


@given(messages, st.none() | keys)
def test_what_is_written_is_read(message: Message, key: bytes | None) -> None:
    data = message.encode(key)
    again = Message.decode(data)
    assert again == message
    assert again.sealed == (key is not None)
    if key is not None:
        assert again.authentic(key)
        assert not again.authentic(key + b"\1")  # HMAC itself takes no note of trailing zeros
    assert is_stun(data) and transaction_of(data) == message.transaction
    assert is_response(data) == (message.kind in (Class.SUCCESS, Class.ERROR))


@given(messages, keys, st.data())
def test_one_bit_changed_is_noticed_or_says_nothing(
    message: Message, key: bytes, data: st.DataObject
) -> None:
    """Behind the integrity seal a bit may change: an attribute there does not count anyway."""
    wire = bytearray(message.encode(key))
    bit = data.draw(st.integers(0, 8 * len(wire) - 1))
    wire[bit // 8] ^= 1 << bit % 8
    with contextlib.suppress(WireError):
        changed = Message.decode(bytes(wire))
        assert not changed.authentic(key) or (changed == message and bit // 8 >= len(wire) - 8)


@given(st.binary(max_size=100), st.booleans())
def test_arbitrary_bytes_raise_only_wire_error(body: bytes, framed: bool) -> None:
    data = sealed(body + bytes(-len(body) % 4)) if framed else body
    for read_it in (Message.decode, ufrag_of, transaction_of, is_stun, is_response):
        with contextlib.suppress(WireError):
            read_it(data)


# The same messages in aioice's codec: what both know, both read and write alike.

AIOICE_KINDS = {
    Class.REQUEST: aioice.stun.Class.REQUEST,
    Class.INDICATION: aioice.stun.Class.INDICATION,
    Class.SUCCESS: aioice.stun.Class.RESPONSE,
    Class.ERROR: aioice.stun.Class.ERROR,
}
UNKNOWN_TO_AIOICE = UNKNOWN_ATTRIBUTES.code


def to_aioice(message: Message) -> aioice.stun.Message:
    theirs = aioice.stun.Message(
        aioice.stun.Method.BINDING, AIOICE_KINDS[message.kind], message.transaction
    )
    for code, value in message.attributes.items():
        name = ATTRIBUTES[code].name
        if code == ERROR_CODE.code:
            assert isinstance(value, ErrorCode)
            theirs.attributes[name] = (value.code, value.reason)
        elif code != UNKNOWN_TO_AIOICE:
            theirs.attributes[name] = None if code == USE_CANDIDATE.code else value
    return theirs


@given(messages, keys)
def test_both_codecs_write_the_same_bytes(message: Message, key: bytes) -> None:
    attributes = dict(message.attributes)
    attributes.pop(UNKNOWN_TO_AIOICE, None)
    ours = Message(message.kind, message.transaction, attributes)
    theirs = to_aioice(ours)
    theirs.add_message_integrity(key)
    assert ours.encode(key) == bytes(theirs)


@given(messages, keys)
def test_aioice_reads_what_we_write(message: Message, key: bytes) -> None:
    theirs = aioice.stun.parse_message(message.encode(key))
    assert theirs.check_message_integrity(key)
    expected = to_aioice(message).attributes
    assert {name: theirs.attributes[name] for name in expected} == expected


@given(st.binary(max_size=60), st.sampled_from([b"\x00\x01", b"\x01\x01", b"\x01\x11"]))
def test_what_we_accept_aioice_reads_alike(body: bytes, kind: bytes) -> None:
    data = sealed(body + bytes(-len(body) % 4), CHECKS_KEY, kind)
    try:
        ours = Message.decode(data)
    except WireError:
        return
    try:
        theirs = aioice.stun.parse_message(data)
    except Exception:  # stricter about attributes that only TURN has
        return
    for code, value in ours.attributes.items():
        name = ATTRIBUTES[code].name
        if isinstance(value, ErrorCode):
            assert theirs.attributes[name] == (value.code, value.reason)
        elif isinstance(value, int | str) and not isinstance(value, bool):
            assert name in theirs.attributes


# Malformed in one way each.

MALFORMED = {
    "too short": b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(11),
    "no cookie": b"\x00\x01\x00\x00\x21\x12\xa4\x43" + bytes(12),
    "first bits": b"\x80\x01\x00\x00\x21\x12\xa4\x42" + bytes(12),
    "length beyond the end": b"\x00\x01\x00\x04\x21\x12\xa4\x42" + bytes(12),
    "length before the end": b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(16),
    "odd length": b"\x00\x01\x00\x01\x21\x12\xa4\x42" + bytes(13),
    "attribute beyond the end": sealed(b"\x00\x06\x00\xff"),
    "priority of three bytes": sealed(b"\x00\x24\x00\x03abc\0"),
    "use-candidate with a value": sealed(b"\x00\x25\x00\x04abcd"),
    "username not UTF-8": sealed(b"\x00\x06\x00\x04\xff\xfe\xfd\xfc"),
    "username too long": sealed(b"\x00\x06\x02\x04" + b"u" * 516),
    "address family": sealed(b"\x00\x20\x00\x08\x00\x03" + bytes(6)),
    "address too long": sealed(b"\x00\x20\x00\x0c\x00\x01" + bytes(10)),
    "error code 2/00": sealed(b"\x00\x09\x00\x04\x00\x00\x02\x00"),
    "error code 4/100": sealed(b"\x00\x09\x00\x04\x00\x00\x04\x64"),
    "error code cut short": sealed(b"\x00\x09\x00\x02\x00\x00\x00\x00"),
    "half an unknown attribute": sealed(b"\x00\x0a\x00\x03abc\0"),
    "integrity of four bytes": sealed(b"\x00\x08\x00\x04abcd"),
    "fingerprint in the middle": sealed(b"\x80\x28\x00\x04abcd"),
    "fingerprint wrong": RFC5769["ipv4"][:-1] + b"\0",
    "too long": sealed(b"\x80\x22\x05\xdc" + bytes(MAX_MESSAGE)),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_messages_are_refused(name: str) -> None:
    with pytest.raises(WireError):
        Message.decode(MALFORMED[name])


def test_unknown_attributes_are_reported_if_they_must_be_understood() -> None:
    body = b"\x00\x26\x00\x00" + b"\xc0\x70\x00\x04abcd" + b"\x7f\xff\x00\x00" + b"\x00\x26\x00\x00"
    message = Message.decode(sealed(body))
    assert message.unknown == (0x26, 0x7FFF)
    assert message.attributes == {}


def test_the_report_of_unknown_attributes_is_bounded() -> None:
    body = b"".join(code.to_bytes(2) + b"\0\0" for code in range(0x100, 0x200))
    assert len(Message.decode(sealed(body)).unknown) == 16


def test_of_two_attributes_of_one_type_the_first_counts() -> None:
    body = b"\x00\x24\x00\x04\0\0\0\1" + b"\x00\x24\x00\x04\0\0\0\2"
    assert Message.decode(sealed(body)).get(PRIORITY) == 1


def test_what_follows_the_integrity_seal_does_not_count() -> None:
    """RFC 8489 section 14.5: an attacker could have put it there."""
    honest = sealed(USERNAME_A_B)
    forged = honest[:-8] + b"\x00\x25\x00\x00" + b"\x7f\x00\x00\x00"
    forged = forged[:2] + (len(forged) - 20 + 8).to_bytes(2) + forged[4:]
    forged += b"\x80\x28\x00\x04" + (zlib.crc32(forged) ^ 0x5354554E).to_bytes(4)
    message = Message.decode(forged)
    assert message.authentic(CHECKS_KEY)
    assert message.get(USE_CANDIDATE) is None and message.unknown == ()


def test_a_message_without_integrity_is_never_authentic() -> None:
    assert not Message.decode(sealed(USERNAME_A_B, key=None)).authentic(b"")
    assert not Message(Class.REQUEST, TRANSACTION).authentic(b"")


USERNAME_A_B = b"\x00\x06\x00\x03a:b\0"
UFRAGS: list[tuple[bytes, str | None]] = [
    (sealed(USERNAME_A_B), "a"),
    (sealed(b"\xc0\x57\x00\x01x\0\0\0" + USERNAME_A_B), "a"),
    (sealed(USERNAME_A_B, None), "a"),
    (sealed(b"\x00\x06\x00\x02ab\0\0"), None),
    (sealed(b""), None),
    (sealed(USERNAME_A_B, CHECKS_KEY, b"\x01\x01"), None),
    (sealed(USERNAME_A_B)[:19], None),
    (b"\x16\xfe\xff" + bytes(40), None),
    (sealed(b"\xc0\x57\xff\xff"), None),
]


@pytest.mark.parametrize("row", range(len(UFRAGS)))
def test_the_ufrag_is_found_without_verifying(row: int) -> None:
    data, expected = UFRAGS[row]
    assert ufrag_of(data) == expected


DEMULTIPLEXED: list[tuple[bytes, bool]] = [
    (RFC5769["request"], True),
    (b"\x16\xfe\xfd" + bytes(30), False),
    (b"\x80\x60" + b"\x00\x00\x21\x12\xa4\x42" + bytes(30), False),
    (RFC5769["request"][:19], False),
    (b"", False),
]


@pytest.mark.parametrize("row", range(len(DEMULTIPLEXED)))
def test_stun_is_told_from_what_shares_its_socket(row: int) -> None:
    data, expected = DEMULTIPLEXED[row]
    assert is_stun(data) is expected
    assert (transaction_of(data) is not None) is expected


@given(addresses, transactions)
def test_addresses_are_hidden_and_found(address: Address, transaction: bytes) -> None:
    message = Message(Class.SUCCESS, transaction, dict([XOR_MAPPED_ADDRESS.of(address)]))
    assert Message.decode(message.encode()).get(XOR_MAPPED_ADDRESS) == address
