"""Copies of cores in the middle of things.

To begin in the middle of a handshake costs a handshake. So one is made once, and each
input gets a copy of what was there. Keys have no state, so copies share them.
"""

import copy
import copyreg
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

C = TypeVar("C")
Recipes = Mapping[type, Callable[[Any], object]]

_SHARED: Final = (AESGCM, ChaCha20Poly1305)
"""Without a state, so that a copy may use the original's."""


def _itself(_: object) -> str:
    return "shared"  # for `copy`, a text in place of a recipe means: no copy is needed


@contextmanager
def _sharing(recipes: Recipes) -> Iterator[None]:
    keys = (
        type(ec.derive_private_key(1, ec.SECP256R1())),
        type(ec.derive_private_key(1, ec.SECP256R1()).public_key()),
        type(x25519.X25519PrivateKey.from_private_bytes(bytes(32))),
    )
    added = dict.fromkeys((*_SHARED, *keys), _itself)
    added |= recipes
    before = {
        kind: copyreg.dispatch_table[kind] for kind in added if kind in copyreg.dispatch_table
    }
    copyreg.dispatch_table.update(added)
    try:
        yield
    finally:
        for kind in added:
            del copyreg.dispatch_table[kind]
        copyreg.dispatch_table.update(before)


def duplicate(value: C, recipes: Recipes = MappingProxyType({})) -> C:
    """A copy that goes its own way; *recipes* as `copyreg.pickle` takes them."""
    with _sharing(recipes):
        return copy.deepcopy(value)
