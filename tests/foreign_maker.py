"""A folder of scans that is not of our making: other names, spacing and axes, whole heads, noisy air, no labels."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from nibabel.processing import resample_to_output
from scipy import ndimage

from toposlearn.data import Record

NAMES = ("anna", "P02", "ben-b", "Carla_1", "dr.who", "eve")  # that follow no convention
FILES = {"T1w": "t1_mprage.nii.gz", "FLAIR": "T2_FLAIR.nii", "ce-gadolinium_T1w": "t1_post-gd.nii.gz"}
SPACING, AXES = (1.2, 1.2, 3.0), "LPS"  # mm; our own are 2 mm, RAS
NOISE = 0.03  # standard deviation of the noise, in units of the brightest voxel
SKULL, SCALP = 5, 5  # mm around the brain
MARGIN = 8  # voxels of air added on each side


def whole_head(image: nib.Nifti1Image, scalp: float, generator: np.random.Generator) -> nib.Nifti1Image:
    """A brain-extracted image with a dark skull, a scalp and Rician noise, on another grid."""
    place = image.affine @ nib.affines.from_matvec(np.eye(3), [-MARGIN] * 3)
    brain = np.pad(image.get_fdata(), MARGIN)
    away = ndimage.distance_transform_edt(brain == 0, sampling=nib.affines.voxel_sizes(image.affine))
    brightest = np.percentile(brain, 99.5)
    head = np.where((away > SKULL) & (away <= SKULL + SCALP), scalp * brightest, brain)
    coarse = resample_to_output(nib.Nifti1Image(head, place), SPACING, order=1)
    noise = generator.normal(0, NOISE * brightest, (2, *coarse.shape))
    noisy = np.hypot(coarse.get_fdata() + noise[0], noise[1]).astype(np.float32)
    turn = ornt_transform(io_orientation(coarse.affine), axcodes2ornt(AXES))
    return nib.Nifti1Image(noisy, coarse.affine).as_reoriented(turn)


def write_foreign(root: Path, records: Iterable[Record], files: Mapping[str, str] = FILES) -> Path:
    """One folder per person; a third modality that our cohort may lack is made from its T1w."""
    for name, record in zip(NAMES, records, strict=False):
        (root / name).mkdir(parents=True)
        generator = np.random.default_rng(len(name))
        for (modality, file), scalp in zip(files.items(), (0.9, 0.5, 0.8), strict=False):
            source = record.images.get(modality) or record.images["T1w"]
            nib.save(whole_head(nib.load(source), scalp, generator), root / name / file)
        (root / name / "notes.txt").write_text("seen on Tuesday\n")
        nib.save(nib.load(record.images["T1w"]), root / name / "brainmask.nii.gz")  # by its name no modality
    return root


def tree(template: str, **parts: str) -> list[str]:
    """Every file of a layout: ``{who}/{what}.nii.gz`` with each word of ``who="ANNA BEN"`` and of ``what``."""
    names = [template]
    for part, words in parts.items():
        names = [name.replace(f"{{{part}}}", word) for name in names for word in words.split()]
    return names


def touch(root: Path, names: Iterable[str]) -> Path:
    """Empty files: enough for what is read from names alone."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


_BRATS = "t1 t1ce t2 flair seg"
TREES = {  # ways in which people keep scans -> their files, the people, and the modalities or label maps of the first
    "folder per person": (tree("{who}/{what}.nii.gz", who="ANNA BEN", what="T1 T2_FLAIR"), "ANNA BEN", "T1w FLAIR"),
    "other words": (
        tree("{who}/{what}.nii.gz", who="ANNA BEN", what="MPRAGE T1_KM t2_tse T2_dark-fluid PD"),
        "ANNA BEN",
        "T1w ce-gadolinium_T1w T2w FLAIR PDw",
    ),
    "other endings": (["ANNA/T1.mgz", "BEN/T1.NII.GZ", "CARL/t1.nrrd", "DORA/T1.img"], "ANNA BEN CARL DORA", "T1w"),
    "ids with words of modalities": (
        tree("{who}/{what}.nii.gz", who="MD_0001 PD-01 T1_pat3", what="T1 FLAIR"),
        "MD_0001 PD-01 T1_pat3",
        "T1w FLAIR",
    ),
    "flat": (tree("{who}_{what}.nii.gz", who="ANNA PD-01 MD_0001", what="T1w t2"), "ANNA MD_0001 PD-01", "T1w T2w"),
    "flat, modality first": (tree("{what}_{who}.nii.gz", what="T1 T2", who="ANNA BEN"), "ANNA BEN", "T1w T2w"),
    "folder per modality": (
        [*tree("{what}/{who}.nii.gz", what="T1 T2 labels", who="ANNA BEN")],
        "ANNA BEN",
        "T1w T2w label:labels",
    ),
    "ids with words in folders of modalities": (
        tree("{what}/{who}.nii.gz", what="T1 T2", who="MD_0001 PD-02"),
        "MD_0001 PD-02",
        "T1w T2w",
    ),
    "IXI": (
        tree("IXI-{what}/{who}-{what}.nii.gz", what="T1 T2 PD MRA", who="IXI002-Guys-0828 IXI012-HH-1211"),
        "IXI002-Guys-0828 IXI012-HH-1211",
        "T1w T2w PDw",
    ),
    "train and test": (["train/ANNA/T1.nii.gz", "train/BEN/T1.nii.gz", "test/CARL/T1.nii.gz"], "ANNA BEN CARL", "T1w"),
    "a level below": (tree("{who}/MRI/{what}.nii.gz", who="ANNA BEN", what="T1 T2"), "ANNA BEN", "T1w T2w"),
    "sites with names of their own": (["Berlin/ANNA/T1.nii.gz", "Paris/BEN/T1.nii.gz"], "ANNA BEN", "T1w"),
    "sites with numbers": (tree("{site}/{who}/T1.nii.gz", site="site1 site2", who="001"), "site1_001 site2_001", "T1w"),
    "sites, files": (
        [
            *tree("Berlin/{who}_{what}.nii.gz", who="anna ben", what="T1 T2"),
            "Paris/carl_T1.nii.gz",
            "Paris/dora_T1.nii.gz",
        ],
        "anna ben carl dora",
        "T1w T2w",
    ),
    "visits in folders' names": (
        tree("{who}_{visit}/{what}.nii.gz", who="P001 P002", visit="visit1 visit2", what="T1w T2w"),
        "P001 P002",
        "T1w T2w",
    ),
    "short visits": (tree("{who}_{visit}/T1.nii.gz", who="P001 P002", visit="V01 V02"), "P001 P002", "T1w"),
    "time points": (tree("{who}_{visit}/T1.nii.gz", who="pat3", visit="tp1 tp2"), "pat3", "T1w"),
    "words for visits": (
        tree("ANNA_{visit}/T1.nii.gz", visit="baseline followup month12 2019-03-01"),
        "ANNA",
        "T1w",
    ),
    "folders of visits": (tree("{who}/{visit}/T1.nii.gz", who="P1 P2", visit="visit1 visit2"), "P1 P2", "T1w"),
    "visits above": (tree("{visit}/{who}/T1.nii.gz", who="P1 P2", visit="baseline followup"), "P1 P2", "T1w"),
    "numbered visits": (tree("{who}/{visit}/T1.nii.gz", who="R-1 R-2 R-3", visit="0 1"), "R-1 R-2 R-3", "T1w"),
    "visits in files' names": (
        tree("{who}_{visit}_T1.nii.gz", who="ANNA BEN", visit="visit1 visit2"),
        "ANNA BEN",
        "T1w",
    ),
    "studies": (
        tree("{who}/{visit}_{what}.nii.gz", who="A1 A2", visit="study1 study2", what="T1 FLAIR"),
        "A1 A2",
        "T1w FLAIR",
    ),
    "series, no visits": (
        ["ANNA/scan1_T1.nii.gz", "ANNA/scan2_T2.nii.gz", "BEN/scan1_T1.nii.gz"],
        "ANNA BEN",
        "T1w T2w",
    ),
    "numbers of series": (["ANNA/3_t1.nii.gz", "ANNA/7_t2.nii.gz", "BEN/3_t1.nii.gz"], "ANNA BEN", "T1w T2w"),
    "copies": (tree("ANNA/{what}.nii.gz", what="t1 t1_brain t1_reg t2 flair"), "ANNA", "T1w T2w FLAIR"),
    "BraTS 2018": (
        tree("HGG/{who}/{who}_{what}.nii.gz", who="Brats18_2013_2_1 Brats18_CBICA_AAB_1", what=_BRATS),
        "Brats18_2013_2_1 Brats18_CBICA_AAB_1",
        "T1w ce-gadolinium_T1w T2w FLAIR label:lesion",
    ),
    "BraTS 2020": (
        tree("{who}/{who}_{what}.nii", who="BraTS20_Training_001 BraTS20_Training_002", what=_BRATS),
        "BraTS20_Training_001 BraTS20_Training_002",
        "T1w ce-gadolinium_T1w T2w FLAIR label:lesion",
    ),
    "BraTS 2024": (
        tree("{who}/{who}-{what}.nii.gz", who="BraTS-GLI-00005-100 BraTS-GLI-00005-101", what="t1n t1c t2w t2f seg"),
        "BraTS-GLI-00005",
        "T1w ce-gadolinium_T1w T2w FLAIR label:lesion",
    ),
    "BraTS-Reg": (
        tree("BraTSReg_001/BraTSReg_001_{visit}_{what}.nii.gz", visit="00_0000 01_0106", what="t1 t1ce"),
        "BraTSReg_001",
        "T1w ce-gadolinium_T1w",
    ),
    "UCSF-PDGM": (
        tree(
            "{who}_nifti/{who}_{what}.nii.gz",
            who="UCSF-PDGM-0004 UCSF-PDGM-0431 UCSF-PDGM-0431_FU001d",
            what="T1 T1_bias T1c T2 FLAIR FLAIR_bias ADC DTI_eddy_FA SWI ASL tumor_segmentation",
        ),
        "UCSF-PDGM-0004 UCSF-PDGM-0431",
        "T1w ce-gadolinium_T1w T2w FLAIR ADC label:lesion",
    ),
    "UPENN-GBM": (
        [
            *tree(
                "images_structural/{who}/{who}_{what}.nii.gz",
                who="UPENN-GBM-00001_11 UPENN-GBM-00001_21",
                what="T1 T1GD",
            ),
            "images_structural_unstripped/UPENN-GBM-00001_11/UPENN-GBM-00001_11_T1_unstripped.nii.gz",
            "automated_segm/UPENN-GBM-00001_11_automated_approx_segm.nii.gz",
            "images_segm/UPENN-GBM-00001_11_segm.nii.gz",
            "images_DTI/images_DTI/UPENN-GBM-00001_11/UPENN-GBM-00001_11_DTI_FA.nii.gz",
        ],
        "UPENN-GBM-00001",
        "T1w ce-gadolinium_T1w label:lesion",
    ),
    "3D-MR-MS": (
        tree(
            "{space}/{who}/{what}.nii.gz",
            space="raw MNI",
            who="patient01 patient02",
            what="T1W T1WKS FLAIR consensus_gt",
        ),
        "patient01 patient02",
        "T1w ce-gadolinium_T1w FLAIR label:lesion",
    ),
    "OASIS": (tree("OAS1_0001_{visit}/T1.nii.gz", visit="MR1 MR2"), "OAS1_0001", "T1w"),
    "OASIS-3": (
        tree("{who}_ses-{day}/anat/{who}_ses-{day}_T1w.nii.gz", who="sub-OAS30001", day="d0129 d0757"),
        "sub-OAS30001",
        "T1w",
    ),
    "ISLES": (
        [
            *tree(
                "{who}/ses-0001/{what}.nii.gz", who="sub-strokecase0001", what="anat/sub-strokecase0001_ses-0001_FLAIR"
            ),
            *tree("sub-strokecase0001/ses-0001/dwi/sub-strokecase0001_ses-0001_{what}.nii.gz", what="dwi adc"),
            "derivatives/sub-strokecase0001/ses-0001/sub-strokecase0001_ses-0001_msk.nii.gz",
        ],
        "sub-strokecase0001",
        "FLAIR dwi ADC label:lesion",
    ),
    "ISLES, flat": (
        tree("sub-strokecase0009_ses-0001_{what}.nii.gz", what="flair dwi adc msk"),
        "sub-strokecase0009",
        "FLAIR dwi ADC label:lesion",
    ),
    "ADNI": (
        tree(
            "ADNI/{who}/MP-RAGE/{day}_11_20_47.0/S13408/ADNI_{who}_MR_MPRAGE_Br_2006.nii",
            who="002_S_0295 002_S_0413",
            day="2006-04-18 2007-05-02",
        ),
        "002_S_0295 002_S_0413",
        "T1w",
    ),
    "ADHD-200": (
        tree("KKI/{who}/{visit}/anat_1/mprage.nii.gz", who="1018959 1019436", visit="session_1 session_2"),
        "1018959 1019436",
        "T1w",
    ),
    "FreeSurfer": (
        tree("{who}/mri/{what}.mgz", who="ANNA BEN fsaverage", what="T1 norm brainmask orig aseg aparc+aseg"),
        "ANNA BEN",
        "T1w label:aseg label:aparc+aseg",
    ),
    "sites, folders of modalities": (
        tree("{site}/{what}/{who}.nii.gz", site="Berlin", what="T1 T2", who="anna ben"),
        "anna ben",
        "T1w T2w",
    ),
    "before and after": (tree("P1/{visit}_{what}.nii.gz", visit="pre post", what="T1 T2"), "P1", "T1w T2w"),
    "BIDS names in folders of modalities": (
        tree("{what}/{who}.nii.gz", what="T1 T2", who="sub-01 sub-02"),
        "sub-01 sub-02",
        "T1w T2w",
    ),
    "ATLAS": (
        tree(
            "ATLAS/Training/R001/{who}/ses-1/anat/{who}_ses-1_space-MNI_{what}.nii.gz",
            who="sub-r1s1 sub-r1s2",
            what="T1w label-L_desc-T1lesion_mask",
        ),
        "sub-r1s1 sub-r1s2",
        "T1w label:L_T1lesion_mask",
    ),
    "WMH": (
        [*tree("Utrecht/{who}/{place}/T1.nii.gz", who="0 2", place="pre orig"), "Utrecht/0/wmh.nii.gz"],
        "0 2",
        "T1w label:lesion",
    ),
    "ISBI": (
        tree("{who}/preprocessed/{who}_{visit}_flair_pp.nii", who="training01 training02", visit="01 02"),
        "training01 training02",
        "FLAIR",
    ),
    "radiotherapy": (
        tree("{who}/{who}_{what}.nii.gz", who="BraTS-MEN-RT-0001-1", what="t1c gtv"),
        "BraTS-MEN-RT-0001",
        "ce-gadolinium_T1w label:lesion",
    ),
    "hospital export": (
        tree("{who}/{day}/{what}.nii.gz", who="1234 8765", day="20190301 20200405", what="301_T1W_TFE 401_T2W_TSE"),
        "1234 8765",
        "T1w T2w",
    ),
    "days before years": (
        ["P1/01-02-1999/T1.nii.gz", "P1/3.12.2001/T1.nii.gz", "P2/05-02-1999/T1.nii.gz"],
        "P1 P2",
        "T1w",
    ),
    "few people, numbered visits": (
        tree("RHUH-{who}/{visit}/RHUH-{who}_{visit}_{what}.nii.gz", who="0001 0002", visit="0 1 2", what="t1 t2"),
        "RHUH-0001 RHUH-0002",
        "T1w T2w",
    ),
    "studies in folders": (
        tree("{who}/{visit}/SER{what}.nii.gz", who="PAT1 PAT2", visit="STUDY01 STUDY02", what="003_t1 004_t2"),
        "PAT1 PAT2",
        "T1w T2w",
    ),
    "time since the first visit": (
        tree("{who}_{visit}_T1.nii.gz", who="P01 P02", visit="baseline 12months 2yr"),
        "P01 P02",
        "T1w",
    ),
    "test and retest": (tree("{who}/{visit}/t1.nii.gz", who="P01 P02 P03", visit="test retest"), "P01 P02 P03", "T1w"),
    "scans in folders of days": (
        [
            *tree("PPMI/3102/MPRAGE/2011-02-01_09_10_11.0/I226/PPMI_3102_{what}_I226.nii", what="MP-RAGE"),
            *tree("PPMI/3102/MPRAGE/2012-02-01_09_10_11.0/I227/PPMI_3102_{what}_I227.nii", what="MP-RAGE"),
            *tree("PPMI/3104/MPRAGE/2011-02-03_09_10_11.0/I228/PPMI_3104_{what}_I228.nii", what="MP-RAGE"),
        ],
        "3102 3104",
        "T1w",
    ),
    "UK Biobank": (
        [
            *tree("{who}_20252_{visit}_0/T1/{what}.nii.gz", who="1000001 1000002", visit="2 3", what="T1 T1_brain"),
            *tree("{who}_20253_{visit}_0/T2_FLAIR/T2_FLAIR.nii.gz", who="1000001 1000002", visit="2 3"),
        ],
        "1000001 1000002",
        "T1w FLAIR",
    ),
    "FreeSurfer, longitudinal": (
        tree("{who}/mri/{what}.mgz", who="s1_tp1 s1_tp2 s1_base s1_tp1.long.s1_base s2_tp1", what="T1 orig lh.ribbon"),
        "s1 s2",
        "T1w",
    ),
    "FastSurfer": (
        tree("{who}/mri/{what}.mgz", who="sub-01 sub-02", what="orig orig_nu mask aparc.DKTatlas+aseg.deep"),
        "sub-01 sub-02",
        "T1w label:aparc.DKTatlas+aseg",
    ),
    "HCP, unprocessed": (
        tree("{who}/unprocessed/3T/{what}/{who}_3T_{what}.nii.gz", who="100307 100408", what="T1w_MPR1 T2w_SPC1"),
        "100307 100408",
        "T1w T2w",
    ),
    "ABIDE": (tree("{who}/anat/NIfTI/mprage.nii.gz", who="NYU_0050952 NYU_0050953"), "NYU_0050952 NYU_0050953", "T1w"),
    "MSSEG": (
        tree("{who}/{what}.nii.gz", who="01016SACH 01038PAGU", what="3DFLAIR 3DT1 3DT1GADO DP Consensus"),
        "01016SACH 01038PAGU",
        "FLAIR T1w ce-gadolinium_T1w PDw label:lesion",
    ),
    "FSL": (tree("{who}_{what}.nii.gz", who="s1 s2", what="T1 T1_fast_seg T1_pve_0"), "s1 s2", "T1w label:fast_seg"),
}


LABELED = ("T1w={subject}_t1.nii.gz", "label:seg={subject}_seg.nii.gz")


def write_labeled(root: Path, records: Iterable[Record]) -> Path:
    """People P1, P2, ... with a T1w and a label map (table toposlearn) of the patterns `LABELED`, and nothing else."""
    for number, record in enumerate(records, start=1):
        shutil.copyfile(record.images["T1w"], root / f"P{number}_t1.nii.gz")
        shutil.copyfile(record.labels, root / f"P{number}_seg.nii.gz")
    return root
