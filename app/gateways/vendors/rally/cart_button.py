"""The storefront's snippet: Rally's button, its loader, and the shop's own checkout when Rally cannot be reached.

The page names its goods in `window.rallyItems`, of which Rally makes a cart here; a shop that keeps carts has its
server make one (`storefront_address`) and the page name it in `window.rallyCart`.  No price of the page is sent.

Loader stub, element and configuration are those of Rally's SDK (contract 5); the address of the scripts is a
setting, for it was seen on Rally's development host only.
"""

from __future__ import annotations

import html
from importlib.resources import files
from string import Template
from typing import Final
from urllib.parse import urljoin

import msgspec

from app.gateways.vendors.rally.options import RallyOptions

SCRIPTS: Final = ("elements-es2015.js", "elements-es5.js")
"""For browsers with modules and for those without [inferred]."""

_TEMPLATE: Final = Template(files(__package__).joinpath("cart_button.html").read_text("utf-8"))
_FALLBACK: Final = files(__package__).joinpath("cart_button_fallback.js").read_text("utf-8").rstrip()
_NO_FALLBACK: Final = "// No native_checkout_url is set: without Rally this cart cannot be checked out."


def snippet(options: RallyOptions, *, text: str = "", css_class: str = "") -> str:
    """HTML to paste into the storefront's cart page."""
    configuration: dict[str, object] = {"redirect": True, "enableLoader": True}
    if options.native_checkout_url:
        configuration["fallbackUrl"] = options.native_checkout_url
    attributes = [("custom-text", text), ("custom-class", css_class)]
    base = options.button_base_url.rstrip("/") + "/"
    return _TEMPLATE.substitute(
        attributes="".join(f' {name}="{html.escape(value)}"' for name, value in attributes if value),
        configuration=_in_script(configuration),
        client_id=_in_script(options.storefront_client_id),
        fallback=_FALLBACK if options.native_checkout_url else _NO_FALLBACK,
        modern=html.escape(urljoin(base, SCRIPTS[0])),
        old=html.escape(urljoin(base, SCRIPTS[1])),
    )


def _in_script(value: object) -> str:
    """JSON that ends neither the script nor a comment, whatever it holds."""
    written = msgspec.json.encode(value).decode()
    for char in "<>&'\u2028\u2029":
        written = written.replace(char, f"\\u{ord(char):04x}")
    return written
