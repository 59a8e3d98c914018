"""Training in several processes, as on several GPUs."""

import json
import os
import subprocess
import sys

import pytest

SCRIPT = """
import json, sys
from pathlib import Path
import torch
from toposlearn.config import TacoConfig
from toposlearn.pretrain import Trainer, pretrain

train_step, drawn = Trainer.train_step, []
def recording(self, batch):
    terms = train_step(self, batch)
    drawn.append([batch["subjects"].tolist(), float(sum(w.double().abs().sum() for w in self.network.parameters()))])
    return terms
Trainer.train_step = recording
pretrain(TacoConfig.load(sys.argv[1]), sys.argv[2], sys.argv[3], cache=sys.argv[4], progress=False)
rank = torch.distributed.get_rank()
Path(sys.argv[3], f"drawn{rank}.json").write_text(json.dumps(drawn))
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_train_one_network_on_different_people(config, cohort, cache, tmp_path):
    config.replace(train={"steps": 2, "score_every": 0}).save(tmp_path / "config.json")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    paths = [tmp_path / "config.json", cohort, tmp_path / "run", cache]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run([*launch, *map(str, paths)], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    first, second = (json.loads((tmp_path / "run" / f"drawn{rank}.json").read_text()) for rank in (0, 1))
    assert [step[0] for step in first] != [step[0] for step in second]  # different people
    assert [step[1] for step in first] == pytest.approx([step[1] for step in second])  # the same weights
    assert len((tmp_path / "run" / "history.jsonl").read_text().splitlines()) == 2  # written once
    assert (tmp_path / "run" / "weights.safetensors").exists()
