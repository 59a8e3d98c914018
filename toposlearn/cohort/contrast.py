"""From tissue to signal: relaxation times and diffusion at 3 T, and the equations of six MR sequences.

Times in milliseconds. The values in ``tissues.csv`` are typical of the published ranges (Stanisz et al. 2005,
doi:10.1002/mrm.20605; Wansapura et al. 1999, doi:10.1002/(SICI)1522-2586(199904)9:4<531::AID-JMRI4>3.0.CO;2-L); each
subject draws around them. The order of contrasts is right; these are not quantitative maps. Diffusion: the fall of ADC
in acute stroke to about half is that of Schlaug et al. 1997, doi:10.1212/WNL.49.1.113. Fat has the diffusion of fluid,
since diffusion scans suppress it.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toposlearn.arrays import Float64s
from toposlearn.settings import T1CE

Times = tuple[float, float, float]  # T1, T2 (ms), proton density (relative to water)

_ROWS = list(csv.DictReader(Path(__file__).with_name("tissues.csv").read_text(encoding="utf-8").splitlines()))
ALL_TISSUES: Mapping[str, Times] = {
    row["tissue"]: (float(row["t1"]), float(row["t2"]), float(row["density"])) for row in _ROWS
}
TISSUES: Mapping[str, Times] = {
    row["tissue"]: ALL_TISSUES[row["tissue"]] for row in _ROWS if row["recipe"] == "plain"
}  # the others are lesions of recipe full, and what lies around the brain
DIFFUSIVITY: Mapping[str, float] = {row["tissue"]: float(row["diffusivity"]) for row in _ROWS}  # 1e-3 mm^2/s
LARGEST_SPREAD = 0.08  # of the brightness within a tissue, of a random contrast
AGENT_T1: Mapping[str, float] = {"enhancing": 520.0}  # ms, where gadolinium leaks through the barrier


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


def signal(sequence: PulseSequence, t1: Float64s, t2: Float64s, density: Float64s) -> Float64s:
    """Magnitude of a spin echo, with or without an inversion pulse (any shape, one value per tissue)."""
    recovered = np.exp(-sequence.repetition / t1)
    if sequence.inversion is None:
        longitudinal = 1 - recovered
    else:
        longitudinal = np.abs(1 - 2 * np.exp(-sequence.inversion / t1) + recovered)
    return np.asarray(density * longitudinal * np.exp(-sequence.echo / t2))


def tissue_signals(modality: str, sequence: PulseSequence, times: Float64s, diffusivity: Float64s) -> Float64s:
    """The signal of every tissue (tissues,) in a modality of `SEQUENCES`, from T1, T2, density (tissues, 3).

    A few minutes after a contrast agent T1 is short where the agent leaks out of the blood. Gradients of strength b
    attenuate the signal by diffusion (tissues,) in 1e-3 mm^2/s (trace image).
    """
    t1, t2, density = times.T
    if modality == T1CE:
        t1 = t1 * [AGENT_T1.get(name, nominal) / nominal for name, (nominal, _, _) in ALL_TISSUES.items()]
    return np.asarray(signal(sequence, t1, t2, density) * np.exp(-sequence.b_value * diffusivity / 1000))


def draw_tissues(generator: np.random.Generator, spread: float = 0.04) -> Float64s:
    """T1, T2, density of every tissue of one subject, (tissues, 3), log-normal around `ALL_TISSUES`."""
    values = np.array(list(ALL_TISSUES.values()))
    return np.asarray(values * np.exp(spread * generator.standard_normal(values.shape) * [1.0, 1.2, 0.5]))


def draw_diffusivity(generator: np.random.Generator, spread: float = 0.04) -> Float64s:
    """Diffusivity of every tissue of one subject, (tissues,), log-normal around `DIFFUSIVITY`, in 1e-3 mm^2/s."""
    values = np.array(list(DIFFUSIVITY.values()))
    return np.asarray(values * np.exp(spread * generator.standard_normal(values.shape)))


def draw_contrast(generator: np.random.Generator) -> Float64s:
    """Brightness, and its spread within the tissue, of every tissue in one scan: (2, tissues); air is dark.

    No sequence gives this contrast: a network that sees such scans learns shapes (SynthSeg, Billot et al. 2023,
    doi:10.1016/j.media.2023.102789).
    """
    drawn = generator.uniform(((0.0,), (0.0,)), ((1.0,), (LARGEST_SPREAD,)), (2, len(ALL_TISSUES)))
    return np.asarray(drawn * [name != "air" for name in ALL_TISSUES])


def fluid_null(repetition: float) -> float:
    """The inversion time (ms) at which fluid gives no signal: where a scanner puts that of a FLAIR."""
    t1 = ALL_TISSUES["csf"][0]
    return float(t1 * (np.log(2) - np.log1p(np.exp(-repetition / t1))))


def draw_sequence(generator: np.random.Generator, name: str, spread: float = 0.05) -> PulseSequence:
    """The protocol of one site for one modality: timings a few percent from `SEQUENCES`."""
    base, factors = SEQUENCES[name], np.exp(spread * generator.standard_normal(3))
    inversion = None if base.inversion is None else base.inversion * factors[2] ** 0.5
    return PulseSequence(base.repetition * factors[0], base.echo * factors[1], inversion, base.b_value)
