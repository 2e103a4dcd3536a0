"""People who watch a console, all of them in one process.

usage: python -m bench.lib.viewers PORT COUNT SECONDS
"""

from __future__ import annotations

import asyncio
import sys

SHOWN_EVERY_S = 0.5
CONNECTED_S = 1.0


async def viewer(port: int, images_shown: list[int]) -> None:
    """One person who watches."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    newest, news_came = 0, asyncio.Event()

    async def show() -> None:
        images, out = await asyncio.open_connection("127.0.0.1", port)
        while await news_came.wait():
            news_came.clear()
            out.write(f"GET /frames/{newest}/heat.jpg HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            head = await images.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
            await images.readexactly(int(length.split(b":")[1]))
            images_shown.append(newest)
            await asyncio.sleep(SHOWN_EVERY_S)

    task = asyncio.ensure_future(show())
    try:
        while news := await reader.read(1 << 16):
            start = news.rfind(b'{"seq": ')
            if start >= 0:
                newest = int(news[start + 8 : news.index(b",", start)])
                news_came.set()
    finally:
        task.cancel()
        writer.close()


async def watch(port: int, count: int, seconds: float) -> None:
    """So many viewers for so long: that they watch, and then how many images they were shown, on stdout."""
    images_shown: list[int] = []
    tasks = [asyncio.ensure_future(viewer(port, images_shown)) for _ in range(count)]
    await asyncio.sleep(CONNECTED_S)
    print("watching", flush=True)
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print(len(images_shown))


if __name__ == "__main__":
    asyncio.run(watch(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
