"""Mirrors cifar_lessons/speed/reorders.py."""

import pytest
import torch
from torch import nn

from cifar_lessons.speed.reorders import reorder_share, share_of_reorders

# What oneDNN 3.12 wrote, shortened.
LOG = """onednn_verbose,v1,info,oneDNN v3.12.0 (commit 80afa71)
onednn_verbose,v1,primitive,info,template:operation,engine,primitive,implementation,exec_time
onednn_verbose,v1,primitive,exec,cpu,reorder,jit:blk,undef,src:f32 dst:f32,attr,,8x64x32x32,1.5
onednn_verbose,v1,primitive,exec,cpu,convolution,jit:avx512_core,forward_training,mb8,4.5
onednn_verbose,v1,primitive,exec,cpu,reorder,jit:blk,undef,src:f32 dst:f32,attr,,8x64x32x32,0.5
onednn_verbose,v1,primitive,exec,cpu,eltwise,jit,forward,100.0
something else that was printed,exec,cpu,reorder,9
"""


def test_the_share_in_a_log():
    assert share_of_reorders(LOG) == pytest.approx(2.0 / 6.5)
    assert share_of_reorders("onednn_verbose,exec,cpu,convolution,jit,2\n") == 0  # an older form
    assert share_of_reorders("nothing of the kind") is None


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="no oneDNN in this build")
def test_channels_last_needs_fewer_reorders_than_the_usual_layout(capfd):
    layer, x = nn.Conv2d(32, 32, 3, padding=1), torch.randn(8, 32, 32, 32)
    found = {}
    for layout in (torch.contiguous_format, torch.channels_last):
        net, images = layer.to(memory_format=layout), x.contiguous(memory_format=layout)  # type: ignore[call-overload]

        def step(net=net, images=images):
            net(images).sum().backward()

        step()
        found[layout] = reorder_share(step)
    usual, last = found[torch.contiguous_format], found[torch.channels_last]
    if usual is None:
        pytest.skip("this machine computes convolutions without oneDNN")
    assert 0 <= last < usual < 1
    print("heard again")
    out = capfd.readouterr().out
    assert "onednn" not in out
    assert "heard again" in out
