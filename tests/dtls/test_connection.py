from tests.dtls.pair import connect


def test_two_of_ours_connect_and_have_the_same_keys() -> None:
    client, server = connect()
    assert client.srtp is not None and server.srtp is not None
    assert client.srtp.profile is server.srtp.profile
    assert client.srtp.local_key == server.srtp.remote_key
    assert client.srtp.local_salt == server.srtp.remote_salt
    assert client.srtp.remote_key == server.srtp.local_key
    assert client.srtp.remote_salt == server.srtp.local_salt
    assert client.export("label", b"context", 40) == server.export("label", b"context", 40)
