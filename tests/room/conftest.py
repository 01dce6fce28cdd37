from collections.abc import Iterator, MutableMapping

import pytest
import structlog
import trio

from tests.signalling.house import House, open_house


@pytest.fixture
async def house(nursery: trio.Nursery) -> House:
    return await open_house(nursery)


@pytest.fixture
def log_lines() -> Iterator[list[MutableMapping[str, object]]]:
    with structlog.testing.capture_logs() as lines:
        yield lines
