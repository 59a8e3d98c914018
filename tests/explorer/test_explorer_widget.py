import os
import socket
from pathlib import Path

import nbformat
import pytest
import torch

from toposlearn.cli import execute
from toposlearn.data import PointSource, Source, pose_subjects
from toposlearn.data.places import PLACE
from toposlearn.explorer import serve
from toposlearn.explorer import widget as explorer_widget
from toposlearn.explorer.figure import point_of_click
from toposlearn.explorer.scene import make_scene
from toposlearn.models import Taco
from toposlearn.models.weights import save_weights


@pytest.fixture(scope="module")
def scene(subjects, smoke):
    torch.manual_seed(0)
    models = {"untrained": Taco(smoke.model).eval(), "full": Taco(smoke.model).eval()}
    return make_scene(models, pose_subjects(subjects, smoke))


@pytest.fixture
def shown(scene):
    return explorer_widget.Explorer(scene)


def test_first_picture_is_there_with_its_words(shown):
    assert shown.picture.value.startswith(b"\x89PNG")
    assert "mm off" in shown.picture.words


def test_a_click_moves_the_sliders_to_the_token_under_it_and_draws_once(shown, monkeypatch):
    drawn = []
    original = explorer_widget.draw_answer
    monkeypatch.setattr(explorer_widget, "draw_answer", lambda *all_: drawn.append(all_) or original(*all_))
    box = shown.figure.axes[4].get_position()  # the axial slice of person a
    x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    point, size = point_of_click(shown.figure, x, y), shown.scene.token_size
    shown.picture.clicked = [x, y, 1.0]
    assert len(drawn) == 1
    assert all(abs(slider.value - value) <= size / 2 for slider, value in zip(shown.sliders, point, strict=True))


def test_a_click_beside_the_slices_changes_nothing(shown):
    before = shown.picture.value
    shown.picture.clicked = [0.0, 0.0, 1.0]
    assert shown.picture.value == before


def test_menus_and_sliders_draw_anew(shown):
    for name, value in (("network", "untrained"), ("subject_b", 3), ("modality_b", "FLAIR"), ("k", 3)):
        before = shown.picture.value
        shown.controls[name].value = value
        assert shown.picture.value != before
    assert "sub-004 FLAIR, untrained network" in shown.picture.words
    before = shown.picture.words
    shown.sliders[0].value += 2 * shown.scene.token_size
    assert shown.picture.words != before


def test_an_error_is_raised_and_shown(shown, monkeypatch):
    monkeypatch.setattr(explorer_widget, "answer", lambda *_: (_ for _ in ()).throw(ValueError("broken")))
    with pytest.raises(ValueError, match="broken"):
        shown.controls["k"].value = 2
    assert shown.shown.error.value == "Error: broken"


def test_script_of_the_picture_asks_no_other_host():
    script = (Path(explorer_widget.__file__).parent / "clickable_picture.js").read_text()
    assert "http" not in script
    assert "innerHTML" not in script


def test_page_is_for_this_machine_with_a_token():
    settings = serve.settings(8123, "secret")
    assert settings.Voila.ip == "127.0.0.1"
    assert (settings.Voila.token, settings.Voila.port_retries) == ("secret", 0)


def test_page_holds_one_cell_whatever_the_paths_are_called(tmp_path):
    odd = tmp_path / 'it\'s "odd"\n'
    notebook = nbformat.read(serve.write_page(tmp_path, odd, odd, PointSource()), as_version=4)
    (cell,) = [cell for cell in notebook.cells if cell.cell_type == "code"]
    compile(cell.source, "cell", "exec")
    assert repr(str(odd.resolve())) in cell.source


@pytest.mark.parametrize(("table", "kept"), [("neuromorphometrics", True), ("mine.csv", False), (None, True)])
def test_page_opens_the_people_and_label_maps_of_the_options(table, kept, tmp_path, monkeypatch):
    served, opened = [], []
    monkeypatch.setattr(serve, "serve_explorer", lambda *given, **_: served.append(given))
    options = ["--pattern", "T1w={subject}/t1.nii.gz", "--session", "2", "--entity", "rec=norm", "--label-kind", "glm"]
    named = ["--labels", table] if table else []
    assert execute(["explore", "--data", "here", "--checkpoints", str(tmp_path), *options, *named]) == 0
    ((people, weights, points),) = served
    (_, cell) = nbformat.read(serve.write_page(tmp_path, people, weights, points), as_version=4).cells
    monkeypatch.setattr("toposlearn.explorer.scene.open_scene", lambda *given, **more: opened.append((*given, more)))
    monkeypatch.setattr("toposlearn.explorer.widget.explorer", lambda scene: scene)
    exec(cell.source, {})
    source = Source((Path("here").resolve(),), "2", {"rec": "norm"}, {"T1w": "{subject}/t1.nii.gz"})
    assert opened == [(str(tmp_path), source, {"points": PointSource(table if kept else Path(table).resolve(), "glm")})]


@pytest.mark.parametrize(
    ("options", "variable", "used"),
    [(["--cache", "mine"], "", "mine"), (["--cache", "mine"], "other", "mine"), ([], "other", "other"), ([], "", None)],
)
def test_page_prepares_people_in_the_cache_of_the_command(options, variable, used, tmp_path, monkeypatch):
    """Its kernel runs in another folder than the command."""
    (tmp_path / "kernel").mkdir()
    monkeypatch.setenv(PLACE, variable)
    monkeypatch.chdir(tmp_path)
    pages, places = [], []
    monkeypatch.setattr(serve, "serve_explorer", lambda *given, **_: pages.append(serve.write_page(tmp_path, *given)))
    assert execute(["explore", "--data", "here", "--checkpoints", "weights", *options]) == 0
    (_, cell) = nbformat.read(pages[0], as_version=4).cells
    monkeypatch.chdir(tmp_path / "kernel")
    monkeypatch.setattr("toposlearn.explorer.scene.open_scene", lambda weights, *_, **__: places.append(weights))
    monkeypatch.setattr("toposlearn.explorer.widget.explorer", lambda _: places.append(os.environ[PLACE]))
    exec(cell.source, {})
    assert places == [str(tmp_path / "weights"), str(tmp_path / used) if used else ""]


def test_a_port_that_is_taken_is_refused():
    assert serve.free_port(None) > 0
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ValueError, match=f"port {port} cannot be used"):
            serve.free_port(port)
    with pytest.raises(ValueError, match="port 70000"):
        serve.free_port(70000)


@pytest.mark.parametrize("missing", ["data", "weights"])
def test_command_names_what_is_missing_in_one_line_before_it_serves(missing, cohort, smoke, tmp_path, capsys):
    save_weights(tmp_path / "full.safetensors", Taco(smoke.model), smoke)
    paths = {"data": cohort, "weights": tmp_path} | {missing: tmp_path / "nowhere"}
    code = execute(["explore", "--data", str(paths["data"]), "--checkpoints", str(paths["weights"]), "--no-browser"])
    lines = capsys.readouterr().err.strip().splitlines()
    assert code == 1
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert "nowhere" in lines[0]
