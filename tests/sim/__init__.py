"""A network in the test folder: two cores, a link between them, and time as a number.

Nothing here waits. `run` moves the clock from one thing that is due to the next,
so a silent hour costs nothing, and a seed reproduces every accident:

    link = Link(delay=0.05, loss=0.1, seed=7)
    run(client, link, server, until=lambda: client.connected)
    run(client, link, server, until=link.now + 30)
"""

from tests.sim.link import Link, entropy, run

__all__ = ["Link", "entropy", "run"]
