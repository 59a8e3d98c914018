"""Words in the names of image files and their folders, in small letters."""

from __future__ import annotations

import re
from functools import lru_cache

from toposlearn.settings import T1CE


def _set(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


WORD = re.compile(r"[A-Za-z0-9]+")
WORDS = {  # modality -> words that name it, in the spelling of BIDS, BraTS, and scanners
    "T1w": "t1 t1w t1n t1wi t1pre t1native mprage mpr spgr fspgr irspgr bravo mdeft t1mprage t1mpr t1spgr t1fspgr"
    " t1bravo t1vibe t1flash t1tfl t1tfe t1ffe t1se t1tse t1fse",
    T1CE: "t1ce t1c t1gd t1gad t1post t1wks t1ks t1km t1gado t1wc t1wce t1wgd t1wpost t1contrast t1kontrast"
    " cet1 cet1w gdt1 ct1",
    "T2w": "t2 t2w t2wi t2space t2cube t2se t2tse t2fse t2blade",
    "FLAIR": "flair t2f t2flair tirm dark",  # "t2_space_dark-fluid" is a FLAIR
    "PDw": "pd pdw dp",
    "dwi": "dwi trace",
    "ADC": "adc",
}
MODALITIES = {word: modality for modality, words in WORDS.items() for word in words.split()}
DIFFUSION = ("dwi", "ADC")  # often there several times, or as a series: used where it is clear which, else ignored
CONTRAST = _set(
    "ce gd gad gado gadolinium contrast postcontrast postgd postgad post enhanced km ks kontrast kontrastmittel"
)  # turns a T1w into T1CE
NO_CONTRAST = _set(
    "pre precontrast without no non native nativ noncontrast pregd ohne sans sin unenhanced nongad nogad"
)
LESIONS = _set("lesion lesions tumor tumour wmh infarct consensus gold gtv")
LABELS = LESIONS | _set(  # words that name a label map
    "seg segm segmentation segmentations dseg fseg aseg aparc wmparc synthseg label labels labelmap labelmaps",
    "labelstr parc parcellation gt truth groundtruth glm msk roi rois annotation annotations ribbon pveseg fast",
)
SOFT = _set("prob probseg posterior posteriors probability pve")  # of a class: no label map
OTHER = SOFT | _set(  # masks, maps and kinds of image that no run here uses
    "mask masks brainmask defacemask headmask facemask atlas template field biasfield map maps t1map t2map xfm",
    "warp affine jacobian displacement fieldmap fmap dti tensor fa md noddi bold fmri func rest asl perf dsc cbf",
    "cbv mtt tmax ttp swi swan qsm star t2star t2starw mt mp2rage megre inv1 inv2 hemo tof mra mrv angio ct ncct",
    "cta ctp pet fdg localizer localiser scout survey subtraction difference phase stir",
)
PROCESSING = _set(  # what was done to an image
    "reg coreg coregistered registered resampled aligned warped norm normalized normalised mni mni152 regtomni",
    "regtoflair iso bet brain ss stripped skullstripped unstripped n3 n4 bias biascorr biascorrected corrected",
    "defaced anon anonymized raw orig original preproc preprocessed processed std reoriented reorient cropped",
    "denoised ras automated approx",
)
MOVED = _set("reg coreg coregistered registered resampled aligned warped regtomni mni mni152")
FILLING = _set(  # how an image was taken, or which words surround it
    "1mm 2mm weighted ax axial sag sagittal cor coronal tra 3d 2d ir space spc cube blade hires highres",
    "manual expert final standard ground parenchyma mri mr image img scan anat fluid to in vibe flash tfl",
    "tfe ffe se tse fse",
)
CONTAINERS = _set(  # folders of many people, or of all images of one
    "train training val valid validation test testing images image imagestr imagests labelstr labelsts data",
    "dataset nifti nii niftis mri mr mris scans hgg lgg structural site center centre hospital scanner cohort",
    "download downloads people subjects patients release files anat dwi coregistered native longitudinal nifti",
)
_BEFORE = re.compile(r"^(?:[23]d|ax|sag|cor|tra|[srwm])+(?=[a-z])")  # sag3dt1, wt1 of SPM
_AFTER = re.compile(r"(?<=[a-z]{3})(?:reg|[23]d|ax|sag|cor|tra|\d{1,2})$")  # flair3d, mprage2
_SITES = re.compile(r"(site|cent(er|re)|hospital|scanner|cohort|dataset|ds)[-_ ]?[a-z0-9]{0,6}", re.IGNORECASE)


@lru_cache(maxsize=4096)
def modality_of_word(word: str) -> str:
    """The modality that a word names, also with what scanners and programs add to it; "" if none."""
    without = _BEFORE.sub("", word)
    forms = (word, without, _AFTER.sub("", word), _AFTER.sub("", without))
    return next((MODALITIES[form] for form in forms if form in MODALITIES), "")


def is_naming(word: str) -> bool:
    """True for a word that says what an image is."""
    return word in LABELS or word in OTHER or bool(modality_of_word(word))


def is_known(word: str) -> bool:
    """True for a word that says what an image is, or how it was taken or processed."""
    return word in PROCESSING | FILLING | CONTRAST | NO_CONTRAST or is_naming(word)


def is_site(name: str) -> bool:
    """True for a folder of one of several sites, whose people may be numbered alike: site2, centre-B, ds000114."""
    return _SITES.fullmatch(name) is not None


def is_container(name: str) -> bool:
    """True for a folder that holds people, or all images of one, and whose name says no more: train, anat_1, MRI."""
    words = [word.lower() for word in WORD.findall(name) if not word.isdigit()]
    return is_site(name) or (bool(words) and all(word in CONTAINERS | FILLING for word in words))
