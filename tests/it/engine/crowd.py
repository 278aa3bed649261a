"""Runs inside a bottle: forks until it cannot, then asks its way out without a process more."""

import os
import signal
import urllib.error
import urllib.request

children = []
try:
    while True:
        child = os.fork()
        if child == 0:
            signal.pause()
        children.append(child)
except BlockingIOError:
    print("full")
print(urllib.request.urlopen("https://allowed.example.org/hello").read().decode(), end="")
try:
    urllib.request.urlopen("https://refused.example.org/")
except urllib.error.HTTPError as error:
    print(error.code, "is not on the allowlist" in error.read().decode())
for child in children:
    os.kill(child, signal.SIGKILL)
