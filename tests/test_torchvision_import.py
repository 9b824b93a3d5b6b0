"""torchvision is imported without torch's compiler, and does all that it did."""

import subprocess
import sys

from tests.conftest import ROOT

SCRIPT = """
import sys
import torch
import core.architectures.torchvision_models
from torchvision import models
from torchvision.ops import roi_align
from torchvision.ops.roi_align import _roi_align, is_compile_supported

assert len(models.list_models(module=models)) > 50
pictures, boxes = torch.rand(1, 2, 8, 8), torch.tensor([[0.0, 0, 0, 5, 5]])
fast, plain = roi_align(pictures, boxes, 3), _roi_align.__wrapped__(
    pictures, boxes, 1.0, 3, 3, -1, False)
torch.testing.assert_close(fast, plain)
print("torch._dynamo" in sys.modules)
answers = [is_compile_supported(device) for device in ("cpu", "meta")]
from torch._dynamo import utils
assert answers == [utils.is_compile_supported(device) for device in ("cpu", "meta")]
print(is_compile_supported is not utils.is_compile_supported)
"""


def test_the_compiler_is_imported_only_once_it_is_asked_for():
    told = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True)
    assert told.stdout.split() == ["False", "True"], told.stderr
