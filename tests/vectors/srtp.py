"""SRTP test vectors.

RFC 3711 appendix B.2 (key stream) and B.3 (key derivation); RFC 7714 sections 16
(SRTP) and 17 (SRTCP), which start from session keys; and the packet that libsrtp's
`srtp_driver` program checks itself with, which starts from a master key.
"""

from typing import Final


def _hex(text: str) -> bytes:
    return bytes.fromhex(text.replace("\n", " "))


B2_KEY: Final = _hex("2B7E151628AED2A6ABF7158809CF4F3C")
B2_SALT: Final = _hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD")
B2_KEY_STREAM: Final = {
    0x0000: _hex("E03EAD0935C95E80E166B16DD92B4EB4"),
    0x0001: _hex("D23513162B02D0F72A43A2FE4A5F97AB"),
    0x0002: _hex("41E95B3BB0A2E8DD477901E4FCA894C0"),
    0xFEFF: _hex("EC8CDF7398607CB0F2D21675EA9EA1E4"),
    0xFF00: _hex("362B7C3C6773516318A077D7FC5073AE"),
    0xFF01: _hex("6A2CC3787889374FBEB4C81B17BA6C44"),
}
"""Sixteen bytes of key stream by the number of their block; SSRC and index are zero."""

B3_KEY: Final = _hex("E1F97A0D3E018BE0D64FA32C06DE4139")
B3_SALT: Final = _hex("0EC675AD498AFEEBB6960B3AABE6")
B3_CIPHER: Final = _hex("C61E7A93744F39EE10734AFE3FF7A087")
B3_SESSION_SALT: Final = _hex("30CBBC08863D8C85D49DB34A9AE1")
B3_AUTHENTICATION: Final = _hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4")

DRIVER_PLAIN: Final = _hex("800f1234 decafbad cafebabe" + "ab" * 16)
DRIVER_SRTP: Final = _hex(
    "800f1234 decafbad cafebabe 4e55dc4c e79978d8 8ca4d215 949d2402 b78d6acc 99ea179b 8dbb"
)

GCM_KEYS: Final = {16: bytes(range(16)), 32: bytes(range(32))}
GCM_SALT: Final = b"Quid pro quo"
GCM_RTP_HEADER: Final = _hex("8040f17b 8041f8d3 5501a0b2")
GCM_RTP_PAYLOAD: Final = b"Gallia est omnis divisa in partes tres"
GCM_RTP_SEALED: Final = {
    16: _hex(
        """f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a
        51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce"""
    ),
    32: _hex(
        """32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02
        76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13"""
    ),
}
"""By key length: what follows the header in the packet of sections 16.1.1 and 16.2.1."""

GCM_RTCP_INDEX: Final = 0x5D4
GCM_RTCP_HEADER: Final = _hex("81c8000d 4d617273")
GCM_RTCP_PAYLOAD: Final = _hex(
    """4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
    deadbeef deadbeef deadbeef deadbeef deadbeef"""
)
GCM_RTCP_SEALED: Final = {
    16: _hex(
        """63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda
        4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4"""
    ),
    32: _hex(
        """d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be
        8415f658 c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4"""
    ),
}
"""By key length: sections 17.1 and 17.2."""

GCM_RTCP_TAG_ONLY: Final = _hex("841dd968 3dd78ec9 2ae58790 125f62b3 000005d4")
"""Section 17.3, with the 128-bit key: what follows the payload, which stays readable."""
