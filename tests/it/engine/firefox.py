"""Opens addresses in Firefox without a window and prints what each page says. It speaks Marionette, Firefox's own protocol."""

import json
import socket
import subprocess
import sys
import tempfile
import time

PATIENCE = 120


class Firefox:
    def __init__(self):
        self.log = tempfile.TemporaryFile()
        profile = tempfile.mkdtemp()
        command = ["firefox-esr", "--headless", "--marionette", "--no-remote", "--profile", profile]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        self.number = 0
        self.stream = self.connect().makefile("rwb", buffering=0)
        self.read()
        self.ask("WebDriver:NewSession", {"capabilities": {"alwaysMatch": {"acceptInsecureCerts": False}}})

    def connect(self):
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < end:
            try:
                return socket.create_connection(("127.0.0.1", 2828), timeout=PATIENCE)
            except OSError:
                time.sleep(0.1)
        self.log.seek(0)
        sys.exit("firefox did not come up: " + self.log.read().decode(errors="replace"))

    def read(self):
        length = b""
        while not length.endswith(b":"):
            byte = self.stream.read(1)
            if not byte:
                sys.exit("firefox ended")
            length += byte
        wanted, text = int(length[:-1]), b""
        while len(text) < wanted:
            text += self.stream.read(wanted - len(text))
        return json.loads(text)

    def ask(self, command, parameters):
        self.number += 1
        text = json.dumps([0, self.number, command, parameters]).encode()
        self.stream.write(b"%d:%s" % (len(text), text))
        _, _, error, answer = self.read()
        if error:
            return f"{error['error']}: {error['message']}"
        return answer.get("value") if isinstance(answer, dict) else answer

    def page(self, url):
        failed = self.ask("WebDriver:Navigate", {"url": url})
        script = {"script": "return document.body.innerText", "args": []}
        return failed or self.ask("WebDriver:ExecuteScript", script)


browser = Firefox()
for url in sys.argv[1:]:
    print(" ".join(str(browser.page(url)).split()), flush=True)
browser.process.kill()
