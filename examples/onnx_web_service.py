"""
==========================
A network in a web service
==========================

A program that only predicts needs neither fastmlp nor scikit-learn: ``to_onnx`` writes the network
together with the preparation of its columns, and onnxruntime runs it. This example trains on a
table with numbers, text and missing values, and answers requests with a service of twenty lines.
"""

import http.server
import json
import tempfile
import threading
import urllib.request
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd

from fastmlp.sklearn import MLPClassifier

# %%
# Train and export
# ----------------
#
# What is large or red is an apple, everything else is a plum. Every twentieth size is missing.

random = np.random.default_rng(0)
sizes, colours = random.normal(size=400).round(2), random.choice(["red", "green", "blue"], 400)
table = pd.DataFrame({"size": sizes, "colour": colours})
kind = np.where((table["size"] > 0) | (table["colour"] == "red"), "apple", "plum")
table.loc[::20, "size"] = np.nan

model = MLPClassifier(preset="tabular", random_state=0).fit(table, kind)
folder = tempfile.TemporaryDirectory()
path = Path(folder.name, "fruit.onnx")
model.to_onnx(path)

# %%
# The service
# -----------
#
# A POST request has the columns of one row as JSON, and the answer has the label and the
# probability of each class. The file says what its columns are called and whether they hold text or
# numbers. What a request leaves out is missing. Nothing from here on to the last line of the class
# uses fastmlp, so this part alone is what goes to the server, with the file beside it.

session = onnxruntime.InferenceSession(str(path))


class Predict(http.server.BaseHTTPRequestHandler):
    """Answers requests."""

    def do_POST(self):
        """Predict the label of one row."""
        row = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        columns = {}
        for column in session.get_inputs():
            if column.type == "tensor(string)":
                columns[column.name] = np.array([[row.get(column.name, "")]], object)
            else:
                columns[column.name] = np.array([[row.get(column.name, np.nan)]], float)
        label, probabilities = session.run(None, columns)
        answer = {"label": str(label[0]), "probabilities": probabilities[0].round(3).tolist()}
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *args):
        """Print no line for each request."""


# %%
# Ask it
# ------
#
# A program of its own would call ``serve_forever`` at its end. Here a thread does, so that this
# script can ask. Expect a plum for the small blue one only, and the same answers as those of the
# model in Python.

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Predict)
threading.Thread(target=server.serve_forever, daemon=True).start()

for row in ({"size": 0.7, "colour": "green"}, {"size": -0.7, "colour": "blue"}, {"colour": "red"}):
    url = f"http://127.0.0.1:{server.server_port}/"
    with urllib.request.urlopen(url, json.dumps(row).encode()) as response:
        answer = json.load(response)
    in_python = model.predict(pd.DataFrame([row], columns=["size", "colour"]))[0]
    print(f"{row}: {answer}, in Python {in_python}")

server.shutdown()
server.server_close()
folder.cleanup()
