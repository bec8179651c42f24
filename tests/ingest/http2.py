"""HTTP/2 at both ends of the proxy, as browsers and brokers speak it: one request per connection is enough here."""

import asyncio
import ssl

from h2.config import H2Configuration  # type: ignore[import-untyped]
from h2.connection import H2Connection  # type: ignore[import-untyped]
from h2.events import DataReceived, Event, StreamEnded  # type: ignore[import-untyped]

from ingest.scope import Host

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> None:
    """Answer every request of a connection with `body`, without saying how long it is."""
    connection = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
    connection.initiate_connection()
    writer.write(connection.data_to_send())
    while data := await reader.read(65536):
        for event in connection.receive_data(data):
            if isinstance(event, StreamEnded):
                connection.send_headers(event.stream_id, [(":status", "200"), ("content-type", "application/json")])
                connection.send_data(event.stream_id, body, end_stream=True)
        writer.write(connection.data_to_send())
    writer.close()


async def ask(proxy: Host, to: Host, context: ssl.SSLContext, head: list[tuple[str, str]], body: bytes) -> bytes:
    """Send one request through the proxy; gives the reply's body. Fails when the proxy does not speak HTTP/2."""
    context.set_alpn_protocols(["h2"])
    reader, writer = await _tunnel(proxy, to, context)
    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
    connection = H2Connection(H2Configuration(header_encoding="utf-8"))
    connection.initiate_connection()
    connection.send_headers(1, [(":authority", f"{to[0]}:{to[1]}"), (":scheme", "https"), *head])
    connection.send_data(1, body, end_stream=True)
    writer.write(connection.data_to_send())
    found = bytearray()
    while data := await reader.read(65536):
        events: list[Event] = connection.receive_data(data)
        found += b"".join(event.data for event in events if isinstance(event, DataReceived))
        if any(isinstance(event, StreamEnded) for event in events):
            break
    writer.close()
    return bytes(found)


async def _tunnel(proxy: Host, to: Host, context: ssl.SSLContext) -> Streams:
    reader, writer = await asyncio.open_connection(*proxy)
    writer.write(f"CONNECT {to[0]}:{to[1]} HTTP/1.1\r\nhost: {to[0]}:{to[1]}\r\n\r\n".encode())
    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
    await writer.start_tls(context, server_hostname=to[0])
    return reader, writer
