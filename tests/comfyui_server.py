"""A ComfyUI on loopback that answers as 0.3.64 does, paints grey pictures, and fails on demand.

Its messages, their order and its history are those that the real one sent for an SD3 workflow with a tiny model.
"""

from __future__ import annotations

import asyncio
import io
import json
import threading
import uuid
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from PIL import Image, PngImagePlugin

from tests.comfyui_rules import Rules, object_info

FILES = {
    "checkpoints": ["sd3.5_large.safetensors", "sd3.5_medium.safetensors"],
    "loras": ["kanji-step400.safetensors"],
    "text_encoders": ["clip_l.safetensors", "clip_g.safetensors", "t5xxl_fp16.safetensors"],
}
NO_CLIP = (
    "ERROR: clip input is invalid: None\n\n"
    "If the clip is from a checkpoint loader node your checkpoint does not contain a valid clip or text encoder model"
)


@dataclass
class Faults:
    """What goes wrong; nothing unless it is said.

    Attributes:
        hang: Paths that are never answered.
        status: What is answered for a path, such as 500.
        html: Paths that give a web page.
        early: Paths whose answer stops in the middle.
        redirect: Where a path sends its visitors.
        once: Paths whose fault is over after one answer.
        no_socket: Whether there is no websocket.
        drop_at: The step at which the websocket is dropped.
        restart_at: The step at which the server forgets all and drops its websockets.
        stop_at: The step at which somebody else interrupts.
        silent: Whether no messages are sent.
        preview_bytes: What is added to each preview.
        node: The node that fails, with the class of its exception and the message.
        picture: What /view gives instead of a picture.
        authorization: The header that is asked for.
    """

    hang: frozenset[str] = frozenset()
    status: dict[str, int] = field(default_factory=dict)
    html: frozenset[str] = frozenset()
    early: frozenset[str] = frozenset()
    redirect: dict[str, str] = field(default_factory=dict)
    once: frozenset[str] = frozenset()
    no_socket: bool = False
    drop_at: int | None = None
    restart_at: int | None = None
    stop_at: int | None = None
    silent: bool = False
    preview_bytes: int = 0
    node: tuple[str, str, str] | None = None
    picture: bytes | None = None
    authorization: str = ""


class ComfyUI:
    """The server, open while it is a context; a mistake of its own is raised when it closes.

    Attributes:
        url: Its address.
        faults: What goes wrong.
        asked: Method and path of each request, in order.
        prompts: What was queued, in order.
        interrupted: Numbers of the workflows that were interrupted.
        step_s: How long a step takes.
        picture: The format of the pictures.
        batch: How many a node saves.
        files: The model files that it has.
        others: A hand-over that lets the work of others go on.
    """

    def __init__(self) -> None:
        self.url = ""
        self.faults = Faults()
        self.asked: list[tuple[str, str]] = []
        self.prompts: list[dict[str, Any]] = []
        self.interrupted: list[str] = []
        self.step_s = 0.0
        self.picture, self.batch = "PNG", 1
        self.files = {folder: list(names) for folder, names in FILES.items()}
        self.others = threading.Event()
        self.sampling = threading.Event()
        self._queue: list[list[Any]] = []
        self._running: list[list[Any]] = []
        self._history: dict[str, Any] = {}
        self._pictures: dict[tuple[str, str], bytes] = {}
        self._sockets: dict[str, web.WebSocketResponse] = {}
        self._number = 0
        self._mistakes: list[BaseException] = []
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._main, name="comfyui")

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()
        if error is None and self._mistakes:
            raise self._mistakes[0]

    def put_other(self) -> str:
        """Queue the work of somebody else, which waits for ``others``."""
        name = f"other-{uuid.uuid4()}"
        self._put(name, {"1": {"class_type": "PreviewAny", "inputs": {}}}, {})
        return name

    def queued(self) -> list[str]:
        """Numbers of what runs and waits."""
        return [item[1] for item in self._running + self._queue]

    def paths(self) -> list[str]:
        """Of the requests, without their queries."""
        return [path for _, path in self.asked]

    def _main(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(middlewares=[self._faulty], client_max_size=1 << 24)
        app.add_routes(
            [
                web.get("/object_info", self._object_info),
                web.get("/ws", self._socket),
                web.post("/prompt", self._prompt),
                web.get("/history/{prompt_id}", self._told),
                web.get("/queue", self._listed),
                web.post("/queue", self._delete),
                web.post("/interrupt", self._interrupt),
                web.get("/view", self._view),
            ]
        )
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = site.name if site.port is None else f"http://127.0.0.1:{runner.addresses[0][1]}"
        worker = asyncio.create_task(self._work())
        self._ready.set()
        await self._closing.wait()
        worker.cancel()
        for socket in list(self._sockets.values()):
            await socket.close()
        await runner.cleanup()

    @web.middleware
    async def _faulty(self, request: web.Request, handler: Any) -> web.StreamResponse:
        path = next((one for one in ("/history", "/view") if request.path.startswith(one)), request.path)
        self.asked.append((request.method, path))
        wanted = self.faults.authorization
        if wanted and request.headers.get("Authorization") != wanted:
            return web.Response(status=401, headers={"WWW-Authenticate": "Basic"})
        fault = await self._fault(request, path)
        return fault if fault is not None else await handler(request)

    async def _fault(self, request: web.Request, path: str) -> web.StreamResponse | None:
        faults = self.faults
        names = (faults.hang, faults.status, faults.html, faults.early, faults.redirect)
        if not any(path in one for one in names) or (path in faults.once and self.paths().count(path) > 1):
            return None
        if path in faults.hang:
            await self._closing.wait()
        if path in faults.status:
            return web.Response(status=faults.status[path], text="secret words of a proxy")
        if path in faults.html:
            return web.Response(text="<html>Jupyter</html>", content_type="text/html")
        if path in faults.redirect:
            return web.Response(status=302, headers={"Location": faults.redirect[path]})
        await request.read()  # what is not read makes the system reset the connection
        reply = web.StreamResponse(headers={"Content-Length": "1000"})
        await reply.prepare(request)
        await reply.write(b"{")
        assert request.transport is not None
        request.transport.close()
        return reply

    async def _object_info(self, request: web.Request) -> web.Response:
        return web.json_response(object_info(self.files))

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if self.faults.no_socket:
            return web.Response(status=404)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        client = request.query["clientId"]
        self._sockets[client] = socket
        await self._send(client, "status", {"status": self._status(), "sid": client})
        async for _ in socket:
            pass
        self._sockets.pop(client, None)
        return socket

    async def _prompt(self, request: web.Request) -> web.Response:
        document = await request.json()
        refused, left_out = Rules(object_info(self.files)).refuse(document["prompt"])
        if refused is not None:
            return web.json_response(refused[1], status=refused[0])
        prompt_id = str(document.get("prompt_id", uuid.uuid4()))
        self.prompts.append(document["prompt"])
        self._put(prompt_id, document["prompt"], {"client_id": document.get("client_id")})
        return web.json_response({"prompt_id": prompt_id, "number": self._number, "node_errors": left_out})

    def _put(self, prompt_id: str, prompt: dict[str, Any], extra: dict[str, Any]) -> None:
        self._queue.append([self._number, prompt_id, prompt, extra, []])
        self._number += 1

    async def _told(self, request: web.Request) -> web.Response:
        name = request.match_info["prompt_id"]
        return web.json_response({name: self._history[name]} if name in self._history else {})

    async def _listed(self, request: web.Request) -> web.Response:
        return web.json_response({"queue_running": self._running, "queue_pending": self._queue[::-1]})

    async def _delete(self, request: web.Request) -> web.Response:
        gone = (await request.json())["delete"]
        self._queue = [item for item in self._queue if item[1] not in gone]
        return web.Response()

    async def _interrupt(self, request: web.Request) -> web.Response:
        name = (await request.json()).get("prompt_id")
        self.interrupted += [item[1] for item in self._running if item[1] == name]
        return web.Response()

    async def _view(self, request: web.Request) -> web.Response:
        if self.faults.picture is not None:
            return web.Response(body=self.faults.picture, content_type="image/png")
        found = self._pictures.get((request.query["type"], request.query["filename"]))
        return web.Response(status=404) if found is None else web.Response(body=found, content_type="image/png")

    def _status(self) -> dict[str, Any]:
        return {"exec_info": {"queue_remaining": len(self._queue) + len(self._running)}}

    async def _send(self, client: object, kind: str, data: dict[str, Any]) -> None:
        socket = self._sockets.get(str(client))
        if socket is not None and not socket.closed and not self.faults.silent:
            await socket.send_json({"type": kind, "data": data})

    async def _work(self) -> None:
        try:
            while True:
                if self._queue:
                    self._running = [self._queue.pop(0)]
                    await self._run(self._running[0])
                    self._running = []
                await asyncio.sleep(0.005)
        except Exception as error:  # noqa: BLE001 - told when the context ends
            self._mistakes.append(error)

    async def _run(self, item: list[Any]) -> None:
        _, prompt_id, prompt, extra, _ = item
        if prompt_id.startswith("other-"):
            while not self.others.is_set() and prompt_id not in self.interrupted:
                await asyncio.sleep(0.005)
            return
        client, messages = extra["client_id"], []

        async def add(kind: str, **data: Any) -> None:
            data = {"prompt_id": prompt_id, **data, "timestamp": 1795750329176}
            messages.append([kind, data])
            await self._send(client, kind, data)

        await add("execution_start")
        await add("execution_cached", nodes=[])
        outputs: dict[str, Any] = {}
        end = await self._nodes(prompt, prompt_id, client, outputs)
        if self.faults.restart_at is not None and end == "restart":
            return
        await add(end[0], **end[1])  # the history comes after the message, as in the real one
        is_right = end[0] == "execution_success"
        await asyncio.sleep(0.02)
        self._history[prompt_id] = {
            "prompt": item,
            "outputs": outputs,
            "status": {"status_str": "success" if is_right else "error", "completed": is_right, "messages": messages},
            "meta": {},
        }
        self._running = []
        await self._send(client, "status", {"status": self._status()})
        await self._send(client, "executing", {"node": None, "prompt_id": prompt_id})

    async def _nodes(self, prompt: dict[str, Any], prompt_id: str, client: object, outputs: dict[str, Any]) -> Any:
        for name, one in prompt.items():
            about = {"node_id": name, "node_type": one["class_type"], "executed": []}
            await self._progress_state(client, prompt_id, name, 0.0, 1.0)
            await self._send(client, "executing", {"node": name, "display_node": name, "prompt_id": prompt_id})
            if self.faults.node is not None and self.faults.node[0] == name:
                _, kind, message = self.faults.node
                failed = {"exception_message": f"{message}\n", "exception_type": kind, "traceback": []}
                return "execution_error", {**about, **failed, "current_inputs": {}, "current_outputs": []}
            if one["class_type"] == "KSampler":
                stopped = await self._sample(name, one["inputs"]["steps"], prompt_id, client)
                if stopped is not None:
                    return stopped if stopped == "restart" else (stopped, about)
            if one["class_type"] in ("SaveImage", "PreviewImage"):
                outputs[name] = {"images": self._save(one, prompt)}
                data = {"node": name, "display_node": name, "output": outputs[name], "prompt_id": prompt_id}
                await self._send(client, "executed", data)
        return "execution_success", {}

    async def _sample(self, name: str, steps: int, prompt_id: str, client: object) -> str | None:
        faults = self.faults
        for step in range(1, steps + 1):
            self.sampling.set()
            await asyncio.sleep(self.step_s)
            if prompt_id in self.interrupted or step == faults.stop_at:
                return "execution_interrupted"
            if step == faults.restart_at:
                self._queue, self._history, self._running = [], {}, []
                await self._drop()
                return "restart"
            if step == faults.drop_at:
                await self._drop()
            await self._progress_state(client, prompt_id, name, step, steps)
            await self._send(client, "progress", {"value": step, "max": steps, "prompt_id": prompt_id, "node": name})
            socket = self._sockets.get(str(client))
            if socket is not None and not socket.closed and not faults.silent:
                await socket.send_bytes(
                    b"\x00\x00\x00\x01\x00\x00\x00\x01\xff\xd8\xff" + bytes(self.faults.preview_bytes)
                )
        return None

    async def _progress_state(self, client: object, prompt_id: str, name: str, done: float, total: float) -> None:
        state = {"value": done, "max": total, "state": "running", "node_id": name, "prompt_id": prompt_id}
        await self._send(client, "progress_state", {"prompt_id": prompt_id, "nodes": {name: state}})

    async def _drop(self) -> None:
        for socket in list(self._sockets.values()):
            await socket.close()
        self._sockets.clear()

    def _save(self, one: dict[str, Any], prompt: dict[str, Any]) -> list[dict[str, str]]:
        folder = "output" if one["class_type"] == "SaveImage" else "temp"
        prefix = one["inputs"].get("filename_prefix", "ComfyUI_temp")
        saved = []
        for count in range(self.batch):
            name = f"{prefix}_{len(self._pictures) + 1:05}_{'' if count < 1 else count}.png"
            self._pictures[folder, name] = picture(self.picture, prompt=json.dumps(prompt))
            saved.append({"filename": name, "subfolder": "", "type": folder})
        return saved


def picture(kind: str = "PNG", size_px: int = 32, prompt: str = "{}") -> bytes:
    """A picture with the workflow in it, as SaveImage writes it."""
    stream, about = io.BytesIO(), PngImagePlugin.PngInfo()
    about.add_text("prompt", prompt)
    Image.effect_noise((size_px, size_px), 80).convert("RGB").save(stream, kind, pnginfo=about)
    return stream.getvalue()
