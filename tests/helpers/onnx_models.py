"""Models of ONNX, run by onnxruntime."""

import io

import numpy as np
import onnx
import onnxruntime


def content_of(model):
    """Return the file that `to_onnx` writes."""
    file = io.BytesIO()
    model.to_onnx(file)
    return file.getvalue()


def session_of(content):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def outputs(model, inputs):
    """Return what a model's ONNX file predicts, by name; `inputs` is a dict or the one input."""
    session = session_of(content_of(model))
    if not isinstance(inputs, dict):
        (only,) = session.get_inputs()
        inputs = {only.name: inputs}
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, session.run(None, inputs), strict=True))


def columns_of(session, frame):
    """Return the inputs of a session for the rows of a data frame."""
    found = {}
    for each in session.get_inputs():
        series = frame[each.name]
        if each.type == "tensor(string)":
            values = [v if isinstance(v, str) else "missing" for v in series.tolist()]
            found[each.name] = np.array(values, object)[:, None]
        else:
            values = series.astype(object).where(series.notna(), np.nan)
            found[each.name] = values.to_numpy(np.float64)[:, None]
    return found


def loaded(content):
    return onnx.load_from_string(content)
