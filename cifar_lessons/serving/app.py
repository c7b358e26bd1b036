"""The HTTP application around an exported model: /predict, /health and /metrics."""

import asyncio
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from starlette.exceptions import HTTPException

from cifar_lessons.deploy.backends import OnnxRuntime
from cifar_lessons.deploy.model_file import About, ModelFile
from cifar_lessons.serving.batching import Batcher, Full
from cifar_lessons.serving.uploads import Limits, Refused, read_upload, to_pixels

TOP = 5
RETRY = "1"  # seconds, for whoever finds no place
DECODERS = 2  # pictures decoded at once: 25 megapixels with transparency fill 0.6 GB for a moment


class Metrics:
    """What is counted, in a registry of its own: two servers in one process stay apart."""

    def __init__(self, batcher: Batcher) -> None:
        """Begin at 0."""
        self.registry = all_of = CollectorRegistry()
        self.answers = Counter(
            "cifar_lessons_answers", "Answers to /predict.", ["status"], registry=all_of
        )
        self.seconds = Histogram(
            "cifar_lessons_seconds", "From request to answer, of status 200.", registry=all_of
        )
        self.batches = Histogram(
            "cifar_lessons_batch",
            "Pictures in a batch.",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128),
            registry=all_of,
        )
        inside = Gauge("cifar_lessons_inside", "Requests that are being answered.", registry=all_of)
        inside.set_function(lambda: batcher.inside)


def build_app(
    model: ModelFile,
    limits: Limits,
    *,
    batch: int = 32,
    wait: float = 0.002,
    queue: int = 64,
    threads: int = 1,
) -> FastAPI:
    """Return the application; nothing runs before it is served.

    Args:
        model: Checked, from `read_model`.
        limits: Of an upload.
        batch: Most pictures in a batch.
        wait: Seconds that a lone picture waits for company.
        queue: Most requests at once; one more is answered with 503 and Retry-After.
        threads: Of the engine.
    """
    engine = OnnxRuntime(model, threads=threads)

    def observe(size: int) -> None:
        metrics.batches.observe(size)

    batcher = Batcher(
        lambda pixels: engine.both(pixels)[1],
        most=batch, wait=wait, limit=queue, on_batch=observe,
    )  # fmt: skip
    metrics = Metrics(batcher)
    decoders = ThreadPoolExecutor(DECODERS, thread_name_prefix="decoder")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        batcher.start()
        yield
        await batcher.close()
        decoders.shutdown(wait=False, cancel_futures=True)

    # No pages of documentation: they would load scripts from another server.
    app = FastAPI(title="cifar-lessons", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.batcher = batcher
    app.state.cut_off = 0  # requests that the end of the server left without an answer

    async def answer(request: Request) -> dict[str, Any]:
        with batcher.seat():
            body = await read_upload(request, limits)
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(limits.seconds):
                pixels, done = await loop.run_in_executor(decoders, to_pixels, body, limits)
                shares = await batcher.answer(pixels)
        best = (-shares).argsort(kind="stable")[:TOP].tolist()
        return {
            "model": model.about.name,
            "picture": done,
            "top": [
                {"class": model.about.classes[k], "probability": float(shares[k])} for k in best
            ],
        }

    @app.post("/predict")
    async def predict(request: Request) -> Response:
        """Name the five likeliest classes of a picture: the body itself, or a form's only file."""
        started = time.perf_counter()
        try:
            found = JSONResponse(await answer(request))
            metrics.seconds.observe(time.perf_counter() - started)
        except Refused as error:
            found = JSONResponse({"error": str(error)}, error.status)
        except (Full, TimeoutError):
            found = _busy()
        except asyncio.CancelledError:
            app.state.cut_off += 1
            raise
        except Exception:
            metrics.answers.labels("500").inc()
            raise
        metrics.answers.labels(str(found.status_code)).inc()
        return found

    @app.get("/health")
    async def health() -> dict[str, Any]:
        """Say which model answers."""
        return {"status": "ok", "sha256": model.sha256, **_facts(model.about)}

    @app.get("/metrics")
    async def counted() -> Response:
        """Give all counts, in Prometheus's text format."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @app.exception_handler(HTTPException)
    async def mistaken(_: Request, error: HTTPException) -> Response:
        """Say 404 and 405 in the form of all other mistakes."""
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    return app


def _busy() -> JSONResponse:
    """Return the answer to whoever should come again."""
    why = {"error": "too many requests at once: send it again in a moment"}
    return JSONResponse(why, 503, {"Retry-After": RETRY})


def _facts(about: About) -> dict[str, Any]:
    return {
        "model": about.name,
        "precision": about.precision,
        "classes": list(about.classes),
        f"{about.scored_on}_accuracy": about.test_accuracy,
    }
