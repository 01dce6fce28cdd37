"""HTTP in front: one port for the signalling, the page and, later, the server API.

**What it is for.** A client knows a URL and holds a token. It comes here first, over
TCP, and the conversation that it opens here tells it where its media goes. Nothing of
the media itself passes through this folder.

**How it goes.** `frontdoor` lets connections in; in each, `http` turns bytes into
requests (`request`) and looks their path up in a table of routes (`routes`). `rtc`
reads what a request for `/rtc` and its token (`tokens`) say, and asks `connect`, which
is where the rooms are, for a session. Only when the session has said its first words
does `websocket` answer the upgrade, and `conversation` carries messages between the
socket and the session until one of them ends. `page` serves the page. `server` puts it
all together.

**Where it is hard.** A failed WebSocket tells a web page nothing: not the status, not
the reason. So every refusal has to happen before the upgrade, and a client asks the
same again by plain HTTP (`/rtc/validate`) to learn why. And everybody on the internet
may open a connection here and then be slow, silent, endless or wrong: the top of `http`
lists what each of these gets them.

**What is left out.** TLS and HTTP/2: a proxy in front does both, and `request` believes its
word about whom a request is from, for display only. Compression of WebSockets: see
docs/assumptions/http.md.
"""
