"""Open the pages that asv published in headless Chromium: curves drawn, nothing in the console.

    asv publish && python asv_benches/look_at_pages.py --pictures /tmp/pages

Chromium or Chrome and its driver must be installed; the pages load some scripts from the internet.
Ends with 0 where every benchmark's page draws a curve, and the browser has no error to tell of.
"""

import argparse
import functools
import http.server
import json
import shutil
import sys
import threading
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.support.ui import WebDriverWait

SECONDS = 20  # until a graph must be there

# The number of dots and lines in colour on the first canvas: grids and texts are grey.
COLOURED = """
const canvas = document.querySelector("#main-graph canvas.flot-base");
if (!canvas) return 0;
const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
let n = 0;
for (let i = 0; i < data.length; i += 4) {
    const spread = Math.max(data[i], data[i + 1], data[i + 2])
                 - Math.min(data[i], data[i + 1], data[i + 2]);
    if (data[i + 3] > 0 && spread > 60) n++;
}
return n;
"""


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line for each."""

    def log_message(self, *arguments):
        pass


def serve(folder):
    """Serve a folder's files from a thread; return the address."""
    handler = functools.partial(QuietHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


def open_browser():
    """Return a headless browser that keeps what pages write to the console."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for switch in ("headless=new", "no-sandbox", "disable-gpu", "disable-background-networking"):
        options.add_argument(f"--{switch}")
    options.add_argument("--window-size=1400,1000")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = shutil.which("chromedriver")
    return webdriver.Chrome(options, webdriver.ChromeService(driver) if driver else None)


def look(browser, address, names, unmeasured, pictures):
    """Open the summary and the page of each benchmark; return what is wrong.

    That the summary finds no curve of an unmeasured benchmark is not.
    """
    wrong = []
    browser.get(address)
    wait = WebDriverWait(browser, SECONDS)
    try:
        wait.until(lambda b: b.execute_script("return document.title") != "")
        wait.until(lambda b: len(b.find_elements("css selector", "#summarygrid-display a")) > 0)
    except TimeoutException:
        wrong.append("the summary shows no benchmark")
    if pictures:
        browser.save_screenshot(str(pictures / "summary.png"))
    for name in names:
        browser.get(f"{address}#{name}")
        browser.refresh()
        try:
            wait.until(lambda b: b.execute_script(COLOURED) > 0)
        except TimeoutException:
            wrong.append(f"{name}: no curve is drawn")
        if pictures:
            browser.save_screenshot(str(pictures / f"{name}.png"))
    for line in browser.get_log("browser"):
        missing = any(f"/{name}.json" in line["message"] for name in unmeasured)
        if line["level"] == "SEVERE" and not missing:
            wrong.append(line["message"])
    return wrong


def main():
    """Look, print what is wrong, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--html", type=Path, default=Path(__file__).parent / "html")
    parser.add_argument("--pictures", type=Path, help="a folder for a picture of every page")
    arguments = parser.parse_args()
    index = arguments.html / "index.json"
    if not index.exists():
        parser.error(f"--html is {arguments.html}, where `asv publish` has written nothing")
    if arguments.pictures:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
    measured = {path.stem for path in (arguments.html / "graphs").glob("arch-*/**/*.json")}
    benchmarks = set(json.loads(index.read_text())["benchmarks"])
    names = sorted(benchmarks & measured)
    if not names:
        parser.error(f"--html is {arguments.html}, whose pages have not one curve to draw")
    browser = open_browser()
    try:
        address, unmeasured = serve(arguments.html), benchmarks - measured
        wrong = look(browser, address, names, unmeasured, arguments.pictures)
    finally:
        browser.quit()
    print(*wrong, f"{len(names)} benchmarks, {len(wrong)} things wrong", sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
