"""Curves, bars and slices against the signal equations they draw."""

import dataclasses

import nibabel as nib
import numpy as np
import pytest

from toposlearn.anatomy import structure
from toposlearn.cohort.contrast import AGENT_T1, DIFFUSIVITY, SEQUENCES, TISSUES, PulseSequence, signal
from toposlearn.cohort.head import load_head
from toposlearn.cohort.lesions import LESION_LABELS
from toposlearn.explore import signals
from toposlearn.explore.signals import NOISE, ROWS, reimage, tissue_image, tissue_map, tissue_signals

WHITE, FLUID = structure("cerebral-white-matter", "left").label, structure("csf").label


def of(values, tissue):
    return values[ROWS[tissue]]


@pytest.mark.parametrize("protocol", ["T1w", "T2w", "FLAIR", "PDw"])
def test_signals_are_those_of_the_simulator(protocol):
    known = signal(SEQUENCES[protocol], *np.array(list(TISSUES.values())).T)
    np.testing.assert_allclose(tissue_signals(SEQUENCES[protocol])[: len(known)], known)


def test_an_inversion_at_time_zero_is_no_inversion():
    plain = SEQUENCES["T2w"]
    np.testing.assert_allclose(tissue_signals(dataclasses.replace(plain, inversion=0.0)), tissue_signals(plain))


def test_an_inversion_after_the_repetition_is_refused():
    with pytest.raises(ValueError, match=r"inversion must come within 2000 ms \(TR\), got 2100 ms"):
        tissue_signals(PulseSequence(2000.0, 3.0, 2100.0))


def test_the_agent_changes_only_where_the_barrier_leaks():
    without, given = tissue_signals(SEQUENCES["T1w"]), tissue_signals(SEQUENCES["T1w"], agent=True)
    changed = {name for name, row in ROWS.items() if without[row] != given[row]}
    assert changed == set(AGENT_T1)
    assert of(given, "enhancing") > 2 * of(without, "enhancing")


def test_diffusion_weighting_is_an_exponential():
    weighted = tissue_signals(PulseSequence(5000.0, 85.0, None, 1000.0))
    ratio = weighted[1:] / tissue_signals(PulseSequence(5000.0, 85.0))[1:]  # air has none
    assert ratio[ROWS["csf"] - 1] == pytest.approx(np.exp(-DIFFUSIVITY["csf"]))
    assert ratio.argmax() == ROWS["infarct"] - 1


def head(radius=6):
    """Fluid in air, white matter in fluid, and a ball-shaped mass."""
    labels = np.zeros((20, 20, 20), dtype=np.int16)
    labels[1:-1, 1:-1, 1:-1], labels[2:-2, 2:-2, 2:-2] = FLUID, WHITE
    away = np.linalg.norm(np.indices(labels.shape) - 9.5, axis=0)
    return labels, away < radius


def test_labels_become_their_tissue():
    rows = tissue_map(head()[0])
    assert [rows[0, 0, 0], rows[1, 1, 1], rows[9, 9, 9]] == [ROWS["air"], ROWS["csf"], ROWS["white"]]


def test_a_mass_has_a_core_a_rim_and_edema_from_the_inside_outwards():
    labels, mass = head()
    rows = tissue_map(labels, mass)
    along = rows[9, 9, 9:18].tolist()
    assert along == sorted(along, key=[ROWS[name] for name in ("necrosis", "enhancing", "edema", "white")].index)
    assert set(along) == {ROWS[name] for name in ("necrosis", "enhancing", "edema", "white")}
    np.testing.assert_array_equal(rows[~mass], tissue_map(labels)[~mass])
    np.testing.assert_array_equal(tissue_map(labels, np.zeros_like(mass)), tissue_map(labels))


def test_the_parts_of_a_lesion_are_taken_where_they_are_known():
    labels, mass = head()
    rows = tissue_map(labels, mass, LESION_LABELS["infarct"] * mass)
    assert set(np.unique(rows[mass])) == {ROWS["infarct"]}
    np.testing.assert_array_equal(tissue_map(labels, mass, 0 * labels), tissue_map(labels))


def test_the_level_is_that_of_the_largest_cut_through_the_lesion():
    labels = head()[0]
    parts = np.zeros_like(labels)
    parts[5:8, 5:8, 14], parts[5, 5, 4:7] = LESION_LABELS["edema"], LESION_LABELS["core"]
    assert signals.lesion_level(tissue_map(labels, None, parts), (2.0, 2.0, 3.0)) == 3.0 * (14 - 9.5)
    assert signals.lesion_level(tissue_map(labels)) == 10.0


def test_a_lesion_map_beside_the_labels_is_found(manifest, tmp_path):
    record = manifest.records[0]
    labels = nib.load(record.labels)
    parts = np.where(np.asarray(labels.dataobj) == WHITE, LESION_LABELS["infarct"], 0).astype(np.int16)
    nib.save(labels, tmp_path / "p_dseg.nii.gz")
    nib.save(nib.Nifti1Image(parts, labels.affine), tmp_path / "p_desc-lesion_dseg.nii.gz")
    rows = np.asarray(tissue_image(dataclasses.replace(record, labels=tmp_path / "p_dseg.nii.gz")).dataobj)
    np.testing.assert_array_equal(rows == ROWS["infarct"], parts > 0)


def test_a_person_is_made_of_their_labels_and_mass(manifest):
    subject = next(record for record in manifest.records if record.info["lesion"] == "true")
    parts = subject.labels.with_name(subject.labels.name.replace("_dseg", "_desc-lesion_dseg"))
    labels, mass, known = (np.asarray(nib.load(file).dataobj) for file in (subject.labels, subject.lesion, parts))
    image = tissue_image(subject)
    np.testing.assert_array_equal(image.dataobj, tissue_map(labels, mass, known))
    np.testing.assert_array_equal(image.affine, nib.load(subject.labels).affine)
    assert (np.asarray(image.dataobj) == ROWS["enhancing"]).any()


def test_without_labels_the_head_of_the_package_is_shown(manifest):
    image = tissue_image(dataclasses.replace(manifest.records[0], labels=None))
    np.testing.assert_array_equal(image.dataobj, tissue_map(load_head("A").labels))


def test_a_slice_shows_each_tissue_at_its_signal_and_air_black():
    rows = tissue_map(head()[0])
    image = reimage(rows, SEQUENCES["T2w"])
    for tissue in ("white", "csf"):
        inside = image[rows == ROWS[tissue]]
        assert inside.mean() == pytest.approx(of(tissue_signals(SEQUENCES["T2w"]), tissue), abs=0.002)
        assert inside.std() == pytest.approx(NOISE, rel=0.2)
    assert not image[rows == ROWS["air"]].any()


def test_curves_go_through_the_protocols():
    figure = signals.plot_signal_curves()
    assert [ax.get_title().split(":")[0] for ax in figure.axes] == ["T2w", "PDw", "T1w", "FLAIR"]
    for ax in figure.axes:
        *curves, mark = ax.lines
        for line, dot in zip(curves[::2], curves[1::2], strict=True):
            assert dot.get_xdata()[0] == mark.get_xdata()[0]
            assert dot.get_ydata()[0] == pytest.approx(np.interp(dot.get_xdata()[0], *line.get_data()), abs=0.01)


def test_bars_are_signals_and_their_differences():
    figure = signals.plot_contrast(tissue_map(head()[0]), SEQUENCES["FLAIR"], at=0.0)
    _, levels, apart = figure.axes
    values = tissue_signals(SEQUENCES["FLAIR"])
    expected = {label: of(values, tissue) for label, (tissue, _) in signals.SHOWN.items()}
    assert [bar.get_width() for bar in levels.patches] == pytest.approx(list(expected.values()))
    bars = dict(zip([text.get_text() for text in apart.get_yticklabels()], apart.patches, strict=False))
    assert bars["edema − white matter"].get_width() == pytest.approx(expected["edema"] - expected["white matter"])
    assert figure.get_suptitle() == "TR 9000, TE 110, TI 2550 ms"


def test_a_timing_in_words():
    assert signals.timing(SEQUENCES["T2w"]) == "TR 5000, TE 95 ms"
    assert signals.timing(SEQUENCES["dwi"]) == "TR 5000, TE 85 ms, b 1000 s/mm²"
    assert signals.timing(SEQUENCES["T1w"], agent=True) == "TR 2000, TE 3, TI 900 ms, contrast agent"
