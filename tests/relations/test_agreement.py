from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from toposlearn.anatomy import DONOR_IDS, STRUCTURES, load_donor_map, load_label_map, structure
from toposlearn.relations.agreement import (
    disputed_relations,
    fraction_interval,
    medial_table,
    neighborhood_agreement,
    neighborhood_sweep,
    relation_consistency,
    sign_agreement,
)
from toposlearn.relations.graphs import nearest_structures
from toposlearn.relations.layout import Layout, layout
from toposlearn.relations.relations import COLUMNS, decisions, relation_margin, structure_distances


def random_person(seed: int, base: Layout | None = None, noise: float = 1.0) -> Layout:
    """Structures at random places, or around another person's."""
    rng = np.random.default_rng(seed)
    structures = STRUCTURES[:10] + STRUCTURES[18:28]
    centers = noise * rng.normal(size=(len(structures), 3)) + (0 if base is None else base.centers)
    shared = rng.random((len(centers), len(centers))) < 0.3
    return Layout(f"person {seed}", structures, centers, np.abs(centers[:, 0]), 1.0 * (shared | shared.T), 1.7)


@pytest.fixture(scope="module")
def layouts() -> dict[str, Layout]:
    subjects = (load_label_map("B"), load_donor_map("9861"), load_donor_map("10021"))
    return dict(zip(("B", "9861", "10021"), map(layout, subjects), strict=True))


def test_interval_of_six_out_of_six_is_the_closed_form() -> None:
    assert fraction_interval(6, 6) == pytest.approx((0.025 ** (1 / 6), 1.0))
    assert fraction_interval(0, 6) == pytest.approx((0.0, 1 - 0.025 ** (1 / 6)))
    with pytest.raises(ValueError, match="successes must be between 0 and n"):
        fraction_interval(7, 6)


def test_medial_table_answers_per_person_and_side(layouts: dict[str, Layout]) -> None:
    table = medial_table(layouts)
    assert tuple(table.columns) == COLUMNS
    assert len(table) == 3 * 4 * 2
    clear = table[table["structure_b"].isin(["putamen", "pallidum"])]
    assert (clear["verdict"] == "holds").all()
    assert clear["margin"].between(5, 20).all()
    accumbens = table[table["structure_b"] == "accumbens"]  # nearer to the middle than the thalamus
    assert (accumbens["verdict"] == "does not hold").all()


def test_medial_table_has_the_margins_between_the_structures(layouts: dict[str, Layout]) -> None:
    for row in medial_table({"B": layouts["B"]}).itertuples():
        assert row.side_a == row.side_b
        thalamus, other = structure("thalamus", row.side_a), structure(row.structure_b, row.side_b)
        assert row.margin == relation_margin(layouts["B"], thalamus, "medial", other)


def test_relation_consistency_counts_people(layouts: dict[str, Layout]) -> None:
    table = medial_table(layouts)
    table.loc[(table["person"] == "B") & (table["structure_b"] == "putamen"), "holds"] = False
    result = relation_consistency(table).set_index(["structure_b", "side_b"])
    assert result.loc[("putamen", "left"), ["people", "holds"]].tolist() == [3, 2]
    assert result.loc[("pallidum", "left"), "fraction"] == 1
    assert result.loc[("putamen", "left"), ["low", "high"]].tolist() == pytest.approx(fraction_interval(2, 3))
    margins = table[(table["structure_b"] == "putamen") & (table["side_b"] == "left")]["margin"]
    expected = [margins.min(), margins.mean(), margins.max()]
    assert result.loc[("putamen", "left"), ["margin_min", "margin_mean", "margin_max"]].tolist() == pytest.approx(
        expected
    )


def test_relation_consistency_counts_the_undecided() -> None:
    rows = [("a", 0.4, "undecided"), ("b", 9.0, "holds"), ("c", -0.2, "undecided")]
    table = pd.DataFrame([(who, *RELATION, margin > 0, margin, verdict) for who, margin, verdict in rows])
    table.columns = pd.Index(COLUMNS)
    result = relation_consistency(table).iloc[0]
    assert (result["people"], result["holds"], result["undecided"]) == (3, 2, 2)
    assert (result["clearly_holds"], result["clearly_not"]) == (1, 0)
    assert (result["low"], result["high"]) == pytest.approx(fraction_interval(2, 3))


RELATION = ("thalamus", "left", "caudate", "left", "medial")
OPPOSITE = ("caudate", "left", "thalamus", "left", "medial")


def test_disputed_relations_are_listed_once_with_the_names_of_each_side() -> None:
    said = {"a": 3.0, "b": 4.0, "c": -2.0, "d": 0.1}
    verdict = {"a": "holds", "b": "holds", "c": "does not hold", "d": "undecided"}
    turned = {"holds": "does not hold", "does not hold": "holds", "undecided": "undecided"}
    rows = [(who, *RELATION, margin > 0, margin, verdict[who]) for who, margin in said.items()]
    rows += [(who, *OPPOSITE, margin < 0, -margin, turned[verdict[who]]) for who, margin in said.items()]
    rows += [(who, "thalamus", "left", "putamen", "left", "medial", True, 9.0, "holds") for who in said]
    disputed = disputed_relations(pd.DataFrame(rows, columns=list(COLUMNS)))
    assert len(disputed) == 1
    only = disputed.iloc[0]
    assert tuple(only[list(COLUMNS[1:6])]) == RELATION
    assert (only["holds"], only["does not hold"], only["undecided"]) == ("a, b", "c", "d")
    assert only["spread"] == pytest.approx(6)


def test_a_contact_that_only_a_minority_has_is_disputed_once() -> None:
    verdict = {"a": "holds", "b": "does not hold", "c": "does not hold"}
    rows = [
        (who, *(pair[:4]), "adjacent", word == "holds", float(word == "holds") * 9, word)
        for who, word in verdict.items()
        for pair in (RELATION, OPPOSITE)
    ]
    disputed = disputed_relations(pd.DataFrame(rows, columns=list(COLUMNS)))
    assert len(disputed) == 1
    assert (disputed["holds"][0], disputed["does not hold"][0]) == ("a", "b, c")


def test_without_a_relation_the_table_is_empty_and_has_all_columns(layouts: dict[str, Layout]) -> None:
    empty = relation_consistency(pd.DataFrame(columns=list(COLUMNS)))
    assert len(empty) == 0
    assert list(empty.columns) == list(relation_consistency(medial_table(layouts)).columns)


def test_people_who_are_the_same_agree_fully() -> None:
    subject = random_person(0)
    result = neighborhood_agreement([subject, subject, subject], k=3, permutations=20).set_index("measure")
    np.testing.assert_allclose(result["value"], 1)
    assert (result["p"] < 0.05).all()


def test_values_equal_scipy_and_set_arithmetic() -> None:
    base = random_person(0)
    subjects = [random_person(seed, base, noise=0.4) for seed in (1, 2, 3)]
    result = neighborhood_agreement(subjects, k=4, permutations=1).set_index("measure")["value"]
    jaccard, order, medial = [], [], []
    for p, q in combinations(subjects, 2):
        d_p, d_q = structure_distances(p), structure_distances(q)
        n_p, n_q = nearest_structures(d_p, 4), nearest_structures(d_q, 4)
        sets = [(set(a), set(b)) for a, b in zip(n_p.tolist(), n_q.tolist(), strict=True)]
        jaccard.append(np.mean([len(a & b) / len(a | b) for a, b in sets]))
        others = [np.arange(len(d_p)) != i for i in range(len(d_p))]
        order.append(np.mean([kendalltau(d_p[i, keep], d_q[i, keep]).statistic for i, keep in enumerate(others)]))
        medial.append(kendalltau(p.depth, q.depth).statistic)
    assert result["neighbors"] == pytest.approx(np.mean(jaccard))
    assert result["order"] == pytest.approx(np.mean(order))
    assert result["medial"] == pytest.approx(np.mean(medial))


def test_the_consistency_score_and_touching_are_what_a_loop_counts() -> None:
    base = random_person(0)
    subjects = [replace(random_person(seed, base, noise=0.4), size=30.0) for seed in (1, 2, 3)]
    result = neighborhood_agreement(subjects, k=4, permutations=1).set_index("measure")["value"]
    scores, touching = [], []
    for p, q in combinations(subjects, 2):
        alike = either = 0
        for relation in ("medial", "anterior", "superior"):
            for a, b in zip(decisions(p, relation).flat, decisions(q, relation).flat, strict=True):
                alike += int(a) * int(b)
                either += bool(a or b)
        scores.append(alike / either)
        first, second = ({(i, j) for i, j in np.argwhere(each.shared > 0)} for each in (p, q))
        touching.append(len(first & second) / len(first | second))
    assert result["relations"] == pytest.approx(np.mean(scores))
    assert result["touching"] == pytest.approx(np.mean(touching))
    assert 0 < result["relations"] < 1


def test_sign_agreement_is_what_a_loop_counts() -> None:
    base = random_person(0)
    subjects = [random_person(seed, base, noise=0.6) for seed in (1, 2, 3, 4, 5)]
    result = sign_agreement(subjects).set_index("measure")
    for axis, way in enumerate(("left-right", "front-back", "up-down")):
        shares = []
        for i, j in combinations(range(len(base.structures)), 2):
            further = np.mean([each.centers[i, axis] > each.centers[j, axis] for each in subjects])
            shares.append(max(further, 1 - further))
        assert result["value"][way] == pytest.approx(np.mean(shares), abs=1e-6)
    assert (result["low"] < result["high"]).all()


def test_people_at_random_agree_as_the_null_does() -> None:
    subjects = [random_person(seed) for seed in range(8)]
    result = neighborhood_agreement(subjects, k=3, permutations=100)
    assert (abs(result["value"] - result["null"]) < 0.06).all()
    assert (result["p"] > 0.01).all()


def test_real_people_agree_beyond_the_null(layouts: dict[str, Layout]) -> None:
    result = neighborhood_agreement(list(layouts.values()), permutations=50)
    assert (result["value"] > result["null_high"] + 0.3).all()
    assert (result["structures"] == 26).all()


def test_the_interval_of_six_donors_is_expanded() -> None:
    """A plain percentile interval is too narrow for six; the donors' own is about 1.4 times as wide."""
    subjects = [layout(load_donor_map(name)) for name in DONOR_IDS]
    agreement = neighborhood_agreement(subjects, permutations=1).set_index("measure")
    first, second = np.triu_indices(6, k=1)
    matrix = np.zeros((len(agreement), 6, 6))
    for p, q in zip(first, second, strict=True):
        matrix[:, p, q] = neighborhood_agreement([subjects[p], subjects[q]], permutations=1)["value"]
    drawn = np.random.default_rng(0).integers(6, size=(5000, 6))
    means = []
    for who in drawn:
        pairs = [(min(p, q), max(p, q)) for p, q in combinations(who, 2) if p != q]
        means.append(np.mean([matrix[:, p, q] for p, q in pairs], axis=0) if pairs else np.full(len(agreement), np.nan))
    plain = np.diff(np.nanpercentile(means, [2.5, 97.5], axis=0), axis=0)[0]
    ratio = (agreement["high"] - agreement["low"]) / plain
    np.testing.assert_allclose(agreement["value"], matrix[:, first, second].mean(axis=1))
    assert (ratio > 1.3).all()
    assert 1.35 < ratio.median() < 1.6


def test_a_sweep_holds_the_neighbors_of_each_k() -> None:
    subjects = [random_person(seed) for seed in range(3)]
    sweep = neighborhood_sweep(subjects, (2, 4), permutations=5, seed=3)
    assert sweep["k"].tolist() == [2, 4]
    single = neighborhood_agreement(subjects, 4, permutations=5, seed=3).set_index("measure").loc["neighbors"]
    assert sweep["value"][1] == single["value"]
    assert sweep["null"][1] == single["null"]


def test_one_pair_of_people_has_no_interval() -> None:
    result = neighborhood_agreement([random_person(0), random_person(1)], permutations=5)
    assert result[["low", "high"]].isna().all(axis=None)
    assert result["value"].notna().all()


def test_the_seed_decides() -> None:
    subjects = [random_person(seed) for seed in range(4)]
    one, again, other = (neighborhood_agreement(subjects, permutations=20, seed=seed) for seed in (0, 0, 1))
    assert one.equals(again)
    assert not one["null"].equals(other["null"])


def test_mistakes_are_named() -> None:
    subjects = [random_person(0), random_person(1)]
    with pytest.raises(ValueError, match="subjects must be at least two people"):
        neighborhood_agreement(subjects[:1])
    with pytest.raises(ValueError, match="k must be between 1 and 19"):
        neighborhood_agreement(subjects, k=20)
    others = replace(subjects[1], structures=STRUCTURES[10:18] + STRUCTURES[28:40])
    with pytest.raises(ValueError, match="people have 0 structures in common, three are needed: person 0, person 1"):
        neighborhood_agreement([subjects[0], others])
