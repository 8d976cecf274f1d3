"""Workflows run by a ComfyUI on loopback that speaks as the real one does, and fails in every way that it may."""

from __future__ import annotations

import _thread
import errno
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kanjiprep.errors import InputError, Interrupted, KanjiprepError, RemoteError, UsageError
from kanjiprep.progress import silent
from kanjiprep.publishing.comfyui.graph import Workflow, from_api
from kanjiprep.publishing.comfyui.live import queueing, server, server_http
from kanjiprep.publishing.comfyui.live.server import Patience
from tests.comfyui_server import NO_CLIP, ComfyUI, Faults, picture

QUICK = Patience(answer_s=2.0, lost_s=0.3, workflow_s=20.0, poll_s=0.02, quiet_s=0.3)
PASSWORD = "s3cret-w0rd"  # noqa: S105
STEPS = 3


def api(**sampler: object) -> dict[str, Any]:
    values = {"seed": 1, "steps": STEPS, "cfg": 4.5, "sampler_name": "dpmpp_2m", "scheduler": "sgm_uniform"}
    links = {"model": ["3", 0], "positive": ["4", 0], "negative": ["5", 0], "latent_image": ["6", 0]}
    names = {
        "clip_name1": "clip_l.safetensors",
        "clip_name2": "clip_g.safetensors",
        "clip_name3": "t5xxl.safetensors",
    }
    lora = {"model": ["1", 0], "lora_name": "kanji-step400.safetensors", "strength_model": 1.0}
    return {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd3.5_large.safetensors"}},
        "2": {"class_type": "TripleCLIPLoader", "inputs": names},
        "3": {"class_type": "LoraLoaderModelOnly", "inputs": lora},
        "4": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["2", 0], "text": "a kanji"}},
        "5": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["2", 0], "text": ""}},
        "6": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "7": {"class_type": "KSampler", "inputs": {**values, **links, "denoise": 1.0, **sampler}},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["7", 0], "vae": ["1", 2]}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "kanji"}},
    }


WORKFLOW = from_api(api(), "")


@pytest.fixture
def comfyui() -> Iterator[ComfyUI]:
    with ComfyUI() as running:
        yield running


class Heard(list[tuple[str, int, int | None]]):
    """All progress, and what to do when a stage is heard."""

    def __init__(self, on: str = "", do: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self.on, self.do = on, do

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        self.append((stage, done, total))
        if stage == self.on:
            self.on = ""
            self.do()


def run(
    comfyui: ComfyUI, out: Path, progress: Any = silent, workflow: Workflow = WORKFLOW, patience: Patience = QUICK
) -> tuple[Path, ...]:
    return server.run({"kanji": workflow}, comfyui.url, out, progress, patience)


def refused(comfyui: ComfyUI, out: Path, kind: type[KanjiprepError] = RemoteError, **how: Any) -> str:
    with pytest.raises(kind) as caught:
        run(comfyui, out, **how)
    assert not out.exists()
    assert not comfyui.queued()
    return str(caught.value).replace(comfyui.url, "SERVER")


def test_pictures_come_with_a_step_at_a_time(comfyui: ComfyUI, tmp_path: Path) -> None:
    heard = Heard()
    paths = server.run({"a": WORKFLOW, "b": WORKFLOW}, comfyui.url, tmp_path / "out", heard, QUICK)
    assert paths == (tmp_path / "out" / "a.png", tmp_path / "out" / "b.png")
    texts = [Image.open(path).text["prompt"] for path in paths]  # type: ignore[attr-defined]
    assert [from_api(json.loads(text), "") for text in texts] == [WORKFLOW, WORKFLOW]
    steps = [("step", step, STEPS) for step in range(1, STEPS + 1)]
    assert heard == [("workflow", 0, 2), *steps, ("workflow", 1, 2), *steps, ("workflow", 2, 2)]
    assert comfyui.prompts[0]["7"]["inputs"]["latent_image"] == ["6", 0]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png"]


@pytest.mark.parametrize(("kind", "ending"), [("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp")])
def test_all_pictures_of_a_workflow_are_fetched_as_what_they_are(
    comfyui: ComfyUI, tmp_path: Path, kind: str, ending: str
) -> None:
    comfyui.picture, comfyui.batch = kind, 3
    names = [path.name for path in run(comfyui, tmp_path)]
    assert names == [f"kanji.{ending}", f"kanji_2.{ending}", f"kanji_3.{ending}"]


def test_a_number_that_is_another_workflows_name_is_left_to_it(comfyui: ComfyUI, tmp_path: Path) -> None:
    comfyui.batch = 2
    paths = server.run({"a": WORKFLOW, "a_2": WORKFLOW}, comfyui.url, tmp_path, silent, QUICK)
    assert [path.name for path in paths] == ["a.png", "a_3.png", "a_2.png", "a_2_2.png"]


def test_a_preview_is_fetched_if_nothing_is_saved(comfyui: ComfyUI, tmp_path: Path) -> None:
    shown = {**api(), "9": {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}}}
    assert [path.name for path in run(comfyui, tmp_path, workflow=from_api(shown, ""))] == ["kanji.png"]


def test_a_workflow_without_pictures_is_told(comfyui: ComfyUI, tmp_path: Path) -> None:
    other = {**api(), "9": {"class_type": "PreviewAny", "inputs": {"source": ["8", 0]}}}
    told = refused(comfyui, tmp_path / "out", InputError, workflow=from_api(other, ""))
    assert told == "kanji: has run, and made no picture; let it end in a SaveImage node"


def test_the_nodes_of_a_server_are_read_with_its_files(comfyui: ComfyUI) -> None:
    kinds = server.read_nodes(comfyui.url)
    assert len(kinds) == 10
    assert [one.name for one in kinds["KSampler"].inputs][:2] == ["model", "seed"]
    assert kinds["CheckpointLoaderSimple"].inputs[0].choices == (
        "sd3.5_large.safetensors",
        "sd3.5_medium.safetensors",
    )


@pytest.mark.parametrize("faults", [Faults(no_socket=True), Faults(drop_at=2), Faults(silent=True)])
def test_without_messages_the_pictures_come_all_the_same(comfyui: ComfyUI, tmp_path: Path, faults: Faults) -> None:
    comfyui.faults, comfyui.step_s = faults, 0.05
    assert [path.name for path in run(comfyui, tmp_path)] == ["kanji.png"]


@pytest.mark.parametrize(("preview_bytes", "steps"), [(1 << 20, STEPS), (5 << 20, 1)])
def test_messages_are_heard_until_one_is_larger_than_any_preview(
    comfyui: ComfyUI, tmp_path: Path, preview_bytes: int, steps: int
) -> None:
    comfyui.faults, comfyui.step_s = Faults(preview_bytes=preview_bytes), 0.05
    heard = Heard()
    assert [path.name for path in run(comfyui, tmp_path, heard)] == ["kanji.png"]
    assert [stage for stage, _, _ in heard].count("step") == steps


def test_a_server_that_is_never_silent_is_asked_between_its_messages(comfyui: ComfyUI, tmp_path: Path) -> None:
    comfyui.step_s = 0.02
    impatient = Patience(answer_s=2.0, workflow_s=20.0, quiet_s=0.0)
    assert [path.name for path in run(comfyui, tmp_path, patience=impatient)] == ["kanji.png"]
    assert comfyui.paths().count("/queue") > 3


def test_a_place_in_the_queue_is_told(comfyui: ComfyUI, tmp_path: Path) -> None:
    comfyui.put_other()
    other = comfyui.put_other()
    heard = Heard("before us in the queue", comfyui.others.set)
    run(comfyui, tmp_path, heard)
    assert heard[1] == ("before us in the queue", 2, None)
    assert heard[-2:] == [("step", STEPS, STEPS), ("workflow", 1, 1)]
    assert other not in comfyui.interrupted


def test_a_file_that_the_server_lacks_is_named(comfyui: ComfyUI, tmp_path: Path) -> None:
    comfyui.files["loras"] = []
    told = refused(comfyui, tmp_path / "out", InputError)
    assert (
        "node 3 (LoraLoaderModelOnly) wants the file 'kanji-step400.safetensors', which is not in models/loras"
        in told
    )


def test_a_workflow_that_is_taken_in_part_is_taken_off(comfyui: ComfyUI, tmp_path: Path) -> None:
    half = {**api(steps=10_000), "b": {"class_type": "SaveImage", "inputs": {"filename_prefix": "b"}}}
    comfyui.step_s = 0.01
    with pytest.raises(InputError, match=r"node b \(SaveImage\) lacks its input images"):
        run(comfyui, tmp_path / "out", workflow=from_api(half, ""))
    _await(lambda: not comfyui.queued())


@pytest.mark.parametrize(
    ("node", "kind", "words"),
    [
        (("4", "RuntimeError", NO_CLIP), InputError, "connect the CLIP of a TripleCLIPLoader"),
        (
            (
                "2",
                "FileNotFoundError",
                "Model in folder 'text_encoders' with filename 't5xxl.safetensors' not found.",
            ),
            InputError,
            "node 2 (TripleCLIPLoader) wants the file 't5xxl.safetensors', which is not in models/text_encoders",
        ),
        (("8", "ValueError", "boom"), RemoteError, "kanji: node 8 (VAEDecode) failed on the server: boom"),
    ],
)
def test_a_failure_on_the_server_is_told(
    comfyui: ComfyUI, tmp_path: Path, node: tuple[str, str, str], kind: type[KanjiprepError], words: str
) -> None:
    comfyui.faults = Faults(node=node)
    assert words in refused(comfyui, tmp_path / "out", kind)


def test_a_stop_by_somebody_else_is_told(comfyui: ComfyUI, tmp_path: Path) -> None:
    comfyui.faults = Faults(stop_at=2)
    told = refused(comfyui, tmp_path / "out")
    assert told == "kanji: was stopped on the server by somebody else; ask who it was, and run it again"


def test_a_restart_in_the_middle_is_told(comfyui: ComfyUI, tmp_path: Path) -> None:
    comfyui.faults = Faults(restart_at=2)
    told = refused(comfyui, tmp_path / "out")
    why = "it was restarted, or somebody has cleared its queue; run it again"
    assert told == f"SERVER: the server does not know it any more: {why}"


@pytest.mark.parametrize("stage", ["step", "before us in the queue"])
def test_ctrl_c_takes_off_what_is_ours_and_nothing_else(comfyui: ComfyUI, tmp_path: Path, stage: str) -> None:
    others = [comfyui.put_other()] if stage != "step" else []
    comfyui.step_s = 0.02
    out = tmp_path / "out"
    with pytest.raises(Interrupted) as caught:
        run(comfyui, out, Heard(stage, _thread.interrupt_main), from_api(api(steps=10_000), ""))
    assert str(caught.value) == f"{comfyui.url}: interrupted, and taken off the server"
    _await(lambda: comfyui.queued() == others)
    assert len(comfyui.interrupted) == (stage == "step")
    assert not out.exists()


def test_ctrl_c_twice_takes_off_what_is_ours(
    comfyui: ComfyUI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again(*arguments: Any) -> Any:
        monkeypatch.setattr(queueing, "ask", server_http.ask)
        raise KeyboardInterrupt

    def twice() -> None:
        monkeypatch.setattr(queueing, "ask", again)
        raise KeyboardInterrupt

    comfyui.step_s = 0.02
    with pytest.raises(Interrupted, match="interrupted, and taken off the server"):
        run(comfyui, tmp_path / "out", Heard("step", twice), from_api(api(steps=10_000), ""))
    _await(lambda: not comfyui.queued())


def test_ctrl_c_that_the_server_does_not_hear_is_told(comfyui: ComfyUI, tmp_path: Path) -> None:
    def interrupt() -> None:
        comfyui.faults.status["/queue"] = 500
        _thread.interrupt_main()

    comfyui.step_s = 0.02
    with pytest.raises(Interrupted) as caught:
        run(comfyui, tmp_path, Heard("step", interrupt), from_api(api(steps=20), ""))
    assert "but the server could not be told and may go on; stop it in ComfyUI's own queue" in str(caught.value)


def test_what_takes_too_long_is_taken_off(comfyui: ComfyUI, tmp_path: Path) -> None:
    comfyui.step_s = 0.02
    hasty = Patience(answer_s=2.0, workflow_s=0.2, poll_s=0.02, quiet_s=0.05)
    with pytest.raises(RemoteError, match="is still at work after 0 s, and was taken off the server"):
        run(comfyui, tmp_path, workflow=from_api(api(steps=10_000), ""), patience=hasty)
    _await(lambda: not comfyui.queued())
    other = comfyui.put_other()
    with pytest.raises(RemoteError, match="is still behind 1 others in the queue after 0 s"):
        run(comfyui, tmp_path, patience=hasty)
    assert comfyui.queued() == [other]


def test_a_server_that_is_gone_for_long_is_told(comfyui: ComfyUI, tmp_path: Path) -> None:
    def vanish() -> None:
        comfyui.faults.status |= {"/queue": 502, "/history": 502}

    comfyui.step_s, comfyui.faults.no_socket = 0.02, True
    comfyui.put_other()
    with pytest.raises(RemoteError, match=r"is broken or busy \(HTTP 502\), and that since \d+ s in the middle"):
        run(comfyui, tmp_path, Heard("before us in the queue", vanish))


def test_a_server_that_stumbles_once_is_asked_again(comfyui: ComfyUI, tmp_path: Path) -> None:
    comfyui.faults = Faults(
        status={"/queue": 500},
        early=frozenset({"/history", "/view"}),
        once=frozenset({"/queue", "/history", "/view"}),
    )
    assert [path.name for path in run(comfyui, tmp_path)] == ["kanji.png"]


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        (
            Faults(html=frozenset({"/prompt"})),
            "what answers there is not ComfyUI (/prompt gives an answer of another form); give",
        ),
        (Faults(status={"/prompt": 404}), "what answers there is not ComfyUI (/prompt gives HTTP 404); give"),
        (Faults(status={"/prompt": 503}), "is broken or busy (HTTP 503); look at"),
        (Faults(status={"/prompt": 403}), "forbids it (HTTP 403); ask whoever runs the server"),
        (Faults(early=frozenset({"/prompt"})), "its answer stopped early; look at"),
        (Faults(authorization="Basic x"), "asks for a user and a password (HTTP 401); write them into it, as in"),
        (
            Faults(redirect={"/prompt": "https://login.example:8443/?token=secret"}),
            "sends us elsewhere (HTTP 302); give https://login.example:8443 if it is ComfyUI",
        ),
        (Faults(redirect={"/prompt": "/login?secret"}), "sends us elsewhere (HTTP 302); give the address that"),
        (Faults(redirect={"/prompt": "http://[secret"}), "sends us elsewhere (HTTP 302); give the address that"),
    ],
)
def test_what_is_no_comfyui_or_no_whole_one_is_told(
    comfyui: ComfyUI, tmp_path: Path, faults: Faults, words: str
) -> None:
    comfyui.faults = faults
    told = refused(comfyui, tmp_path / "out")
    assert told.startswith(f"SERVER: {words}")
    assert "secret" not in told


def test_a_server_that_never_answers_is_left(comfyui: ComfyUI, tmp_path: Path) -> None:
    comfyui.faults = Faults(hang=frozenset({"/prompt"}))
    hasty = Patience(answer_s=0.2)
    assert refused(comfyui, tmp_path / "out", patience=hasty).startswith(
        "SERVER: does not answer within 0.2 s; look at"
    )


def test_a_picture_that_is_gone_or_broken_is_told(comfyui: ComfyUI, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for status, words in (
        (404, "SERVER: the picture kanji_00001_.png cannot be fetched: the server has no such file any more; give"),
        (400, "SERVER: the picture kanji_00002_.png cannot be fetched: HTTP 400; look for it"),
    ):
        comfyui.faults = Faults(status={"/view": status})
        assert refused(comfyui, out).startswith(words)
    for body, words in (
        (picture()[:-400], "of node 9 cannot be read as a picture: "),
        (
            b"<html>login</html>",
            "of node 9 cannot be read as a picture: is neither PNG nor WebP nor JPEG; look at it",
        ),
        (b"", "of node 9 cannot be read as a picture: it is empty"),
    ):
        comfyui.faults = Faults(picture=body)
        assert words in refused(comfyui, out)


def test_a_picture_that_can_never_be_fetched_is_told(
    comfyui: ComfyUI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    comfyui.faults = Faults(status={"/view": 500})
    monkeypatch.setattr("kanjiprep.publishing.comfyui.live.fetched._PAUSE_S", 0.01)
    told = refused(comfyui, tmp_path / "out")
    assert told.startswith("SERVER: the picture kanji_00001_.png cannot be fetched: is broken or busy (HTTP 500); ")
    assert comfyui.paths().count("/view") == 3


@pytest.mark.parametrize("name", ["kanji.png", "kanji.webp"])
def test_nothing_is_written_over(comfyui: ComfyUI, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match="is there already, and nothing is written over; move it away"):
        run(comfyui, tmp_path)
    assert (tmp_path / name).read_text() == "mine"
    assert not comfyui.asked


def test_a_series_that_was_cut_off_goes_on_where_it_stopped(comfyui: ComfyUI, tmp_path: Path) -> None:
    run(comfyui, tmp_path)
    comfyui.asked.clear()
    both = {"kanji": WORKFLOW, "more": from_api(api(seed=2), "")}
    found = server.run(both, comfyui.url, tmp_path, silent, QUICK)
    assert found == (tmp_path / "kanji.png", tmp_path / "more.png")
    assert comfyui.paths().count("/prompt") == 1
    with pytest.raises(UsageError, match="is there already, and nothing is written over"):
        run(comfyui, tmp_path, workflow=from_api(api(seed=3), ""))


@pytest.mark.parametrize("has_links", [True, False])
def test_what_came_there_meanwhile_is_not_written_over_either(
    comfyui: ComfyUI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    if not has_links:
        monkeypatch.setattr(os, "link", _no_links)
    comfyui.batch = 2
    (tmp_path / "kanji_2.png").write_text("mine")
    with pytest.raises(UsageError, match=r"kanji_2.png: is there already, and nothing is written over"):
        run(comfyui, tmp_path)
    assert (tmp_path / "kanji_2.png").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kanji.png", "kanji_2.png"]


def _no_links(*_: object) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "a\nb", "x" * 201])
def test_a_name_that_is_none_for_a_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is no name for a picture"):
        server.run({name: WORKFLOW}, "http://127.0.0.1:9", tmp_path, silent, QUICK)


def test_a_folder_that_cannot_be_written_is_told(
    comfyui: ComfyUI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="out: cannot be written: not a directory; fix the permissions"):
        run(comfyui, tmp_path / "file" / "out")
    with pytest.raises(UsageError, match="/proc/self: cannot be written: no such file or directory"):
        run(comfyui, Path("/proc/self"))
    assert not comfyui.asked
    monkeypatch.setattr(Path, "write_bytes", _no_space)
    assert "out: cannot be written: no space left on device; free the space" in refused(
        comfyui, tmp_path / "out", UsageError
    )


def _no_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_user_and_password_go_to_the_server_and_nowhere_else(
    comfyui: ComfyUI, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    comfyui.faults = Faults(authorization="Basic YW5uYTpzM2NyZXQtdzByZA==")
    url = comfyui.url.replace("://", f"://anna:{PASSWORD}@")
    heard = Heard()
    server.run({"kanji": WORKFLOW}, url, tmp_path, heard, QUICK)
    assert ("step", STEPS, STEPS) in heard
    comfyui.faults = Faults(authorization="Basic another")
    with pytest.raises(RemoteError, match="check the user and the password in the address") as caught:
        server.read_nodes(url)
    for told in (caplog.text, str(caught.value)):
        assert PASSWORD not in told
        assert "YW5uYTpz" not in told


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        (Faults(html=frozenset({"/object_info"})), "is not ComfyUI (/object_info gives an answer of another form)"),
        (Faults(status={"/object_info": 404}), "is not ComfyUI (/object_info gives HTTP 404)"),
    ],
)
def test_nodes_of_something_else_are_not_read(comfyui: ComfyUI, faults: Faults, words: str) -> None:
    comfyui.faults = faults
    with pytest.raises(RemoteError) as caught:
        server.read_nodes(comfyui.url)
    assert words in str(caught.value)


@contextmanager
def answering(reply: bytes) -> Iterator[str]:
    """The address of something that answers anything with ``reply``."""
    with socket.create_server(("127.0.0.1", 0)) as plug:

        def serve() -> None:
            peer, _ = plug.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{plug.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "its answer is no HTTP (BadStatusLine); give the address"),
        (b"", "broke off the connection; look at"),
        (b'HTTP/1.1 200 OK\r\n\r\n{"odd": {}}', "is not ComfyUI (/object_info describes no nodes)"),
        (
            b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 100_000,
            "is not ComfyUI (/object_info gives an answer of another form)",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", "its answer stopped early; look at"),
    ],
)
def test_answers_of_other_servers_are_told(reply: bytes, words: str) -> None:
    with answering(reply) as place, pytest.raises(RemoteError) as caught:
        server.read_nodes(f"http://{place}", 2)
    assert words in str(caught.value)


def test_tls_that_is_none_is_told() -> None:
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as place, pytest.raises(RemoteError) as caught:
        server.read_nodes(f"https://{place}", 2)
    assert "does not speak TLS; write http:// instead of https://" in str(caught.value)


def test_a_server_that_is_not_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as plug:
        place = f"http://127.0.0.1:{plug.getsockname()[1]}"
    with pytest.raises(RemoteError, match="nothing listens there .connection refused.; start ComfyUI there"):
        server.read_nodes(place)
    with pytest.raises(RemoteError, match="there is no host a{64}.invalid; check the address"):
        server.read_nodes(f"http://{'a' * 64}.invalid")


def test_a_host_that_cannot_be_reached_is_told_in_the_systems_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError(errno.EHOSTUNREACH, "No route to host")

    monkeypatch.setattr(socket, "create_connection", unreachable)
    with pytest.raises(RemoteError, match="cannot be reached: no route to host; start ComfyUI there"):
        server.read_nodes("http://127.0.0.1:1")


def test_an_answer_that_is_too_long_in_bytes_or_seconds_is_left(
    comfyui: ComfyUI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_http, "_WHOLE_S", -1.0)
    with pytest.raises(RemoteError, match="takes longer than -1 s for one answer"):
        server.read_nodes(comfyui.url)
    monkeypatch.setattr(server_http, "MOST_BYTES", 10)
    with pytest.raises(RemoteError, match="sends more than 0 MiB"):
        server.read_nodes(comfyui.url)


def _await(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)
