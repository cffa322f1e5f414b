#!/usr/bin/python3
"""The fleet of perf/e2e/many_agents.sh: N agents spread over hosts, known by number.

  agents.py write N HOSTS FILE         the agents-file; with the sender as its first line
  agents.py send N HOSTS ...           messages to random agents, from the sender's endpoint
  agents.py watch HOSTS ...            on the agents' side: what comes to them, and whether it is theirs; prints JSON
  agents.py number N HOSTS SEED COUNT  some agents as "number name address port", for lookups
"""
import argparse
import hashlib
import ipaddress
import json
import random
import signal
import socket
import struct
import sys
import time

FIRST_HOST = int(ipaddress.ip_address("10.128.0.0"))
FIRST_PORT, PORTS = 1024, 60000
SENDER = "fleet/prod/sender/1"
SENDER_AT = ("10.77.1.2", 9000)
ETH_P_IP = 0x0800


def name_of(number):
    return f"fleet/prod/agent/{number}"


def id_of(name):
    digest = bytearray(hashlib.sha256(name.encode()).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return bytes(digest)


def place_of(number, hosts):
    return FIRST_HOST + number % hosts, FIRST_PORT + number // hosts % PORTS


def text_of(address):
    return f"{address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"


def write(options):
    begin = told = time.monotonic()
    step = 1 << 16
    addresses = [text_of(FIRST_HOST + host) for host in range(options.hosts)]
    with open(options.file, "w", encoding="ascii", buffering=1 << 20) as out:
        out.write(f"{SENDER} 1 {SENDER_AT[0]}:{SENDER_AT[1]}\n")
        for first in range(0, options.agents, step):
            numbers = range(first, min(first + step, options.agents))
            out.writelines(f"fleet/prod/agent/{n} 1 {addresses[n % options.hosts]}:"
                           f"{FIRST_PORT + n // options.hosts % PORTS}\n" for n in numbers)
            if time.monotonic() - told > 5:
                told = time.monotonic()
                print(f"{first} of {options.agents} agents written, {told - begin:.0f} s", file=sys.stderr, flush=True)


def message(number, sequence, source):
    payload = struct.pack("!Q", number)
    return struct.pack("!BBBBBBHHHI16s16s8sQ", 0x14, 0, 0, 3 << 5, 16, 0, len(payload), 1, 0, sequence & 0xFFFFFFFF,
                       id_of(name_of(number)), source, struct.pack("!Q", number), time.time_ns()) + payload


def send(options):
    """In bursts of a few milliseconds, until a SIGTERM; tells how many went out."""
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    pick = random.Random(options.seed)
    source = id_of(SENDER)
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.bind(SENDER_AT)
        begin = time.monotonic()
        while sent < options.count and not ended:
            due = min(options.count, int((time.monotonic() - begin) * options.rate) + 1)
            while sent < due:
                out.sendto(message(pick.randrange(options.agents), sent, source), (options.router, 7600))
                sent += 1
            time.sleep(0.002)
    print(json.dumps({"sent": sent, "seconds": round(time.monotonic() - begin, 3)}))


def watch(options):
    """Until `count` messages came, or none for `idle` seconds."""
    receiver = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
    receiver.bind((options.interface, ETH_P_IP))
    receiver.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
    receiver.settimeout(options.idle)
    print("watching", file=sys.stderr, flush=True)
    right = wrong = 0
    seen = set()
    last = time.time()
    longest = 0.0
    while right + wrong < options.count:
        try:
            packet, where = receiver.recvfrom(2048)
        except TimeoutError:
            break
        if where[2] == socket.PACKET_OUTGOING or packet[9] != 17 or len(packet) < 28 + 64 + 8:
            continue
        now = time.time()
        longest = max(longest, now - last) if seen else 0.0
        last = now
        address, = struct.unpack_from("!I", packet, 16)
        port, = struct.unpack_from("!H", packet, 22)
        number, = struct.unpack_from("!Q", packet, 28 + 64)
        if (address, port) == place_of(number, options.hosts) and packet[44:60] == id_of(name_of(number)):
            right += 1
        else:
            wrong += 1
        seen.add(number)
    print(json.dumps({"right": right, "wrong": wrong, "agents": len(seen), "longest_gap_ms": round(longest * 1000, 1)}))


def numbers(options):
    pick = random.Random(options.seed)
    for _ in range(options.count):
        number = pick.randrange(options.agents)
        address, port = place_of(number, options.hosts)
        print(number, name_of(number), text_of(address), port)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)

    def command(name, work, agents=True):
        one = commands.add_parser(name)
        one.set_defaults(work=work)
        if agents:
            one.add_argument("agents", type=int)
        one.add_argument("hosts", type=int)
        return one

    command("write", write).add_argument("file")
    sender = command("send", send)
    sender.add_argument("--router", default="10.77.1.1")
    sender.add_argument("--count", type=int, required=True)
    sender.add_argument("--rate", type=float, default=5000)
    sender.add_argument("--seed", type=int, default=1)
    watcher = command("watch", watch, agents=False)
    watcher.add_argument("--interface", default="wire2")
    watcher.add_argument("--count", type=int, required=True)
    watcher.add_argument("--idle", type=float, default=3)
    picker = command("number", numbers)
    picker.add_argument("seed", type=int)
    picker.add_argument("count", type=int)
    options = parser.parse_args()
    options.work(options)


if __name__ == "__main__":
    main()
