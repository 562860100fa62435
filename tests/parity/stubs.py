#!/usr/bin/env python3
"""PDUs that answer as told and keep what they were asked. Usage: stubs.py ROWS.json

Prints "ready" when all listen, or "cannot NAME: reason" before that for those that cannot. Each line
on standard input is a name; the answer is a line of JSON: what came since the last time, in order,
without what differs from one request to the next (SNMP's request numbers, names of programs).
"""

import http.server
import json
import os
import re
import select
import socket
import sys
import threading
import time
import tty

KEPT_HEADERS = ("authorization", "content-type")
# How long a stub hears nothing before what it heard counts as all, and how long it waits for that.
QUIET, PATIENCE = 0.2, 5.0
seen = {}
talking = {}
# What a row says last: who hangs up at once may not get it out, and it switches nothing.
farewells = {}


class Http(http.server.BaseHTTPRequestHandler):
    """Answers every request with the row's status and body."""

    protocol_version = "HTTP/1.1"

    def respond(self):
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(length).decode("utf-8", "replace")
        try:
            body = json.dumps(json.loads(body), sort_keys=True)
        except ValueError:
            pass
        kept = [f"{name}: {self.headers[name]}" for name in KEPT_HEADERS if name in self.headers]
        # A plus is a blank in a query, and so is %20.
        path = self.path.replace("+", "%20")
        seen[self.server.row].append([f"{self.command} {path}", *kept, body])
        text = self.server.reply.encode()
        for pattern, reply in self.server.replies:
            match = re.search(pattern, f"{self.path} {body}")
            if match:
                text = match.expand(reply).encode()
                break
        self.send_response(200)
        self.send_header("Content-Type", self.server.kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_PATCH = respond

    def log_message(self, *_):
        pass


def serve_http(name, row):
    http.server.ThreadingHTTPServer.allow_reuse_address = True
    server = http.server.ThreadingHTTPServer((row["host"], row["port"]), Http)
    server.row, server.reply = name, row.get("reply", "")
    server.replies = row.get("replies", [])
    server.kind = row.get("content_type", "text/plain")
    threading.Thread(target=server.serve_forever, daemon=True).start()


def answer(row, data):
    """The bytes to send for what came, by the first rule whose pattern is found in it."""
    for pattern, reply in row.get("replies", []):
        match = re.search(pattern.encode("latin-1"), data, re.DOTALL)
        if match:
            return match.expand(reply.encode("latin-1")) if "\\" in reply else reply.encode("latin-1")
    return b""


def without_telnet(data):
    """Without negotiation, which every telnet does in its own way."""
    return re.sub(rb"\xff[\xfb-\xfe].|\xff\xfa.*?\xff\xf0", b"", data, flags=re.DOTALL)


def talk(name, row, connection):
    talking[name] = talking.get(name, 0) + 1
    try:
        converse(name, row, connection)
    finally:
        talking[name] -= 1


def converse(name, row, connection):
    connection.sendall(row.get("greeting", "").encode("latin-1"))
    pending = b""
    while True:
        try:
            data = connection.recv(4096)
        except OSError:
            return
        if not data:
            return
        data = without_telnet(data) if row.get("telnet") else data
        seen[name].append(data.hex())
        pending += data
        if row.get("telnet") and not pending.endswith((b"\r", b"\n", b"\0")):
            continue
        reply = answer(row, pending)
        pending = b""
        if reply:
            connection.sendall(reply)


def serve_tcp(name, row):
    listener = socket.create_server((row["host"], row["port"]))

    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=talk, args=(name, row, connection), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def element(data, at):
    """One element of BER: tag, content, where the next begins."""
    tag, length, at = data[at], data[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        length = int.from_bytes(data[at : at + count], "big")
        at += count
    return tag, data[at : at + length], at + length


def serve_snmp(name, row):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((row["host"], row["port"]))

    def run():
        while True:
            data, peer = server.recvfrom(65536)
            _, message, _ = element(data, 0)
            _, version, at = element(message, 0)
            _, community, at = element(message, at)
            start = at
            kind, pdu, _ = element(message, at)
            _, _, at = element(pdu, 0)
            _, _, at = element(pdu, at)
            _, _, at = element(pdu, at)
            _, variables, _ = element(pdu, at)
            seen[name].append([["v1", "v2c", "", "v3"][version[0]], community.decode(), hex(kind), variables.hex()])
            reply = bytearray(data)
            reply[reply.index(message) + start] = 0xA2
            server.sendto(bytes(reply), peer)

    threading.Thread(target=run, daemon=True).start()


def serve_serial(name, row):
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    os.symlink(os.ttyname(theirs), row["link"])

    def run():
        while True:
            select.select([ours], [], [])
            data = os.read(ours, 4096)
            seen[name].append(data.hex())
            reply = answer(row, data)
            if reply:
                os.write(ours, reply)

    threading.Thread(target=run, daemon=True).start()


def serve_file(name, row):
    """A command that writes down its words is its own stub."""
    files[name] = row["file"]


KINDS = {"http": serve_http, "tcp": serve_tcp, "snmp": serve_snmp, "serial": serve_serial, "file": serve_file}
files = {}


def settle(name):
    """Waits until a stub was asked something, nobody is connected, and nothing more comes."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        count = len(seen[name])
        time.sleep(QUIET)
        if count and count == len(seen[name]) and not talking.get(name):
            return


def take(name):
    if name in files:
        try:
            with open(files[name], encoding="utf-8") as file:
                lines = file.read().splitlines()
            os.remove(files[name])
        except FileNotFoundError:
            lines = []
        return lines
    settle(name)
    taken, seen[name] = seen[name], []
    # A stream has no edges: how the network cut it means nothing.
    if taken and all(isinstance(piece, str) for piece in taken):
        stream = "".join(taken)
        return [stream.removesuffix(farewells.get(name, "").encode().hex())]
    return taken


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        rows = json.load(file)
    for name, row in rows.items():
        seen[name] = []
        farewells[name] = row.get("farewell", "")
        try:
            KINDS[row["kind"]](name, row)
        except OSError as error:
            print(f"cannot {name}: {error}", flush=True)
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(take(line.strip())), flush=True)


main()
