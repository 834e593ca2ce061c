"""The documentation of the running server: the Markdown files of this folder, as pages under `/docs`."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, abort, render_template, request, send_from_directory

from app.assets import KEPT, Assets
from app.docs.library import FOLDER, SHOWN, Library, Page

LONGEST_QUERY = 200
"""Characters of a search; what is beyond is not looked at."""

ASSETS = Assets(FOLDER / "static", "/docs/static")

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}


def create_docs() -> Blueprint:
    """`/docs`, its pages, pictures and search.  Public: the pages hold nothing of this installation."""
    docs = Blueprint("docs", __name__, url_prefix="/docs", template_folder="templates")
    docs.add_app_template_global(ASSETS.address, "asset")
    library = Library()

    @docs.get("", provide_automatic_options=False)
    def home() -> Response:
        return _page(library, library.pages["index"])

    @docs.get("/search", provide_automatic_options=False)
    def search() -> Response:
        query = " ".join(request.args.get("q", "").split())[:LONGEST_QUERY]
        found = library.search(query) if query else []
        near = library.nearest(query) if not found else []
        shown = {"library": library, "here": "", "query": query, "found": found, "near": near, "most": SHOWN}
        return Response(render_template("docs/search.html", **shown))

    @docs.get("/static/<name>", provide_automatic_options=False)
    def static(name: str) -> Response:
        if (content := ASSETS.content(name)) is None:
            abort(404)
        return Response(content, content_type=ASSETS.media_type(name), headers={"Cache-Control": KEPT})

    @docs.get("/<path:name>", provide_automatic_options=False)
    def page(name: str) -> Response:
        if Path(name).suffix in (".svg", ".json", ".yaml"):
            return send_from_directory(FOLDER, name)
        if name not in library.pages:
            text = render_template("docs/missing.html", library=library, here="", query=_words(name))
            return Response(text, 404)
        return _page(library, library.pages[name])

    @docs.after_request
    def secure(reply: Response) -> Response:
        reply.headers.update(SECURITY_HEADERS)
        return reply

    return docs


def _page(library: Library, page: Page) -> Response:
    text = render_template("docs/page.html", library=library, here=page.name, page=page, query="")
    reply = Response(text)
    reply.add_etag()
    reply.make_conditional(request)
    return reply


def _words(name: str) -> str:
    """What somebody who followed a wrong address may have looked for."""
    return " ".join(Path(name).stem.replace("-", " ").split())[:LONGEST_QUERY]
