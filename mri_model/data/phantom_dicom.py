"""The phantom in DICOM: one file per slice, with the variants that exports of hospitals have.

Needs the optional extra ``dicom``, so it is imported where it is used. The first patient of each tumor type has the
special files: compressed, 12 bits, MONOCHROME1, enhanced multi-frame, localizer, DICOMDIR.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from openjpeg.utils import encode_array
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

from mri_model.data.phantom_directory import directory_of
from mri_model.data.phantom_volumes import (
    AGENT,
    HEALTHY,
    PIXEL_MM,
    SPACING_MM,
    THICKNESS_MM,
    Series,
    Volume,
    all_series,
    corner,
    slice_axes,
    write_series,
)
from mri_model.files import atomic
from mri_model.progress import ProgressCallback, no_progress

LOCALIZER_NUMBER = 3
FIRST_DAY = date(2021, 1, 4)
IMPLEMENTATION = uid.UID(f"{uid.PYDICOM_ROOT_UID}1044")
DESCRIPTIONS = {
    "T1": ("AX T1 SE", "t1_se_tra"),
    "T1C+": ("AX T1 +C", "t1_se_tra_gd"),
    "T2": ("AX T2 TSE", "t2_tse_tra"),
}
TIMES = {"T1": (12, 520), "T1C+": (12, 540), "T2": (98, 4600)}  # echo and repetition time, milliseconds


@dataclass(frozen=True)
class Storage:
    """How the files of a series are written.

    Attributes:
        syntax: Transfer syntax; the pixels are compressed if it says so.
        bits: Bits stored of the 16 bits allocated.
        inverted: MONOCHROME1, where the smallest value is white.
        window: Whether the file names a window.
        slope, intercept: Rescale; a slope of 1 is not written.
        suffix: Of the file names.
        top_first: Whether the first instance is the highest slice.
        says_clean: Whether BurnedInAnnotation is NO; otherwise it is missing.
        enhanced: One multi-frame file.
        directory: Whether a DICOMDIR lies beside the files.
    """

    syntax: uid.UID = uid.ExplicitVRLittleEndian
    bits: int = 16
    inverted: bool = False
    window: bool = True
    slope: float = 1.0
    intercept: float = 0.0
    suffix: str = ".dcm"
    top_first: bool = False
    says_clean: bool = False
    enhanced: bool = False
    directory: bool = False


SPECIAL = {
    ("Astrocitoma", "T2"): Storage(enhanced=True, says_clean=True),
    ("Carcinoma", "T1C+"): Storage(bits=12, top_first=True),
    ("Carcinoma", "T2"): Storage(inverted=True),
    ("Glioblastoma", "T1C+"): Storage(uid.RLELossless, says_clean=True),
    ("Glioblastoma", "T2"): Storage(uid.JPEG2000Lossless, bits=12),
    ("Meduloblastoma", "T1C+"): Storage(uid.JPEGLSLossless, bits=12, suffix=""),
    ("Meduloblastoma", "T2"): Storage(uid.DeflatedExplicitVRLittleEndian),
    ("Meningioma", "T1C+"): Storage(suffix="", directory=True, says_clean=True),
    ("Meningioma", "T2"): Storage(window=False, top_first=True),
    ("Schwannoma", "T1C+"): Storage(slope=1.75, intercept=-20, says_clean=True),
    ("Schwannoma", "T2"): Storage(uid.ImplicitVRLittleEndian),
}
"""The series of the first patient of each tumor type; by tumor type and contrast."""


def storage_of(series: Series) -> Storage:
    """How the files of a series are written. The choice depends on the patient's number alone."""
    special = SPECIAL.get((series.patient.tumor, series.contrast)) if series.patient.first else None
    turn = series.patient.number + 2 * series.number
    usual = Storage(
        window=turn % 4 > 0,
        slope=2.5 if turn % 3 == 0 else 1.0,
        intercept=-10 if turn % 6 == 0 else 0,
        suffix="" if turn % 5 == 0 else ".dcm",
        top_first=turn % 2 == 0,
        says_clean=turn % 3 == 1,
    )
    return special or usual


def write_dicom_phantom(out: Path, per_tumor: int = 5, seed: int = 0, progress: ProgressCallback = no_progress) -> int:
    """Write the class folders with DICOM files: ``Meningioma T2/patient-021/series-2/IM0001.dcm``.

    Args:
        out: A new or empty folder.
        per_tumor: Patients of each tumor type; each has two series of 12 slices.
        seed: The same seed gives the same bytes.
        progress: Progress callback.

    Returns:
        The number of files.

    Raises:
        MriError: ``out`` is not empty, or ``per_tumor`` is out of range.
    """
    return write_series(out, all_series(per_tumor, seed), lambda series: _write(out, series), progress)


def _write(out: Path, series: Series) -> int:
    """Write the files of one series and return how many."""
    storage, volume = storage_of(series), series.volume()
    folder = out / series.folder / f"patient-{series.patient.number:03d}"
    images = _enhanced(series, volume) if storage.enhanced else _slices(series, storage, volume)
    files = {f"series-{series.number}/IM{n:04d}{storage.suffix}": image for n, image in enumerate(images, start=1)}
    if storage.directory:
        files[f"series-{series.number}/DICOMDIR"] = directory_of(images, [Path(name).name for name in files])
    if series.patient.first and series.folder == f"{HEALTHY} T1":
        files[f"series-{LOCALIZER_NUMBER}/IM0001.dcm"] = _localizer(series, volume)
    for name, dataset in files.items():
        buffer = BytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
        with atomic(folder / name) as temporary:
            temporary.write_bytes(buffer.getvalue())
    return len(files)


def _uid(*key: object) -> uid.UID:
    return uid.generate_uid(entropy_srcs=[repr(key)])


def _peak(series: Series) -> float:
    """The value of white: an MRI image has no unit, and each series its own scale."""
    return float(np.random.default_rng([*series.key, 7]).integers(500, 1800))


def _stored(values: NDArray[Any], storage: Storage) -> NDArray[Any]:
    """Pixel values as they are stored, from values after the modality transform."""
    top = 2**storage.bits - 1
    stored = np.clip(np.rint((values - storage.intercept) / storage.slope), 0, top)
    return (top - stored if storage.inverted else stored).astype("<u2")


def _examination(series: Series, number: int) -> Dataset:
    """Who was examined, when and where; all of it is invented."""
    patient, day = series.patient, FIRST_DAY + timedelta(days=series.patient.number % 1000)
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = f"Phantom^Number {patient.number}"
    dataset.PatientID = f"PHANTOM-{patient.seed}-{patient.number:03d}"
    dataset.IssuerOfPatientID = "PHANTOM"
    dataset.PatientBirthDate, dataset.PatientSex = f"{1930 + patient.number % 70}0101", "O"
    dataset.StudyInstanceUID = _uid(patient.seed, patient.number)
    dataset.FrameOfReferenceUID = _uid(patient.seed, patient.number, "frame of reference")
    dataset.PositionReferenceIndicator = ""
    dataset.StudyID, dataset.AccessionNumber = "1", f"PH{patient.seed}-{patient.number}"
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = f"{day:%Y%m%d}"
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = f"10{10 * number:02d}00"
    dataset.StudyDescription = "PHANTOM HEAD"
    dataset.ReferringPhysicianName = "Invented^Referrer"
    dataset.Manufacturer, dataset.ManufacturerModelName = "Phantom", "Drawn head"
    dataset.InstitutionName, dataset.BodyPartExamined = "Phantom Hospital", "BRAIN"
    dataset.Modality, dataset.PatientPosition = "MR", "HFS"
    dataset.SeriesInstanceUID, dataset.SeriesNumber = _uid(patient.seed, patient.number, number), number
    return dataset


def _acquisition(dataset: Dataset, series: Series) -> None:
    """How a classic MR image was measured."""
    description = DESCRIPTIONS[series.contrast]
    dataset.SeriesDescription = description[series.patient.number % len(description)]
    dataset.EchoTime, dataset.RepetitionTime = TIMES[series.contrast]
    dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = "SE", "NONE", ""
    dataset.MRAcquisitionType, dataset.EchoTrainLength = "2D", 1 if series.contrast != "T2" else 15
    dataset.MagneticFieldStrength = "1.5"
    if series.contrast == AGENT:
        dataset.ContrastBolusAgent = "Gadobutrol"


def _with_identity(dataset: Dataset, sop_class: uid.UID, *key: object) -> Dataset:
    """Give ``dataset`` its UIDs and file meta information."""
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, _uid(*key)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    dataset.file_meta.ImplementationClassUID = IMPLEMENTATION
    dataset.file_meta.ImplementationVersionName = "MRI_PHANTOM"
    return dataset


def _set_pixels(dataset: Dataset, stored: NDArray[Any], storage: Storage) -> None:
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    dataset.PhotometricInterpretation = "MONOCHROME1" if storage.inverted else "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape[-2:]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, storage.bits, storage.bits - 1
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW"
    if storage.syntax == uid.JPEG2000Lossless:
        _set_jpeg2000(dataset, stored, storage)
    elif storage.syntax.is_encapsulated:
        dataset.compress(storage.syntax, generate_instance_uid=False)
    dataset.file_meta.TransferSyntaxUID = storage.syntax


def _set_jpeg2000(dataset: Dataset, stored: NDArray[Any], storage: Storage) -> None:
    """Compress without pydicom, which uses the encoder of pylibjpeg-openjpeg only together with another package."""
    dataset.PixelData = encapsulate([encode_array(stored, bits_stored=storage.bits)])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True


def _set_window(dataset: Dataset, peak: float, storage: Storage) -> None:
    """A window from black to white, in values after the modality transform; MONOCHROME1 is turned round after it."""
    centre = 2**storage.bits - 1 - peak / 2 if storage.inverted else peak / 2
    dataset.WindowCenter, dataset.WindowWidth = f"{centre:.1f}", f"{peak:.1f}"


def _slices(series: Series, storage: Storage, volume: Volume) -> list[Dataset]:
    """Classic MR images, one dataset per slice."""
    values, left_back = volume * _peak(series), slice_axes(series.patient.tilt)[:2]
    order = range(len(volume))[::-1] if storage.top_first else range(len(volume))
    images = []
    for number, k in enumerate(order, start=1):
        dataset = _with_identity(_examination(series, series.number), uid.MRImageStorage, *series.key, number)
        _acquisition(dataset, series)
        dataset.ImageType, dataset.InstanceNumber = ["ORIGINAL", "PRIMARY", "M", "SE"], number
        dataset.ImagePositionPatient = [f"{x:.4f}" for x in corner(series.patient, k)]
        dataset.ImageOrientationPatient = [f"{x:.6f}" for axis in left_back for x in axis]
        dataset.PixelSpacing = [PIXEL_MM, PIXEL_MM]
        dataset.SliceThickness, dataset.SpacingBetweenSlices = THICKNESS_MM, SPACING_MM
        if storage.says_clean:
            dataset.BurnedInAnnotation = "NO"
        if storage.slope != 1:
            dataset.RescaleSlope, dataset.RescaleIntercept = storage.slope, storage.intercept
            dataset.RescaleType = "US"
        if storage.window:
            _set_window(dataset, _peak(series), storage)
        _set_pixels(dataset, _stored(values[k], storage), storage)
        images.append(dataset)
    return images


def _localizer(series: Series, volume: Volume) -> Dataset:
    """A sagittal image of the middle of the head, from which the slices were planned."""
    height = round(len(volume) * SPACING_MM / PIXEL_MM)
    sagittal = cv2.resize(volume[::-1, :, volume.shape[2] // 2], (volume.shape[1], height))
    top = corner(series.patient, len(volume) - 1)
    dataset = _with_identity(_examination(series, LOCALIZER_NUMBER), uid.MRImageStorage, *series.key, "localizer")
    _acquisition(dataset, series)
    dataset.SeriesDescription = "LOCALIZER"
    dataset.ImageType, dataset.InstanceNumber = ["ORIGINAL", "PRIMARY", "LOCALIZER"], 1
    dataset.ImagePositionPatient = [f"{x:.4f}" for x in (0.0, top[1], top[2])]
    dataset.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    dataset.PixelSpacing, dataset.SliceThickness = [PIXEL_MM, PIXEL_MM], THICKNESS_MM
    _set_window(dataset, _peak(series), Storage())
    _set_pixels(dataset, _stored(sagittal * _peak(series), Storage()), Storage())
    return dataset


def _item(**elements: object) -> Dataset:
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item


def _enhanced(series: Series, volume: Volume) -> list[Dataset]:
    """One Enhanced MR image. Each frame is stored with a rescale slope of its own, as some scanners do."""
    dataset = _with_identity(_examination(series, series.number), uid.EnhancedMRImageStorage, *series.key, "enhanced")
    dataset.SeriesDescription = DESCRIPTIONS[series.contrast][0]
    dataset.ImageType, dataset.InstanceNumber = ["ORIGINAL", "PRIMARY", "M", "NONE"], 1
    dataset.NumberOfFrames = len(volume)
    _describe_enhanced(dataset, series)
    values = volume * _peak(series)
    slopes = [float(f"{frame.max() / 4095:.6f}") for frame in values]
    stored = [np.clip(np.rint(frame / slope), 0, 4095) for frame, slope in zip(values, slopes, strict=True)]
    organization = _uid(*series.key, "dimensions")
    dataset.DimensionOrganizationSequence = [_item(DimensionOrganizationUID=organization)]
    dataset.DimensionIndexSequence = [
        _item(
            DimensionOrganizationUID=organization,
            DimensionIndexPointer=0x00209057,  # InStackPositionNumber
            FunctionalGroupPointer=0x00209111,  # FrameContentSequence
        )
    ]
    dataset.SharedFunctionalGroupsSequence = [_shared_groups(series)]
    dataset.PerFrameFunctionalGroupsSequence = [_frame_groups(series, k, slope) for k, slope in enumerate(slopes)]
    _set_pixels(dataset, np.stack(stored).astype("<u2"), Storage(bits=12))
    return [dataset]


def _describe_enhanced(dataset: Dataset, series: Series) -> None:
    """Attributes that an Enhanced MR image must have once for all frames."""
    dataset.DeviceSerialNumber, dataset.SoftwareVersions = "0", "1"
    dataset.AcquisitionNumber, dataset.AcquisitionDuration = 1, 120.0
    dataset.AcquisitionDateTime = f"{dataset.StudyDate}{dataset.SeriesTime}"
    dataset.PixelPresentation, dataset.VolumetricProperties = "MONOCHROME", "VOLUME"
    dataset.VolumeBasedCalculationTechnique, dataset.ComplexImageComponent = "NONE", "MAGNITUDE"
    dataset.AcquisitionContrast = "T2" if series.contrast == "T2" else "T1"
    dataset.ResonantNucleus, dataset.KSpaceFiltering, dataset.MagneticFieldStrength = "1H", "NONE", 1.5
    dataset.ApplicableSafetyStandardAgency, dataset.ContentQualification = "IEC", "RESEARCH"
    dataset.PulseSequenceName, dataset.MRAcquisitionType = "SE", "2D"
    dataset.PresentationLUTShape, dataset.LossyImageCompression = "IDENTITY", "00"
    dataset.BurnedInAnnotation = "NO"
    dataset.AcquisitionContextSequence = []


def _shared_groups(series: Series) -> Dataset:
    """Functional groups that are the same for all frames."""
    echo, repetition = TIMES[series.contrast]
    left, back, _ = slice_axes(series.patient.tilt)
    directions = [f"{x:.6f}" for axis in (left, back) for x in axis]
    measures = _item(PixelSpacing=[PIXEL_MM, PIXEL_MM], SliceThickness=THICKNESS_MM, SpacingBetweenSlices=SPACING_MM)
    frame_type = _item(
        FrameType=["ORIGINAL", "PRIMARY", "M", "NONE"],
        PixelPresentation="MONOCHROME",
        VolumetricProperties="VOLUME",
        VolumeBasedCalculationTechnique="NONE",
        ComplexImageComponent="MAGNITUDE",
        AcquisitionContrast="T2" if series.contrast == "T2" else "T1",
    )
    timing = _item(RepetitionTime=repetition, FlipAngle=90, EchoTrainLength=1)
    return _item(
        PixelMeasuresSequence=[measures],
        PlaneOrientationSequence=[_item(ImageOrientationPatient=directions)],
        MRImageFrameTypeSequence=[frame_type],
        MRTimingAndRelatedParametersSequence=[timing],
        MREchoSequence=[_item(EffectiveEchoTime=float(echo))],
    )


def _frame_groups(series: Series, k: int, slope: float) -> Dataset:
    """Functional groups of frame ``k``: place, rescale and window."""
    peak = _peak(series)
    content = _item(StackID="1", InStackPositionNumber=k + 1, TemporalPositionIndex=1, DimensionIndexValues=[k + 1])
    rescale = _item(RescaleSlope=slope, RescaleIntercept=0, RescaleType="US")
    return _item(
        FrameContentSequence=[content],
        PlanePositionSequence=[_item(ImagePositionPatient=[f"{x:.4f}" for x in corner(series.patient, k)])],
        PixelValueTransformationSequence=[rescale],
        FrameVOILUTSequence=[_item(WindowCenter=f"{peak / 2:.1f}", WindowWidth=f"{peak:.1f}")],
    )
