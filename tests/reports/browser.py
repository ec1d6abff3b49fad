"""Drives a headless Chromium through the pipe of its DevTools protocol; needs no other package."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
# Chromium reads commands from descriptor 3 and writes answers to 4.
_START = """
import fcntl, os, sys
reading, writing = (fcntl.fcntl(int(n), fcntl.F_DUPFD, 10) for n in sys.argv[1:3])
os.dup2(reading, 3); os.dup2(writing, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def find_chromium() -> str | None:
    """The browser that BRIDGEKIT_CHROMIUM names, or the first of the usual ones on PATH."""
    named = os.environ.get("BRIDGEKIT_CHROMIUM")
    if named:
        return named
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """One page in one browser process. A context manager; for one thread."""

    def __init__(self, program: str, home: Path, width: int = 1400, height: int = 900) -> None:
        to_browser, from_us = os.pipe()
        from_browser, to_us = os.pipe()
        options = [
            "--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-extensions", "--disable-dev-shm-usage", "--no-proxy-server", "--mute-audio",
            "--force-device-scale-factor=1", f"--window-size={width},{height}",
            f"--user-data-dir={home}",
        ]  # fmt: skip
        if os.geteuid() == 0:
            options.append("--no-sandbox")
        self._log = open(home.with_suffix(".log"), "wb")  # noqa: SIM115 - closed by close()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, str(to_browser), str(to_us), program, *options],
            pass_fds=(to_browser, to_us), stdin=subprocess.DEVNULL, stdout=self._log,
            stderr=self._log, start_new_session=True,
        )  # fmt: skip
        os.close(to_browser)
        os.close(to_us)
        self._out, self._in = from_us, from_browser
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self.errors: list[str] = []
        """What the page wrote to the console as an error or a warning, and what it raised."""
        self.requests: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        answer = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = answer["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        self.resize(width, height)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._out)
        os.close(self._in)
        try:
            self._process.wait(10)  # a browser whose pipe is closed ends by itself
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._log.close()

    def send(self, method: str, /, **parameters: Any) -> Any:
        """Send a command and return its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def _next(self, limit: float = 60) -> dict[str, Any]:
        """The next message; events are noted on the way."""
        end = time.monotonic() + limit
        while b"\0" not in self._buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._in], [], [], left)[0]:
                raise TimeoutError("the browser does not answer")
            data = os.read(self._in, 1 << 20)
            if not data:
                raise RuntimeError("the browser has ended")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        self._note(message.get("method"), message.get("params", {}))
        return message

    def _note(self, method: str | None, parameters: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(parameters["exceptionDetails"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.errors.append(parameters["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning"):
            self.errors.append(json.dumps(parameters["args"]))
        elif method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])

    def open(self, url: str) -> None:
        """Load a page and wait until its script has run."""
        self.requests.clear()
        self.send("Page.navigate", url=url)
        self.wait(
            "document.readyState === 'complete' && 'ready' in document.documentElement.dataset"
        )

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def wait(self, expression: str, limit: float = 20) -> None:
        """Wait for an expression to become true, asking once a frame of the page."""
        done = self.send(
            "Runtime.evaluate", awaitPromise=True, returnByValue=True,
            expression=f"""new Promise((resolve) => {{
                const end = performance.now() + {limit * 1000};
                const look = () => {{
                    let found = false;
                    try {{ found = Boolean({expression}); }} catch {{ /* not there yet */ }}
                    if (found || performance.now() > end) resolve(found);
                    else setTimeout(look, 15);
                }};
                look();
            }})""",
        )  # fmt: skip
        if not done["result"].get("value"):
            raise TimeoutError(f"never true: {expression}")

    def next_frame(self) -> None:
        """Wait until the page has drawn once more."""
        self.send(
            "Runtime.evaluate", awaitPromise=True,
            expression="new Promise((done) => requestAnimationFrame(() => done()))",
        )  # fmt: skip

    def settle(self) -> None:
        """Wait until the graph has drawn and has nothing more to draw for a while."""
        self.send(
            "Runtime.evaluate", awaitPromise=True,
            expression="""new Promise((resolve) => {
                const graph = document.getElementById("graph");
                let last = "";
                const look = () => {
                    if (graph.dataset.frames === last) resolve();
                    else { last = graph.dataset.frames; setTimeout(look, 250); }
                };
                setTimeout(look, 100);
            })""",
        )  # fmt: skip

    def resize(self, width: int, height: int) -> None:
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    def prefer(self, scheme: str) -> None:
        """Emulate a preference for a light or a dark page."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.send("Emulation.setEmulatedMedia", features=features)

    def place(self, selector: str) -> tuple[float, float]:
        """The middle of an element, scrolled into view."""
        found = self.evaluate(
            f"""(() => {{
                const found = document.querySelector({json.dumps(selector)});
                found.scrollIntoView({{ block: "center", behavior: "instant" }});
                const box = found.getBoundingClientRect();
                return [box.left + box.width / 2, box.top + box.height / 2];
            }})()"""
        )
        return found[0], found[1]

    def click(self, selector: str) -> None:
        self.click_at(*self.place(selector))

    def click_at(self, x: float, y: float) -> None:
        self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def drag(self, start: tuple[float, float], end: tuple[float, float], moves: int = 10) -> None:
        mouse: Callable[..., Any] = lambda kind, x, y: self.send(  # noqa: E731
            "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1
        )
        mouse("mousePressed", *start)
        for n in range(1, moves + 1):
            x = start[0] + (end[0] - start[0]) * n / moves
            y = start[1] + (end[1] - start[1]) * n / moves
            mouse("mouseMoved", x, y)
        mouse("mouseReleased", *end)

    def wheel(self, x: float, y: float, amount: float) -> None:
        self.send("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=amount)

    def type(self, text: str) -> None:
        self.send("Input.insertText", text=text)

    def press(self, key: str) -> None:
        codes = {"Enter": 13, "Escape": 27, "Tab": 9, "ArrowDown": 40, "ArrowUp": 38,
                 "ArrowLeft": 37, "ArrowRight": 39}  # fmt: skip
        parts: dict[str, Any] = {"key": key}
        if key in codes:
            parts |= {"code": key, "windowsVirtualKeyCode": codes[key]}
        else:
            parts["text"] = key
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, **parts)

    def screenshot(self, path: Path, full: bool = False) -> None:
        answer = self.send("Page.captureScreenshot", captureBeyondViewport=full)
        path.write_bytes(base64.b64decode(answer["data"]))

    def pdf(self, path: Path) -> None:
        answer = self.send("Page.printToPDF", printBackground=True)
        path.write_bytes(base64.b64decode(answer["data"]))
