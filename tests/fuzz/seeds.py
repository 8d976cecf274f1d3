"""Good inputs of targets, made by what other tests use, with excerpts of the real sources if installed."""

from __future__ import annotations

import gzip
import io
import json
import re
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

from kanjiprep.dataset import folder, kanjivg, raw, sources
from kanjiprep.dataset.characters import Character, to_jsonl
from kanjiprep.evaluation.weights import norm_cache
from kanjiprep.publishing import front_matter
from kanjiprep.resources import shipped
from kanjiprep.training import configs
from kanjiprep.training import run_folder as folders
from kanjiprep.training.remote.cloud import ledger
from kanjiprep.training.running import events as running_events
from kanjiprep.training.running import files
from kanjiprep.training.running.events import Checkpoint, Entry, Event, Exit, Stage, Validation
from kanjiprep.training.running.files import Pulse
from tests import run_folders, test_norm_cache, test_receipt
from tests import sources as made
from tests.test_attempts import launched, order
from tests.test_events import ONE_OF_EACH, TRAINER, attempt, moment, step
from tests.test_folder import RECIPE
from tests.test_lambda_api import ENTRY
from tests.test_observe import metrics as metrics_line
from tests.test_observe import system

Seeds = list[bytes]

_LOGS: Final = Path(__file__).parents[1] / "trainer_logs"
_SHOWN_CHARACTERS: Final = 3


def as_json(value: object) -> bytes:
    """As JSON, with what JSON has not as a text."""
    return json.dumps(value, ensure_ascii=False, default=str).encode()


def file_of(write: Callable[[Path], object]) -> bytes:
    """The bytes of the file that ``write`` writes."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "file")
        write(path)
        return path.read_bytes()


# The sources.


def dictionaries() -> Seeds:
    whole = made.kanjidic(*made.ENTRIES)
    return [whole, gzip.compress(whole, mtime=0), made.kanjidic(*made.ENTRIES, header=""), *_real_dictionary()]


def _real_dictionary() -> Seeds:
    found = sources.find_installed(sources.KANJIDIC)
    if found is None:
        return []
    data = raw.read_document(found.path)
    entries = re.findall(rb"<character>.*?</character>", data[:200_000], re.DOTALL)[:_SHOWN_CHARACTERS]
    header = re.findall(rb"<header>.*?</header>", data[:100_000], re.DOTALL)
    return [b"<kanjidic2>%s%s</kanjidic2>" % (b"".join(header), b"".join(entries))]


def _real_drawings() -> Mapping[str, bytes]:
    found = sources.find_installed(sources.KANJIVG)
    names = ("04e00.svg", "04e8c.svg", "04f11.svg")
    return {name: (found.path / name).read_bytes() for name in names} if found else {}


def drawings() -> Seeds:
    return [*made.svg_files().values(), *_real_drawings().values(), *unusual_drawings()]


def unusual_drawings() -> Seeds:
    path = "M10,10 L20,20 H30 V40 Q1,2 3,4 T5,6 A5,5 0 1 0 9,9 Z"
    moved = made.Group("一", (path,), attributes=' transform="rotate(10)" fill="red"')
    return [
        made.svg(0x4E00, moved, root='viewBox="0 0 109 109"'),
        made.svg(0x4E00, made.ONE, style="fill:none;stroke:#123456;stroke-width:2"),
        made.svg(0x4E00, made.Group("一", (path,)), root='viewBox="-5 -5 200 90"'),
    ]


def collections() -> Seeds:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in {**made.svg_files({0x4E00: made.ONE}), **_real_drawings()}.items():
            archive.writestr(zipfile.ZipInfo(f"kanji/{name}"), data)
    return [made.single_xml(), gzip.compress(made.single_xml(), mtime=0), packed.getvalue()]


def paths() -> Seeds:
    groups = [made.ONE, made.TWO, *made.TWO.children, *made.REST.children]
    real = [
        stroke.path
        for name, data in _real_drawings().items()
        for stroke in kanjivg.parse_svg(data, raw.codepoint_of(name), name).strokes
    ]
    others = [
        "M1 2L3 4z",
        "m.5.5h1v-1e1",
        "M0,0A5,5 0 1 0 9,9 5 5 0 019 9",
        "M1,2Q1,2 3,4T5,6",
        "M1,2S3,4,5,6c1,2,3,4,5,6",
    ]
    return [path.encode() for path in (*(path for group in groups for path in group.paths), *real, *others)]


# A dataset folder.


def tables() -> Seeds:
    return [
        b'file_name,text\na.png,"one"\nb.png,"two, ""three"""\n',
        '\ufefffile_name,text\r\n亜.png,"a\nb"\r\n'.encode(),
        b"file_name,text,more\na.png,x,\n",
    ]


def characters() -> Seeds:
    known = Character("a.png", "亜", "04e9c", ("Asia", "rank next"), 7)
    return [to_jsonl([known, Character("b.png", "", "", (), None)])]


def certificates() -> Seeds:
    return [folder.certificate_json(RECIPE)]


def receipts() -> Seeds:
    return [as_json(asdict(test_receipt.GIVEN))]


def cards() -> Seeds:
    table = {
        "license": "mit",
        "tags": ["kanji", "1.0"],
        "pretty_name": "A: b # c",
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "*.parquet"}]}],
        "number": 3,
        "is": True,
        "none": None,
        "long": "one\n\ntwo  \n",
    }
    bare = b"---\na: 1.10\nb: no\nc: 2024-01-01\nd: >-\n  folded\n  text\ne: 'it''s'\nf: \"\\u263a\"\n---\n# Title\n"
    return [front_matter.join(table, "\n# Title\n").encode(), bare, b"# no front matter\n"]


# A run.


def presets() -> Seeds:
    return [path.read_bytes() for path in sorted(shipped("simpletuner_configs").glob("*/run.toml"))]


def libraries() -> Seeds:
    return [path.read_bytes() for path in sorted((shipped("templates") / "prompts").glob("*.toml"))]


def styles() -> Seeds:
    return [path.read_bytes() for path in sorted((shipped("templates") / "styles").glob("*.toml"))]


def run_folder(folder: Path) -> Path:
    """A run that goes on, for all that can be seen of it, with whom nobody is."""
    run = launched(folder)
    run_folders.write_environment(run)
    (run / "output").mkdir()
    (run / files.EVENTS).write_bytes(events()[0])
    (run / f"output/{files.METRICS}").write_bytes(metrics()[0])
    return run


def events() -> Seeds:
    going: tuple[Event, ...] = (
        attempt(),
        Stage("training", 1, 8),
        *map(step, range(1, 5)),
        Checkpoint(4, "output/checkpoint-4", 7),
    )
    again: tuple[Event, ...] = (
        attempt(number=2, why="resume", from_step=4),
        step(5),
        Validation(5, "cat", "output/x.png", ()),
    )
    ended = (*going, Exit("failed", 1, "as said", 4), *again, Exit("completed", 0, "", 5))
    found = (going, ONE_OF_EACH, ended)
    return [
        b"".join(running_events.line(Entry(moment(float(second)), one)) for second, one in enumerate(some))
        for some in found
    ]


def states() -> Seeds:
    return [as_json(asdict(Pulse("running", 1, TRAINER, trainer, moment(5)))) for trainer in (TRAINER, None)]


def orders() -> Seeds:
    return [files.order_bytes(order()), files.order_bytes(order(usd_per_hour=1.29, on_gpu=True, can_roll_back=False))]


def metrics() -> Seeds:
    lines = [metrics_line(number) for number in range(1, 6)]
    return [b"".join([system(0), *lines]), metrics_line(3, grad_norm=None, train_loss=None)]


def logs() -> Seeds:
    return [path.read_bytes() for path in sorted(_LOGS.glob("*.txt"))]


def environments() -> Seeds:
    return [as_json(run_folders.ENVIRONMENT)]


def _of_run(name: str) -> bytes:
    with tempfile.TemporaryDirectory() as place:
        return (launched(Path(place)) / folders.CONFIG / name).read_bytes()


def run_prompts() -> Seeds:
    return [_of_run(configs.PROMPTS)]


def run_captions() -> Seeds:
    return [_of_run(configs.CAPTIONS)]


def run_configs() -> Seeds:
    return [_of_run(configs.CONFIG)]


def stops() -> Seeds:
    return [b'{"checkpoint": true}']


def signals() -> Seeds:
    return [b'{"manual_checkpoint": 2, "manual_validation": 0}']


def scores() -> Seeds:
    return [b'step,score,chosen,note\n4,0.5,no,a\n8,-1e-3,yes,"b, c"\n', b"score,step,chosen\r\n1,4,\r\n"]


def norms() -> Seeds:
    return [file_of(lambda path: norm_cache.write(path, test_norm_cache.ENTRIES))]


def ledgers() -> Seeds:
    name = "kanjiprep-a-0a0a0a"
    times = [f"2026-11-27T08:0{minute}:00.000Z" for minute in range(6)]
    asked = ledger.Asked(
        name=name,
        at=times[0],
        run="/runs/a",
        instance_type="gpu_1x_h100_sxm5",
        usd_per_hour=4.29,
        max_hours=10,
        max_usd=42.9,
    )
    launched = ledger.Launched(name, times[1], "id1")
    lost = ledger.Lost(name, times[4], "id1", "Lambda is broken")
    happened = (asked, launched, ledger.Ending(name, times[3]), lost)
    gone = ledger.Gone(name, times[5])
    return [_ledger(*some) for some in (happened, happened[:2], (*happened, gone, asked))]


def _ledger(*happened: ledger.Event) -> bytes:
    with tempfile.TemporaryDirectory() as place:
        ledger.append(Path(place), *happened)
        return Path(place, ledger.FILE).read_bytes()


def answers() -> Seeds:
    kinds = {"a": {"instance_type": ENTRY["instance_type"], "regions_with_capacity_available": [ENTRY["region"]]}}
    data = ([ENTRY], ENTRY, kinds, {"terminated_instances": [ENTRY]}, [{**ENTRY, "ip": None, "name": None}])
    return [as_json({"data": one}) for one in data] + [b'{"error": {"code": "global/unknown", "message": "no"}}']
