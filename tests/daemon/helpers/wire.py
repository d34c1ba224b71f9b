"""Many conversations at once over sockets, to the byte: what http.client would not send."""

import fcntl
import select
import socket
import struct
import termios
import time


def answers(data, methods=()):
    """
    [(status, headers, body)] of a stream of answers without the interim ones; the bodies of
    answers to HEAD are not there. Whatever does not parse is an error.
    """
    found, methods = [], list(methods)
    while data:
        head, end, data = data.partition(b"\r\n\r\n")
        assert end, f"an answer without an end: {head!r}"
        line, *lines = head.decode("latin-1").split("\r\n")
        assert line.startswith("HTTP/1.1 "), line
        status = int(line[9:12])
        if status < 200:
            continue
        headers = dict(h.lower().split(": ", 1) for h in lines)
        size = int(headers["content-length"])
        if methods and methods.pop(0) == b"HEAD":
            size = 0
        assert len(data) >= size, "an answer cut short"
        found.append((status, headers, data[:size]))
        data = data[size:]
    return found


def unread(sock):
    """How many bytes of ours the other end has not read yet; exact for unix sockets."""
    return struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0\0\0\0"))[0]


class Talk:
    """One conversation: `pieces` are sent one by one, each when the last was read."""

    def __init__(self, key, pieces, end=False):
        self.key, self.pieces, self.end = key, list(pieces), end
        self.received = b""
        self.reset = False
        self.sock = None
        self.next = 0

    def open(self, connect):
        self.sock = connect()
        self.sock.setblocking(False)

    def step(self):
        """Sends what may be sent; False: there is nothing (more) to send."""
        if self.next > len(self.pieces):
            return False
        try:
            if unread(self.sock):
                return True
            if self.next < len(self.pieces):
                piece = self.pieces[self.next]
                sent = self.sock.send(piece)
                if sent < len(piece):
                    self.pieces[self.next] = piece[sent:]
                    return True
            elif self.end:
                self.sock.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            return True
        except OSError:  # closed on us: what it said is still to be read
            self.next = len(self.pieces)
        self.next += 1
        return self.next <= len(self.pieces)

    def read(self):
        """False: the stream is over."""
        try:
            data = self.sock.recv(65536)
        except BlockingIOError:
            return True
        except ConnectionResetError:
            self.reset = True
            return False
        self.received += data
        return bool(data)


def converse_all(talks, connect, parallel=256, timeout=50):
    """Yields each Talk when its stream is over. Nothing sleeps, nothing is guessed."""
    waiting, open_talks = iter(talks), {}
    poller = select.epoll()
    deadline = time.monotonic() + timeout
    more = True
    try:
        while more or open_talks:
            while more and len(open_talks) < parallel:
                talk = next(waiting, None)
                if talk is None:
                    more = False
                    break
                talk.open(connect)
                open_talks[talk.sock.fileno()] = talk
                poller.register(talk.sock, select.EPOLLIN)
            busy = False
            for talk in open_talks.values():
                busy |= talk.step()
            for fd, _ in poller.poll(0 if busy else 0.2):
                talk = open_talks[fd]
                if talk.read():
                    continue
                poller.unregister(fd)
                del open_talks[fd]
                talk.sock.close()
                yield talk
            assert time.monotonic() < deadline, (
                f"{len(open_talks)} conversations hang, e.g. {[t.key for t in open_talks.values()][:5]}"
            )
    finally:
        poller.close()
        for talk in open_talks.values():
            talk.sock.close()
