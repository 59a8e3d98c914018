from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import kendalltau

from toposlearn.anatomy import DONOR_IDS, STRUCTURES, load_donor_map, load_label_map
from toposlearn.relations.agreement import neighborhood_agreement, neighborhood_sweep
from toposlearn.relations.graphs import nearest_structures, structure_distances
from toposlearn.relations.layout import Layout, layout
from toposlearn.relations.relations import verdicts


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
    return {subject.name: layout(subject) for subject in subjects}


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
            for a, b in zip(verdicts(p, relation).flat, verdicts(q, relation).flat, strict=True):
                alike += int(a) * int(b)
                either += bool(a or b)
        scores.append(alike / either)
        first, second = ({(i, j) for i, j in np.argwhere(each.shared > 0)} for each in (p, q))
        touching.append(len(first & second) / len(first | second))
    assert result["relations"] == pytest.approx(np.mean(scores))
    assert result["touching"] == pytest.approx(np.mean(touching))
    assert 0 < result["relations"] < 1


@pytest.mark.parametrize("null", ["side", "all"])
def test_people_at_random_agree_as_the_null_does(null: str) -> None:
    subjects = [random_person(seed) for seed in range(8)]
    result = neighborhood_agreement(subjects, k=3, permutations=100, null=null)  # type: ignore[arg-type]
    assert (abs(result["value"] - result["null"]) < 0.06).all()
    assert (result["p"] > 0.01).all()


def test_the_null_of_free_names_is_chance() -> None:
    k, s = 3, 20
    subjects = [random_person(seed) for seed in range(6)]
    result = neighborhood_agreement(subjects, k=k, permutations=200, null="all").set_index("measure")
    draws = np.random.default_rng(0).hypergeometric(k, s - 1 - k, k, size=100_000)
    assert result.loc["neighbors", "null"] == pytest.approx((draws / (2 * k - draws)).mean(), abs=0.01)
    assert result.loc["medial", "null"] == pytest.approx(0, abs=0.02)


def test_real_people_agree_beyond_the_null(layouts: dict[str, Layout]) -> None:
    result = neighborhood_agreement(list(layouts.values()), permutations=50)
    assert (result["value"] > result["null_high"] + 0.3).all()
    assert (result["structures"] == 26).all()


def test_the_interval_of_six_donors_is_expanded() -> None:
    """A plain percentile interval is too narrow for six; the donors' own is about 1.4 times as wide."""
    subjects = [layout(load_donor_map(name)) for name in DONOR_IDS]
    found = neighborhood_agreement(subjects, permutations=1).set_index("measure")
    first, second = np.triu_indices(6, k=1)
    matrix = np.zeros((len(found), 6, 6))
    for p, q in zip(first, second, strict=True):
        matrix[:, p, q] = neighborhood_agreement([subjects[p], subjects[q]], permutations=1)["value"]
    drawn = np.random.default_rng(0).integers(6, size=(5000, 6))
    means = []
    for who in drawn:
        pairs = [(min(p, q), max(p, q)) for p, q in combinations(who, 2) if p != q]
        means.append(np.mean([matrix[:, p, q] for p, q in pairs], axis=0) if pairs else np.full(len(found), np.nan))
    plain = np.diff(np.nanpercentile(means, [2.5, 97.5], axis=0), axis=0)[0]
    ratio = (found["high"] - found["low"]) / plain
    np.testing.assert_allclose(found["value"], matrix[:, first, second].mean(axis=1))
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
    with pytest.raises(ValueError, match="people must be at least two"):
        neighborhood_agreement(subjects[:1])
    with pytest.raises(ValueError, match="null must be 'side' or 'all'"):
        neighborhood_agreement(subjects, null="none")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="k must be between 1 and 19"):
        neighborhood_agreement(subjects, k=20)
    others = replace(subjects[1], structures=STRUCTURES[10:18] + STRUCTURES[28:40])
    with pytest.raises(ValueError, match="people have 0 structures in common, three are needed: person 0, person 1"):
        neighborhood_agreement([subjects[0], others])
