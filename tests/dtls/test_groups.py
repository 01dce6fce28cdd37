import pytest

from tests.sim import entropy
from trio_sfu.dtls.groups import KEY_SHARES, NamedGroup, X25519Share
from trio_sfu.errors import WireError


@pytest.mark.parametrize("group", NamedGroup)
def test_both_ends_get_the_same_secret(group: NamedGroup) -> None:
    a = KEY_SHARES[group].generate(entropy(1))
    b = KEY_SHARES[group].generate(entropy(2))
    assert a.public != b.public
    assert a.exchange(b.public) == b.exchange(a.public)


@pytest.mark.parametrize("group", NamedGroup)
def test_the_same_entropy_gives_the_same_key(group: NamedGroup) -> None:
    shares = KEY_SHARES[group]
    assert shares.generate(entropy(1)).public == shares.generate(entropy(1)).public


@pytest.mark.parametrize("group", NamedGroup)
def test_what_is_no_point_is_refused(group: NamedGroup) -> None:
    share = KEY_SHARES[group].generate(entropy(1))
    length = len(share.public)
    compressed = b"\x02" + share.public[1 : 1 + length // 2]
    for public in (b"", bytes(length), b"\x04" + b"\xff" * (length - 1), compressed):
        if public == b"\x04" + b"\xff" * 31:
            continue  # any 32 bytes are a point of X25519, but for those of small order
        with pytest.raises(WireError):
            share.exchange(public)


def test_x25519_agrees_with_rfc_7748() -> None:
    """Section 6.1: Alice's and Bob's keys."""
    alice = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    bob = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    a = X25519Share.generate(lambda _: alice)
    b = X25519Share.generate(lambda _: bob)
    assert a.public.hex() == "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    assert b.public.hex() == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    secret = a.exchange(b.public)
    assert secret.hex() == "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"


def test_a_key_is_never_zero_and_always_below_the_order() -> None:
    """The remainder is of order - 1, and one is added."""
    for byte in (0, 0xFF):
        KEY_SHARES[NamedGroup.SECP256R1].generate(lambda count, byte=byte: bytes([byte]) * count)
