"""A DICOMDIR: the table of contents of the DICOM files of one series."""

from io import BytesIO
from typing import Any

from pydicom import dcmread, uid
from pydicom.dataset import Dataset, FileMetaDataset

IN_USE = 0xFFFF
COPIED = {  # what a record of each level repeats from the files
    "PATIENT": ("PatientID", "PatientName"),
    "STUDY": ("StudyInstanceUID", "StudyID", "StudyDate", "StudyTime", "StudyDescription", "AccessionNumber"),
    "SERIES": ("SeriesInstanceUID", "SeriesNumber", "Modality"),
    "IMAGE": ("InstanceNumber",),
}


def directory_of(images: list[Dataset], names: list[str]) -> Dataset:
    """The DICOMDIR that lies beside the files of one series.

    Args:
        images: The datasets of the files.
        names: Their names: capitals and digits, without extension, as the standard asks.

    Returns:
        The dataset of the DICOMDIR.
    """
    records = [_record(level, images[0]) for level in ("PATIENT", "STUDY", "SERIES")]
    records += [_image_record(image, name) for image, name in zip(images, names, strict=True)]
    directory = _empty_directory(images[0])
    directory.DirectoryRecordSequence = records
    starts = _starts(directory)
    directory.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = starts[0]
    directory.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity = starts[0]
    for lower, record in enumerate(records[:3], start=1):
        record.OffsetOfReferencedLowerLevelDirectoryEntity = starts[lower]
    for following, record in enumerate(records[3:-1], start=4):
        record.OffsetOfTheNextDirectoryRecord = starts[following]
    return directory


def _empty_directory(image: Dataset) -> Dataset:
    directory = Dataset()
    directory.file_meta = FileMetaDataset()
    directory.file_meta.update(image.file_meta)
    directory.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    directory.file_meta.MediaStorageSOPClassUID = uid.MediaStorageDirectoryStorage
    directory.file_meta.MediaStorageSOPInstanceUID = uid.generate_uid(entropy_srcs=[image.SOPInstanceUID, "directory"])
    directory.FileSetID = "PHANTOM"
    directory.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = 0
    directory.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity = 0
    directory.FileSetConsistencyFlag = 0
    return directory


def _record(level: str, image: Dataset) -> Dataset:
    record = Dataset()
    record.OffsetOfTheNextDirectoryRecord = 0
    record.RecordInUseFlag = IN_USE
    record.OffsetOfReferencedLowerLevelDirectoryEntity = 0
    record.DirectoryRecordType = level
    record.SpecificCharacterSet = image.SpecificCharacterSet
    for keyword in COPIED[level]:
        setattr(record, keyword, image[keyword].value)
    return record


def _image_record(image: Dataset, name: str) -> Dataset:
    record = _record("IMAGE", image)
    record.ReferencedFileID = name
    record.ReferencedSOPClassUIDInFile = image.SOPClassUID
    record.ReferencedSOPInstanceUIDInFile = image.SOPInstanceUID
    record.ReferencedTransferSyntaxUIDInFile = image.file_meta.TransferSyntaxUID
    return record


def _starts(directory: Dataset) -> list[Any]:
    """Where each record starts in the file. Offsets have a fixed length, so that filling them in moves nothing."""
    buffer = BytesIO()
    directory.save_as(buffer, enforce_file_format=True)
    return [record.seq_item_tell for record in dcmread(BytesIO(buffer.getvalue())).DirectoryRecordSequence]
