"""The app without a browser: runs Home.py, waits for jobs, clicks charts."""

import json
import time
from functools import cache
from pathlib import Path

from streamlit.components.v2 import manifest_scanner
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.testing.v1 import AppTest

from core import jobs
from tests.conftest import ROOT

HOME = str(ROOT / "Home.py")
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("pages/*.py"))
# Each AppTest looks through all installed packages for components, as a server does once.
manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)

_asked_for: list[jobs.Job] = []  # also those that were over before anybody looked
_submit = jobs._submit


def _noted(*words: object) -> jobs.Job:
    _asked_for.append(job := _submit(*words))
    return job


jobs._submit = _noted


def opened(page: str | None = None, **parameters: str) -> AppTest:
    """The app at a link, all work finished."""
    app = AppTest.from_file(HOME, default_timeout=120)
    for name, value in parameters.items():
        app.query_params[name] = value
    if page:
        app.switch_page(page)
    app.run()
    drawn = app._registered_pages[app._finished_page_script_hash]["script_path"]
    assert Path(drawn) == ROOT / (page or PAGES[0])
    return finished(app)


def finished(app: AppTest) -> AppTest:
    """Runs the app again until a run asks for no job that may give it something."""
    for _ in range(20):
        waited_for = [job for job in _asked_for if job.state not in ("failed", "stopped")]
        _asked_for.clear()
        if not (waited_for := waited_for + jobs.active()):
            break
        for job in waited_for:
            job.finished.wait(120)
        time.sleep(0.05)
        app.run()
    return app.run()


def faults(app: AppTest) -> list[str]:
    """What a person would see as an error."""
    return [error.value for error in app.error] + [error.value for error in app.exception]


def words(app: AppTest) -> str:
    """All Markdown on the page, without escapes."""
    kinds = [*app.title, *app.markdown, *app.caption, *app.subheader]
    return "\n".join(str(element.value) for element in kinds).replace("\\", "")


def click_chart(app: AppTest, key: str, **selection: list) -> AppTest:
    """Selects marks in the first chart whose key begins with `key`, as a click would."""
    chart = next(c for c in app.get("vega_lite_chart") if f"-{key}" in c.proto.id)
    states = app._tree.get_widget_states()
    states.widgets.append(
        WidgetState(id=chart.proto.id, string_value=json.dumps({"selection": selection}))
    )
    return app._run(states)
