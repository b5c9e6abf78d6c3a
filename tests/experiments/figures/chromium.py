"""Headless Chromium over its debugging pipe: the page as a reader's browser lays it out.

The protocol is JSON messages that end in a zero byte, written to Chromium's file descriptor 3 and
read from its 4 (https://chromedevtools.github.io/devtools-protocol).
"""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-extensions", "--disable-dev-shm-usage", "--hide-scrollbars",
         "--remote-debugging-pipe"]
PATIENCE = 250.0  # seconds for one answer: machines that build on all cores are slow


def find_chromium():
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Browser:
    """One page of one Chromium. Use it in a with statement."""

    def __init__(self):
        self.profile = tempfile.TemporaryDirectory()
        to_browser, self.writer = os.pipe()
        self.reader, from_browser = os.pipe()
        line = f'exec "$0" "$@" about:blank 3<&{to_browser} 4>&{from_browser}'
        self.process = subprocess.Popen(
            ["bash", "-c", line, find_chromium(), *FLAGS, f"--user-data-dir={self.profile.name}"],
            pass_fds=(to_browser, from_browser), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_browser), os.close(from_browser)
        self.received, self.count, self.session, self.events = b"", 0, None, []
        target = next(t for t in self.call("Target.getTargets")["targetInfos"]
                      if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=target["targetId"],
                                 flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.writer)  # Chromium ends when its pipe does
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.reader)
        self.profile.cleanup()

    def message(self, deadline):
        """The next message of the browser."""
        while b"\0" not in self.received:
            if not select.select([self.reader], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError("chromium did not answer")
            piece = os.read(self.reader, 1 << 20)
            if not piece:
                raise ConnectionError("chromium ended")
            self.received += piece
        said, _, self.received = self.received.partition(b"\0")
        return json.loads(said)

    def call(self, method, **parameters):
        """The answer to one command; events that come before it are kept."""
        self.count += 1
        command = {"id": self.count, "method": method, "params": parameters}
        if self.session:
            command["sessionId"] = self.session
        os.write(self.writer, json.dumps(command).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE
        while True:
            said = self.message(deadline)
            if said.get("id") == self.count:
                if "error" in said:
                    raise RuntimeError(f"{method}: {said['error']['message']}")
                return said["result"]
            self.events.append(said)

    def open(self, path, width, media=""):
        """Loads a file as on a screen of that many pixels; returns what the console complains of."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=800,
                  deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", media=media)
        self.events.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        deadline = time.monotonic() + PATIENCE
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            self.events.append(self.message(deadline))
        return self.complaints(self.events)

    @staticmethod
    def complaints(events):
        said = []
        for event in events:
            about = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                said.append(about["exceptionDetails"]["text"])
            elif event.get("method") == "Runtime.consoleAPICalled" and about["type"] == "error":
                said.append(str(about["args"]))
            elif event.get("method") == "Log.entryAdded" and about["entry"]["level"] == "error":
                said.append(about["entry"]["text"])
        return said

    def evaluate(self, script):
        """The value of a JavaScript expression."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"]["description"])
        return answer["result"].get("value")

    def print_pdf(self):
        """The bytes of the page on A4 paper."""
        printed = self.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69,
                            preferCSSPageSize=True, printBackground=True)
        return base64.b64decode(printed["data"])
