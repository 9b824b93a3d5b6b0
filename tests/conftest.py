"""Shared by all tests: a cache of their own, the sample files, and where real files may lie."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Results of the tests are kept apart from those of the person who runs them."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NETLENS_CACHE", str(folder))
        patch.delenv("NETLENS_PATHS", raising=False)
        yield folder


@pytest.fixture
def samples() -> Path:
    return ROOT / "sample_models"


@pytest.fixture
def quick_collection() -> Iterator[None]:
    """What earlier tests left in memory is not searched for garbage: once Keras is imported,
    Streamlit has that done after each run of a script."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Beside other work two threads are far slower than one."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
