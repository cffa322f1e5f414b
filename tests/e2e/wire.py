#!/usr/bin/python3
"""Plays a host that builds and reads its frames itself: tagged ones, and every kind that no good program sends.

  wire.py talk INTERFACE ...    answers nothing; sends --count messages, then prints what messages came within a while
  wire.py bad INTERFACE ...     sends --count messages of each --case with exactly one thing wrong with them (CASES);
                                prints the notices that came back within --wait seconds: "notices REASON=COUNT ..."
"""
import argparse
import ipaddress
import socket
import struct
import sys
import time
import uuid

ETH_P_ALL = 3
SOL_PACKET, PACKET_AUXDATA, PACKET_OUTGOING = 263, 8, 4
NOTICE = 6
REASONS = ["none", "unknown_destination", "unreachable", "expired", "hop_limit", "tenant_denied", "rate_limited",
           "congested", "too_big", "source_denied"]


def ones_sum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


class Message:
    """One message with all its headers as attributes; bytes(message) makes the frame and fills in what is None."""

    def __init__(self, options):
        self.eth_to, self.eth_from = options.router_mac, options.mac
        self.vlan = options.vlan
        host, port = options.sender
        router, router_port = options.router
        self.ip_from, self.ip_to, self.port_from, self.port_to = host, router, port, router_port
        self.version, self.units, self.type, self.flags, self.traffic_class, self.lifetime = 1, 4, 0, 8, 3, 0
        self.hop_limit, self.reason, self.payload_length, self.tenant, self.tag = 16, 0, None, options.tenant, 0
        self.sequence, self.destination, self.source = 1, options.destination, options.source
        self.timestamp = time.time_ns()
        self.payload, self.options = b"payload!" * 4, b""
        self.udp_length = self.udp_checksum = self.ip_length = self.ip_checksum = None
        self.fragment, self.ttl, self.ihl, self.trailer, self.cut = 0x4000, 64, 5, b"", None

    def envelope(self):
        length = len(self.payload) if self.payload_length is None else self.payload_length
        return struct.pack("!BBBBBBHHHI16s16s8sQ", self.version << 4 | self.units, self.type, self.flags,
                           self.traffic_class << 5 | self.lifetime, self.hop_limit, self.reason, length, self.tenant,
                           self.tag, self.sequence, self.destination.bytes, self.source.bytes, b"routekey",
                           self.timestamp) + self.options

    def __bytes__(self):
        data = self.envelope() + self.payload
        udp = struct.pack("!HHH", self.port_from, self.port_to,
                          8 + len(data) if self.udp_length is None else self.udp_length)
        pseudo = self.ip_from.packed + self.ip_to.packed + struct.pack("!HH", 17, 8 + len(data))
        checksum = ~ones_sum(pseudo + udp + data) & 0xFFFF or 0xFFFF
        udp += struct.pack("!H", checksum if self.udp_checksum is None else self.udp_checksum) + data
        frame = self.ethernet() + (self.ipv4(udp) if self.ip_from.version == 4 else self.ipv6(udp)) + self.trailer
        return frame[:self.cut]

    def ethernet(self):
        tag = struct.pack("!HH", 0x8100, self.vlan) if self.vlan else b""
        return self.eth_to + self.eth_from + tag + (b"\x08\x00" if self.ip_from.version == 4 else b"\x86\xdd")

    def ipv4(self, udp):
        length = 20 + len(udp) if self.ip_length is None else self.ip_length
        head = struct.pack("!BBHHHBBH4s4s", 0x40 | self.ihl, 0, length, 1, self.fragment, self.ttl, 17, 0,
                           self.ip_from.packed, self.ip_to.packed)
        checksum = ~ones_sum(head) & 0xFFFF if self.ip_checksum is None else self.ip_checksum
        return head[:10] + struct.pack("!H", checksum) + head[12:] + udp

    def ipv6(self, udp):
        length = len(udp) if self.ip_length is None else self.ip_length
        return struct.pack("!IHBB16s16s", 6 << 28, length, 17, self.ttl, self.ip_from.packed, self.ip_to.packed) + udp


def changed(**values):
    def change(message):
        for name, value in values.items():
            setattr(message, name, value)
    return change


def expired(message):
    message.lifetime = 1  # 1 ms
    message.timestamp -= 1_000_000_000


# What is wrong, and how it is made.
CASES = {
    "good": changed(),
    "cut-in-ip": changed(cut=14 + 12),
    "cut-in-udp": changed(cut=14 + 20 + 4),
    "cut-in-envelope": changed(cut=14 + 20 + 8 + 40),
    "cut-in-payload": changed(cut=14 + 20 + 8 + 64 + 5),
    "short-datagram": changed(payload=b"", options=b"", payload_length=0, ip_length=20 + 8 + 40, udp_length=8 + 40),
    "ip-length-beyond": changed(ip_length=1400),
    "ip-header-length": changed(ihl=4),
    "ip-checksum": changed(ip_checksum=0x1234),
    "first-fragment": changed(fragment=0x2000),
    "later-fragment": changed(fragment=0x0010),
    "udp-length-beyond": changed(udp_length=1000),
    "udp-length-short": changed(udp_length=7),
    "no-udp-checksum": changed(udp_checksum=0),
    "version-0": changed(version=0),
    "version-2": changed(version=2),
    "header-short": changed(units=3),
    "header-beyond": changed(units=15),
    "options": changed(units=5, options=b"\0" * 16),
    "payload-length-beyond": changed(payload_length=33),
    "trailer": changed(trailer=b"\0" * 12),
    "unknown-type": changed(type=10),
    "type-reply": changed(type=2),
    "type-resolve-reply": changed(type=5),
    "type-notice": changed(type=6),
    "type-link-probe": changed(type=9),
    "reserved-flag": changed(flags=0x48),
    "reason-in-data": changed(reason=1),
    "hop-limit-0": changed(hop_limit=0),
    "hop-limit-1": changed(hop_limit=1),
    "expired": expired,
    "spoofed-source": changed(source=uuid.UUID(int=0x77)),
    "spoofed-port": changed(port_from=9999),
    "foreign-tenant": changed(tenant=2),
    "unknown-destination": changed(destination=uuid.UUID(int=0x4711)),
    "nil-destination": changed(destination=uuid.UUID(int=0)),
    "silent": changed(flags=0, hop_limit=0),
}


def parse_endpoint(text):
    host, port = text.rsplit(":", 1)
    return ipaddress.ip_address(host.strip("[]")), int(port)


def parse_mac(text):
    return bytes.fromhex(text.replace(":", ""))


def receive_tagged(link, end):
    """Yields (tag or 0, frame without tag) until the time is over; the kernel tells the tag apart."""
    while (left := end - time.monotonic()) > 0:
        link.settimeout(left)
        try:
            frame, extra, _, address = link.recvmsg(65535, socket.CMSG_SPACE(20))
        except TimeoutError:
            return
        if address[2] == PACKET_OUTGOING:
            continue
        tag = 0
        for level, kind, data in extra:
            if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
                status, *_, tci, _ = struct.unpack("IIIHHHH", data[:20])
                tag = tci & 0xFFF if status & 16 else 0  # TP_STATUS_VLAN_VALID
        yield tag, frame


def talk(link, options):
    print("ready", flush=True)
    for n in range(options.count):
        message = Message(options)
        message.sequence = n + 1
        link.send(bytes(message))
    got, tagged = 0, 0
    for tag, frame in receive_tagged(link, time.monotonic() + options.wait):
        if len(frame) < 42 + 64 or frame[12:14] != b"\x08\x00" or frame[23] != 17:
            continue
        if struct.unpack("!H", frame[36:38])[0] != options.sender[1]:
            continue
        got, tagged = got + 1, tagged + (tag == options.vlan)
        if got == options.count:
            break
    print(f"got {got} messages, {tagged} with tag {options.vlan}")


def bad(link, options):
    # Notices come back to the address that the frames say they are from.
    family = socket.AF_INET if options.sender[0].version == 4 else socket.AF_INET6
    inbox = socket.socket(family, socket.SOCK_DGRAM)
    inbox.bind((str(options.sender[0]), options.sender[1]))
    for case in options.case:
        for _ in range(options.count):
            message = Message(options)
            CASES[case](message)
            link.send(bytes(message))
    told = {}
    end = time.monotonic() + options.wait
    while (left := end - time.monotonic()) > 0 and sum(told.values()) < options.expect:
        inbox.settimeout(left)
        try:
            data = inbox.recv(2048)
        except TimeoutError:
            break
        if len(data) >= 128 and data[1] == NOTICE and data[64 + 32:64 + 48] == data[16:32]:
            reason = REASONS[data[5]] if data[5] < len(REASONS) else str(data[5])
            told[reason] = told.get(reason, 0) + 1
    print("notices", " ".join(f"{reason}={n}" for reason, n in sorted(told.items())) or "none")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["talk", "bad"])
    parser.add_argument("interface")
    parser.add_argument("--case", action="append", choices=CASES, default=[])
    parser.add_argument("--router-mac", type=parse_mac, required=True)
    parser.add_argument("--from", dest="sender", type=parse_endpoint, required=True)
    parser.add_argument("--to", dest="router", type=parse_endpoint, required=True)
    parser.add_argument("--source", type=uuid.UUID, required=True)
    parser.add_argument("--destination", type=uuid.UUID, required=True)
    parser.add_argument("--tenant", type=int, default=1)
    parser.add_argument("--vlan", type=int, default=0)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--wait", type=float, default=5)
    parser.add_argument("--expect", type=int, default=1 << 30, help="notices after which to wait no longer")
    options = parser.parse_args()
    with open(f"/sys/class/net/{options.interface}/address", encoding="ascii") as file:
        options.mac = parse_mac(file.read().strip())
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    link.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    link.bind((options.interface, ETH_P_ALL))
    (talk if options.mode == "talk" else bad)(link, options)


if __name__ == "__main__":
    sys.exit(main())
