#!/usr/bin/env python3
"""PDUs that answer as told and keep what they were asked. Usage: stubs.py ROWS.json

Prints "ready" when all listen, or "cannot NAME: reason" before that for those that cannot. Each line
on standard input is a name; the answer is a line of JSON: what came since the last time, in order,
without what differs from one request to the next (numbers of requests, nonces). The line "-" makes
all forget what came. A stream is text whose characters are its bytes.
"""

import hashlib
import http.server
import json
import os
import re
import select
import socket
import subprocess
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
        if self.server.digest:
            kept = [shown if not shown.startswith("authorization: Digest") else self.judge(shown) for shown in kept]
        # A plus is a blank in a query, and so is %20.
        path = self.path.replace("+", "%20")
        seen[self.server.row].append([f"{self.command} {path}", *kept, body])
        text = self.server.reply.encode()
        for pattern, reply in self.server.replies:
            match = re.search(pattern, f"{self.path} {body}")
            if match:
                text = match.expand(reply).encode()
                break
        refused = self.server.digest and "authorization: digest, right" not in kept
        self.send_response(401 if refused else 200)
        if refused:
            self.send_header("WWW-Authenticate", 'Digest realm="stub", qop="auth", algorithm=MD5, nonce="0123456789abcdef"')
        self.send_header("Content-Type", self.server.kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def judge(self, header):
        """Whether a digest (RFC 2617) is right; how it is written down differs from client to client."""
        said = {name.lower(): value.strip('"') for name, value in re.findall(r'(\w+)=("[^"]*"|[^,\s]+)', header)}

        def md5(text):
            return hashlib.md5(text.encode()).hexdigest()

        user, _, password = self.server.digest.partition(":")
        proof = [said.get(name, "") for name in ("nonce", "nc", "cnonce", "qop")]
        asked = md5(f"{self.command}:{self.path}")
        right = md5(":".join([md5(f"{user}:stub:{password}"), *proof, asked]))
        return "authorization: digest, " + ("right" if said.get("response") == right else "wrong")

    do_GET = do_POST = do_PUT = do_PATCH = respond

    def log_message(self, *_):
        pass


def serve_http(name, row):
    http.server.ThreadingHTTPServer.allow_reuse_address = True
    server = http.server.ThreadingHTTPServer((row["host"], row["port"]), Http)
    server.row, server.reply = name, row.get("reply", "")
    server.replies = row.get("replies", [])
    server.digest = row.get("digest", "")
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
    except OSError:
        pass  # who hangs up without reading is done
    finally:
        talking[name] -= 1
        connection.close()


def converse(name, row, connection):
    menus = Menus(row) if "menus" in row else None
    connection.sendall((menus.greeting() if menus else row.get("greeting", "")).encode("latin-1"))
    pending = b""
    while data := connection.recv(4096):
        if not row.get("telnet"):
            seen[name].append(data.decode("latin-1"))
            connection.sendall(answer(row, data))
            continue
        pending += without_telnet(data)
        # A line ends in what the network's virtual terminal has for it.
        while match := re.match(rb"(.*?)(?:\r\n|\r\0|\n)", pending, re.DOTALL):
            pending = pending[match.end() :]
            seen[name].append(match.group().decode("latin-1"))
            line = match.group(1)
            reply = menus.answer(line.decode("latin-1")).encode() if menus else answer(row, line)
            connection.sendall(reply)


class Menus:
    """A PDU with menus: how they lie below each other is the row's.

    Each is its title, which entry leads down, and its entries. The last one's switch.
    """

    def __init__(self, row):
        self.menus = row["menus"]
        self.level = -2
        self.asked = ""

    def greeting(self):
        return "\r\nUser Name : "

    def show(self):
        title, _, *entries = self.menus[self.level]
        lines = [f"------- {title} -------", "", *(f"    {at}- {text}" for at, text in enumerate(entries, 1)), ""]
        return "\r\n" + "\r\n".join(lines) + "\r\n> "

    def answer(self, line):
        line = line.strip()
        if self.level < 0:
            if self.level == -2 and not line:
                return self.greeting()
            self.level += 1
            return "\r\nPassword  : " if self.level < 0 else self.show()
        _, down, *entries = self.menus[self.level]
        if self.asked:
            said = "\r\nPress <ENTER> to continue..." if line == "YES" and self.asked != "done" else self.show()
            self.asked = "done" if line == "YES" else ""
            return said
        if line == "\x1b":
            self.level = max(0, self.level - 1)
        elif line.isdigit() and not down and int(line) <= len(entries):
            self.asked = entries[int(line) - 1]
            return f"\r\n{self.asked}\r\n\r\nEnter 'YES' to continue or <ENTER> to cancel : "
        elif down and line == down:
            self.level += 1
        return self.show()


def serve_tcp(name, row):
    listener = socket.create_server((row["host"], row["port"]))

    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=talk, args=(name, row, connection), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def hide(text, key=171):
    """TP-Link's way to write on the network."""
    hidden = bytearray()
    for byte in text:
        key ^= byte
        hidden.append(key)
    return len(text).to_bytes(4, "big") + hidden


def serve_tplink(name, row):
    listener = socket.create_server((row["host"], row["port"]))

    def converse(connection):
        while header := connection.recv(4, socket.MSG_WAITALL):
            hidden = connection.recv(int.from_bytes(header, "big"), socket.MSG_WAITALL)
            shown = bytes(byte ^ key for byte, key in zip(hidden, bytes([171]) + hidden))
            asked = json.loads(shown)
            seen[name].append([json.dumps(asked, sort_keys=True)])
            connection.sendall(hide(answer(row, shown)))
        connection.close()

    def accept():
        while True:
            threading.Thread(target=converse, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def serve_ssh(name, row):
    """A host that lets everybody in, and writes down who asked for what."""
    import paramiko

    class Host(paramiko.ServerInterface):
        def check_auth_none(self, user):
            self.user = user
            return paramiko.AUTH_SUCCESSFUL

        def check_auth_password(self, user, _):
            return self.check_auth_none(user)

        def get_allowed_auths(self, _):
            return "password"

        def check_channel_request(self, *_):
            return paramiko.OPEN_SUCCEEDED

        def check_channel_exec_request(self, channel, command):
            seen[name].append([self.user, command.decode()])

            def end():
                channel.send_exit_status(0)
                channel.close()

            # After the answer to the request, which is sent when this returns.
            threading.Timer(0.1, end).start()
            return True

    key = paramiko.RSAKey.generate(2048)
    listener = socket.create_server((row["host"], row["port"]))

    def accept():
        while True:
            connection, _ = listener.accept()
            transport = paramiko.Transport(connection)
            transport.add_server_key(key)
            transport.start_server(server=Host())

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


def serve_snmpd(name, row):
    """Debian's snmpd, which checks and decrypts, and a script that it tells what is set."""
    directory = row["directory"]
    # What it writes down itself has the name of what it reads.
    state = os.path.join(directory, "state")
    os.mkdir(state)
    script = os.path.join(directory, "pass.sh")
    with open(script, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\n[ "$1" != -s ] || echo "$@" >>{row["file"]}\n')
    with open(os.path.join(directory, "snmpd.conf"), "w", encoding="utf-8") as file:
        file.write(f"{row['user']}\npass {row['subtree']} /bin/sh {script}\n")
    environment = {**os.environ, "SNMP_PERSISTENT_DIR": state, "MIBS": ""}
    # It ends with this process, however that ends.
    command = ["setpriv", "--pdeathsig", "TERM", "snmpd", "-f", "-Lf", os.path.join(directory, "snmpd.log"), "-C", "-c"]
    command += [os.path.join(directory, "snmpd.conf"), "-I", "-smux", f"udp:{row['host']}:{row['port']}"]
    path = environment.get("PATH", "") + ":/usr/sbin:/sbin"
    subprocess.Popen(command, env={**environment, "PATH": path})
    serve_file(name, row)


def serve_serial(name, row):
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    os.symlink(os.ttyname(theirs), row["link"])

    def run():
        while True:
            select.select([ours], [], [])
            data = os.read(ours, 4096)
            seen[name].append(data.decode("latin-1"))
            os.write(ours, answer(row, data))

    threading.Thread(target=run, daemon=True).start()


def serve_file(name, row):
    """A command that writes down its words is its own stub."""
    files[name] = row["file"]


KINDS = {
    "file": serve_file,
    "http": serve_http,
    "serial": serve_serial,
    "snmp": serve_snmp,
    "snmpd": serve_snmpd,
    "ssh": serve_ssh,
    "tcp": serve_tcp,
    "tplink": serve_tplink,
}
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
        return [stream.removesuffix(farewells.get(name, ""))]
    return taken


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        rows = json.load(file)
    for name, row in rows.items():
        seen[name] = []
        farewells[name] = row.get("farewell", "")
        try:
            KINDS[row["kind"]](name, row)
        except (ImportError, OSError) as error:
            print(f"cannot {name}: {error}", flush=True)
    print("ready", flush=True)
    for line in sys.stdin:
        name = line.strip()
        if name == "-":
            for pieces in seen.values():
                pieces.clear()
        print(json.dumps([] if name == "-" else take(name)), flush=True)


main()
