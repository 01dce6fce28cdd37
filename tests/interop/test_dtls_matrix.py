"""A few seeds of `tests.interop.dtls_matrix`, in its corners."""

import pytest

pytest.importorskip("OpenSSL.SSL", reason="pyOpenSSL is not installed")

from tests.interop import dtls_matrix

pytestmark = [pytest.mark.interop, pytest.mark.slow]


def test_our_own_other_role_connects_in_every_cell() -> None:
    figures = dtls_matrix.measure(["own"], 3)
    assert not list(dtls_matrix.misses(figures))
    assert {found.rate for found in figures.values()} == {1.0}


@pytest.mark.parametrize("peer", ["gnutls client", "gnutls server"])
def test_gnutls_connects_up_to_a_tenth_lost(peer: str) -> None:
    if dtls_matrix.GNUTLS is None:
        pytest.skip("no GnuTLS whose clock can be set")
    figures = dtls_matrix.measure([peer], 10, losses=(0.0, 0.1), mtus=(300, 1200))
    assert not list(dtls_matrix.misses(figures))


def test_openssl_connects_over_a_perfect_network_in_real_time() -> None:
    """Its timers would cost seconds; the whole table is for the program."""
    figures = dtls_matrix.measure(
        ["openssl client", "openssl server"], 1, losses=(0.0,), mtus=(300, 1200)
    )
    assert not list(dtls_matrix.misses(figures))
