"""From tissue to signal: relaxation times and diffusion at 3 T, and the equations of six MR sequences.

Times in milliseconds. Values are typical of the published ranges (Stanisz et al. 2005, doi:10.1002/mrm.20605;
Wansapura et al. 1999, doi:10.1002/(SICI)1522-2586(199904)9:4<531::AID-JMRI4>3.0.CO;2-L); each subject draws around
them. They make pictures with the right order of contrasts, not quantitative maps. Diffusion: the fall of ADC in acute
stroke to about half is that of Schlaug et al. 1997, doi:10.1212/WNL.49.1.113.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toposlearn.cohort.recipes import T1CE

# tissue: T1, T2 (ms), proton density (relative to water)
TISSUES: Mapping[str, tuple[float, float, float]] = {
    "air": (1.0, 1.0, 0.0),
    "white": (850.0, 70.0, 0.70),
    "cortex": (1400.0, 95.0, 0.82),
    "csf": (4200.0, 1600.0, 1.00),
    "thalamus": (1150.0, 82.0, 0.79),
    "striatum": (1300.0, 84.0, 0.82),
    "pallidum": (1000.0, 62.0, 0.75),
    "hippocampus": (1450.0, 103.0, 0.84),
    "cerebellar_gray": (1350.0, 92.0, 0.83),
    "cerebellar_white": (920.0, 74.0, 0.72),
    "brainstem": (1020.0, 76.0, 0.75),
    "necrosis": (2600.0, 320.0, 0.95),
    "tumor": (1700.0, 135.0, 0.88),
    "edema": (1600.0, 160.0, 0.86),
}
LESION_TISSUES: Mapping[str, tuple[float, float, float]] = {  # of recipe full, drawn after those above
    "enhancing": (1700.0, 135.0, 0.88),
    "low_grade": (1650.0, 150.0, 0.88),
    "infarct": (1250.0, 92.0, 0.79),
    "lesion_white": (1300.0, 135.0, 0.82),
}
ALL_TISSUES: Mapping[str, tuple[float, float, float]] = {**TISSUES, **LESION_TISSUES}
DIFFUSIVITY: Mapping[str, float] = {  # 1e-3 mm^2/s; gray matter's unless named
    "air": 0.0,
    "white": 0.75,
    "csf": 3.0,
    "thalamus": 0.75,
    "striatum": 0.75,
    "pallidum": 0.75,
    "cerebellar_gray": 0.75,
    "cerebellar_white": 0.70,
    "brainstem": 0.75,
    "necrosis": 2.0,
    "tumor": 1.1,
    "edema": 1.5,
    "enhancing": 1.1,
    "low_grade": 1.4,
    "infarct": 0.42,
    "lesion_white": 1.1,
}
GRAY_DIFFUSIVITY = 0.85
AGENT_T1: Mapping[str, float] = {"enhancing": 520.0}  # ms, where the barrier leaks and gadolinium gets out


@dataclass(frozen=True)
class PulseSequence:
    """Timing of one acquisition in ms; no inversion when `inversion` is None. Diffusion weighting b in s/mm^2."""

    repetition: float
    echo: float
    inversion: float | None = None
    b_value: float = 0.0


SEQUENCES: Mapping[str, PulseSequence] = {
    "T1w": PulseSequence(repetition=2000.0, echo=3.0, inversion=900.0),
    "T2w": PulseSequence(repetition=5000.0, echo=95.0),
    "FLAIR": PulseSequence(repetition=9000.0, echo=110.0, inversion=2550.0),
    "PDw": PulseSequence(repetition=3000.0, echo=18.0),
    T1CE: PulseSequence(repetition=2000.0, echo=3.0, inversion=900.0),
    "dwi": PulseSequence(repetition=5000.0, echo=85.0, b_value=1000.0),
}


def signal(
    sequence: PulseSequence, t1: NDArray[np.float64], t2: NDArray[np.float64], density: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Magnitude of a spin echo, with or without an inversion pulse (any shape, one value per tissue)."""
    recovered = np.exp(-sequence.repetition / t1)
    if sequence.inversion is None:
        longitudinal = 1 - recovered
    else:
        longitudinal = np.abs(1 - 2 * np.exp(-sequence.inversion / t1) + recovered)
    return np.asarray(density * longitudinal * np.exp(-sequence.echo / t2))


def tissue_signals(
    modality: str, sequence: PulseSequence, times: NDArray[np.float64], diffusivity: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The signal of every tissue (tissues,) in one modality.

    A few minutes after a contrast agent T1 is short where the agent leaks out of the blood; gradients of strength b
    leave of a signal what has not diffused away (trace image).

    Args:
        modality: a key of `SEQUENCES`.
        sequence: its timing.
        times: T1, T2, density (tissues, 3), from `draw_tissues`.
        diffusivity: (tissues,), from `draw_diffusivity`.
    """
    t1, t2, density = times.T
    if modality == T1CE:
        t1 = t1 * [AGENT_T1.get(name, nominal) / nominal for name, (nominal, _, _) in ALL_TISSUES.items()]
    return np.asarray(signal(sequence, t1, t2, density) * np.exp(-sequence.b_value * diffusivity / 1000))


def draw_tissues(generator: np.random.Generator, spread: float = 0.04) -> NDArray[np.float64]:
    """T1, T2, density of every tissue of one person, (tissues, 3), log-normal around `ALL_TISSUES`."""
    values = np.array(list(ALL_TISSUES.values()))
    drawn = values * np.exp(spread * generator.standard_normal(values.shape) * [1.0, 1.2, 0.5])
    return np.asarray(drawn)


def draw_diffusivity(generator: np.random.Generator, spread: float = 0.04) -> NDArray[np.float64]:
    """Diffusivity of every tissue of one person, (tissues,), log-normal around `DIFFUSIVITY`, in 1e-3 mm^2/s."""
    values = np.array([DIFFUSIVITY.get(name, GRAY_DIFFUSIVITY) for name in ALL_TISSUES])
    return np.asarray(values * np.exp(spread * generator.standard_normal(values.shape)))


def fluid_null(repetition: float) -> float:
    """The inversion time (ms) at which fluid gives no signal: where a scanner puts that of a FLAIR."""
    t1 = ALL_TISSUES["csf"][0]
    return float(t1 * (np.log(2) - np.log1p(np.exp(-repetition / t1))))


def draw_sequence(generator: np.random.Generator, name: str, spread: float = 0.05) -> PulseSequence:
    """The protocol of one site for one modality: timings a few percent from `SEQUENCES`."""
    base, factors = SEQUENCES[name], np.exp(spread * generator.standard_normal(3))
    inversion = None if base.inversion is None else base.inversion * factors[2] ** 0.5
    return PulseSequence(base.repetition * factors[0], base.echo * factors[1], inversion, base.b_value)
