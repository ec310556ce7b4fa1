"""The image formats that are read."""

FORMATS = {
    "JPEG": (".jpeg", ".jpg"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
}
"""Format (decided by the content) → the extensions that belong to it."""

IMAGE_EXTENSIONS = tuple(extension for extensions in FORMATS.values() for extension in extensions)
