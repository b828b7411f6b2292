"""Image networks: classifiers from torchvision and timm, a detector head with NonMaxSuppression, a U-Net."""

from __future__ import annotations

from itertools import pairwise

import timm
import torch
import torchvision
from onnx import ModelProto, TensorProto, helper
from torch import Tensor, nn

from inputs import Input
from zoo.network import Network

IMAGE = {"image": Input("normal", ("batch", 3, 224, 224))}
BATCHES = [{"batch": 1}, {"batch": 3}]
PHOTOS = (4, 3, 224, 224)
ONE = {"batch": 1}
SCORES = {"logits": ("batch", 1000)}
BOX_COUNT_LIMIT = 50


def residual_scales_of_a_trained_net(module: nn.Module) -> nn.Module:
    """ConvNeXt starts with layer scales of 1e-6, which would make every block an identity."""
    for name, parameter in module.named_parameters():
        if name.endswith("gamma"):
            nn.init.normal_(parameter, 0.3, 0.1)
    return module.eval()


class ConvBlock(nn.Sequential):
    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        padding = kernel // 2
        convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        super().__init__(convolution, nn.BatchNorm2d(outputs), nn.SiLU())


class SplitBlock(nn.Module):
    """Half of the channels pass two convolutions with a shortcut, then everything is joined."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter = ConvBlock(channels, channels, 1)
        self.inner = nn.Sequential(
            ConvBlock(channels // 2, channels // 2), ConvBlock(channels // 2, channels // 2)
        )
        self.leave = ConvBlock(channels * 3 // 2, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.enter(x).chunk(2, dim=1)
        return self.leave(torch.cat([left, right, right + self.inner(right)], dim=1))


class PooledPyramid(nn.Module):
    """Max pools of growing reach over one map, joined."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.leave = ConvBlock(channels * 4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        once = self.pool(x)
        twice = self.pool(once)
        return self.leave(torch.cat([x, once, twice, self.pool(twice)], dim=1))


class Detector(nn.Module):
    """A one-stage detector of two scales: boxes as corners and class scores, without suppression."""

    def __init__(self, classes: int = 20) -> None:
        super().__init__()
        self.classes = classes
        self.stem = nn.Sequential(
            ConvBlock(3, 16, stride=2), ConvBlock(16, 32, stride=2), SplitBlock(32)
        )
        self.middle = nn.Sequential(ConvBlock(32, 64, stride=2), SplitBlock(64))
        self.deep = nn.Sequential(ConvBlock(64, 128, stride=2), SplitBlock(128), PooledPyramid(128))
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.join = nn.Sequential(ConvBlock(192, 64, 1), SplitBlock(64))
        self.fine_head = nn.Conv2d(64, 4 + classes, 1)
        self.coarse_head = nn.Conv2d(128, 4 + classes, 1)
        for head in (self.fine_head, self.coarse_head):
            nn.init.normal_(head.weight, 0.0, 0.1)

    def decode(self, x: Tensor, stride: int) -> tuple[Tensor, Tensor]:
        height, width = x.shape[2], x.shape[3]
        rows = torch.arange(height).to(x.dtype).view(1, 1, height, 1)
        columns = torch.arange(width).to(x.dtype).view(1, 1, 1, width)
        offsets, spans, scores = x.split([2, 2, self.classes], dim=1)
        centre_x = (offsets[:, :1].sigmoid() * 2 - 0.5 + columns) * stride
        centre_y = (offsets[:, 1:].sigmoid() * 2 - 0.5 + rows) * stride
        half = (spans.sigmoid() * 2) ** 2 * stride
        corners = [
            centre_y - half[:, 1:],
            centre_x - half[:, :1],
            centre_y + half[:, 1:],
            centre_x + half[:, :1],
        ]
        return torch.cat(corners, dim=1).flatten(2), scores.sigmoid().flatten(2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        middle = self.middle(self.stem(x))
        deep = self.deep(middle)
        fine = self.join(torch.cat([self.up(deep), middle], dim=1))
        fine_boxes, fine_scores = self.decode(self.fine_head(fine), 8)
        coarse_boxes, coarse_scores = self.decode(self.coarse_head(deep), 16)
        boxes = torch.cat([fine_boxes, coarse_boxes], dim=2).transpose(1, 2)
        return boxes, torch.cat([fine_scores, coarse_scores], dim=2)


def suppress_overlaps(model: ModelProto) -> ModelProto:
    """Ends the detector as exported detectors do: one NonMaxSuppression over all images and classes."""
    graph = model.graph
    limits = [
        helper.make_tensor("nms_limit", TensorProto.INT64, [1], [BOX_COUNT_LIMIT]),
        helper.make_tensor("nms_overlap", TensorProto.FLOAT, [1], [0.5]),
        helper.make_tensor("nms_score", TensorProto.FLOAT, [1], [0.7]),
    ]
    graph.initializer.extend(limits)
    names = ["boxes", "scores", *(limit.name for limit in limits)]
    graph.node.append(helper.make_node("NonMaxSuppression", names, ["selected"]))
    selected = helper.make_tensor_value_info("selected", TensorProto.INT64, ["found", 3])
    graph.output.append(selected)
    return model


class DoubleConv(nn.Sequential):
    def __init__(self, inputs: int, outputs: int) -> None:
        layers: list[nn.Module] = []
        for channels in (inputs, outputs):
            layers += [
                nn.Conv2d(channels, outputs, 3, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
            ]
        super().__init__(*layers)


class UNet(nn.Module):
    """Three levels down by max pooling, three up by transposed convolution, with joins across."""

    def __init__(self, width: int = 24, classes: int = 5) -> None:
        super().__init__()
        widths = [width, width * 2, width * 4, width * 8]
        self.enter = DoubleConv(3, widths[0])
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList(DoubleConv(a, b) for a, b in pairs)
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in reversed(pairs))
        self.merge = nn.ModuleList(DoubleConv(a * 2, a) for a, _ in reversed(pairs))
        self.leave = nn.Conv2d(width, classes, 1)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        levels = [self.enter(x)]
        for block in self.down:
            levels.append(block(self.pool(levels[-1])))
        x = levels.pop()
        for up, merge in zip(self.up, self.merge):
            x = merge(torch.cat([levels.pop(), up(x)], dim=1))
        return self.leave(x)


NETWORKS = [
    Network(
        "resnet18",
        "vision",
        13,
        lambda: torchvision.models.resnet18(weights=None),
        IMAGE,
        ["logits"],
        BATCHES,
        ONE,
        SCORES,
        settle_on=PHOTOS,
    ),
    Network(
        "mobilenet_v3_small",
        "vision",
        14,
        lambda: torchvision.models.mobilenet_v3_small(weights=None),
        IMAGE,
        ["logits"],
        BATCHES,
        ONE,
        SCORES,
        settle_on=PHOTOS,
    ),
    Network(
        "efficientnet_b0",
        "vision",
        15,
        lambda: timm.create_model("efficientnet_b0"),
        IMAGE,
        ["logits"],
        BATCHES,
        ONE,
        SCORES,
        settle_on=PHOTOS,
    ),
    Network(
        "vit_tiny",
        "transformer",
        20,
        lambda: timm.create_model("vit_tiny_patch16_224").eval(),
        IMAGE,
        ["logits"],
        BATCHES,
        ONE,
        SCORES,
        exporter="dynamo",
    ),
    Network(
        "convnext_atto",
        "vision",
        21,
        lambda: residual_scales_of_a_trained_net(timm.create_model("convnext_atto")),
        IMAGE,
        ["logits"],
        BATCHES,
        ONE,
        SCORES,
        exporter="dynamo",
    ),
    Network(
        "yolo",
        "vision",
        16,
        Detector,
        {"image": Input("normal", ("batch", 3, "height", "width"))},
        ["boxes", "scores"],
        [
            {"batch": 1, "height": 160, "width": 160},
            {"batch": 2, "height": 96, "width": 224},
        ],
        {"batch": 1, "height": 320, "width": 320},
        {"boxes": ("batch", "candidates", 4), "scores": ("batch", 20, "candidates")},
        settle_on=(4, 3, 160, 160),
        finish=suppress_overlaps,
    ),
    Network(
        "unet",
        "vision",
        17,
        UNet,
        {"image": Input("normal", ("batch", 3, "height", "width"))},
        ["classes"],
        [
            {"batch": 1, "height": 64, "width": 64},
            {"batch": 2, "height": 40, "width": 72},
        ],
        {"batch": 1, "height": 192, "width": 192},
        {"classes": ("batch", 5, "height", "width")},
        settle_on=(4, 3, 64, 64),
    ),
]
