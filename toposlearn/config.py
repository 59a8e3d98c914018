"""Named combinations of settings: variants of the loss, and presets from a test machine to a cluster."""

from pathlib import Path
from typing import Any

import yaml

from toposlearn.settings import MODALITIES, AugmentConfig, LossConfig, ModelConfig, TacoConfig, VolumeConfig, require

__all__ = [
    "MATCHERS",
    "MODALITIES",
    "PRESETS",
    "VARIANTS",
    "AugmentConfig",
    "LossConfig",
    "ModelConfig",
    "TacoConfig",
    "VolumeConfig",
    "preset",
    "with_variant",
]

VARIANTS = ("reconstruction", "intra", "triplet", "inter", "full", "no_reconstruction", "shared_pose")
STUDIED = ("scrambled", "released")  # mistakes to study
TERMS = ("reconstruction", "intra", "inter")
TERMS_OF = {  # variants without some of the terms
    "reconstruction": ("reconstruction",),
    "intra": ("reconstruction", "intra"),
    "triplet": ("reconstruction", "intra"),
    "inter": ("reconstruction", "inter"),
    "no_reconstruction": ("intra", "inter"),
}
TRIPLETS = {  # settings of the intra term in the form that the method describes, instead of the listwise form
    "form": "cross",
    "margin_intra": 0.5,
    "radius": LossConfig.radius,
    "softness": LossConfig.softness,
}
MATCHERS: dict[str, dict[str, Any]] = {  # settings of the loss for each way to match tokens of two people
    "nearest": {"matcher": "nearest"},
    "mutual": {"matcher": "mutual"},
    "gated": {"matcher": "mutual", "ratio": 0.9, "max_distance": 60.0, "inter_start": 120},
    "sinkhorn": {"matcher": "sinkhorn"},
    "oracle": {"matcher": "oracle"},
    "random": {"matcher": "random"},
}
ROW_NAMES = {  # of variants and controls, in every table
    "untrained": "nothing (untrained)",
    "reconstruction": "reconstruction only",
    "intra": "+ intra",
    "triplet": "+ intra, as triplets",
    "inter": "+ inter",
    "full": "**+ intra + inter (full)**",
    "no_reconstruction": "intra + inter, without reconstruction",
    "shared_pose": "full, both modalities in one pose",
    "position": "*grid position*",
    "centered": "*centered and scaled position*",
    "rigid": "*rigid registration*",
    "affine": "*affine registration*",
    "floor": "*floor: best token there is*",
    "random": "*null: independent random features*",
    "permuted": "*null: perfect features, tokens permuted*",
}
PRESETS = {
    name: TacoConfig.from_dict({"preset": name, **values})
    for name, values in yaml.safe_load((Path(__file__).parent / "presets.yaml").read_text(encoding="utf-8")).items()
}


def with_variant(config: TacoConfig, variant: str) -> TacoConfig:
    """The same run, of variant ``full``, with only some terms of the loss, or with another matcher.

    Variants: ``reconstruction``; ``intra`` and ``inter``, each with reconstruction; ``triplet``: ``intra`` in the form
    of triplets over the graph of features, as the method describes it; ``full``; ``no_reconstruction``;
    ``shared_pose``: full as the method describes it, both modalities of a subject in one pose, every distance of the
    intra term read in one modality. For studies: ``scrambled``, full with tokens that are no places; ``released``, full
    with the loss of the released code, which sums both directions, at half the weights (10 there is 20 here).
    ``inter-MATCHER`` and ``full-MATCHER``: with a matcher of `MATCHERS`. An unknown variant, another `config` than
    ``full``, or one in which a needed term is off, raises ValueError.
    """
    terms, _, matcher = variant.partition("-")
    matched = not matcher or (matcher in MATCHERS and terms in ("inter", "full"))
    require(
        terms in (*VARIANTS, *STUDIED) and matched,
        f"unknown variant {variant!r}: choose one of {', '.join((*VARIANTS, *STUDIED))}, "
        f"or inter-MATCHER or full-MATCHER with a matcher of {', '.join(MATCHERS)}",
    )
    require(config.variant == "full", f"variant {variant!r} is made of variant 'full', got {config.variant!r}")
    weights = {term: getattr(config.loss, f"weight_{term}") for term in TERMS}
    off = [term for term in TERMS_OF.get(terms, TERMS) if weights[term] == 0]
    require(not off, f"variant {variant!r} needs loss.weight_{', loss.weight_'.join(off)} above 0")
    if terms == "shared_pose":
        within = TRIPLETS | {"form": "within"}
        return config.replace(variant=variant, augment={"shared_pose": True}, loss=within)
    changed: dict[str, Any] = dict(MATCHERS.get(matcher, {}))
    if terms in ("triplet", "scrambled"):  # a scrambled token has no place for the listwise form
        changed |= TRIPLETS
    changed |= {f"weight_{term}": 0.0 for term in TERMS if term not in TERMS_OF.get(terms, TERMS)}
    if terms in STUDIED:
        changed[terms] = True
    if terms == "released":
        changed |= {f"weight_{term}": weights[term] / 2 for term in ("intra", "inter")}
    return config.replace(variant=variant, loss=changed)


def preset(name: str) -> TacoConfig:
    """A named configuration: smoke (tests), lab (a laptop, minutes), gpu (one GPU), paper (one to many GPUs)."""
    require(name in PRESETS, f"unknown preset {name!r}: choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
