# SPDX-License-Identifier: MIT
"""An echo server on python3's asyncio, as its manual shows one: TCP and UDP on the port that is named; SIGTERM ends it."""

import asyncio
import signal
import sys


async def serve(reader, writer):
    """One connection: all that comes goes back."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


class Datagrams(asyncio.DatagramProtocol):
    """Each datagram goes back to its sender."""

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.transport.sendto(data, addr)


async def main(port):
    """Serve until SIGTERM."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    server = await asyncio.start_server(serve, "0.0.0.0", port, backlog=512)
    transport, _ = await loop.create_datagram_endpoint(Datagrams, local_addr=("0.0.0.0", port))
    print(f"asyncio: port {port}", flush=True)
    await ended.wait()
    transport.close()
    server.close()
    await server.wait_closed()
    print("asyncio: ended", flush=True)


asyncio.run(main(int(sys.argv[1])))
