#!/usr/bin/python3
"""The shell of the virtual machine of guest.sh, on its virtio console.

relay SOCKET IN OUT    joins the port to two files for as long as the machine runs: a pipe that lines come from, a file
                       that what the shell prints is appended to. (Reconnecting for each line loses characters.)
run IN OUT LINE SECS   runs one line; prints what it printed, exits with its status; 125 when it does not end in time.
"""
import os
import re
import selectors
import socket
import sys
import time
import uuid


def relay(path, pipe, out):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as port, open(out, "ab", 0) as log:
        port.connect(path)
        lines = os.open(pipe, os.O_RDWR)  # writers come and go
        ready = selectors.DefaultSelector()
        ready.register(port, selectors.EVENT_READ)
        ready.register(lines, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                if key.fileobj is port:
                    data = port.recv(65536)
                    if not data:
                        return 0
                    log.write(data)
                else:
                    port.sendall(os.read(lines, 65536))


def run(pipe, out, line, seconds):
    mark = uuid.uuid4().hex
    end = time.monotonic() + seconds
    with open(out, "rb") as log, open(pipe, "wb", 0) as shell:
        log.seek(0, os.SEEK_END)
        # In two halves, so that an echo of the line does not look like its end.
        shell.write(f"{{ {line}\n}} </dev/null 2>&1; echo {mark[:16]}''{mark[16:]}=$?\n".encode())
        got = b""
        nudge = time.monotonic()
        while time.monotonic() < end:
            got += log.read()
            if time.monotonic() > nudge + 0.2:
                # Emulation loses an interrupt now and then; the next one brings what waited.
                nudge = time.monotonic()
                try:
                    shell.write(b"\n")
                except BrokenPipeError:  # the machine is gone
                    return 125
            done = re.search(rf"{mark}=(\d+)".encode(), got)
            if done:
                sys.stdout.write(got[: done.start()].decode(errors="replace").replace("\r\n", "\n"))
                return int(done.group(1))
            time.sleep(0.02)
    sys.stderr.write(f"guest: no end of '{line}' within {seconds} s; so far: {got[-400:]!r}\n")
    return 125


if __name__ == "__main__":
    if sys.argv[1] == "relay":
        sys.exit(relay(*sys.argv[2:5]))
    sys.exit(run(*sys.argv[2:5], float(sys.argv[5])))
