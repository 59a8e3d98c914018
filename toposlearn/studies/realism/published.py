"""What is published of real people: volumes, contrast, noise, change with age; each number with its source.

Ranges are mean and two standard deviations unless said otherwise. Where two sources measure the same thing by other
definitions, the range reaches from the lowest to the highest: they disagree, and so does the field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import hypot, isnan

SOURCES: Mapping[str, str] = {
    "yamada": "Yamada et al. 2023, European Radiology 33:7099, doi:10.1007/s00330-023-09632-x: 133 healthy adults of "
    "21 to 92 years, automatic; Table 1",
    "controls": "Psychiatry Investigation 2020, PMC7265019: 21 healthy controls; Table 2, both sides added, their "
    "standard deviations too",
    "raz": "Raz et al. 2003, AJNR 24:1849: 53 healthy adults of 20 to 77 years, by hand, of the caudate the head only",
    "brierley": "Brierley et al. 2002, Brain Research Reviews 39:84, PMID 12086710: range of 51 samples, both sides",
    "springer": "Springer et al. 2016, Investigative Radiology 51:469, PMC5704893: ten volunteers at 3 T; Table 5",
    "helenius": "Helenius et al. 2002, AJNR 23:194: 80 healthy adults, ADC",
    "nagesh": "Nagesh et al. 1998, Stroke 29:1778: nine strokes within ten hours against the other side",
    "adults": "Yamada et al. 2023; Zabidi Ahmad et al., Journal of Biomedical and Clinical Sciences (58 adults, 1397 ± "
    "133 ml); 58 adults by CT, doi:10.1007/s00276-010-0650-4 (1385 ± 135 ml)",
}


@dataclass(frozen=True)
class Published:
    """A range, what was published, and by whom (keys of `SOURCES`)."""

    low: float
    high: float
    text: str
    sources: tuple[str, ...]


def _around(*values: tuple[float, float, str], unit: str = "ml") -> Published:
    """The range of one or more means with their standard deviations."""
    low = min(mean - 2 * sd for mean, sd, _ in values)
    high = max(mean + 2 * sd for mean, sd, _ in values)
    text = "; ".join(f"{mean:g} ± {sd:g}" for mean, sd, _ in values)
    return Published(max(low, 0.0), high, f"{text} {unit}".strip(), tuple(source for *_, source in values))


VOLUMES: Mapping[str, Published] = {
    "intracranial": _around((1443.3, 129.0, "yamada")),
    "brain": _around((1100.3, 113.3, "yamada")),
    "cerebral-white-matter": _around((417.9, 50.9, "yamada")),
    "cortex": _around((457.6, 50.0, "yamada")),
    "frontal-cortex": _around((168.0, 19.2, "yamada")),
    "parietal-cortex": _around((115.0, 12.7, "yamada")),
    "temporal-cortex": _around((118.5, 14.1, "yamada")),
    "occipital-cortex": _around((56.1, 7.3, "yamada")),
    "insula": _around((12.8, 1.4, "yamada")),
    "cerebellum": _around((135.8, 13.8, "yamada")),
    "brainstem": _around((42.7, 3.8, "yamada"), (20.9, 2.06, "controls")),
    "hippocampus": _around((6.8, 0.7, "yamada"), (7.56, 0.9, "controls")),
    "amygdala": Published(2.1, 7.76, "2.1 to 7.76 ml", ("brierley",)),
    "thalamus": _around((14.53, 1.31, "controls")),
    "caudate": _around((6.44, 0.61, "controls"), (9.42, 1.14, "raz")),
    "putamen": _around((9.52, 0.95, "controls"), (10.41, 0.98, "raz")),
    "pallidum": _around((3.37, 0.44, "controls"), (2.16, 0.27, "raz")),
    "lateral-ventricle": _around((22.6, 11.6, "yamada")),
    "third-ventricle": _around((1.0, 0.6, "yamada")),
    "fourth-ventricle": _around((1.6, 0.4, "yamada")),
    "csf": _around((297.7, 55.9, "yamada")),
}
TYPICAL_BRAIN_ML = 1100.3  # to which brains are scaled where size is taken out

SNR: Mapping[str, Published] = {
    "T1w": _around((61.2, 18.2, "springer"), unit=""),
    "T2w": _around((22.0, 7.6, "springer"), unit=""),
    "FLAIR": _around((25.4, 7.7, "springer"), unit=""),
    "dwi": _around((15.2, 2.9, "springer"), unit=""),
}


def _ratio(top: tuple[float, float], bottom: tuple[float, float], source: str) -> Published:
    """The range of a quotient of two means with standard deviations."""
    value = top[0] / bottom[0]
    spread = 2 * value * hypot(top[1] / top[0], bottom[1] / bottom[0])
    text = f"{top[0]:g} ± {top[1]:g} over {bottom[0]:g} ± {bottom[1]:g}"
    return Published(value - spread, value + spread, text, (source,))


ADC_TO_WHITE: Mapping[str, Published] = {
    "cortex": _ratio((0.89, 0.04), (0.70, 0.03), "helenius"),
    "thalamus": _ratio((0.75, 0.03), (0.70, 0.03), "helenius"),
    "striatum": _ratio((0.75, 0.03), (0.70, 0.03), "helenius"),
    "lesion": _ratio((626.6, 76.8), (842.9, 60.4), "nagesh"),  # stroke
}
# What every textbook says of healthy tissue, from dark to bright; "order only": no number is claimed.
ORDER: Mapping[str, tuple[str, ...]] = {
    "T1w": ("csf", "cortex", "white"),
    "ce-gadolinium_T1w": ("csf", "cortex", "white"),
    "T2w": ("white", "cortex", "csf"),
    "FLAIR": ("csf", "white", "cortex"),
    "PDw": ("white", "cortex"),
    "dwi": ("csf", "white", "cortex"),
    "ADC": ("white", "cortex", "csf"),
}

SIZE_SPREAD = Published(0.089, 0.098, "0.089; 0.095; 0.098", ("adults",))
SEX_RATIO = Published(1.07, 1.14, "1538 ± 137 (46 men) over 1393 ± 91 ml (87 women); 95 % interval", ("yamada",))
FLUID_PER_DECADE = Published(1.5, 2.5, "about 2 % of the intracranial volume a decade", ("yamada",))


def verdict(value: float, low: float, high: float, interval: tuple[float, float] | None = None) -> str:
    """``within``, ``outside`` and by how much of the end that is missed, or ``undecided``.

    Args:
        value: the number to judge.
        low: lower end of the range.
        high: upper end.
        interval: of the value; where it crosses an end of the range nothing is decided.
    """
    if isnan(value):
        return "not measured"
    if interval is not None and any(interval[0] <= end <= interval[1] for end in (low, high) if low < high):
        return "undecided: the interval crosses the end"
    if low <= value <= high:
        return "within"
    end, name = (low, "lower") if value < low else (high, "upper")
    if value * end <= 0:
        return f"outside: {abs(value - end):.2g} from the {name} end"
    return f"outside: {value / end:.2f} × the {name} end"
