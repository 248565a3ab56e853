"""Operators that compute each element for itself, reduce axes, or multiply matrices."""

from collections.abc import Callable
from functools import partial
from typing import Any

from cotenant.runners.torch_cuda.node import Call, Node, Run

Handler = Callable[[Node], Call]


def plain(name: str) -> Handler:
    """Return the handler of an operator that is one function of torch on the same inputs."""
    return lambda node: Call(getattr(node.torch, name), node.present())


def _functional(name: str, **options: Any) -> Handler:
    return lambda node: Call(partial(getattr(node.torch.nn.functional, name), **options), (0,))


def _div(node: Node) -> Call:
    def run(first: Any, second: Any) -> Any:
        if first.is_floating_point():
            return first / second
        return node.torch.div(first, second, rounding_mode="trunc")

    return Call(run, (0, 1))


def _pow(node: Node) -> Call:
    return Call(lambda base, exponent: node.torch.pow(base, exponent).to(base.dtype), (0, 1))


def _many(name: str) -> Handler:
    """Return the handler of an operator on any number of inputs, two at a time."""

    def handler(node: Node) -> Call:
        pairwise = getattr(node.torch, name)

        def run(first: Any, *others: Any) -> Any:
            for other in others:
                first = pairwise(first, other)
            return first

        return Call(run, node.present())

    return handler


def _alpha(name: str, default: float) -> Handler:
    return lambda node: Call(_with(getattr(node.torch.nn.functional, name), node.get("alpha", default)), (0,))


def _with(function: Run, *arguments: Any) -> Run:
    return lambda x: function(x, *arguments)


def _hard_sigmoid(node: Node) -> Call:
    slope, offset = node.get("alpha", 0.2), node.get("beta", 0.5)
    return Call(lambda x: (x * slope + offset).clamp(0, 1), (0,))


def _gelu(node: Node) -> Call:
    return _functional("gelu", approximate=node.get("approximate", "none"))(node)


def _prelu(node: Node) -> Call:
    return Call(lambda x, slope: node.torch.where(x < 0, x * slope, x), (0, 1))


def _clip(node: Node) -> Call:
    low, high = (node.get("min"), node.get("max"))
    if node.opset >= 11:
        low, high = ((node.optional(index) or [None])[0] for index in (1, 2))
    if low is None and high is None:
        return Call(lambda x: x.clone(), (0,))
    return Call(lambda x: x.clamp(low, high), (0,))


def _softmax(node: Node) -> Call:
    axis = node.get("axis", -1 if node.opset >= 13 else 1)
    if node.opset < 13 and axis % len(node.shape()) != len(node.shape()) - 1:
        raise node.refusal(f"flattens its input in opset {node.opset}, which is not translated")
    function = node.torch.log_softmax if node.graph.op == "LogSoftmax" else node.torch.softmax
    return Call(lambda x: function(x, dim=axis), (0,))


def _reduced(name: str) -> Handler:
    def handler(node: Node) -> Call:
        axes, keep = node.axes(1), bool(node.get("keepdims", 1))
        if not axes:
            if node.get("noop_with_empty_axes", 0):
                return Call(lambda x: x.clone(), (0,))
            axes = list(range(len(node.shape())))
        if name == "prod":
            return Call(lambda x: _product(x, axes, keep), (0,))
        function = getattr(node.torch, name)
        return Call(lambda x: function(x, dim=tuple(axes), keepdim=keep), (0,))

    return handler


def _product(x: Any, axes: list[int], keep: bool) -> Any:
    for axis in sorted((axis % x.dim() for axis in axes), reverse=True):
        x = x.prod(dim=axis, keepdim=keep)
    return x


def _l2(node: Node) -> Call:
    mean = _reduced("sum")(node)
    return Call(lambda x: mean.run(x * x).sqrt(), (0,))


def _arg(name: str) -> Handler:
    def handler(node: Node) -> Call:
        axis, keep = node.get("axis", 0), bool(node.get("keepdims", 1))
        if node.get("select_last_index", 0):
            raise node.refusal("selects the last of equal values, which is not translated")
        return Call(lambda x: getattr(node.torch, name)(x, dim=axis, keepdim=keep), (0,))

    return handler


def _matmul(node: Node) -> Call:
    return Call(node.torch.matmul, (0, 1))


def _gemm(node: Node) -> Call:
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    first_t, second_t = bool(node.get("transA", 0)), bool(node.get("transB", 0))

    def run(first: Any, second: Any, bias: Any = None) -> Any:
        first = first.t() if first_t else first
        second = second.t() if second_t else second
        if bias is None:
            return node.torch.mm(first, second) * alpha if alpha != 1.0 else node.torch.mm(first, second)
        return node.torch.addmm(bias, first, second, beta=beta, alpha=alpha)

    return Call(run, node.present())


def _linear(node: Node) -> Call:
    return Call(lambda x, weight, bias: node.torch.nn.functional.linear(x, weight.t(), bias), (0, 1, 2))


def _attention(node: Node) -> Call:
    attend = node.torch.nn.functional.scaled_dot_product_attention
    if len(node.shape()) != 4:  # its fast kernels want batch, heads, tokens, width
        return Call(lambda q, k, v: node.torch.softmax(q @ k, dim=-1) @ v, (0, 1, 2))
    return Call(lambda q, k, v: attend(q, k.transpose(-1, -2), v, scale=1.0), (0, 1, 2))


def _einsum(node: Node) -> Call:
    equation = node.get("equation")
    return Call(lambda *operands: node.torch.einsum(equation, *operands), node.present())


ARITHMETIC: dict[str, Handler] = {
    "Add": plain("add"),
    "Sub": plain("sub"),
    "Mul": plain("mul"),
    "Div": _div,
    "Pow": _pow,
    "Min": _many("minimum"),
    "Max": _many("maximum"),
    "Sum": _many("add"),
    **{
        op: plain(op.lower())
        for op in ("Abs", "Neg", "Exp", "Log", "Sqrt", "Reciprocal", "Erf", "Tanh", "Sigmoid", "Relu", "Floor", "Ceil")
    },
    **{op: plain(op.lower()) for op in ("Sin", "Cos", "Sign", "Round", "Where")},
    "Equal": plain("eq"),
    "Greater": plain("gt"),
    "GreaterOrEqual": plain("ge"),
    "Less": plain("lt"),
    "LessOrEqual": plain("le"),
    "And": plain("logical_and"),
    "Or": plain("logical_or"),
    "Not": plain("logical_not"),
    "Softplus": _functional("softplus"),
    "Mish": _functional("mish"),
    "HardSwish": _functional("hardswish"),
    "Gelu": _gelu,
    "LeakyRelu": _alpha("leaky_relu", 0.01),
    "Elu": _alpha("elu", 1.0),
    "HardSigmoid": _hard_sigmoid,
    "PRelu": _prelu,
    "Clip": _clip,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "ReduceMean": _reduced("mean"),
    "ReduceSum": _reduced("sum"),
    "ReduceMax": _reduced("amax"),
    "ReduceMin": _reduced("amin"),
    "ReduceProd": _reduced("prod"),
    "ReduceL2": _l2,
    "ArgMax": _arg("argmax"),
    "ArgMin": _arg("argmin"),
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Einsum": _einsum,
    "cotenant:Gelu": _functional("gelu"),
    "cotenant:Silu": _functional("silu"),
    "cotenant:Linear": _linear,
    "cotenant:Attention": _attention,
}
