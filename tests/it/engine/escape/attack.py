"""What the attacks share. A program of attacks begins with this text; each attack is one line of JSON on stdout: what was
tried, what must be seen, what was seen, and whether the bottle held."""

import ctypes
import errno
import json
import mmap
import os
import select
import signal
import socket
import struct
import sys
import time

TOLD = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
# The kernel's words for "not you" and "there is no such thing here".
REFUSED = {"EPERM", "EACCES", "ENOSYS", "SIGSYS"}
WAIT_SECONDS = 120


def report(attack, expected, observed, held):
    print(json.dumps({"attack": attack, "expected": expected, "observed": str(observed), "held": bool(held)}), flush=True)


def name_of(error):
    return errno.errorcode.get(error.errno, str(error.errno)) if error.errno else type(error).__name__


def outcome(attempt):
    """What `attempt` gives, in words, or the name of the error it fails with."""
    try:
        got = attempt()
    except OSError as error:
        return name_of(error)
    return "done" if got is None else str(got)


def apart(attempt):
    """The same in a process of its own, so that what kills it is seen."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        try:
            os.write(write, outcome(attempt).encode()[:4000])
        except BaseException as error:
            os.write(write, f"{type(error).__name__}: {error}".encode()[:4000])
        os._exit(0)
    os.close(write)
    said = b""
    while select.select([read], [], [], WAIT_SECONDS)[0]:
        chunk = os.read(read, 4096)
        if not chunk:
            break
        said += chunk
    else:
        os.kill(child, signal.SIGKILL)
        said = b"no end"
    os.close(read)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status) and not said:
        return signal.Signals(os.WTERMSIG(status)).name
    return said.decode(errors="replace")


def syscall(number, *args):
    result = LIBC.syscall(number, *(ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args))
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result


def refused(attack, attempt, also=()):
    seen = apart(attempt)
    report(attack, "refused", seen, seen in REFUSED | set(also))
