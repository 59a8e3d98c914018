"""The claims of the paper, and what this project requires of the method, each with the numbers that decide it."""

from __future__ import annotations

from collections.abc import Mapping

from toposlearn.book.claims import Claim, Evidence, Side

ABLATION, EVALUATION = "checkpoints/lab/results.json", "checkpoints/lab/evaluation.json"
MATCHING = "checkpoints/lab/matchers.json"
ABLATION_COMMAND = "toposlearn ablation --held-out data/cohort_b --shipped checkpoints/lab"
MATCHING_COMMAND = "toposlearn matchers --held-out data/cohort_b --shipped checkpoints/lab"
EVALUATION_COMMAND = "toposlearn evaluate --checkpoints runs/ablation --test data/test_a --test data/test_b"
SIMULATED = "Limits: simulated people, one small network."
SIZES = {8: "24 mm", 4: "12 mm"}  # token stride -> size of a token in the lab preset
ERROR = "across_people_error"
ALIKE, RANK = "collapse/first_modality", "effective_rank/first_modality"  # mean cosine, directions in use
INTRA = "the intra term alone"
ALIGNMENT = "the two terms without reconstruction"
ONE_POSE = "a network trained in one pose, which is nearly a code for position"


def _between(others: Mapping[str, str], group: str, rival: str = "") -> tuple[Evidence, ...]:
    """Full minus each other network or control: error of the match between people."""
    return tuple(
        Evidence(f"{label}, {size} tokens", f"{group}/full-{other}/stride{stride}/{ERROR}", "below", rival=rival)
        for other, label in others.items()
        for stride, size in SIZES.items()
    )


def _simpler_losses(group: str) -> tuple[Evidence, ...]:
    """Rivals of full between people: a loss with one term less."""
    without = _between({"no_reconstruction": "full − no reconstruction"}, group, ALIGNMENT)
    return _between({"intra": "full − intra"}, group, INTRA) + without


def _gain(measures: Mapping[str, str], others: Mapping[str, str], rival: str = "") -> tuple[Evidence, ...]:
    """On held-out people of the anatomy of training (A), and of a held-out anatomy (B)."""
    return tuple(
        Evidence(f"{what}, people {group}: {label}", f"{group}/full-{other}/{measure}", "above", rival=rival)
        for group in ("A", "B")
        for measure, what in measures.items()
        for other, label in others.items()
    )


def _beyond(measure: str, side: Side, others: Mapping[str, str], rival: str = "") -> tuple[Evidence, ...]:
    """Full against the whole interval of each other network, on people of anatomy A."""
    return tuple(
        Evidence(
            f"full, against {label}, {size} tokens",
            f"A/full/stride{stride}/{measure}",
            side,
            f"A/{other}/stride{stride}/{measure}",
            rival,
        )
        for stride, size in SIZES.items()
        for other, label in others.items()
    )


def _above_null(measure: str, label: str) -> tuple[Evidence, ...]:
    return tuple(
        Evidence(f"full, against {label}, {size} tokens", f"A/full/stride{stride}/{measure}", "above")
        for stride, size in SIZES.items()
    )


def _kept(other: str, label: str, rival: str = "") -> tuple[Evidence, ...]:
    """Share of the Dice that full keeps when modalities are missing, against the whole interval of another network."""
    share = "structures/linear/dice/kept"
    return tuple(
        Evidence(
            f"share of the Dice kept, linear, people {group}, against {label}",
            f"{group}/full/{share}",
            "above",
            f"{group}/{other}/{share}",
            rival,
        )
        for group in ("A", "B")
    )


COLLAPSE: tuple[tuple[str, str, Side], ...] = (
    ("mean cosine", ALIKE, "above"),
    ("effective rank", RANK, "below"),
    ("hubs: mutual matches", "matched_fraction/next_person", "below"),
)
WITHOUT = {"untrained": "untrained", "reconstruction": "reconstruction only"}
SIMPLER = {"untrained": "full − untrained", "reconstruction": "full − reconstruction only"}
STRUCTURES = {
    "structures/linear/dice": "structures, linear",
    "structures/knn/dice": "structures, neighbors",
    "structures/finetuned/dice": "structures, fine-tuned",
}
LESIONS, DIAGNOSIS = {"lesion/linear/dice": "lesions, linear"}, {"diagnosis/linear/auc": "diagnosis, linear"}
SUBSETS = {f"{name}/mean-of-subsets": words for name, words in STRUCTURES.items() if "knn" not in name}
CENTERED = "centered and scaled position"
CONTROLS = SIMPLER | {"position": "full − grid position", "centered": "full − centered and scaled position"}
DONORS, DONORS_COMMAND = "02_anatomical_topology.json", "toposlearn run notebooks/02_anatomical_topology.ipynb"

CLAIMS = (
    Claim(
        "Spatial relations are consistent across individuals",
        "How well any two of six real donors agree on all relations between two structures and on who is next"
        " to whom, against shuffled names. Limits: six people, one labeling protocol, structures rather than "
        "tokens.",
        DONORS,
        DONORS_COMMAND,
        (
            Evidence("consistency score of relations", "consistency score", "above"),
            Evidence("agreement of two neighborhood graphs", "neighbor agreement", "above"),
        ),
    ),
    Claim(
        "The thalamus is medial to the basal ganglia",
        "The example of the paper, read as four structures: in how many of six real donors it holds, against "
        "one half. It holds for putamen and pallidum, depends on the person for the caudate, and fails for "
        "the accumbens.",
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
        "The share of a token's nearest neighbors in one modality that are its neighbors in another modality "
        "of the same person, with all terms of the loss, against shuffled tokens and against the whole "
        "interval of a network without the two terms. A high share does not need anatomy: a code for position"
        " alone keeps every neighbor when both images lie in one grid. The network that was trained with both"
        f" modalities in one pose comes close to such a code, and its share is higher. {SIMULATED}",
        ABLATION,
        ABLATION_COMMAND,
        _above_null("overlap", "shuffled tokens")
        + _beyond("overlap", "above", WITHOUT)
        + _beyond("overlap", "above", {"shared_pose": "one pose"}, ONE_POSE)
        + _beyond("overlap", "above", {"inter": "inter without intra"}, "the inter term alone")
        + _beyond("overlap", "above", {"intra": "intra without inter"}, INTRA)
        + _beyond("overlap", "above", {"no_reconstruction": "no reconstruction"}, ALIGNMENT),
    ),
    Claim(
        "The topology does not collapse",
        "Collapse means that tokens of different places become alike: their mean cosine goes to 1 (near 0 for "
        "independent random features), and the rank falls with it. The claim is that the cosine of full lies "
        "below the whole interval of the untrained network, and of reconstruction only. A rank that falls while "
        "tokens stay unlike is no collapse, and neither are hubs: both have entries of their own below. "
        f"{SIMULATED}",
        MATCHING,
        MATCHING_COMMAND,
        _beyond(ALIKE, "below", WITHOUT),
    ),
    Claim(
        "Tokens use as many directions as without the two terms",
        "The effective rank of a person's tokens: 1 when all lie on one line, 48 at most, against the whole "
        "interval of a network without the two terms. Full uses fewer directions, which narrows the features "
        f"and is not a collapse: features that follow a place in the head need few directions. {SIMULATED}",
        MATCHING,
        MATCHING_COMMAND,
        _beyond(RANK, "above", WITHOUT),
        ours=True,
    ),
    Claim(
        "No hubs: tokens choose each other",
        "A hub is a token that is the nearest neighbor of many others; with hubs, few tokens choose each "
        "other. Measured: the share of tokens with a mutual match in the next person, against independent "
        "random features, which know nothing and reach one half, and against the whole interval of a network "
        f"without the two terms. {SIMULATED}",
        ABLATION,
        ABLATION_COMMAND,
        _above_null("matched", "random features") + _beyond("matched", "above", WITHOUT),
        ours=True,
    ),
    Claim(
        "Partial alignment is what prevents the collapse",
        "Reconstruction and the inter-instance term, with every nearest token taken for a match minus mutual "
        "nearest neighbors only, paired by person. Were the claim right, trusting all matches would make "
        "tokens more alike (mean cosine) and leave them fewer directions (effective rank). Hubs are reported "
        "as well: fewer mutual matches would mean more hubs. Limits: no intra-instance term; for other "
        f"partial matchers see the table below. {SIMULATED}",
        MATCHING,
        MATCHING_COMMAND,
        tuple(
            Evidence(f"{words}, all − mutual, {size} tokens", f"A/inter-nearest-inter/stride{stride}/{name}", side)
            for words, name, side in COLLAPSE
            for stride, size in SIZES.items()
        ),
    ),
    Claim(
        "Segmentation improves: structures",
        "Dice of structures on held-out people, all four modalities given: full minus simpler pre-training, "
        f"the same reader, paired by person. {SIMULATED}",
        EVALUATION,
        EVALUATION_COMMAND,
        _gain(STRUCTURES, SIMPLER)
        + _gain({"structures/knn/dice": "structures, neighbors"}, {"centered": "full − centered position"}, CENTERED)
        + _gain(STRUCTURES, {"intra": "full − intra"}, INTRA),
    ),
    Claim(
        "Segmentation improves: lesions",
        "Dice of lesions read linearly from frozen tokens, people with a lesion only: full minus simpler "
        f"pre-training, paired by person. Lesions do not recur from person to person. {SIMULATED}",
        EVALUATION,
        EVALUATION_COMMAND,
        _gain(LESIONS, SIMPLER) + _gain(LESIONS, {"intra": "full − intra"}, INTRA),
    ),
    Claim(
        "Classification improves",
        "Area under the ROC curve of the diagnosis from frozen features, all four modalities given: full "
        "minus simpler pre-training, paired by person. The rivals need no network: age, sex and site, a "
        "histogram of intensities, and the true volumes of structures, which the simulated disease changes. "
        f"{SIMULATED}",
        EVALUATION,
        EVALUATION_COMMAND,
        _gain(DIAGNOSIS | {"diagnosis/knn/auc": "diagnosis, neighbors"}, SIMPLER)
        + _gain(DIAGNOSIS, {"age-sex-site": "full − age, sex, site"}, "age, sex and site")
        + _gain(DIAGNOSIS, {"volumes": "full − volumes"}, "volumes of structures")
        + _gain(DIAGNOSIS, {"histogram": "full − histogram"}, "a histogram of intensities"),
    ),
    Claim(
        "Robust when modalities are missing",
        "Dice of structures with every one of the 15 non-empty subsets of four modalities at test, mean over "
        "the subsets: full minus simpler pre-training, paired by person. And the share of the Dice with all "
        "four modalities that is kept on average. An untrained network keeps nearly as large a share of a "
        f"much smaller Dice. {SIMULATED}",
        EVALUATION,
        EVALUATION_COMMAND,
        _gain(SUBSETS, SIMPLER)
        + _kept("reconstruction", "reconstruction only")
        + _gain(SUBSETS, {"intra": "full − intra"}, INTRA)
        + _kept("untrained", "untrained", "an untrained network (share kept)"),
    ),
    Claim(
        "Inter-instance adds to intra-instance, downstream",
        "Structures, their mean over subsets of modalities, lesions, and the diagnosis: full (intra and "
        f"inter) minus intra alone, paired by person. {SIMULATED}",
        EVALUATION,
        EVALUATION_COMMAND,
        _gain(
            {
                **STRUCTURES,
                "structures/linear/dice/mean-of-subsets": "structures, linear, mean of subsets",
                **LESIONS,
                **DIAGNOSIS,
            },
            {"intra": "full − intra"},
        ),
        ours=True,
    ),
    Claim(
        "Full beats reconstruction and position, between people",
        "Error of the best match of a token in another person, in template millimeters: full minus each "
        "control, paired by person; below zero full is better. Heads posed independently, held-out people. "
        f"{SIMULATED}",
        ABLATION,
        ABLATION_COMMAND,
        _between(CONTROLS, "A") + _simpler_losses("A"),
        ours=True,
    ),
    Claim(
        "Inter-instance adds to intra-instance",
        "The same error: full (intra and inter) minus intra alone; below zero the second term helps. The "
        f"claim is made for both sizes of token. {SIMULATED}",
        ABLATION,
        ABLATION_COMMAND,
        _between({"intra": "full − intra"}, "A"),
        ours=True,
    ),
    Claim(
        "A perfect matcher would help",
        "The same error: matches read off the truth minus mutual nearest neighbors, everything else equal, "
        "paired by person; below zero the truth helps. With all terms, and without the intra-instance term. "
        f"Comparisons with a rival give the error itself. {SIMULATED}",
        MATCHING,
        MATCHING_COMMAND,
        tuple(
            Evidence(f"{words}, {size} tokens", f"A/{terms}-oracle-{terms}/stride{stride}/{ERROR}", "below")
            for terms, words in (("inter", "without intra"), ("full", "with intra"))
            for stride, size in SIZES.items()
        )
        + tuple(
            Evidence(
                f"true matches, {words}, against intra alone, {size} tokens",
                f"A/{terms}-oracle/stride{stride}/{ERROR}",
                "below",
                f"A/intra/stride{stride}/{ERROR}",
                INTRA,
            )
            for terms, words in (("inter", "without intra"), ("full", "with intra"))
            for stride, size in SIZES.items()
        ),
        ours=True,
    ),
    Claim(
        "The same on a held-out anatomy",
        "Full minus each control on people made from another label map (anatomy B), so that no template is "
        f"shared with training. {SIMULATED}",
        ABLATION,
        ABLATION_COMMAND,
        _between(CONTROLS, "B") + _simpler_losses("B"),
        ours=True,
    ),
)
