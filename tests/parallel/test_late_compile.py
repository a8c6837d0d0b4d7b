"""Starting a rank loads nothing of torch's compiler; Muon still compiles."""

from __future__ import annotations

import json
import subprocess
import sys

STARTED = """\
import json, os, sys
from dslm.environment import World
from dslm.parallel.world import join
join(World(cpu=True))
import deepspeed.runtime.zero.muon.muon_optimizer
from deepspeed.runtime.zero.muon import original_muon
before = "torch._inductor.compile_fx" in sys.modules
import torch
torch.manual_seed(0)
torch.compile = lambda function: (lambda *args, **named: ("compiled", function(*args, **named)))
update = original_muon.zeropower_via_newtonschulz5
found = update(torch.randn(4, 6), steps=5)
print(json.dumps([before, found[0], list(found[1].shape), update.__name__]))
"""


def test_muon_is_compiled_by_its_first_use() -> None:
    command = [sys.executable, "-c", STARTED]
    printed = subprocess.check_output(command, text=True, timeout=120, stderr=subprocess.PIPE)
    assert json.loads(printed.splitlines()[-1]) == [
        False,
        "compiled",
        [4, 6],
        "zeropower_via_newtonschulz5",
    ]
