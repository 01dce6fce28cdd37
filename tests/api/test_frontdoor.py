from tests.api.test_http import ROUTES, ask, hear


async def test_connections_above_the_limit_are_turned_away_until_there_is_room(serve) -> None:
    visit = await serve(ROUTES, connection_limit=2)
    first, second = await visit(), await visit()
    for stream in first, second:
        assert (await ask(stream, "GET /echo HTTP/1.1")).status == 200
    async with await visit() as third:
        assert (await hear(third)).status == 503
    await first.send_eof()
    while await first.receive_some():
        pass
    async with await visit() as fourth:
        assert (await ask(fourth, "GET /echo HTTP/1.1")).status == 200
    await first.aclose()
    await second.aclose()
