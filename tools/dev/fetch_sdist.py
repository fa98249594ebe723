#!/usr/bin/env python3
"""Download a package's source archive from the Python package index that pip is configured for, without building it.

Usage: fetch_sdist.py NAME VERSION SHA256 OUT_FILE

`pip download` would run the package's build to read its metadata; the archive alone is wanted here.
"""
import hashlib, html.parser, os, re, subprocess, sys, urllib.parse, urllib.request


def index_url():
    if os.environ.get("PIP_INDEX_URL"):
        return os.environ["PIP_INDEX_URL"]
    found = subprocess.run([sys.executable, "-m", "pip", "config", "get", "global.index-url"], capture_output=True, text=True)
    if found.returncode == 0 and found.stdout.strip():
        return found.stdout.strip()
    from pip._internal.models.index import PyPI
    return PyPI.simple_url


class Links(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.hrefs = []

    def handle_starttag(self, tag, attributes):
        if tag == "a":
            self.hrefs.append(dict(attributes).get("href", ""))


def main():
    if len(sys.argv) != 5:
        raise SystemExit(__doc__)
    name, version, sha256, out = sys.argv[1:]
    if os.path.exists(out) and hashlib.sha256(open(out, "rb").read()).hexdigest() == sha256:
        return
    page = index_url().rstrip("/") + f"/{name}/"
    links = Links()
    links.feed(urllib.request.urlopen(page, timeout=60).read().decode())
    wanted = re.compile(rf"/{re.escape(name)}-{re.escape(version)}\.tar\.gz(#|$)")
    href = next((h for h in links.hrefs if wanted.search(h)), None)
    if not href:
        raise SystemExit(f"no source archive of {name} {version} in the package index")
    body = urllib.request.urlopen(urllib.parse.urldefrag(urllib.parse.urljoin(page, href))[0], timeout=120).read()
    digest = hashlib.sha256(body).hexdigest()
    if digest != sha256:
        raise SystemExit(f"{name} {version}: the archive's SHA-256 is {digest}, pinned is {sha256}")
    with open(out + ".part", "wb") as f:
        f.write(body)
    os.replace(out + ".part", out)


main()
