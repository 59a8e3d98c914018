"""From a folder of scans to the loss, step by step: the journey of every training batch."""

import torch

from toposlearn.cohort import recipe_named, write_cohort
from toposlearn.config import preset
from toposlearn.data import PairDataset, augment, prepare, read_manifest
from toposlearn.losses import TacoLoss
from toposlearn.models import Taco
from toposlearn.pretrain.correspond import read_at_same_places


def test_from_a_folder_to_a_loss_that_changes_the_weights(tmp_path):
    # A folder of scans, here simulated: two people in four modalities, in the layout of BIDS.
    recipe = recipe_named("plain", voxels=48)
    folder = write_cohort(tmp_path / "cohort", subjects=2, recipe=recipe, workers=1, progress=False)
    manifest = read_manifest(folder)
    assert manifest.modalities == ("FLAIR", "PDw", "T1w", "T2w")

    # Each person once on the network's grid, after the quality gate: 32³ voxels in [0, 1], and the foreground.
    config = preset("smoke")
    cache = prepare(manifest, config.volume, progress=False)
    assert cache[0].volumes.shape == (4, 32, 32, 32)
    assert cache[0].foreground.shape == (32, 32, 32)

    # Step 0: two people (B = 2), each in two modalities a and b, in random poses, with random intensities.
    pair = augment(PairDataset(cache, config)[0], config, torch.Generator().manual_seed(0))
    assert pair.volumes.shape == (4, 1, 32, 32, 32)  # (2B, 1, D, H, W): modality a of both people, then modality b
    assert pair.a_to_b.shape == (2, 3, 4)  # maps places in a to the same anatomy in b

    # Tokens: one feature vector per block of 4³ and of 8³ voxels.
    model = Taco(config.model)
    output = model(pair.volumes, pair.foreground)
    assert {stride: tuple(tokens.shape[:2]) for stride, tokens in output.tokens.items()} == {4: (4, 512), 8: (4, 64)}

    # The loss compares a with b, read at the same anatomy: reconstruction, order within and between people.
    output_a, output_b = output.halves()
    output_b = read_at_same_places(output_b, pair.a_to_b, config.volume)
    terms = TacoLoss(config)(output_a, output_b, pair.subjects)
    assert all(torch.isfinite(term) for term in (terms.total, terms.reconstruction, terms.intra, terms.inter))

    # One step of training changes the weights of encoder and decoder.
    before = [weight.detach().clone() for weight in model.parameters()]
    terms.total.backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    changed = [not torch.equal(now, then) for now, then in zip(model.parameters(), before, strict=True)]
    assert sum(changed) > 0.9 * len(changed)
