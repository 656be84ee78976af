"""Reading and writing recordings."""

from __future__ import annotations

import json
import shutil
import sqlite3
import struct
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.enums import CompressionFormat, CompressionMode

from nextscale_core.bags import Bag, BagWriter, writing
from nextscale_core.bags import definitions as kinds
from nextscale_core.bags.library import MAX_CHUNK, unpack_zstd
from nextscale_core.bags.salvage import FOOTER, repair
from nextscale_core.exceptions import BagError
from nextscale_core.robots import RobotTrajectory

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TEXT = "/text_command"


def texts(path: Path, count: int = 50, size: int = 20) -> Path:
    """A bag of `count` sentences of `size` words."""
    with BagWriter(path) as bag:
        for n in range(count):
            message = kinds.message(kinds.TEXT, data=f"{n} " + "walk " * size)
            bag.put(TEXT, kinds.TEXT, 10 + n, message)
    return path


def said(path: Path) -> list[str]:
    with Bag(path) as bag:
        return [value.data.split()[0] for _, value in bag.decoded([TEXT])]


def repacked(source: Path, target: Path, plugin: StoragePlugin, mode: CompressionMode) -> Path:
    """The same bag, stored and compressed by the library."""
    writer = Writer(target, version=9, storage_plugin=plugin)
    if mode != CompressionMode.NONE:
        writer.set_compression(mode, CompressionFormat.ZSTD)
    with Bag(source) as bag, writer:
        connections = {
            topic.name: writer.add_connection(
                topic.name, topic.kind, typestore=kinds.store_with(topic.kind)
            )
            for topic in bag.topics
        }
        for message in bag.messages(list(connections)):
            writer.write(connections[message.topic], message.time, message.data)
    return target


# -- what was written is read


def test_what_was_written_is_read(tmp_path: Path) -> None:
    with Bag(texts(tmp_path / "bag")) as bag:
        assert [(topic.name, topic.kind, topic.count) for topic in bag.topics] == [
            (TEXT, kinds.TEXT, 50)
        ]
        assert (bag.storage, bag.begin, bag.end) == ("mcap", 10, 59)
        found = [(message.time, value.data.split()[0]) for message, value in bag.decoded([TEXT])]
    assert found == [(10 + n, str(n)) for n in range(50)]


def test_a_part_is_read_from_its_begin_to_its_end(tmp_path: Path) -> None:
    with Bag(texts(tmp_path / "bag")) as bag:
        assert [m.time for m in bag.messages([TEXT], 20, 23)] == [20, 21, 22, 23]
        assert list(bag.messages(["/other"])) == []


@pytest.mark.parametrize("plugin", list(StoragePlugin), ids=lambda value: value.name)
@pytest.mark.parametrize("mode", list(CompressionMode), ids=lambda value: value.name)
def test_every_way_of_storing_a_bag_is_read(
    plugin: StoragePlugin, mode: CompressionMode, tmp_path: Path
) -> None:
    if plugin is StoragePlugin.SQLITE3 and mode is CompressionMode.STORAGE:
        pytest.skip("SQLite does not compress by itself")
    bag = repacked(texts(tmp_path / "bag"), tmp_path / "packed", plugin, mode)
    assert said(bag) == [str(n) for n in range(50)]


@pytest.mark.parametrize("plugin", list(StoragePlugin), ids=lambda value: value.name)
def test_a_single_file_and_a_folder_without_metadata_are_read(
    plugin: StoragePlugin, tmp_path: Path
) -> None:
    bag = repacked(texts(tmp_path / "bag"), tmp_path / "copy", plugin, CompressionMode.NONE)
    (bag / "metadata.yaml").unlink()
    (file,) = bag.iterdir()
    assert said(file) == said(bag) == [str(n) for n in range(50)]


def test_a_bag_of_several_files_is_read_as_one(tmp_path: Path) -> None:
    first, second = texts(tmp_path / "a", 3), tmp_path / "b"
    with BagWriter(second) as bag:
        bag.put(TEXT, kinds.TEXT, 100, kinds.message(kinds.TEXT, data="last one"))
    shutil.copy(second / "b.mcap", first)
    (first / "metadata.yaml").unlink()
    assert said(first) == ["0", "1", "2", "last"]


def test_our_own_types_are_those_that_rosidl_makes(tmp_path: Path) -> None:
    share = Path(sys.prefix) / "share" / "nextscale_ros" / "msg"
    if not (share / "TextCommand.json").is_file():
        pytest.skip("needs the built messages")
    for name in ("TextCommand", "MotionReport", "ErrorCode"):
        told = json.loads((share / f"{name}.json").read_text())["type_hashes"]
        (expected,) = [
            one["hash_string"] for one in told if one["type_name"] == f"nextscale_ros/msg/{name}"
        ]
        assert kinds.fingerprint(f"nextscale_ros/msg/{name}") == expected


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("nobody_msgs/msg/Nothing", "is unknown: its package"),
        ("../../etc/msg/passwd", "not the name of a message type"),
        ("a/msg/../../x", "not the name of a message type"),
        ("String", "not the name of a message type"),
    ],
)
def test_unknown_types_are_errors_and_stay_in_the_folder(kind: str, reason: str) -> None:
    with pytest.raises(BagError, match=reason):
        kinds.store_with(kind)


def test_a_trajectory_is_written_with_the_messages_of_its_execution(
    bag: Path, trajectory: RobotTrajectory
) -> None:
    topics = ["/joint_states", "/odom", "/tf", "/motion_command"]
    with Bag(bag) as recording:
        by_topic: dict[str, list] = {name: [] for name in topics}
        for message, value in recording.decoded(topics):
            by_topic[message.topic].append((message.time, value))
    states = [value for _, value in by_topic["/joint_states"]]
    assert len(states) == len(by_topic["/odom"]) == len(by_topic["/tf"]) == len(trajectory)
    np.testing.assert_array_equal([s.position for s in states], trajectory.positions)
    np.testing.assert_array_equal([s.velocity for s in states], trajectory.velocities)
    places = [o.pose.pose.position for _, o in by_topic["/odom"]]
    np.testing.assert_array_equal([[p.x, p.y, p.z] for p in places], trajectory.base_position)
    ((_, command),) = by_topic["/motion_command"]
    assert tuple(command.joint_names) == trajectory.joint_names
    assert len(command.points) == len(trajectory)
    for time, state in by_topic["/joint_states"]:
        assert state.header.stamp.sec * 10**9 + state.header.stamp.nanosec == time
    # What a robot's odometry tells of its speed agrees with where it was, in its own frame.
    move = np.gradient(trajectory.base_position, trajectory.time_from_start, axis=0)
    speed = [o.twist.twist.linear for _, o in by_topic["/odom"]]
    told = np.array([[v.x, v.y, v.z] for v in speed])
    np.testing.assert_allclose(
        np.linalg.norm(told, axis=1), np.linalg.norm(move, axis=1), atol=1e-9
    )


# -- what is wrong is told


def test_a_missing_bag_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="nowhere does not exist"):
        Bag(tmp_path / "nowhere").__enter__()


def test_other_files_and_folders_are_no_bags(tmp_path: Path) -> None:
    (tmp_path / "walk.bvh").write_text("HIERARCHY")
    for path, reason in (
        (tmp_path / "walk.bvh", "not a bag: give"),
        (tmp_path, "not a bag: there"),
    ):
        with pytest.raises(BagError, match=reason), Bag(path):
            pass


def test_an_empty_bag_is_an_error(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.add(TEXT, kinds.TEXT)
    with pytest.raises(BagError, match=r"no message in it; its topics: /text_command"):
        said(tmp_path / "bag")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.99, 0.9999])
def test_a_database_cut_short_is_an_error(share: float, tmp_path: Path) -> None:
    source = texts(tmp_path / "bag", 200, 500)
    bag = repacked(source, tmp_path / "copy", StoragePlugin.SQLITE3, CompressionMode.NONE)
    cut(data_file(bag), share)
    with pytest.raises(BagError, match=r"cut short|not a whole|no table|not a bag"):
        said(bag)


# -- a recorder that was killed


def data_file(bag: Path) -> Path:
    """The only file of a bag beside its metadata."""
    (file,) = [path for path in bag.iterdir() if path.suffix != ".yaml"]
    return file


def cut(file: Path, share: float) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])


def numbers(count: int) -> list[str]:
    return [str(n) for n in range(count)]


@pytest.mark.parametrize("metadata", [True, False], ids=["metadata", "no metadata"])
@pytest.mark.parametrize("mode", [CompressionMode.NONE, CompressionMode.STORAGE])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.99, 0.9999])
def test_of_an_mcap_cut_short_the_whole_messages_are_read_and_counted(
    share: float, mode: CompressionMode, metadata: bool, tmp_path: Path
) -> None:
    # Random letters, so that compressed blocks are many, too.
    rng = np.random.default_rng(0)
    with BagWriter(tmp_path / "bag") as source:
        for n in range(600):
            letters = "".join(map(chr, rng.integers(33, 127, 2000)))
            message = kinds.message(kinds.TEXT, data=f"{n} {letters}")
            source.put(TEXT, kinds.TEXT, 10 + n, message)
    bag = repacked(tmp_path / "bag", tmp_path / "copy", StoragePlugin.MCAP, mode)
    if not metadata:
        (bag / "metadata.yaml").unlink()
    file = data_file(bag)
    cut(file, share)
    before = file.read_bytes()
    with Bag(bag) as recording:
        found = [value.data.split()[0] for _, value in recording.decoded([TEXT])]
        notes = " ".join(recording.notes)
    assert found == numbers(len(found))
    # zstd packs 128 KiB at once: a block that is not whole is lost.
    assert len(found) > 600 * share - (75 if mode is CompressionMode.STORAGE else 5)
    assert f"its first {len(found)} messages are whole and are read" in notes
    assert (f"{len(found)} of 600 messages are there" in notes) == (metadata and len(found) < 600)
    assert file.read_bytes() == before


def test_messages_in_an_lz4_chunk_that_was_cut_off_are_read(tmp_path: Path) -> None:
    import lz4.frame

    rng = np.random.default_rng(0)
    with BagWriter(tmp_path / "bag") as source:
        for n in range(100):
            letters = "".join(map(chr, rng.integers(33, 127, 3000)))
            source.put(TEXT, kinds.TEXT, n, kinds.message(kinds.TEXT, data=f"{n} {letters}"))
    content = data_file(tmp_path / "bag").read_bytes()
    chunk = 8 + 9 + struct.unpack_from("<Q", content, 9)[0]
    head, size = content[chunk + 9 : chunk + 37], struct.unpack_from("<Q", content, chunk + 41)[0]
    packed = lz4.frame.compress(content[chunk + 49 : chunk + 49 + size])
    body = head + struct.pack("<I", 3) + b"lz4" + struct.pack("<Q", len(packed)) + packed
    whole = content[:chunk] + struct.pack("<BQ", 6, len(body)) + body
    file = tmp_path / "packed.mcap"
    for share in (0.5, 0.8, 1.0):
        file.write_bytes(whole[: int(len(whole) * share)])
        found = said(file)
        assert found == numbers(len(found)) and len(found) > 100 * share - 25
    assert len(found) == 100


@pytest.mark.parametrize("tail", [b"\0" * 5000, b"\xff" * 5000, b"\x05" + b"\xff" * 40])
def test_what_a_crash_leaves_behind_the_last_message_does_not_count(
    tail: bytes, tmp_path: Path
) -> None:
    bag = texts(tmp_path / "bag", 2000, 500)
    file = data_file(bag)
    cut(file, 0.6)
    repair(file)
    whole = said(file)
    file.write_bytes(file.read_bytes().removesuffix(FOOTER) + tail)
    assert said(file) == whole and len(whole) > 800


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.001])
def test_an_mcap_without_a_whole_message_is_an_error(share: float, tmp_path: Path) -> None:
    bag = texts(tmp_path / "bag", 200, 500)
    cut(data_file(bag), share)
    with pytest.raises(BagError, match=r"cut short|no message in it"):
        said(bag)


@pytest.mark.parametrize("content", [b"", b"\n", b"\0" * 300])
def test_metadata_that_were_never_written_count_as_missing(content: bytes, tmp_path: Path) -> None:
    bag = texts(tmp_path / "bag")
    (bag / "metadata.yaml").write_bytes(content)
    assert said(bag) == numbers(50)


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_the_last_messages_of_a_killed_database_writer_are_read(mode: str, tmp_path: Path) -> None:
    bag = repacked(
        texts(tmp_path / "bag", 40), tmp_path / "db", StoragePlugin.SQLITE3, CompressionMode.NONE
    )
    file, killed = data_file(bag), tmp_path / "killed"
    killed.mkdir()
    database = sqlite3.connect(file, isolation_level=None)
    try:
        database.execute(f"PRAGMA journal_mode={mode}")
        database.execute("PRAGMA cache_spill=1")
        database.execute("PRAGMA cache_size=1")
        data = kinds.encode(kinds.TEXT, kinds.message(kinds.TEXT, data="40 " + "walk " * 2000))
        database.execute("BEGIN")
        insert = "INSERT INTO messages(topic_id, timestamp, data) VALUES (1, ?, ?)"
        for n in range(20):
            database.execute(insert, (1000 + n, data))
        if mode == "WAL":
            database.execute("COMMIT")
        for path in bag.glob("*.db3*"):
            shutil.copy(path, killed)
    finally:
        database.close()
    left = {path.suffix for path in killed.iterdir()}
    assert left & {".db3-wal", ".db3-journal"}
    # What was committed counts, what was not is undone.
    assert said(killed) == numbers(40) + (["40"] * 20 if mode == "WAL" else [])
    assert {path.suffix for path in killed.iterdir()} == left


# -- metadata that do not fit


@pytest.mark.parametrize("value", ["", None])
@pytest.mark.parametrize("plugin", list(StoragePlugin), ids=lambda value: value.name)
@pytest.mark.parametrize("mode", [CompressionMode.NONE, CompressionMode.FILE])
def test_an_empty_storage_identifier_after_reindexing_is_found_from_the_files(
    mode: CompressionMode, plugin: StoragePlugin, value: object, tmp_path: Path
) -> None:
    bag = repacked(texts(tmp_path / "bag"), tmp_path / "copy", plugin, mode)
    file = bag / "metadata.yaml"
    tree = yaml.safe_load(file.read_text())
    facts = tree["rosbag2_bagfile_information"]
    facts |= {"storage_identifier": value, "compression_format": "", "compression_mode": ""}
    file.write_text(yaml.safe_dump(tree))
    assert said(bag) == numbers(50)


@pytest.mark.parametrize("plugin", list(StoragePlugin), ids=lambda value: value.name)
@pytest.mark.parametrize("mode", list(CompressionMode), ids=lambda value: value.name)
def test_compressed_bags_without_metadata_are_read(
    plugin: StoragePlugin, mode: CompressionMode, tmp_path: Path
) -> None:
    if plugin is StoragePlugin.SQLITE3 and mode is CompressionMode.STORAGE:
        pytest.skip("SQLite does not compress by itself")
    bag = repacked(texts(tmp_path / "bag"), tmp_path / "packed", plugin, mode)
    (bag / "metadata.yaml").unlink()
    file = data_file(bag)
    assert said(bag) == said(file) == numbers(50)
    assert (file.suffix == ".zstd") == (mode is CompressionMode.FILE)


def test_of_a_file_and_its_compressed_copy_one_is_read(tmp_path: Path) -> None:
    bag = repacked(
        texts(tmp_path / "bag"), tmp_path / "copy", StoragePlugin.MCAP, CompressionMode.FILE
    )
    (bag / "metadata.yaml").unlink()
    packed = data_file(bag)
    shutil.copy(data_file(texts(tmp_path / "again")), bag / packed.stem)
    cut(packed, 0.5)
    assert said(bag) == numbers(50)


def test_a_listed_file_may_have_been_compressed_or_not(tmp_path: Path) -> None:
    packed = repacked(
        texts(tmp_path / "bag"), tmp_path / "copy", StoragePlugin.MCAP, CompressionMode.FILE
    )
    file = data_file(packed)
    shutil.copy(data_file(tmp_path / "bag"), file.with_suffix(""))
    file.unlink()
    assert said(packed) == numbers(50)


def test_a_compressed_mcap_that_was_cut_short_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    source = texts(tmp_path / "bag", 3000, 300)
    bag = repacked(source, tmp_path / "copy", StoragePlugin.MCAP, CompressionMode.FILE)
    (bag / "metadata.yaml").unlink()
    cut(data_file(bag), 0.6)
    with Bag(bag) as recording:
        found = [value.data.split()[0] for _, value in recording.decoded([TEXT])]
        notes = " ".join(recording.notes)
    assert found == numbers(len(found)) and len(found) > 500
    assert "is cut off" in notes and "was cut short" in notes


@pytest.mark.parametrize(
    "name",
    ["walk_{}.mcap", "{}_walk_2026_11_03-10_20_30.mcap", "rosbag2_2026_11_03-10_20_30_{}.mcap"],
    ids=["Jazzy", "Lyrical", "Jazzy without a name"],
)
def test_the_files_of_one_bag_are_in_the_order_of_their_numbers(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "walk"
    folder.mkdir()
    for n in range(12):
        with BagWriter(tmp_path / f"part_{n}") as part:
            for k in range(3):
                # A clock that was set to the same time in each: only the numbers tell the order.
                text = kinds.message(kinds.TEXT, data=f"{3 * n + k} steps")
                part.put(TEXT, kinds.TEXT, 1000, text)
        shutil.copy(data_file(tmp_path / f"part_{n}"), folder / name.format(n))
    assert said(folder) == numbers(36)


def test_files_of_two_formats_without_metadata_are_an_error(tmp_path: Path) -> None:
    bag = texts(tmp_path / "bag")
    other = repacked(bag, tmp_path / "db", StoragePlugin.SQLITE3, CompressionMode.NONE)
    shutil.copy(data_file(other), bag)
    assert said(bag) == numbers(50)
    (bag / "metadata.yaml").unlink()
    with pytest.raises(BagError, match=r"holds \.mcap and \.db3 files and no metadata"):
        said(bag)


def test_files_that_the_metadata_do_not_list_are_named(tmp_path: Path) -> None:
    bag = texts(tmp_path / "bag")
    shutil.copy(data_file(texts(tmp_path / "more")), bag / "bag_1.mcap")
    with Bag(bag) as recording:
        assert recording.notes == ["not listed in metadata.yaml and not read: bag_1.mcap"]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
@pytest.mark.parametrize("plugin", list(StoragePlugin), ids=lambda value: value.name)
def test_damaged_bytes_are_an_error_of_ours_or_harmless(
    plugin: StoragePlugin, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    source = texts(folder / "bag", 5)
    bag = repacked(source, folder / "copy", plugin, CompressionMode.NONE)
    (file,) = [path for path in bag.iterdir() if path.suffix != ".yaml"]
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    file.write_bytes(content)
    try:
        said(bag)
        said(file)
    except BagError as error:
        assert str(error)
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("relative_file_paths", ["../../etc/passwd"], "lacks files that its metadata.yaml names"),
        ("relative_file_paths", [], "names 0 files"),
        ("relative_file_paths", "all", "must list the files"),
        ("storage_identifier", "tape", "stored as 'tape'"),
        ("compression_mode", "rot13", "compression_mode 'rot13'"),
        ("compression_mode", "file", "compressed with ''"),
    ],
)
def test_inconsistent_metadata_are_an_error(
    key: str, value: object, reason: str, tmp_path: Path
) -> None:
    bag = texts(tmp_path / "bag")
    file = bag / "metadata.yaml"
    tree = yaml.safe_load(file.read_text())
    tree["rosbag2_bagfile_information"][key] = value
    file.write_text(yaml.safe_dump(tree))
    with pytest.raises(BagError, match=reason):
        said(bag)


@pytest.mark.parametrize("text", ["a: [", "[" * 5000, "x: 1", "rosbag2_bagfile_information: 5"])
def test_malformed_metadata_are_an_error(text: str, tmp_path: Path) -> None:
    bag = texts(tmp_path / "bag")
    (bag / "metadata.yaml").write_text(text)
    with pytest.raises(BagError, match="not the metadata of a bag"):
        said(bag)


def test_metadata_never_lead_out_of_the_folder(tmp_path: Path) -> None:
    bag, other = texts(tmp_path / "bag", 2), texts(tmp_path / "other", 7)
    file = bag / "metadata.yaml"
    file.write_text(file.read_text().replace("bag.mcap", "../other/other.mcap"))
    assert len(said(other)) == 7
    with pytest.raises(BagError, match=r"lacks files .* other\.mcap"):
        said(bag)


def test_a_topic_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    with Bag(texts(tmp_path / "bag")) as bag:
        with pytest.raises(BagError, match=r"has no topic '/walk'; it has /text_command"):
            bag.require("/walk", kinds.TEXT)
        with pytest.raises(BagError, match=r"is std_msgs/msg/String, not sensor_msgs"):
            bag.require(TEXT, kinds.JOINT_STATE)


def test_a_type_of_the_same_name_and_another_definition_is_an_error(tmp_path: Path) -> None:
    bag = texts(tmp_path / "bag")
    single = repacked(bag, tmp_path / "db", StoragePlugin.SQLITE3, CompressionMode.NONE)
    database = single / "db.db3"
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE topics SET type_description_hash = 'RIHS01_" + "0" * 64 + "'")
    with Bag(database) as recording, pytest.raises(BagError, match="another definition"):
        recording.require(TEXT, kinds.TEXT)


# -- hostile files


def test_a_chunk_that_unpacks_to_more_than_it_claims_is_refused() -> None:
    bomb = zstd.compress(bytes(512 << 20))
    assert len(bomb) < 100_000
    tracemalloc.start()
    try:
        with pytest.raises(BagError, match="more than the 1000 bytes it claims"):
            unpack_zstd(bomb, 1000)
        with pytest.raises(BagError, match=f"at most {MAX_CHUNK} are read"):
            unpack_zstd(bomb, 1 << 40)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_bag_of_bombs_is_refused(tmp_path: Path) -> None:
    bag = repacked(
        texts(tmp_path / "bag", 20), tmp_path / "mcap", StoragePlugin.MCAP, CompressionMode.STORAGE
    )
    file = bag / "mcap.mcap"
    content = file.read_bytes()
    # The first record of the data is the header, the second the chunk.
    chunk = 8 + 9 + struct.unpack_from("<Q", content, 9)[0]
    assert content[chunk] == 0x06
    packed_at = chunk + 9 + 28 + 4 + len("zstd") + 8
    (size,) = struct.unpack_from("<Q", content, packed_at - 8)
    bomb = zstd.compress(bytes(1 << 30), 19)[:size].ljust(size, b"\0")
    file.write_bytes(content[:packed_at] + bomb + content[packed_at + size :])
    tracemalloc.start()
    try:
        with pytest.raises(BagError, match="more than the"):
            said(bag)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_a_list_of_impossible_length_is_refused() -> None:
    state = kinds.message(
        kinds.JOINT_STATE,
        header=kinds.message(
            "std_msgs/msg/Header",
            stamp=kinds.message("builtin_interfaces/msg/Time", sec=1, nanosec=0),
            frame_id="",
        ),
        name=["a"],
        position=np.ones(1),
        velocity=np.empty(0),
        effort=np.empty(0),
    )
    data = bytearray(kinds.encode(kinds.JOINT_STATE, state))
    place = data.index(struct.pack("<I", 1) + struct.pack("<I", 2) + b"a\0")
    data[place : place + 4] = struct.pack("<I", 2**32 - 1)
    with pytest.raises(BagError, match="are not a sensor_msgs/msg/JointState"):
        kinds.decode(kinds.JOINT_STATE, bytes(data))


def test_bytes_behind_a_message_do_not_count() -> None:
    data = kinds.encode(kinds.TEXT, kinds.message(kinds.TEXT, data="walk"))
    assert kinds.decode(kinds.TEXT, data + b"left over from another message").data == "walk"
    for broken in (b"", data[:3], data[:-2], b"\x07\x01" + data[2:]):
        with pytest.raises(BagError, match=r"bytes are not a std_msgs/msg/String"):
            kinds.decode(kinds.TEXT, broken)


def database(path: Path, messages: str) -> Path:
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT, "
            "serialization_format TEXT, offered_qos_profiles TEXT);"
            f"{messages};"
            "INSERT INTO topics VALUES (1, '/x', 'std_msgs/msg/String', 'cdr', '');"
            "INSERT INTO messages(id, topic_id, timestamp) VALUES (1, 1, 1);"
        )
    return path


def test_a_database_with_computed_columns_is_refused(tmp_path: Path) -> None:
    bomb = (
        "CREATE TABLE messages(id INTEGER, topic_id INTEGER, timestamp INTEGER, "
        "data BLOB AS (zeroblob(900000000)))"
    )
    with (
        pytest.raises(BagError, match="its table messages has computed columns"),
        Bag(database(tmp_path / "bomb.db3", bomb)),
    ):
        pass


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    view = (
        "CREATE TABLE other(id INTEGER, topic_id INTEGER, timestamp INTEGER);"
        "CREATE TABLE messages(id, topic_id, timestamp)"
    )
    path = database(tmp_path / "x.db3", view)
    with sqlite3.connect(path) as connection:
        connection.executescript("DROP TABLE messages; CREATE VIEW messages AS SELECT * FROM other")
    with pytest.raises(BagError, match="it has no table messages"), Bag(path):
        pass


# -- writing


def test_a_bag_is_only_written_anew(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    with pytest.raises(BagError, match="exists already"):
        BagWriter(tmp_path / "there").open()
    assert (tmp_path / "there").read_text() == "mine"
    with pytest.raises(BagError, match=r"folder .*nowhere does not exist"):
        BagWriter(tmp_path / "nowhere" / "bag").open()


def test_times_never_go_back(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        for time in (5, 9, 7, 12):
            bag.put(TEXT, kinds.TEXT, time, kinds.message(kinds.TEXT, data="x"))
    with Bag(tmp_path / "bag") as bag:
        assert [message.time for message in bag.messages([TEXT])] == [5, 9, 9, 12]


def test_an_error_on_the_way_leaves_what_was_written(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), BagWriter(tmp_path / "bag") as bag:
        bag.put(TEXT, kinds.TEXT, 1, kinds.message(kinds.TEXT, data="so far"))
        raise ZeroDivisionError
    assert said(tmp_path / "bag") == ["so"]


def test_a_disk_that_is_almost_full_ends_the_bag_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = iter([100 << 20, 50 << 20, 4 << 20])
    monkeypatch.setattr(writing, "_free", lambda path: next(free))
    bag = BagWriter(tmp_path / "bag")
    bag.open()
    with pytest.raises(BagError, match=r"the disk is full: 4 MiB are left .* can be read"):
        for n in range(1000):
            message = kinds.message(kinds.TEXT, data=f"{n} " + "walk " * 1000)
            bag.put(TEXT, kinds.TEXT, n, message)
    assert (tmp_path / "bag" / "metadata.yaml").is_file()
    assert said(tmp_path / "bag") == [str(n) for n in range(bag.count)]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 1.0])
def test_a_file_that_was_cut_off_is_repaired(share: float, tmp_path: Path) -> None:
    bag = texts(tmp_path / "bag", 2000, 500)
    (bag / "metadata.yaml").unlink()
    file = bag / "bag.mcap"
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    lost = repair(file)
    assert 0 <= lost < 2 << 20
    found = said(bag)
    assert found == [str(n) for n in range(len(found))]
    assert len(found) >= 2000 * share - 900
    if share == 1.0:
        assert len(found) == 2000


def test_nothing_can_be_repaired_in_other_files(tmp_path: Path) -> None:
    file = tmp_path / "x.mcap"
    for content in (b"", b"HIERARCHY", b"\x89MCAP0\r\n", b"\x89MCAP0\r\n" + b"\xff" * 50):
        file.write_bytes(content)
        with pytest.raises(BagError):
            repair(file)
        assert file.read_bytes() == content
