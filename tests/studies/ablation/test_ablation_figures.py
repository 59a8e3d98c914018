"""The rows of the overview figure and their labels."""

import torch

from toposlearn.data import pose_subjects
from toposlearn.explore.tokens_rgb import fit_basis, share_in_words
from toposlearn.models import Taco
from toposlearn.pretrain import encode
from toposlearn.studies.ablation.figures import REFERENCES, plot_overview


def test_each_row_states_what_its_colors_hold(subjects, smoke):
    torch.manual_seed(0)
    posed, models = pose_subjects(subjects, smoke), {name: Taco(smoke.model).eval() for name in ("untrained", "full")}
    value = {"value": 20.0, "low": 18.0, "high": 23.0}
    names = (*models, *REFERENCES)
    figure = plot_overview(models, posed, {f"A/{name}/stride4/across_people_error": value for name in names})
    labels = [ax.get_ylabel() for ax in figure.axes if "variance" in ax.get_ylabel()]
    mask = posed.token_mask(4)
    for (name, model), label in zip(models.items(), labels, strict=True):
        tokens = [encode(model, posed, modality)[4][:2] for modality in ("T1w", "T2w")]
        assert label == f"{name}\n({share_in_words(fit_basis(*tokens, masks=[mask[:2]] * 2).explained)})"
