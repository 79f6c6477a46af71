"""Hostile connections: each attack runs for a while against a port and tells how its connections ended. Standard library only."""

import os
import selectors
import socket
import struct
import time
from collections import Counter

HEAD = b"POST /v1/traces HTTP/1.1\r\nhost: hostile\r\ncontent-type: application/x-protobuf\r\n"
H2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# The kernel's queue of a port is finite: who does not get in within this time counts as waiting.
CONNECT_SECONDS = 5


def connect(port, count):
    """Opens many connections at once; gives those that were established, and counts the others."""
    selector, waiting, tally, opened = selectors.DefaultSelector(), 0, Counter(), []
    for _ in range(count):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex(("127.0.0.1", port))
        selector.register(one, selectors.EVENT_WRITE)
        waiting += 1
    until = time.monotonic() + CONNECT_SECONDS
    while waiting and time.monotonic() < until:
        for key, _ in selector.select(0.5):
            selector.unregister(key.fileobj)
            waiting -= 1
            if key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                tally["not connected"] += 1
                key.fileobj.close()
            else:
                opened.append(key.fileobj)
    for key in list(selector.get_map().values()):
        tally["not connected"] += 1
        key.fileobj.close()
    selector.close()
    return opened, tally


def outcome(data):
    """How a connection's answer begins."""
    if not data:
        return "closed"
    if data.startswith(b"HTTP/1.1 "):
        return data[9:12].decode("ascii", "replace")
    return "HTTP/2"


def trickle(port, seconds, count, first, drip=b"", every=1.0):
    """Connections that send `first`, then `drip` every while, until they are closed or the time is over."""
    opened, tally = connect(port, count)
    live = {}
    for one in opened:
        if send(one, first):
            live[one] = b""
        else:
            tally["closed"] += 1
            one.close()
    until = time.monotonic() + seconds
    while live and time.monotonic() < until:
        time.sleep(min(every, 1.0))
        for one in list(live):
            try:
                data = one.recv(1 << 16)
                over = not data
                live[one] += data[:64]
            except BlockingIOError:
                over = False
            except OSError:
                over = True
            if over or (live[one] and not live[one].startswith(b"\0")) or (drip and not send(one, drip)):
                tally[outcome(live.pop(one))] += 1
                one.close()
    if live:
        tally["still open"] += len(live)
    for one in live:
        one.close()
    return tally


def send(one, data):
    try:
        one.sendall(data)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return True


def slow_heads(port, seconds):
    return trickle(port, seconds, 600, HEAD, b"x: y\r\n")


def slow_large_heads(port, seconds):
    return trickle(port, seconds, 600, HEAD + b"x: " + b"y" * 14_000, b"y")


def silent(port, seconds):
    return trickle(port, seconds, 600, b"")


def slow_bodies(port, seconds):
    return trickle(port, seconds, 40, HEAD + b"content-length: 4000000\r\n\r\n", b"\x0a")


def bodies_that_never_come(port, seconds):
    return trickle(port, seconds, 40, HEAD + b"content-length: 4000000\r\n\r\n")


def endless_chunks(port, seconds):
    return trickle(port, seconds, 40, HEAD + b"transfer-encoding: chunked\r\n\r\n", b"1\r\n\x0a\r\n", 0.1)


def connections(port, seconds):
    """10,000 attempts, held for a while."""
    opened, tally = connect(port, 10_000)
    tally["connected"] = len(opened)
    time.sleep(seconds)
    for one in opened:
        one.close()
    return tally


def broken_off(port, seconds):
    """Bodies that end in the middle."""
    tally, until = Counter(), time.monotonic() + seconds
    while time.monotonic() < until:
        with socket.create_connection(("127.0.0.1", port)) as one:
            one.sendall(HEAD + b"content-length: 1000000\r\n\r\n" + bytes(500_000))
        tally["broken off"] += 1
        time.sleep(0.02)
    return tally


def noise(port, seconds):
    """Bytes that are no HTTP."""
    tally, until = Counter(), time.monotonic() + seconds
    while time.monotonic() < until:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as one:
            try:
                one.sendall(os.urandom(2000))
                tally[outcome(one.recv(100))] += 1
            except OSError:
                tally["closed"] += 1
    return tally


# --- HTTP/2, frame by frame ----------------------------------------------------------------------------------------------

def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    """A header that is not indexed, with lengths of 7 bits and their continuation."""
    def text(data):
        if len(data) < 127:
            return bytes([len(data)]) + data
        rest, out = len(data) - 127, bytearray([127])
        while rest >= 128:
            out.append(rest & 127 | 128)
            rest >>= 7
        return bytes(out) + bytes([rest]) + data
    return b"\0" + text(name) + text(value)


def h2_head(more=b""):
    pairs = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/v1/traces"), (b":authority", b"hostile"),
             (b"content-type", b"application/x-protobuf")]
    return b"".join(literal(*pair) for pair in pairs) + more


def h2_streams(first, count, head):
    """The frames of streams whose bodies never come."""
    frames = b""
    for stream in range(first, first + 2 * count, 2):
        blocks = [head[at:at + 16_000] for at in range(0, len(head), 16_000)]
        for at, block in enumerate(blocks):
            last = 4 if at == len(blocks) - 1 else 0
            frames += frame(1 if at == 0 else 9, last, stream, block)
    return frames


def h2_large_heads(port, seconds):
    """64 streams on each of 100 connections, each with a head of 15 kB and no body."""
    head = h2_head(b"".join(literal(b"x%d" % at, b"y" * 3000) for at in range(5)))
    return trickle(port, seconds, 100, H2_PREFACE + frame(4, 0, 0) + h2_streams(1, 64, head))


def h2_slow_bodies(port, seconds):
    """Bodies that fill the connection's window at once and then come byte by byte."""
    bodies = b"".join(frame(0, 0, stream, bytes(16_000)) for stream in (1, 3, 5, 7))
    first = H2_PREFACE + frame(4, 0, 0) + h2_streams(1, 4, h2_head()) + bodies
    return trickle(port, seconds, 100, first, frame(0, 0, 1, b"\x0a"))


def h2_resets(port, seconds):
    """Streams that are begun and reset at once."""
    head, tally, until = h2_head(), Counter(), time.monotonic() + seconds
    burst = [frame(1, 4, stream, head) + frame(3, 0, stream, struct.pack(">I", 8)) for stream in range(1, 20_001, 2)]
    while time.monotonic() < until:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as one:
            try:
                one.sendall(H2_PREFACE + frame(4, 0, 0) + b"".join(burst))
                tally["taken"] += 1
            except OSError:
                tally["closed"] += 1
        time.sleep(0.2)
    return tally


def h2_pings(port, seconds):
    """Pings and settings whose answers nobody reads."""
    return trickle(port, seconds, 50, H2_PREFACE + frame(4, 0, 0), (frame(6, 0, 0, bytes(8)) + frame(4, 0, 0)) * 500, 0.1)


def h2_endless_head(port, seconds):
    """A head that never ends, in continuation frames."""
    first = H2_PREFACE + frame(4, 0, 0) + frame(1, 0, 1, h2_head())
    return trickle(port, seconds, 50, first, frame(9, 0, 1, literal(b"x", b"y" * 4000)), 0.1)


ATTACKS = {
    "600 slow heads": slow_heads,
    "600 slow heads of 14 kB": slow_large_heads,
    "600 silent connections": silent,
    "40 slow bodies": slow_bodies,
    "40 bodies that never come": bodies_that_never_come,
    "40 bodies of endless chunks": endless_chunks,
    "bodies broken off": broken_off,
    "noise instead of HTTP": noise,
    "10,000 connections": connections,
    "HTTP/2: 6,400 heads of 15 kB without bodies": h2_large_heads,
    "HTTP/2: 400 slow bodies in full windows": h2_slow_bodies,
    "HTTP/2: streams reset at once": h2_resets,
    "HTTP/2: pings and settings": h2_pings,
    "HTTP/2: heads without an end": h2_endless_head,
}

# How connections must not end, in an attack of more than 30 s. Connections without a request may stay for 60 s.
UNWANTED = {name: {"still open", "closed"} for name in (
    "40 slow bodies", "40 bodies that never come", "40 bodies of endless chunks", "HTTP/2: heads without an end")}
