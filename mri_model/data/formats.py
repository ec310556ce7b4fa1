"""The supported image formats."""

FORMATS = {
    "JPEG": (".jpeg", ".jpg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
}
"""Extensions that belong to each format. The format itself is read from the content, not from the extension."""

IMAGE_EXTENSIONS = tuple(extension for extensions in FORMATS.values() for extension in extensions)
