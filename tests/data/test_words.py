"""What the words of a name say, who is the person in it, and which of them are a visit."""

import pytest

from toposlearn.data.layouts.names import Meaning, meaning_of, split_name
from toposlearn.data.layouts.visits import visits_of

GADOLINIUM = "ce-gadolinium_T1w"
IMAGES = {
    "T1w": "T1 t1w MPRAGE SPGR BRAVO sag3dt1 sT1W_3D_TFE T1_bias T1_pre_contrast reg_t1 wT1 3_t1_mprage_sag_p2_iso",
    GADOLINIUM: "T1_post T1_KM T1_C+ T1+C T1Gd t1ce T1-CE T1_post-contrast T1c T1WKS T1POST_N4 T1_MPRAGE_gad CT1",
    "T2w": "T2 T2_TSE T2_SPACE AXT2 t2_trace",
    "FLAIR": "FLAIR T2F t2_flair t2_space_dark-fluid FLAIR_reg_to_T1 FLAIR_space-T1w flair2",
    "PDw": "PD pdw IXI-PD",
    "dwi": "dwi_b1000 ep2d_diff_TRACE",
    "ADC": "adc dwi_ADC adc_map",
}
LABEL_MAPS = {
    "seg": "seg T1_seg",
    "lesion": "lesion tumor_segmentation consensus_gt GOLD_STANDARD_N4_regtoMNI lesion-msk wmh_mask",
    "aparc+aseg": "aparc+aseg",
    "brain_parenchyma_segmentation": "brain_parenchyma_segmentation",
    "GT_W": "GT_W",
    "glm": "glm",
    "segm": "automated_approx_segm",
}
NEITHER = "brainmask T1_brain_mask mra tof T1_bias_field t2_star DTI_eddy_FA SWI ASL T1_to_dwi T1_map label_probseg"
SPLIT = {
    "eve": "pdw_eve",
    "anna": "anna_T1 T1_anna anna-FLAIR anna_ce_T1_brain brainmask_anna_T1 anna_t1_mprage_sag_p2_iso anna_mask",
    "PD-01": "PD-01_T1",
    "MD_0001": "MD_0001_T1",
    "T1_pat3": "T1_pat3_FLAIR",
    "IXI002-Guys-0828": "IXI002-Guys-0828-T1",
    "Carla_1": "Carla_1_T1",
    "": "T1",
}


@pytest.mark.parametrize(
    ("name", "modality"), [(name, kind) for kind, names in IMAGES.items() for name in names.split()]
)
def test_words_of_images(name, modality):
    assert meaning_of(name) == Meaning(modality)


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for kind, names in LABEL_MAPS.items() for name in names.split()]
)
def test_words_of_label_maps(name, kind):
    assert meaning_of(name) == Meaning(label_map=kind)


@pytest.mark.parametrize("name", NEITHER.split())
def test_words_of_what_no_run_uses(name):
    assert meaning_of(name) == Meaning()


@pytest.mark.parametrize(
    ("name", "problem"), [("scan3", "no modality"), ("bias", "no modality"), ("t1_to_t2", "T1w, T2w")]
)
def test_words_that_are_not_clear(name, problem):
    assert problem in meaning_of(name).problem


@pytest.mark.parametrize(("name", "person"), [(name, who) for who, names in SPLIT.items() for name in names.split()])
def test_the_person_in_a_name(name, person):
    assert split_name(name)[0] == person


@pytest.mark.parametrize(
    ("names", "people"),
    [
        ("P001_visit1 P001_visit2", "P001"),
        ("P001_V01 P001_V02", "P001"),
        ("pat3_tp2", "pat3"),
        ("ANNA_baseline ANNA_followup ANNA_month12 ANNA_2019-03-01 ANNA_20190301", "ANNA"),
        ("A_M00 A_M12", "A"),
        ("ANNA_v1 ANNA_v2 BEN_v1 BEN_v2", "ANNA BEN"),
        ("BraTS-GLI-00008-000 BraTS-GLI-00008-001", "BraTS-GLI-00008"),
        ("BraTSReg_001_00_0000 BraTSReg_001_01_0106", "BraTSReg_001"),
        ("UPENN-GBM-00001_11 UPENN-GBM-00001_21", "UPENN-GBM-00001"),
        ("UCSF-PDGM-0431_nifti UCSF-PDGM-0431_FU001d_nifti", "UCSF-PDGM-0431"),
        ("OAS1_0001_MR1 OAS1_0001_MR2", "OAS1_0001"),
        ("sub-OAS30001_ses-d0129 sub-OAS30001_ses-d0757", "sub-OAS30001"),
        ("P1 P2 Carla_1 Carla_2 20190301", "P1 P2 Carla_1 Carla_2 20190301"),
        ("HC_V01 HC_V02 HC_V03", "HC_V01 HC_V02 HC_V03"),
        ("G_M01 G_M02", "G_M01 G_M02"),
    ],
)
def test_visits_of_people(names, people):
    visits = visits_of(names.split())
    assert {visit.person for visit in visits.values()} == set(people.split())
    assert len(set(visits.values())) == len(names.split())
