"""
A network in a web service
==========================

A program that only predicts needs neither fastmlp nor scikit-learn: `to_onnx` writes the network
together with the preparation of the columns, and onnxruntime runs it. Training first, on a small
table with numbers, text and a missing value.
"""

import os
import tempfile

import numpy as np
import pandas as pd

from fastmlp.sklearn import MLPClassifier

source = np.random.default_rng(0)
n = 400
sizes = source.normal(size=n).round(2)
table = pd.DataFrame({"size": sizes, "colour": source.choice(["red", "green", "blue"], n)})
kind = np.where((table["size"] > 0) | (table["colour"] == "red"), "apple", "plum")
table.loc[::20, "size"] = np.nan

model = MLPClassifier(preset="tabular", max_iter=20, random_state=0).fit(table, kind)
path = os.path.join(tempfile.mkdtemp(), "fruit.onnx")
model.to_onnx(path)

# %%
# The service: a POST request has the columns of one row as JSON, and the answer the label and the
# probability of each class. What a request leaves out is missing.

import http.server  # noqa: E402
import json  # noqa: E402

import onnxruntime  # noqa: E402

session = onnxruntime.InferenceSession(path)


class Predict(http.server.BaseHTTPRequestHandler):
    """Answers requests."""

    def do_POST(self):
        """Predict the kind of one row."""
        row = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        columns = {
            each.name: np.array([[row.get(each.name, "")]], object)
            if each.type == "tensor(string)"
            else np.array([[row.get(each.name, np.nan)]], float)
            for each in session.get_inputs()
        }
        label, probabilities = session.run(None, columns)
        answer = {"label": str(label[0]), "probabilities": probabilities[0].tolist()}
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *args):
        """Print no line for each request."""


# %%
# A program would call ``serve_forever``; here a thread does, so that this script can ask.

import threading  # noqa: E402
import urllib.request  # noqa: E402

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Predict)
threading.Thread(target=server.serve_forever, daemon=True).start()

for row in ({"size": 0.7, "colour": "green"}, {"size": -0.7, "colour": "blue"}, {"colour": "red"}):
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.server_port}/", json.dumps(row).encode()
    )
    with urllib.request.urlopen(request) as response:
        answer = json.load(response)
    print(row, "->", answer)
    assert answer["label"] == model.predict(pd.DataFrame([row], columns=["size", "colour"]))[0]

server.shutdown()
server.server_close()
