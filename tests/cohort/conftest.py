"""Tiny simulated people, at once: for tests of what is written, not of what it shows."""

import numpy as np
import pytest

from toposlearn.cohort import PLAIN, Subject, writing
from toposlearn.cohort.contrast import PulseSequence
from toposlearn.cohort.scanner import Scan


@pytest.fixture
def small(monkeypatch):
    """Simulate tiny subjects at once; returns the numbers of those simulated."""
    simulated = []

    def simulate_small(traits, recipe=PLAIN, anatomy=None):
        simulated.append(traits.number)
        generator = np.random.default_rng(traits.number)
        image = generator.integers(0, 1000, (4, 5, 6)).astype(np.int16)
        places = generator.normal(0, 50, (4, 5, 6, 3)).astype(np.float32)
        return Subject(
            traits=traits,
            scans={
                name: Scan(image + number, np.eye(4), PulseSequence(2000.0, 20.0, b_value=1000.0 * (name == "dwi")))
                for number, name in enumerate(recipe.modalities)
            },
            labels=image,
            lesion=(image > 500).astype(np.uint8),
            to_template=places,
            from_template=places,
            affine=np.eye(4),
            lattice=np.eye(4),
            smallest_jacobian=1.0,
            round_trip=np.zeros(3, dtype=np.float32),
        )

    monkeypatch.setattr(writing, "simulate", simulate_small)
    return simulated
