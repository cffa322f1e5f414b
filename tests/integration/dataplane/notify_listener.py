#!/usr/bin/env python3
"""Takes the place of systemd: prints what comes to a notification socket, one line each. notify_listener.py PATH"""
import socket
import sys

with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
    listener.bind(sys.argv[1])
    while True:
        for line in listener.recv(4096).decode().splitlines():
            print(line, flush=True)
