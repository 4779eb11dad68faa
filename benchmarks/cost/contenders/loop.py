"""
The poem with asyncio alone, or on uvloop.

    python loop.py PORT FILE LOG LINGER asyncio|uvloop

LOG and LINGER are those of floor.c.
"""

import asyncio
import logging
import sys

port, path, log, linger, kind = sys.argv[1:]
with open(path, "rb") as file:
    poem = file.read()
logger = logging.getLogger()
if log != "-":
    logging.basicConfig(filename=log, format="%(asctime)s %(message)s", level="INFO")


class Plain(asyncio.Protocol):
    def connection_made(  # type: ignore[override]
        self, transport: asyncio.Transport
    ) -> None:
        self.transport = transport
        if log != "-":
            host, port = transport.get_extra_info("peername")
            logger.info("sending %d bytes of poetry to %s:%d", len(poem), host, port)
        transport.write(poem)
        self.end()

    def end(self) -> None:
        self.transport.close()


class Lingering(Plain):
    def end(self) -> None:
        self.transport.write_eof()


async def main() -> None:
    protocol = Lingering if linger == "1" else Plain
    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", int(port), backlog=4096)
    await server.serve_forever()


if kind == "uvloop":
    import uvloop

    uvloop.run(main())
else:
    asyncio.run(main())
