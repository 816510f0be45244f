"""A report in headless chromium, driven by chromedriver, with an empty profile."""

import base64
import json
import subprocess
import time
import urllib.request

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
# Milliseconds since the page was asked for, once it is drawn.
READY = "return document.body?.dataset.ready ? performance.now() : 0"
# Escape, as WebDriver calls it.
ESCAPE = "\ue00c"
ENTER = "\ue007"


class Browser:
    """One window."""

    def __init__(self, width=1400, height=900):
        self.size = {"width": width, "height": height}

    def __enter__(self):
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True)
        line = next(line for line in self.driver.stdout if "successfully on port" in line)
        self.at = f"http://127.0.0.1:{line.strip().rstrip('.').rsplit(' ', 1)[1]}/session"
        options = {"goog:chromeOptions": {"args": FLAGS}, "pageLoadStrategy": "none"}
        made = self.post("", {"capabilities": {"alwaysMatch": options}})
        self.at += "/" + made["sessionId"]
        # Of the page, not of a window that nobody sees.
        self.cdp("Emulation.setDeviceMetricsOverride", self.size | {"deviceScaleFactor": 1, "mobile": False})
        return self

    def __exit__(self, *_):
        urllib.request.urlopen(urllib.request.Request(self.at, method="DELETE")).read()
        self.driver.terminate()
        self.driver.wait()

    def post(self, path, body):
        request = urllib.request.Request(self.at + path, json.dumps(body).encode())
        return json.load(urllib.request.urlopen(request))["value"]

    def cdp(self, command, params):
        return self.post("/goog/cdp/execute", {"cmd": command, "params": params})

    def run(self, script):
        return self.post("/execute/sync", {"script": script, "args": []})

    def open(self, page):
        """Opens a report; gives the milliseconds until it is drawn."""
        self.post("/url", {"url": page.as_uri()})
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            ms = self.run(READY)
            if ms:
                return ms
            time.sleep(0.005)
        raise TimeoutError(f"{page} does not open")

    def keys(self, keys):
        """Presses and releases keys, one after the other."""
        pressed = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.post("/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": pressed}]})

    def picture(self, path):
        """Saves what is to be seen as PNG."""
        # Canvases are drawn with the next frames.
        self.run("return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        path.write_bytes(base64.b64decode(self.cdp("Page.captureScreenshot", {"format": "png"})["data"]))
