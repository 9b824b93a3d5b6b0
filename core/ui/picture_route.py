"""Pictures of examples by address: a tooltip's picture is made and sent once somebody looks at it.

The addresses are relative to a page. They are known where the app runs as `streamlit run Home.py`
starts it; elsewhere tooltips have no pictures.
"""

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from streamlit.url_util import make_url_path

from core.errors import UserError

SIDE = 64  # pixels, the longer side
KEPT = {"Cache-Control": "private, max-age=86400, immutable"}  # an id stands for its content
NOT_THERE = 404
_served: list[Route] = []


def route() -> Route:
    """The route that the server is to have."""
    base = str(st.get_option("server.baseUrlPath") or "")
    path = make_url_path(base, "picture/{dataset_id}/{example:int}")
    _served.append(Route(path, _asked))
    return _served[-1]


def pictures_of(dataset_id: str) -> str | None:
    """What an example's number is put behind to give the address of its picture; None where the
    server has no such addresses."""
    return f"picture/{dataset_id}/" if _served else None


async def _asked(request: Request) -> Response:
    return await run_in_threadpool(_answer, **request.path_params)


def _answer(dataset_id: str, example: int) -> Response:
    from core.images import encoded  # the server listens before these are imported
    from core.library import open_dataset

    try:
        data = open_dataset(dataset_id)
        if example >= len(data):
            return Response(status_code=NOT_THERE)
        content = encoded(data.image(example), SIDE)
    except UserError:  # the page says why a picture cannot be read
        return Response(status_code=NOT_THERE)
    kind = "jpeg" if content.startswith(b"\xff\xd8") else "webp"
    return Response(content, media_type=f"image/{kind}", headers=KEPT)
