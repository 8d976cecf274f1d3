"""The ``datasets`` library loads the parquet files with a card whose YAML names their columns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

from kanjiprep.dataset import build as building
from kanjiprep.dataset.build import BuildRequest, Place
from kanjiprep.progress import silent
from kanjiprep.publishing import shards
from kanjiprep.publishing.shards import Shards

LOAD = """
import json, sys
from datasets import Features, load_dataset
rows = load_dataset(sys.argv[1], split="train")
first = rows[0]
print(json.dumps({
    "features": rows.features.to_dict(), "rows": len(rows), "nbytes": rows.data.nbytes,
    "picture": [first["image"].size, first["image"].mode], "meanings": first["meanings"],
    "text": rows["text"][:], "as the card": rows.features == Features._from_yaml_list(json.loads(sys.argv[2])),
}))
"""


def write_card(folder: Path, made: Shards) -> None:
    front = {
        "dataset_info": {
            "features": shards.features(),
            "splits": [{"name": "train", "num_bytes": made.table_bytes, "num_examples": made.rows}],
            "download_size": made.file_bytes,
            "dataset_size": made.table_bytes,
        },
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*"}]}],
    }
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n", "utf-8")


def test_the_datasets_library_loads_them_with_their_kinds(
    place: Place, request_of: Callable[..., BuildRequest], tmp_path: Path
) -> None:
    template = tmp_path / "number.j2"
    template.write_text("{{ stroke_count }}")
    repository = tmp_path / "repository"
    made = shards.write(building.build(request_of(caption=str(template)), place, silent).folder, repository, silent)
    write_card(repository, made)
    environ = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-c", LOAD, str(repository), json.dumps(shards.features())]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["features"]["image"]["_type"] == "Image"
    assert said["features"]["stroke_count"] == {"dtype": "int32", "_type": "Value"}
    assert said["as the card"]
    assert (said["rows"], said["nbytes"]) == (made.rows, made.table_bytes)
    assert said["picture"] == [[64, 64], "L"]
    assert said["meanings"] == ["rest", "day off"]
    assert said["text"] == ["6", "1", "2"], "no caption becomes a number"
