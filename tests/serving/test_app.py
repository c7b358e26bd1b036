"""Mirrors cifar_lessons/serving/app.py: right answers, under load too, and none is lost."""

import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cifar_lessons.data.picture import decode_picture
from cifar_lessons.deploy.backends import OnnxRuntime

from .conftest import CLASSES, picture


def direct(model, bodies) -> np.ndarray:
    """What the engine says of each picture alone."""
    engine = OnnxRuntime(model)
    seen = [decode_picture(io.BytesIO(body), "x")[0].permute(1, 2, 0).numpy() for body in bodies]
    return np.concatenate([engine.both(np.ascontiguousarray(one)[None])[1] for one in seen])


def matches(answer, shares) -> None:
    top = answer.json["top"]
    found = [entry["probability"] for entry in top]
    np.testing.assert_allclose(found, np.sort(shares)[::-1][:5], atol=1e-5)
    for entry in top:
        assert entry["probability"] == pytest.approx(
            shares[CLASSES.index(entry["class"])], abs=1e-5
        )


def counted(server, name: str) -> float:
    lines = server.ask("GET", "/metrics").content.decode().splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(name))


def test_two_hundred_at_once_get_each_the_answer_of_their_own_picture(serving, model):
    bodies = [picture(seed) for seed in range(40)]
    wanted = direct(model, bodies)
    assert len({tuple(np.round(row, 3)) for row in wanted}) > 30  # or a swap would not show
    server = serving(queue=300)
    order = [k % 40 for k in range(200)]
    with ThreadPoolExecutor(50) as crowd:
        answers = list(crowd.map(lambda k: server.post(bodies[k]), order))
    assert [answer.status for answer in answers] == [200] * 200
    for k, answer in zip(order, answers, strict=True):
        matches(answer, wanted[k])
    assert counted(server, 'cifar_lessons_answers_total{status="200"}') == 200
    assert counted(server, "cifar_lessons_batch_sum") == 200
    assert counted(server, "cifar_lessons_batch_count") < 200  # some came in batches
    assert counted(server, "cifar_lessons_inside") == 0


@pytest.fixture
def held(serving):
    """A server whose engine waits for `go`, and has begun when `begun` is set."""
    go, begun = threading.Event(), threading.Event()

    def hold(app) -> None:
        batcher = app.state.batcher
        engine = batcher._engine

        def slow(pixels):
            begun.set()
            assert go.wait(60)
            return engine(pixels)

        batcher._engine = slow

    def start(**options):
        return serving(change=hold, **options)

    yield start, begun, go
    go.set()


def test_one_too_many_is_told_to_come_again(held):
    start, begun, go = held
    server = start(queue=1)
    with ThreadPoolExecutor(1) as crowd:
        first = crowd.submit(server.post, picture())
        assert begun.wait(30)
        second = server.post(picture(1))
        assert second.status == 503
        assert second.headers["retry-after"] == "1"
        assert "too many requests at once" in second.json["error"]
        assert server.ask("GET", "/health").status == 200
        go.set()
        assert first.result().status == 200
    assert server.post(picture(1)).status == 200


def test_all_that_was_let_in_is_answered_when_it_ends(held, model):
    start, begun, go = held
    server = start(queue=20)
    bodies = [picture(seed) for seed in range(8)]
    with ThreadPoolExecutor(8) as crowd:
        waiting = [crowd.submit(server.post, body) for body in bodies]
        assert begun.wait(30)
        end = time.monotonic() + 30
        while server.app.state.batcher.inside < 8:
            assert time.monotonic() < end
            time.sleep(0.01)
        server.app.state.server.should_exit = True
        time.sleep(0.2)
        go.set()
        for answer, shares in zip(waiting, direct(model, bodies), strict=True):
            assert answer.result().status == 200
            matches(answer.result(), shares)
    server.end()
    with pytest.raises(OSError):  # noqa: PT011
        server.ask("GET", "/health")


def test_an_engine_that_fails_is_a_500_and_the_server_lives_on(serving):
    def fail_once(app) -> None:
        batcher = app.state.batcher
        engine = batcher._engine

        def failing(pixels):
            batcher._engine = engine
            raise ArithmeticError("no")

        batcher._engine = failing

    server = serving(change=fail_once)
    assert server.post(picture()).status == 500
    assert server.post(picture()).status == 200
    assert counted(server, 'cifar_lessons_answers_total{status="500"}') == 1


def test_health_says_which_model_answers(serving, model):
    assert serving().ask("GET", "/health").json == {
        "status": "ok",
        "model": "small seed0",
        "precision": "fp32",
        "classes": list(CLASSES),
        "validation_accuracy": 0.5,
        "sha256": model.sha256,
    }
