#!/usr/bin/env python3
"""Asks for the MAC address of an IPv4 address in a VLAN, frame by frame, so that the kernel needs no VLAN support.

arp_probe.py INTERFACE VLAN SOURCE_IP TARGET_IP    VLAN 0: untagged. Exit 0: answered in the same VLAN; 1: not answered.
"""
import socket
import struct
import sys
import time

SOL_PACKET, PACKET_AUXDATA, ETH_P_ALL, ETH_P_ARP = 263, 8, 0x0003, 0x0806
TP_STATUS_VLAN_VALID = 1 << 4


def request(mac, vlan, source, target):
    arp = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, mac, source, bytes(6), target)
    tag = struct.pack("!HH", 0x8100, vlan) if vlan else b""
    return b"\xff" * 6 + mac + tag + struct.pack("!H", ETH_P_ARP) + arp + bytes(18)


def vlan_of(ancillary):
    """The kernel takes the tag off before we see the frame, and tells of it beside it."""
    for level, kind, data in ancillary:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, _, _, _, _, tci, _ = struct.unpack("=IIIHHHH", data[:20])
            return tci & 0x0FFF if status & TP_STATUS_VLAN_VALID else 0
    return 0


def main(interface, vlan, source, target):
    source, target, vlan = socket.inet_aton(source), socket.inet_aton(target), int(vlan)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as wire:
        wire.bind((interface, 0))
        wire.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        wire.settimeout(0.2)
        mac = wire.getsockname()[4]
        end = time.monotonic() + 2
        while time.monotonic() < end:
            wire.send(request(mac, vlan, source, target))
            try:
                while True:
                    frame, ancillary, _, _ = wire.recvmsg(2048, 256)
                    if frame[12:14] != struct.pack("!H", ETH_P_ARP) or frame[20:22] != b"\0\2":
                        continue
                    if frame[28:32] == target and frame[:6] == mac and vlan_of(ancillary) == vlan:
                        return 0
            except TimeoutError:
                pass
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
