"""One interface over the engines that can run a classifier: pixels in, logits out.

`Eager` is PyTorch as it is. `OnnxRuntime` runs an exported file. Both run on a CPU, or on an NVIDIA
GPU, where this code has never run in this project. For TensorRT see `deploy.tensorrt`.
"""

from typing import Literal, Protocol

import numpy as np
import torch
from torch import nn

from cifar_lessons.config import DataConfig
from cifar_lessons.deploy.model_file import ModelFile
from cifar_lessons.deploy.pixels import Logits, PixelClassifier, Pixels, require_pixels
from cifar_lessons.errors import UserError

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class Backend(Protocol):
    """What every engine does."""

    def __call__(self, pixels: Pixels) -> Logits:
        """Return logits (B, K) of pixels (B, 32, 32, 3).

        Raises:
            UserError: Pixels of another shape or type.
        """
        ...


class Eager:
    """PyTorch, operation by operation."""

    def __init__(
        self,
        network: nn.Module,
        data: DataConfig,
        *,
        precision: Literal["fp32", "bf16"] = "fp32",
        device: Literal["cpu", "cuda"] = "cpu",
    ) -> None:
        """Wrap a network.

        Args:
            network: A trained classifier.
            data: The mean and std of its training.
            precision: bf16 computes under autocast.
            device: cpu or cuda.
        """
        self._device = device
        # Channels last: what arrives is in that order already.
        self._model = PixelClassifier(network, data).eval()
        self._model = self._model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._autocast = precision == "bf16"

    @torch.inference_mode()
    def __call__(self, pixels: Pixels) -> Logits:
        """Return logits; see `Backend`."""
        images = torch.from_numpy(require_pixels(pixels)).to(self._device)
        with torch.autocast(self._device, torch.bfloat16, enabled=self._autocast):
            logits, _ = self._model(images)
        return np.asarray(logits.float().cpu().numpy())


class OnnxRuntime:
    """ONNX Runtime on an exported file."""

    def __init__(
        self, model: ModelFile, *, device: Literal["cpu", "cuda"] = "cpu", threads: int = 1
    ) -> None:
        """Load a model.

        Args:
            model: From `read_model` or `export`.
            device: cpu or cuda.
            threads: Of the CPU.

        Raises:
            UserError: This build of ONNX Runtime lacks the device, or would silently take another.
        """
        import onnxruntime as ort

        wanted = PROVIDERS[device]
        if wanted not in ort.get_available_providers():
            raise UserError(
                f"this ONNX Runtime has no {wanted} ({', '.join(ort.get_available_providers())}); "
                "`pip install onnxruntime-gpu` in place of onnxruntime, or take the CPU"
            )
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors alone
        # Idle threads sleep: what runs beside us gets the core.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            # On a GPU, fp32 means fp32: without this its products have 10 bits (TF32).
            settings = {"use_tf32": "0"} if device == "cuda" else {}
            self._session = ort.InferenceSession(
                model.content, options, providers=[(wanted, settings)]
            )
        except Exception as error:  # its exceptions have no common class of their own
            reason = str(error).partition("\n")[0]
            raise UserError(
                f"{model.about.name} cannot be run ({reason}); export it again with "
                "`cifar-lessons export RUN`"
            ) from None
        got = self._session.get_providers()
        # The CPU always stands at the end of the list; what comes first does the work.
        if got[0] != wanted:
            raise UserError(
                f"ONNX Runtime fell back from {wanted} to {got[0]}: its libraries are missing or "
                "of another version"
            )

    def __call__(self, pixels: Pixels) -> Logits:
        """Return logits; see `Backend`."""
        return self.both(pixels)[0]

    def both(self, pixels: Pixels) -> tuple[Logits, Logits]:
        """Return logits and probabilities, (B, K) each."""
        logits, probabilities = self._session.run(
            ["logits", "probabilities"], {"pixels": require_pixels(pixels)}
        )
        return np.asarray(logits), np.asarray(probabilities)
