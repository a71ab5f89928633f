"""What a browser would see of a page, for the tests of the report."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

LOADING = {"src", "srcset", "poster", "data", "action"}
MATHML = {
    "math",
    "mrow",
    "mi",
    "mn",
    "mo",
    "mfrac",
    "msup",
    "msub",
    "msubsup",
    "msqrt",
    "mspace",
}


def xml(source):
    return ET.fromstring(source)  # noqa: S314 - our own pages


class Reader(HTMLParser):
    """What a browser would see: ids, links, things to load, tables by id, formulas."""

    def __init__(self, source):
        super().__init__()
        self.ids, self.links, self.loads = set(), [], []
        self.tables, self.figure, self.cell, self.value = {}, None, None, None
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if "id" in found:
            assert found["id"] not in self.ids, f"id {found['id']} twice on one page"
            self.ids.add(found["id"])
        if tag == "a":
            self.links.append(found["href"])
        self.loads += [found[name] for name in LOADING & found.keys() if tag != "data"]
        if tag in ("link", "iframe", "object", "embed", "img"):
            self.loads.append(tag)
        if tag in ("figure", "details"):
            self.figure = found.get("id", self.figure)
        if tag == "tbody":
            self.tables[self.figure] = []
        if tag == "tr" and self.figure in self.tables:
            self.tables[self.figure].append([])
        if tag in ("td", "th") and self.figure in self.tables:
            self.cell = []
        if tag == "data":
            self.value = float(found["value"])

    def handle_data(self, data):
        if self.cell is not None:
            self.cell.append(data)

    def handle_endtag(self, tag):
        if tag in ("td", "th") and self.cell is not None:
            shown = "".join(self.cell)
            if power := re.fullmatch(r"(−?[\d.]+)·10(−?\d+)", shown):
                shown = "e".join(power.groups())
                assert float(shown.replace("−", "-")) == self.value
            self.tables[self.figure][-1].append(shown)
            self.cell = None


def number(shown):
    """A cell of HTML as a number, or the text that it is."""
    try:
        return float(shown.replace("−", "-"))
    except ValueError:
        return shown
