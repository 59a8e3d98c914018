"""The two alignment terms as loops, one line per line of the equations. Slow on purpose: the reference of the tests."""

import math

import torch


def cosine(x, y):
    return 1 - float(torch.dot(x, y)) / (float(x.norm()) * float(y.norm()))


def euclidean(x, y):
    return float((x - y).norm())


METRICS = {"cosine": cosine, "euclidean": euclidean}


def neighbors_of(tokens, i, k, counts, distance):
    others = [j for j in range(len(tokens)) if j != i and counts[j]]
    return sorted(others, key=lambda j: (distance(tokens[i], tokens[j]), j))[:k]


def mean(values):
    return sum(values) / len(values) if values else math.nan


def naive_intra(a, b, negatives, *, k, margin, mask=None, form="within", metric="cosine"):
    """a, b (B, N, F) and negatives (B, N, K)."""
    a, b, distance = a.double(), b.double(), METRICS[metric]
    subjects = []
    for s in range(len(a)):
        counts = [True] * a.shape[1] if mask is None else mask[s].tolist()
        if sum(counts) < k + 2:
            continue
        losses = []
        for i in range(a.shape[1]):
            if not counts[i]:
                continue
            anchor = b[s, i] if form == "within" else a[s, i]
            for place, j in enumerate(neighbors_of(a[s], i, k, counts, distance)):
                n = int(negatives[s, i, place])
                if n >= 0 and counts[n]:
                    losses.append(max(0.0, distance(anchor, b[s, j]) - distance(anchor, b[s, n]) + margin))
        if losses:
            subjects.append(mean(losses))
    return mean(subjects)


def naive_matches(a, b, counts_a, counts_b, distance=cosine):
    """a, b (N, F): index into b, or -1."""

    def nearest(x, others, counts):
        return min((j for j in range(len(others)) if counts[j]), key=lambda j: (distance(x, others[j]), j))

    matches = []
    for u in range(len(a)):
        v = nearest(a[u], b, counts_b) if counts_a[u] else -1
        matches.append(v if v >= 0 and nearest(b[v], a, counts_a) == u else -1)
    return matches


def naive_inter(
    a, b, negatives, *, k, margin, mask_a=None, mask_b=None, matches=None, subject_ids=None, metric="cosine"
):
    """a, b (B, N, F), negatives (B, B, N, K), matches (B, B, N) or None."""
    a, b, distance = a.double(), b.double(), METRICS[metric]
    n_tokens, pairs = a.shape[1], []
    for p in range(len(a)):
        for q in range(len(b)):
            if p == q or (subject_ids is not None and subject_ids[p] == subject_ids[q]):
                continue
            counts_a = [True] * n_tokens if mask_a is None else mask_a[p].tolist()
            counts_b = [True] * n_tokens if mask_b is None else mask_b[q].tolist()
            if min(sum(counts_a), sum(counts_b)) < k + 2:
                continue
            m = naive_matches(a[p], b[q], counts_a, counts_b, distance) if matches is None else matches[p, q].tolist()
            m = [v if v >= 0 and counts_a[u] and counts_b[v] else -1 for u, v in enumerate(m)]
            anchors = []
            for u in range(n_tokens):
                if m[u] < 0:
                    continue
                losses = []
                for place, near in enumerate(neighbors_of(a[p], u, k, counts_a, distance)):
                    n = int(negatives[p, q, u, place])
                    if m[near] >= 0 and n >= 0 and counts_b[n]:
                        near_distance = distance(b[q, m[u]], b[q, m[near]])
                        losses.append(max(0.0, near_distance - distance(b[q, m[u]], b[q, n]) + margin))
                if losses:
                    anchors.append(mean(losses))
            if anchors:
                pairs.append(mean(anchors))
    return mean(pairs)
