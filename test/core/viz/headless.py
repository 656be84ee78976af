"""A headless Chromium, driven through its debugging port: opens a page, looks at it."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def find_browser() -> str | None:
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


class Page:
    """One page of the browser."""

    def __init__(self, socket: Any):
        self._socket, self._number = socket, 0

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        wanted = {"id": self._number, "method": method, "params": parameters}
        self._socket.send(json.dumps(wanted))
        while True:
            answer = json.loads(self._socket.recv(timeout=120))
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])

    def run(self, script: str) -> Any:
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        return answer["result"].get("value")

    def screenshot(self, path: Path) -> None:
        answer = self.ask("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(answer["data"]))


@contextmanager
def opened(url: str, profile: Path, size: tuple[int, int] = (1280, 800)) -> Iterator[Page]:
    """Open a page in a browser of its own."""
    from websockets.sync.client import connect

    browser = find_browser()
    assert browser is not None
    command = [
        browser, "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--no-first-run",
        "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--remote-debugging-port=0",
        f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}", "about:blank",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port = _debugging_port(profile, process)
        with _page_socket(port, connect) as socket:
            page = Page(socket)
            page.ask(
                "Emulation.setDeviceMetricsOverride",
                width=size[0], height=size[1], deviceScaleFactor=1, mobile=False,
            )  # fmt: skip
            page.ask("Page.navigate", url=url)
            yield page
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _debugging_port(profile: Path, process: subprocess.Popen[bytes]) -> int:
    """The browser writes it into its profile once it listens."""
    file = profile / "DevToolsActivePort"
    for _ in range(300):
        assert process.poll() is None, f"the browser ended with {process.returncode}"
        if file.is_file() and file.read_text().count("\n"):
            return int(file.read_text().split()[0])
        time.sleep(0.1)
    raise AssertionError("the browser did not open its debugging port within 30 s")


def _page_socket(port: int, connect: Any) -> Any:
    import urllib.request

    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=20) as answer:
        pages = [entry for entry in json.load(answer) if entry["type"] == "page"]
    return connect(pages[0]["webSocketDebuggerUrl"], max_size=None, open_timeout=20)
