"""
Tests of the parser in L{fastpoetry.listening.proxyheader}: the examples of the
specification, and properties.
"""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.listening.proxyheader import MAX_1, MAX_2, parseHeader
from tests.headers import LOCAL, PROXY, SIGNATURE, raw2, version1, version2

READER = "198.51.100.7"
LONGEST = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"

# The examples of the specification, and what it allows; the reader's host and port.
RIGHT = {
    "2.1: example": (
        b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n",
        ("192.168.0.1", 56324),
    ),
    "2.1: longest of IPv4": (
        b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
        ("255.255.255.255", 65535),
    ),
    "2.1: longest of IPv6": (
        f"PROXY TCP6 {LONGEST} {LONGEST} 65535 65535\r\n".encode(),
        (LONGEST, 65535),
    ),
    "2.1: unknown, short": (b"PROXY UNKNOWN\r\n", None),
    "2.1: unknown, longest": (
        f"PROXY UNKNOWN {LONGEST} {LONGEST} 65535 65535\r\n".encode(),
        None,
    ),
    "unknown, anything": (b"PROXY UNKNOWN \0\xff\n\r \r\n", None),
    "IPv6, short": (b"PROXY TCP6 ::1 2001:DB8::A 0 1\r\n", ("::1", 0)),
    "IPv4 as IPv6": (version1("::ffff:192.0.2.1"), ("192.0.2.1", 4321)),
    "2: IPv4": (version2(READER, 65535), (READER, 65535)),
    "2: IPv6": (version2("2001:db8::1", 0), ("2001:db8::1", 0)),
    "2: IPv4 as IPv6": (version2("::ffff:192.0.2.1"), ("192.0.2.1", 4321)),
    "2: datagrams": (version2(READER, by=2), (READER, 4321)),
    "2: more": (version2(READER, more=b"\x04\0\1x"), (READER, 4321)),
    "2: longest": (version2(READER, more=bytes(MAX_2 - 28)), (READER, 4321)),
    "2: unspecified": (version2(None), None),
    "2: unspecified, more": (version2(None, more=b"\x04\0\1x"), None),
    "2: UNIX": (raw2(PROXY, 0x31, bytes(216)), None),
    "2: local": (raw2(LOCAL, 0, b""), None),
    "2: local, any family": (raw2(LOCAL, 0xFF, bytes(9)), None),
}

# What is no header.
WRONG = {
    "a request": b"GET / HTTP/1.1\r\n\r\n",
    "a handshake": b"\x16\x03\x01\x02\x00",
    "small letters": b"proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
    "no number": b"PROXY TCP4 999.1.1.1 192.0.2.2 1 2\r\n",
    "destination no number": b"PROXY TCP4 192.0.2.1 192.0.2 1 2\r\n",
    "leading zero": b"PROXY TCP4 192.0.02.1 192.0.2.2 1 2\r\n",
    "port too high": b"PROXY TCP4 192.0.2.1 192.0.2.2 70000 2\r\n",
    "destination's port too high": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
    "port with a zero": b"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
    "port with a sign": b"PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
    "port in other digits": "PROXY TCP4 192.0.2.1 192.0.2.2 \u0661 2\r\n".encode(),
    "no port": b"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
    "another port": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
    "two spaces": b"PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
    "not ASCII": b"PROXY TCP4 \xff.0.2.1 192.0.2.2 1 2\r\n",
    "IPv6 as IPv4": b"PROXY TCP4 ::1 ::1 1 2\r\n",
    "IPv4 as IPv6": b"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
    "two families": b"PROXY TCP6 ::1 192.0.2.2 1 2\r\n",
    "scope": b"PROXY TCP6 fe80::1%lo fe80::2 1 2\r\n",
    "family": b"PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n",
    "unknown and something": b"PROXY UNKNOWNS\r\n",
    "one line feed": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n\r\n",
    "too long": b"PROXY UNKNOWN " + b"x" * (MAX_1 - 15) + b"\r\n",
    "endless": b"PROXY UNKNOWN " + b"x" * (MAX_1 - 14),
    "2: version": raw2(0x11, 0x11, bytes(12)),
    "2: command": raw2(0x22, 0x11, bytes(12)),
    "2: family": raw2(PROXY, 0x41, bytes(300)),
    "2: kind": raw2(PROXY, 0x13, bytes(12)),
    "2: family without a kind": raw2(PROXY, 0x10, bytes(12)),
    "2: kind without a family": raw2(PROXY, 0x01, bytes(12)),
    "2: no room for IPv4": raw2(PROXY, 0x11, bytes(11)),
    "2: no room for IPv6": raw2(PROXY, 0x21, bytes(35)),
    "2: no room for UNIX": raw2(PROXY, 0x31, bytes(215)),
    "2: too long": version2(READER, more=bytes(MAX_2 - 27)),
    "2: local, too long": raw2(LOCAL, 0, b"", MAX_2 - 15),
}

hosts = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
ports = st.integers(0, 65535)
headers = st.one_of(
    st.builds(version1, hosts, ports),
    st.builds(version2, hosts, ports, st.binary(max_size=40), st.integers(1, 2)),
)
almost = st.one_of(
    st.binary(),
    st.binary().map(lambda rest: b"PROXY " + rest),
    st.binary().map(lambda rest: b"PROXY TCP4 " + rest + b"\r\n"),
    st.binary().map(lambda rest: SIGNATURE + rest),
    st.builds(raw2, st.integers(0, 255), st.integers(0, 255), st.binary()),
    st.text("PROXYTCPUNKW46 .:%0123456789abf\r\n").map(str.encode),
)


def hostAndPort(peer: Any) -> tuple[str, int] | None:
    """
    @return: the parts of an address.
    """
    return peer and (peer.host, peer.port)


class ParserTests(SynchronousTestCase):
    """
    Tests of L{parseHeader}.
    """

    def test_right(self) -> None:
        """
        What the specification allows is understood, and no byte more is taken.
        """
        for name, (header, expected) in RIGHT.items():
            for rest in (b"", b"rest", header):
                found = parseHeader(header + rest)
                assert found is not None, name
                self.assertEqual(
                    (hostAndPort(found[0]), found[1]), (expected, len(header))
                )

    def test_kinds(self) -> None:
        """
        An address is of its family.
        """
        for header, kind in [
            (version1(READER), IPv4Address),
            (version1("::1"), IPv6Address),
            (version2(READER), IPv4Address),
            (version2("::1"), IPv6Address),
        ]:
            found = parseHeader(header)
            assert found is not None
            self.assertIsInstance(found[0], kind)

    def test_wrong(self) -> None:
        """
        Nothing else is, not even a little.
        """
        for name, header in WRONG.items():
            with self.assertRaises(ValueError, msg=name):
                parseHeader(header)

    def test_fragments(self) -> None:
        """
        As long as a header is not whole, it is neither right nor wrong.
        """
        for name, (header, _) in RIGHT.items():
            for size in range(len(header)):
                self.assertIsNone(parseHeader(header[:size]), f"{name}, {size} bytes")

    def test_early(self) -> None:
        """
        Nothing is waited for that cannot become right, nor ever more bytes.
        """
        for data in (b"X", b"PX", b"\r\n\n", SIGNATURE + b"\x21\x11\xff\xff"):
            self.assertRaises(ValueError, parseHeader, data)

    @given(hosts, ports, st.binary(max_size=40), st.binary())
    def test_roundTrip(self, host: str, port: int, more: bytes, rest: bytes) -> None:
        """
        Whatever address is said is understood, by both versions alike.
        """
        first, second = version1(host, port), version2(host, port, more)
        found, again = parseHeader(first + rest), parseHeader(second + rest)
        assert found is not None and again is not None
        self.assertEqual((found[1], again[1]), (len(first), len(second)))
        self.assertEqual(found[0], again[0])
        self.assertEqual(getattr(found[0], "port", None), port)

    @given(almost)
    @example(b"")
    def test_garbage(self, data: bytes) -> None:
        """
        Whatever comes, it is a header, or not yet, or a L{ValueError}; and what is a
        header is one without what comes after it.
        """
        try:
            found = parseHeader(data)
        except ValueError:
            return
        if found is None:
            self.assertLess(len(data), MAX_2)
        else:
            self.assertLessEqual(found[1], len(data))
            self.assertEqual(parseHeader(data[: found[1]]), found)
