"""What holds for all tests."""

from inspect import iscoroutinefunction

import pytest
import trio
from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is, and nothing about the code:
# a verdict must not hang on it.
settings.register_profile("calm", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("calm")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "virtual_time: whoever sleeps does not wait, whatever fixtures the test has"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("virtual_time") and iscoroutinefunction(item.obj):
            item.add_marker(pytest.mark.trio(run=_run_in_virtual_time), append=False)


def _run_in_virtual_time(test: object, **options: object) -> object:
    options["clock"] = trio.testing.MockClock(autojump_threshold=0)
    return trio.run(test, **options)
