"""The claims of the paper, and what this project requires of the method, each with the numbers that decide it."""

from __future__ import annotations

from collections.abc import Mapping

from toposlearn.claims import Claim, Evidence, Side

ABLATION, EVALUATION = "checkpoints/lab/results.json", "checkpoints/lab/evaluation.json"
MATCHING = "checkpoints/lab/matchers.json"
ABLATION_COMMAND = "toposlearn ablation --held-out data/cohort_b --shipped checkpoints/lab"
MATCHING_COMMAND = "toposlearn matchers --held-out data/cohort_b --shipped checkpoints/lab"
EVALUATION_COMMAND = "toposlearn evaluate --checkpoints runs/ablation --test data/test_a --test data/test_b"
SIMULATED = "Limits: simulated people, one small network."
SIZES = {8: "24 mm", 4: "12 mm"}  # token stride -> size of a token in the lab preset


def _between(others: Mapping[str, str], group: str) -> tuple[Evidence, ...]:
    return tuple(
        Evidence(f"{label}, {size} tokens", f"{group}/full-{other}/stride{stride}/across_people_error", "below")
        for other, label in others.items()
        for stride, size in SIZES.items()
    )


def _gain(measures: Mapping[str, str], others: Mapping[str, str]) -> tuple[Evidence, ...]:
    """On people of the anatomy trained on (A), and of one never trained on (B)."""
    return tuple(
        Evidence(f"{what}, people {group}: {label}", f"{group}/full-{other}/{measure}", "above")
        for group in ("A", "B")
        for measure, what in measures.items()
        for other, label in others.items()
    )


COLLAPSE: tuple[tuple[str, str, Side], ...] = (
    ("mutual matches", "matched_fraction/next_person", "below"),
    ("mean cosine", "collapse/first_modality", "above"),
)
SIMPLER = {"untrained": "full − untrained", "reconstruction": "full − reconstruction only"}
STRUCTURES = {
    "structures/linear/dice": "structures, linear",
    "structures/knn/dice": "structures, neighbors",
    "structures/finetuned/dice": "structures, fine-tuned",
}
CONTROLS = SIMPLER | {"position": "full − grid position"}
DONORS, DONORS_COMMAND = "02_anatomical_topology.json", "toposlearn run notebooks/02_anatomical_topology.ipynb"

CLAIMS = (
    Claim(
        "Spatial relations are consistent across individuals",
        "How well any two of six real donors agree on all relations between two structures and on who is next to whom, "
        "against shuffled names. Limits: six people, one labeling protocol, structures rather than tokens.",
        DONORS,
        DONORS_COMMAND,
        (
            Evidence("consistency score of relations", "consistency score", "above"),
            Evidence("agreement of two neighborhood graphs", "neighbor agreement", "above"),
        ),
    ),
    Claim(
        "The thalamus is medial to the basal ganglia",
        "The example of the paper, read as four structures: in how many of six real donors it holds, against one half. "
        "It is right of putamen and pallidum, depends on the person for the caudate, and is wrong of the accumbens.",
        DONORS,
        DONORS_COMMAND,
        tuple(
            Evidence(f"thalamus medial to {other}, {side}", f"thalamus medial to {other}, {side}", "above")
            for other in ("putamen", "pallidum", "caudate", "accumbens")
            for side in ("left", "right")
        ),
    ),
    Claim(
        "Local neighborhoods are preserved across modalities",
        "The share of a token's nearest neighbors in one modality that are its neighbors in another modality of "
        "the same person, with all terms of the loss, against shuffled tokens and against the whole interval of "
        f"reconstruction only. A code for position alone would score high as well. {SIMULATED}",
        ABLATION,
        ABLATION_COMMAND,
        tuple(
            Evidence(f"full, against {label}, {size} tokens", f"A/full/stride{stride}/overlap", "above", against)
            for stride, size in SIZES.items()
            for label, against in (
                ("shuffled tokens", None),
                ("reconstruction only", f"A/reconstruction/stride{stride}/overlap"),
            )
        ),
    ),
    Claim(
        "The topology does not collapse",
        "Where a representation collapses, a few tokens become everybody's nearest neighbor and few tokens choose each "
        "other. Measured: the share of tokens with a mutual match in the next person. Independent random features, "
        "which know nothing and collapse nowhere, reach one half: that is the bar. Limits: one sign of collapse "
        "among several; below the bar means hubs, not a single point.",
        ABLATION,
        ABLATION_COMMAND,
        tuple(
            Evidence(f"full, {size} tokens", f"A/full/stride{stride}/matched", "above")
            for stride, size in SIZES.items()
        ),
    ),
    Claim(
        "Partial alignment is what prevents the collapse",
        "Reconstruction and the inter-instance term, with every nearest token taken for a match minus mutual nearest "
        "neighbors only, paired by person. Were the claim right, to trust all matches would leave fewer tokens that "
        "choose each other, and tokens more alike (mean cosine). Limits: no intra-instance term; for other partial "
        f"matchers see the table below. {SIMULATED}",
        MATCHING,
        MATCHING_COMMAND,
        tuple(
            Evidence(f"{words}, all − mutual, {size} tokens", f"A/inter-nearest-inter/stride{stride}/{name}", side)
            for words, name, side in COLLAPSE
            for stride, size in SIZES.items()
        ),
    ),
    Claim(
        "Segmentation gains: structures",
        "Dice of structures on people never trained on, all four modalities given: full minus simpler pre-training, "
        f"the same reader, paired by person. {SIMULATED}",
        EVALUATION,
        EVALUATION_COMMAND,
        _gain(STRUCTURES, SIMPLER),
    ),
    Claim(
        "Segmentation gains: lesions",
        "Dice of lesions read linearly from frozen tokens, people with a lesion only: full minus simpler pre-training, "
        f"paired by person. Lesions do not recur from person to person. {SIMULATED}",
        EVALUATION,
        EVALUATION_COMMAND,
        _gain({"lesion/linear/dice": "lesions, linear"}, SIMPLER),
    ),
    Claim(
        "Classification gains",
        "Area under the ROC curve of the diagnosis from frozen features, all four modalities given: full minus simpler "
        "pre-training, paired by person. The baselines below show what age, sex and site, or volumes, reach. "
        f"{SIMULATED}",
        EVALUATION,
        EVALUATION_COMMAND,
        _gain({"diagnosis/linear/auc": "diagnosis, linear", "diagnosis/knn/auc": "diagnosis, neighbors"}, SIMPLER),
    ),
    Claim(
        "Robust when modalities are missing",
        "Dice of structures with every one of the 15 non-empty subsets of four modalities at test, mean over the "
        "subsets: full minus simpler pre-training, paired by person; and the share of the Dice with all four kept, of "
        "which an untrained network keeps nearly as much, of far less. "
        f"{SIMULATED}",
        EVALUATION,
        EVALUATION_COMMAND,
        _gain({f"{name}/mean-of-subsets": words for name, words in STRUCTURES.items() if "knn" not in name}, SIMPLER)
        + tuple(
            Evidence(
                f"share of the Dice kept, linear, people {group}, against reconstruction only",
                f"{group}/full/structures/linear/dice/kept",
                "above",
                f"{group}/reconstruction/structures/linear/dice/kept",
            )
            for group in ("A", "B")
        ),
    ),
    Claim(
        "Inter-instance adds to intra-instance, downstream",
        "Structures, their mean over subsets of modalities, lesions, and the diagnosis: full (intra and inter) minus "
        f"intra alone, paired by person. {SIMULATED}",
        EVALUATION,
        EVALUATION_COMMAND,
        _gain(
            {
                **STRUCTURES,
                "structures/linear/dice/mean-of-subsets": "structures, linear, mean of subsets",
                "lesion/linear/dice": "lesions, linear",
                "diagnosis/linear/auc": "diagnosis, linear",
            },
            {"intra": "full − intra"},
        ),
        ours=True,
    ),
    Claim(
        "Full beats what is simpler, between people",
        "Error of the best match of a token in another person, in template millimeters: full minus each control, "
        f"paired by person; below zero full is better. Heads posed independently, people never trained on. {SIMULATED}",
        ABLATION,
        ABLATION_COMMAND,
        _between(CONTROLS, "A"),
        ours=True,
    ),
    Claim(
        "Inter-instance adds to intra-instance",
        "The same error: full (intra and inter) minus intra alone; below zero the second term helps. The claim is made "
        f"for both sizes of token. {SIMULATED}",
        ABLATION,
        ABLATION_COMMAND,
        _between({"intra": "full − intra"}, "A"),
        ours=True,
    ),
    Claim(
        "A perfect matcher would help",
        "The same error: matches read off the truth minus mutual nearest neighbors, everything else equal, paired by "
        f"person; below zero the truth helps. With all terms, and without the intra-instance term. {SIMULATED}",
        MATCHING,
        MATCHING_COMMAND,
        tuple(
            Evidence(f"{words}, {size} tokens", f"A/{terms}-oracle-{terms}/stride{stride}/across_people_error", "below")
            for terms, words in (("inter", "without intra"), ("full", "with intra"))
            for stride, size in SIZES.items()
        ),
        ours=True,
    ),
    Claim(
        "The same on an anatomy never trained on",
        "Full minus each control on people made from another label map (anatomy B), so that no template is shared with "
        f"training. {SIMULATED}",
        ABLATION,
        ABLATION_COMMAND,
        _between(CONTROLS, "B"),
        ours=True,
    ),
)
