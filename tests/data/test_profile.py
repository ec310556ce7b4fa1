"""Profiles: learnt from any tree of folders, written as text that people edit, and checked when read."""

import string
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mri_model.data.class_folders import ClassNaming
from mri_model.data.formats import IMAGE_EXTENSIONS
from mri_model.data.profile import (
    MAX_SIDE,
    SHIPPED,
    Profile,
    learn_profile,
    load_profile,
    profile_toml,
)
from mri_model.data.profile_file import MAX_NUMBER
from mri_model.errors import MriError

into_one_folder = hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150
)
text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
special_text = st.text("\"'\\\n\r\t\x00\x1b\x7f\x85 #=[]é語🧠", min_size=1, max_size=8)
number = st.integers(0, MAX_NUMBER)
bounds = st.tuples(number, number).map(lambda pair: (min(pair), max(pair)))
folder_name = st.sampled_from(
    [
        "train",
        "Test",
        "VALIDATION",
        "T1",
        "t2",
        "glioma",
        "no tumor",
        "Meningioma T1",
        "_NORMAL T2",
        "patient 3",
        ".cache",
        "a'b",
    ]
)
image_path = st.lists(folder_name, max_size=4).map(lambda folders: "/".join([*folders, "scan.jpg"]))
profiles = st.builds(
    Profile,
    name=(text | special_text).filter(lambda name: name != "auto"),
    counts=st.sampled_from(["exact", "minimum"]),
    classes=st.dictionaries(text | special_text, number, min_size=1, max_size=6).map(lambda n: dict(sorted(n.items()))),
    extensions=st.lists(st.text(string.ascii_lowercase, min_size=1).map(".{}".format), min_size=1).map(tuple),
    channels=st.just(3),
    contrasts=st.lists(text, max_size=3).map(tuple),
    height=bounds,
    width=bounds,
    source=st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | special_text,
    naming=st.builds(
        ClassNaming,
        st.integers(-20, 20),
        st.dictionaries(text, text | special_text, max_size=3).map(lambda names: dict(sorted(names.items()))),
    ),
    ignored=st.lists(text | special_text, max_size=3).map(tuple),
)


def inventory_of(*paths: str, broken: tuple[str, ...] = (), height: int = 200, width: int = 100) -> pd.DataFrame:
    """Rows as an inventory has them before labelling."""
    rows = [
        {
            "path": path,
            "extension": Path(path).suffix,
            "format": None if path in broken else "JPEG",
            "height": None if path in broken else height + index,
            "width": None if path in broken else width + index,
            "channels": None if path in broken else 3,
            "stored_channels": None if path in broken else 1,
            "status": "rejected" if path in broken else "ok",
            "reason": "empty file" if path in broken else None,
        }
        for index, path in enumerate([*paths, *broken])
    ]
    columns = ["path", "extension", "format", "height", "width", "channels", "stored_channels", "status", "reason"]
    return pd.DataFrame(rows, columns=columns)


def classes_of(*paths: str) -> dict[str, int]:
    return learn_profile(inventory_of(*paths)).classes


def refused(tmp_path: Path, content: str) -> str:
    """The line that says why a file is not a profile."""
    file = tmp_path / "mine.toml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(MriError) as caught:
        load_profile(str(file))
    message = str(caught.value)
    assert "mine.toml is not a profile" in message
    assert len(message.splitlines()) == 1
    assert caught.value.hint
    return message


def test_classes_are_learnt_with_their_counts_sizes_and_extensions() -> None:
    frame = inventory_of("Glioma T2/a.jpg", "Glioma T2/b.JPG", "_NORMAL T1/c.webp")
    profile = learn_profile(frame)
    assert profile == Profile(
        name="auto",
        counts="minimum",
        classes={"Glioma T2": 2, "_NORMAL T1": 1},
        extensions=(".jpg", ".webp"),
        channels=3,
        contrasts=("T1", "T2"),
        height=(200, 202),
        width=(100, 102),
        source="learnt from the folder itself",
    )
    assert list(profile.classes) == sorted(profile.classes)
    assert learn_profile(frame.iloc[::-1], name="ours") == replace(profile, name="ours")


def test_split_folders_are_passed_through_and_never_classes() -> None:
    paths = ["Training/glioma/a.jpg", "Testing/glioma/b.jpg", "data/val/pituitary/c.jpg"]
    strays = ["stray.jpg", "train/stray.jpg", "data/TEST/stray.jpg", "valid/stray.jpg"]
    assert classes_of(*paths, *strays) == {"glioma": 2, "pituitary": 1}


def test_a_folder_with_a_contrast_is_the_class_of_everything_below_it() -> None:
    assert classes_of("Glioma T1/patient 3/scan.jpg", "Glioma T1/train/x.jpg") == {"Glioma T1": 2}
    assert classes_of("Glioma T1/Glioma T2/scan.jpg") == {"Glioma T2": 1}


def test_without_a_contrast_the_folder_of_the_image_is_the_class() -> None:
    assert classes_of("brain/glioma/a.jpg", "brain/none/b.jpg") == {"glioma": 1, "none": 1}


def test_a_tree_may_mix_folders_with_and_without_a_contrast() -> None:
    profile = learn_profile(inventory_of("Glioma T1/a.jpg", "cyst/b.jpg"))
    assert (profile.classes, profile.contrasts) == ({"Glioma T1": 1, "cyst": 1}, ("T1",))


def test_plain_classes_have_no_contrasts() -> None:
    assert learn_profile(inventory_of("glioma/a.jpg")).contrasts == ()


@pytest.mark.parametrize("path", [".cache/a.jpg", "__MACOSX/glioma/a.jpg", "glioma/._a.jpg", "glioma/.old/a.jpg"])
def test_what_is_hidden_is_no_class(path: str) -> None:
    assert classes_of(path) == {}


def test_a_class_whose_images_are_broken_or_missing_must_have_one_image() -> None:
    frame = inventory_of("glioma/a.jpg", broken=("cyst/zero.jpg", "texts/notes.txt"))
    assert learn_profile(frame, ["empty", "train/Glioma T1", "train", ".hidden"]).classes == {
        "Glioma T1": 1,
        "cyst": 1,
        "empty": 1,
        "glioma": 1,
        "texts": 1,
    }


@pytest.mark.parametrize("file", ["scan.dcm", "scan.gif", "scan", "notes.txt", "volume.nii.gz"])
@pytest.mark.parametrize("place", ["cyst", "train/cyst", "cyst/patient 3"])
def test_a_folder_is_a_class_whatever_its_files_are(file: str, place: str) -> None:
    frame = inventory_of("glioma/a.jpg", "train/glioma/b.jpg", broken=(f"{place}/{file}",))
    assert learn_profile(frame).classes == {place.rpartition("/")[2]: 1, "glioma": 2}


def test_folders_in_class_folders_or_around_them_are_no_classes_of_their_own() -> None:
    broken = ("readme.md", "brain/readme.md", "brain/glioma/info/readme.md", "brain/glioma/more/zero.jpg")
    frame = inventory_of("brain/glioma/a.jpg", "brain/cyst/b.jpg", broken=broken)
    assert learn_profile(frame, ["brain/cyst/empty", "brain/cyst/empty/x"]).classes == {"cyst": 1, "glioma": 1}
    assert "Glioma T1" in learn_profile(frame, ["brain/glioma/Glioma T1"]).classes


def test_a_class_at_the_class_level_may_not_vanish_either() -> None:
    frame = inventory_of("glioma/p1/a.jpg", broken=("cyst/p2/scan.dcm", "glioma/p3/scan.dcm"))
    assert learn_profile(frame, naming=ClassNaming(1)).classes == {"cyst": 1, "glioma": 1}


def test_without_an_accepted_image_sizes_and_extensions_are_open() -> None:
    for frame in (inventory_of(), inventory_of(broken=("cyst/zero.jpg",)), inventory_of("stray.jpg")):
        profile = learn_profile(frame)
        assert profile.extensions == IMAGE_EXTENSIONS
        assert profile.height == profile.width == (1, MAX_SIDE)


def test_an_image_in_no_class_widens_no_bound() -> None:
    profile = learn_profile(inventory_of("glioma/a.jpg", "stray.png"))
    assert (profile.height, profile.width, profile.extensions) == ((200, 200), (100, 100), (".jpg",))


@given(st.lists(image_path, max_size=12, unique=True))
@example(["Meningioma T1/patient 3/scan.jpg", "patient 3/scan.jpg"])
def test_labelling_by_a_learnt_profile_agrees_with_the_learning(paths: list[str]) -> None:
    profile = learn_profile(inventory_of(*paths))
    for path in paths:
        if suggested := ClassNaming().suggest(path.rpartition("/")[0]):
            assert profile.class_of(path) == suggested.name
    labels = pd.Series([profile.class_of(path) for path in paths], dtype=object)
    assert profile.classes == labels.value_counts().to_dict()


@into_one_folder
@given(profile=profiles)
def test_a_written_profile_is_read_back_the_same(tmp_path: Path, profile: Profile) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(profile_toml(profile), encoding="utf-8")
    assert load_profile(str(file)) == profile


def test_a_learnt_profile_is_another_once_it_is_written(tmp_path: Path) -> None:
    learnt = learn_profile(inventory_of("glioma/a.jpg"))
    file = tmp_path / "mine.toml"
    file.write_text(profile_toml(learnt), encoding="utf-8")
    assert load_profile(str(file)) == replace(learnt, name="learnt")


def test_a_written_profile_tells_people_what_it_is() -> None:
    lines = profile_toml(learn_profile(inventory_of("glioma/a.jpg"))).splitlines()
    assert lines[0].startswith("# What a data set must look like")
    assert 'name = "learnt"' in lines


@pytest.mark.parametrize("name", sorted(file.stem for file in SHIPPED.glob("*.toml")))
def test_shipped_profiles_are_profiles(name: str) -> None:
    assert load_profile(name).name == name


def test_extensions_are_compared_in_lower_case_and_a_byte_order_mark_is_no_matter(tmp_path: Path) -> None:
    shipped = (SHIPPED / "phantom.toml").read_text(encoding="utf-8")
    file = tmp_path / "mine.toml"
    file.write_text(shipped.replace(".jpeg", ".JPEG"), encoding="utf-8-sig")
    assert load_profile(str(file)) == load_profile("phantom")


@pytest.mark.parametrize(
    ("was", "becomes", "words"),
    [
        ('name = "phantom"', "", "name is missing"),
        ('name = "phantom"', "name = 3", "name must be a text, not 3"),
        ('name = "phantom"', 'name = "auto"', "name must be another than 'auto'"),
        ('"minimum"', '"some"', "counts must be"),
        ('"minimum"', "[]", "counts must be"),
        ("channels = 3", "channels = 1", "channels must be 3, not 1"),
        ("channels = 3", "channels = true", "channels must be 3"),
        ("channels = 3", "channels = 3.0", "channels must be 3, not 3.0"),
        ("[347, 630]", "[630, 347]", "height must be two numbers of pixels, smallest and largest"),
        ("[347, 630]", "[347]", "height must be"),
        ("[305, 630]", "[305.0, 630]", "width must be"),
        ("[305, 630]", "630", "width must be"),
        ('".webp"', '"webp"', "extensions must be a list"),
        ('[".jpeg", ".jpg", ".webp"]', "[]", "extensions must be a list"),
        ('["T1", "T1C+", "T2"]', '"T1"', "contrasts must be a list"),
        ('"Papiloma T1" = 3', '"Papiloma T1" = -1', "classes.'Papiloma T1' must be a whole number"),
        ('"Papiloma T1" = 3', '"Papiloma T1" = 3.0', "classes.'Papiloma T1' must be a whole number"),
        ('"Papiloma T1" = 3', '"Papiloma T1" = true', "classes.'Papiloma T1' must be a whole number"),
        ('"Papiloma T1" = 3', '"Papiloma\\nT1" = "x"', "classes.'Papiloma\\nT1' must be a whole number"),
        ("[classes]", "[other]", "classes is missing"),
        ('source = "', "source = 3 #", "source must be a text"),
        ("channels = 3", "channels = ", "Invalid value"),
        ("channels = 3", "channels = 3\nclass_level = 21", "class_level must be a whole number from -20 to 20, not 21"),
        ("channels = 3", 'channels = 3\nignored = "a"', "ignored must be a list of paths"),
        ("channels = 3", 'channels = 3\nclass_map = {a = ""}', "class_map must be a table like"),
    ],
)
def test_a_wrong_field_is_named_in_one_line(tmp_path: Path, was: str, becomes: str, words: str) -> None:
    shipped = (SHIPPED / "phantom.toml").read_text(encoding="utf-8")
    assert was in shipped
    assert words in refused(tmp_path, shipped.replace(was, becomes))


@pytest.mark.parametrize("name", ["nonsense", "x" * 5000, "nul\0", ""])
def test_a_profile_that_is_not_there_lists_the_shipped_ones(name: str) -> None:
    with pytest.raises(MriError, match="there is no profile") as caught:
        load_profile(name)
    assert "brain-tumor-44c" in caught.value.hint


def test_a_file_of_bytes_is_no_profile(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(MriError, match="is not a profile"):
        load_profile(str(file))


def test_no_classes_at_all_is_no_profile(tmp_path: Path) -> None:
    head = (SHIPPED / "phantom.toml").read_text(encoding="utf-8").partition("[classes]")[0]
    assert "classes must be a table" in refused(tmp_path, head + "[classes]\n")


toml_value = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=["Cs"])) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
good_fields = {
    "name": "x",
    "counts": "exact",
    "classes": {"a": 1},
    "extensions": [".jpg"],
    "channels": 3,
    "contrasts": [],
    "height": [1, 2],
    "width": [1, 2],
    "source": "",
}


@into_one_folder
@given(spoilt=st.dictionaries(st.sampled_from(sorted(good_fields)), toml_value, max_size=3))
def test_any_toml_is_a_profile_or_one_line(tmp_path: Path, spoilt: dict[str, object]) -> None:
    import tomli_w

    profile_or_line(tmp_path, tomli_w.dumps({**good_fields, **spoilt}).encode())


@into_one_folder
@given(content=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode(errors="surrogatepass")))
@example(content=b"a = " + b"[" * 50_000)
@example(content=b"a = " + b"9" * 10_000)
@example(content=b"a" + b".a" * 2_000 + b" = 1")
def test_any_bytes_are_a_profile_or_one_line(tmp_path: Path, content: bytes) -> None:
    profile_or_line(tmp_path, content)


def profile_or_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "mine.toml"
    file.write_bytes(content)
    try:
        assert load_profile(str(file)).classes
    except MriError as error:
        assert len(str(error).splitlines()) == 1
        assert len(str(error)) < 500
